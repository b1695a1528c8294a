package reader_test

import (
	"context"
	"errors"
	"testing"

	"catalog"
	"catalog/reader/internal/readertest"
)

func TestCache(t *testing.T) {
	all := readertest.History(4)
	wantReads := func(t *testing.T, h *readertest.Harness, want int64) {
		t.Helper()
		if n := h.View.Reads.Load(); n != want {
			t.Errorf("the view was read %d times; want %d", n, want)
		}
	}
	t.Run("a cache that is unavailable is bypassed", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Cache.Edit(func() { h.Cache.Unavailable = true })
		h.Feed(t, 0, all[:2]...)
		h.WantVersion(t, 0, 2)
		h.WantVersion(t, 2, 2)
	})
	t.Run("a caller that leaves does not make the cache count as failed", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Feed(t, 0, all[:2]...)
		h.WantVersion(t, 2, 2) // cached
		reads := h.View.Reads.Load()
		left, leave := context.WithCancel(t.Context())
		leave()
		h.Products(left, []catalog.ID{catalog.DerivedID("p")})
		h.WantVersion(t, 0, 2)
		wantReads(t, h, reads)
	})
	t.Run("an entry that cannot be read costs a read of the view, and other products stay cached", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Feed(t, 0, all[:2]...)
		h.WantVersion(t, 2, 2) // cached
		reads, damaged := h.View.Reads.Load(), catalog.DerivedID("damaged")
		h.Cache.Edit(func() { h.Cache.Damaged = damaged })
		if _, err := h.Product(t.Context(), damaged, catalog.Position{}); !errors.Is(err, catalog.ErrNotFound) {
			t.Fatalf("Product = %v; want ErrNotFound, from the view", err)
		}
		h.WantVersion(t, 0, 2)
		wantReads(t, h, reads+1)
	})
	t.Run("a product is read from the view once, with and without a position", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Feed(t, 0, all[:2]...)
		for range 5 {
			h.WantVersion(t, 0, 2)
			h.WantVersion(t, 2, 2)
		}
		wantReads(t, h, 1)
	})
	t.Run("a missing product is read from the view once", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		for range 5 {
			if _, err := h.Product(t.Context(), catalog.DerivedID("p"), catalog.Position{}); !errors.Is(err, catalog.ErrNotFound) {
				t.Fatalf("Product = %v; want ErrNotFound", err)
			}
		}
		wantReads(t, h, 1)
		h.Feed(t, 0, all[0])
		h.WantVersion(t, 0, 1)
	})
}
