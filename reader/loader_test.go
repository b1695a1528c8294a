package reader_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"catalog"
	"catalog/reader"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// heldView is a view whose reads wait until they are released.
type heldView struct {
	projection.View
	reading atomic.Int64
	release chan struct{}
}

func (v *heldView) Product(_ context.Context, id catalog.ID) (catalog.Product, error) {
	v.reading.Add(1)
	defer v.reading.Add(-1)
	<-v.release
	return catalog.Product{ID: id, Version: 1}, nil
}

func TestLoader(t *testing.T) {
	all := readertest.History(4)
	id := catalog.DerivedID("p")
	t.Run("concurrent misses of a product share one read of the view", func(t *testing.T) {
		const callers = 10_000
		// attempt reports whether no caller and no call of the cache was out of time, which
		// happens on a busy machine and leads to another read.
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
			if late.Load() > 0 || readertest.Counter(t, h.Registry, "catalog_cache_errors_total", "") > 0 {
				return false
			}
			if n := h.View.Reads.Load(); n != 1 {
				t.Errorf("the view was read %d times; want 1", n)
			}
			return true
		}
		for tries := 1; !attempt(); tries++ {
			if tries == 5 {
				t.Fatal("void: calls were out of time in each of 5 attempts")
			}
		}
	})
	t.Run("at most 32 products are read at once, and a caller that waits for too long gets an error", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			view := &heldView{release: make(chan struct{})}
			r := readertest.New(reader.Deps{View: view, Index: readertest.NewIndex()})
			const callers, limit = 100, 32
			errs := make(chan error, callers)
			for i := range callers {
				go func() {
					_, err := r.Product(t.Context(), catalog.DerivedID("held", fmt.Sprint(i)), catalog.Position{})
					errs <- err
				}()
			}
			synctest.Wait()
			if n := view.reading.Load(); n != limit {
				t.Errorf("%d products are read at once; want %d", n, limit)
			}
			for range callers - limit {
				if err := <-errs; !errors.Is(err, catalog.ErrOverloaded) {
					t.Errorf("Product = %v while %d products are read; want ErrOverloaded", err, limit)
				}
			}
			close(view.release)
			for range limit {
				if err := <-errs; err != nil {
					t.Errorf("Product = %v; want nil", err)
				}
			}
		})
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
