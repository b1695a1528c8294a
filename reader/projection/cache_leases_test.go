package projection_test

import (
	"errors"
	"testing"

	"catalog"
	"catalog/eventlog"
	"catalog/reader/internal/readertest"
)

func TestCacheLeases(t *testing.T) {
	all := readertest.History(4)
	id := catalog.DerivedID("p")
	t.Run("a product is invalidated before the view changes", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Feed(t, 0, all[0])
		h.WantVersion(t, 0, 1)
		var inView int64
		h.Cache.OnInvalidate = func() {
			p, err := h.View.View.Product(t.Context(), id)
			if err != nil {
				t.Error(err)
			}
			inView = p.Version
		}
		h.Feed(t, 1, all[1])
		h.WantVersion(t, 0, 2)
		if inView != 1 {
			t.Errorf("the view had version %d during Invalidate; want 1", inView)
		}
	})
	t.Run("nothing is applied while another process holds the lease", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Cache.Edit(func() { h.Cache.Fenced = true })
		err := h.Log.Projection().Handle(t.Context(), eventlog.Records[catalog.Event]{To: 1, Items: all[:1]})
		if !errors.Is(err, catalog.ErrFenced) {
			t.Errorf("Handle = %v; want ErrFenced", err)
		}
		if _, err := h.View.View.Product(t.Context(), id); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("Product = %v; want ErrNotFound", err)
		}
	})
	t.Run("the cache is filled once the events before the lease are applied", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Log: &readertest.Log{End: 2}})
		wantReads := func(want int64) {
			t.Helper()
			h.View.Reads.Store(0)
			for range 2 {
				if _, err := h.Product(t.Context(), id, catalog.Position{}); err != nil {
					t.Fatal(err)
				}
			}
			if n := h.View.Reads.Load(); n != want {
				t.Fatalf("the view was read %d times; want %d", n, want)
			}
		}
		h.Feed(t, 0, all[0])
		wantReads(2)
		h.Feed(t, 1, all[1])
		wantReads(1)
	})
}
