package daemon_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catalog/internal/daemon"
)

var discardLog = slog.New(slog.DiscardHandler)

// waitForStop is a part's Run that returns nil when it is stopped.
func waitForStop(ctx context.Context) error {
	<-ctx.Done()
	return nil
}

func TestRun(t *testing.T) {
	t.Run("parts stop one by one, the last first", func(t *testing.T) {
		var mu sync.Mutex
		var stopped []string
		part := func(name string) daemon.Part {
			return daemon.Part{Name: name, Run: func(ctx context.Context) error {
				<-ctx.Done()
				mu.Lock()
				defer mu.Unlock()
				stopped = append(stopped, name)
				return ctx.Err()
			}}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := daemon.Run(ctx, discardLog, time.Minute, part("engine"), part("work"), part("http")); err != nil {
			t.Fatalf("Run = %v; want nil", err)
		}
		if want := []string{"http", "work", "engine"}; !slices.Equal(stopped, want) {
			t.Fatalf("parts stopped in the order %v; want %v", stopped, want)
		}
	})
	t.Run("a part that fails stops the others and is named", func(t *testing.T) {
		broken := errors.New("broken")
		err := daemon.Run(t.Context(), discardLog, time.Minute,
			daemon.Part{Name: "steady", Run: waitForStop},
			daemon.Part{Name: "weak", Run: func(context.Context) error { return broken }})
		if !errors.Is(err, broken) || !strings.Contains(err.Error(), "weak") {
			t.Fatalf("Run = %v; want the error of the part weak", err)
		}
	})
	t.Run("a part that returns without an error stops the others and is named", func(t *testing.T) {
		err := daemon.Run(t.Context(), discardLog, time.Minute,
			daemon.Part{Name: "steady", Run: waitForStop},
			daemon.Part{Name: "short", Run: func(context.Context) error { return nil }})
		if err == nil || !strings.Contains(err.Error(), "short stopped unexpectedly") {
			t.Fatalf("Run = %v; want an error that names the part short", err)
		}
	})
	t.Run("the shutdown ends at the timeout and names the part that did not stop", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			release := make(chan struct{})
			ctx, cancel := context.WithCancel(t.Context())
			cancel()
			since := time.Now()
			err := daemon.Run(ctx, discardLog, 5*time.Second,
				daemon.Part{Name: "stubborn", Run: func(context.Context) error { <-release; return nil }},
				daemon.Part{Name: "quick", Run: waitForStop})
			if err == nil || !strings.Contains(err.Error(), "stubborn") || time.Since(since) != 5*time.Second {
				t.Fatalf("Run = %v after %v; want an error that names stubborn after 5s", err, time.Since(since))
			}
			close(release)
			synctest.Wait()
		})
	})
}
