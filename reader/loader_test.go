package reader_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"catalog"
	"catalog/reader/internal/readertest"
)

func TestLoader(t *testing.T) {
	all := readertest.History(4)
	id := catalog.DerivedID("p")
	t.Run("concurrent misses of a product share one read of the view", func(t *testing.T) {
		const callers = 10_000
		// attempt reports whether no caller was out of time, which happens on a busy machine
		// and leads to another read.
		attempt := func() bool {
			h := readertest.Start(t, readertest.Config{})
			h.Feed(t, 0, all[0])
			h.View.Hold = make(chan struct{})
			var wg sync.WaitGroup
			var started, late, failed atomic.Int64
			for range callers {
				wg.Go(func() {
					started.Add(1)
					p, err := h.Product(t.Context(), id, catalog.Position{})
					switch {
					case errors.Is(err, context.DeadlineExceeded):
						late.Add(1)
					case (err != nil || p.Version != 1) && failed.Add(1) <= 5:
						t.Errorf("Product = version %d, %v; want version 1", p.Version, err)
					}
				})
			}
			for started.Load() < 100 || h.View.Reads.Load() == 0 {
				<-time.After(time.Millisecond)
			}
			close(h.View.Hold)
			wg.Wait()
			if late.Load() > 0 {
				return false
			}
			if n := h.View.Reads.Load(); n != 1 {
				t.Errorf("the view was read %d times; want 1", n)
			}
			return true
		}
		for tries := 1; !attempt(); tries++ {
			if tries == 5 {
				t.Fatal("void: callers were out of time in each of 5 attempts")
			}
		}
	})
	t.Run("a caller never gets a value that was read before its call", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Cache.Edit(func() { h.Cache.Unavailable = true })
		h.Feed(t, 0, all[0])
		reading, release := make(chan struct{}), make(chan struct{})
		first := make(chan int64, 1)
		h.View.AfterRead = func() { close(reading); <-release }
		go func() {
			p, _ := h.Product(t.Context(), id, catalog.Position{})
			first <- p.Version
		}()
		<-reading // the first call has read version 1 and has not returned yet
		h.Feed(t, 1, all[1])
		go close(release)
		h.WantVersion(t, 0, 2)
		if v := <-first; v != 1 {
			t.Errorf("void: the first call returned version %d; want 1", v)
		}
	})
}
