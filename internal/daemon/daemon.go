// Package daemon is what every process of this system does around its work:
// read its settings, start its parts, answer the admin port, and stop them
// cleanly. It is a library of functions on the standard library; it knows
// nothing of catalogues.
package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// Part is one thing that runs as long as the process.
type Part struct {
	Name string
	// Run works until ctx ends and then returns nil soon. Returning earlier, or
	// with an error, stops the process.
	Run func(ctx context.Context) error
}

// Signals is a context that ends at SIGTERM or SIGINT. A second signal kills
// the process as if nobody had asked.
func Signals(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Run runs the parts until ctx ends or one of them stops, and then stops them
// one after the other, the last first, so that what others depend on goes
// last. All of that may take no longer than grace; a part that has not stopped
// by then is named in the error. Otherwise the error is that of the part that
// stopped by itself, or nil.
func Run(ctx context.Context, log *slog.Logger, grace time.Duration, parts ...Part) error {
	type running struct {
		Part
		stop context.CancelFunc
		done chan struct{}
	}
	first := make(chan error, len(parts))
	all := make([]running, len(parts))
	for i, p := range parts {
		partCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := running{p, stop, make(chan struct{})}
		all[i] = r
		go func() {
			defer close(r.done)
			err := r.Run(partCtx)
			switch {
			case err != nil && partCtx.Err() == nil:
				first <- fmt.Errorf("%s: %w", r.Name, err)
			case partCtx.Err() == nil:
				first <- fmt.Errorf("%s stopped by itself", r.Name)
			case err != nil && !errors.Is(err, context.Canceled):
				log.Warn("part stopped with an error", "part", r.Name, "err", err)
			}
		}()
	}
	var result error
	select {
	case <-ctx.Done():
		log.Info("stopping")
	case result = <-first:
		log.Error("stopping", "err", result)
	}
	deadline := time.After(grace)
	for i := len(all) - 1; i >= 0; i-- {
		all[i].stop()
		select {
		case <-all[i].done:
		case <-deadline:
			for ; i >= 0; i-- {
				all[i].stop()
			}
			return errors.Join(result, fmt.Errorf("not stopped within %v; what was in hand will be done again at the next start", grace))
		}
	}
	return result
}
