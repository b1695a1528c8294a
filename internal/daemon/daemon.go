// Package daemon has what every process of this system does around its work: it
// parses flags and environment variables, runs the parts of the process, serves
// the admin port, and shuts down cleanly. It is a library of functions on the
// standard library alone, and contains nothing specific to catalogues.
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

// Part is a component that runs for the lifetime of the process.
type Part struct {
	// Name identifies the part in errors and logs.
	Name string
	// Run works until ctx ends and then returns nil promptly. If Run returns
	// earlier, or with an error, the process stops.
	Run func(ctx context.Context) error
}

// Signals returns a context that ends at the first SIGTERM or SIGINT. A second
// signal kills the process immediately.
func Signals(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, syscall.SIGTERM, os.Interrupt)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// Run runs all parts concurrently until ctx ends or a part returns. It then stops
// the parts one by one in reverse order, so that a part stops after the parts that
// depend on it, and waits for each. The whole shutdown is limited to timeout; the
// error then names the part that did not stop. Otherwise Run returns the error of
// the part that returned first, or nil if ctx ended.
func Run(ctx context.Context, log *slog.Logger, timeout time.Duration, parts ...Part) error {
	type runningPart struct {
		Part
		stop context.CancelFunc
		done chan struct{}
	}
	first := make(chan error, len(parts))
	all := make([]runningPart, len(parts))
	for i, p := range parts {
		partCtx, stop := context.WithCancel(context.WithoutCancel(ctx))
		r := runningPart{p, stop, make(chan struct{})}
		all[i] = r
		go func() {
			defer close(r.done)
			err := r.Run(partCtx)
			switch {
			case err != nil && partCtx.Err() == nil:
				first <- fmt.Errorf("%s: %w", r.Name, err)
			case partCtx.Err() == nil:
				first <- fmt.Errorf("%s stopped unexpectedly", r.Name)
			case err != nil && !errors.Is(err, context.Canceled):
				log.Warn("part failed to stop cleanly", "part", r.Name, "err", err)
			}
		}()
	}
	var result error
	select {
	case <-ctx.Done():
		log.Info("shutdown requested")
	case result = <-first:
		log.Error("shutdown after failure", "err", result)
	}
	deadline := time.After(timeout)
	for i := len(all) - 1; i >= 0; i-- {
		all[i].stop()
		select {
		case <-all[i].done:
		case <-deadline:
			name := all[i].Name
			for ; i >= 0; i-- {
				all[i].stop()
			}
			return errors.Join(result, fmt.Errorf("%s did not stop within %v (-shutdown-timeout); unfinished work is repeated after the next start", name, timeout))
		}
	}
	return result
}
