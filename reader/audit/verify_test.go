package audit_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catalog"
	"catalog/reader"
	"catalog/reader/audit"
	"catalog/reader/internal/readertest"
)

// startWithProducts starts a reader with the products a to h, of which h is
// deleted. The next event has seq 12.
func startWithProducts(t testing.TB) (*readertest.Harness, *readertest.GrowingJournal) {
	j := &readertest.GrowingJournal{}
	h := readertest.Start(t, readertest.Config{Journal: j})
	for i, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "a", "b"} {
		h.Feed(t, int64(i), j.Settle(name, false))
	}
	h.Feed(t, 10, j.Settle("h", true))
	h.WaitForIndex(t, 11)
	return h, j
}

func TestVerify(t *testing.T) {
	t.Run("equal stores have no differences", func(t *testing.T) {
		h, _ := startWithProducts(t)
		differences, by := verify(t, h, false)
		if len(differences) > 0 {
			t.Error(summary(differences))
		}
		for store, want := range map[string]int64{"view": 8, "cache": 8, "index": 7} {
			if c := by[store]; c.Products != want || len(c.Shards) != 1 {
				t.Errorf("%s: %d products in %d shards; want %d in 1", store, c.Products, len(c.Shards), want)
			}
		}
	})
	t.Run("a delay is not a difference while events are applied", func(t *testing.T) {
		h, j := startWithProducts(t)
		stop := feedInBackground(t, h, func(offset int64) catalog.Event {
			return j.Settle(string(rune('a'+offset%7)), offset%5 == 0)
		})
		for range 10 {
			if differences, _ := verify(t, h, false); len(differences) > 0 {
				t.Error(summary(differences))
			}
		}
		stop()
		wantEqual(t, h)
	})
}

func TestVerify_repair(t *testing.T) {
	t.Run("only a repair corrects wrong products", func(t *testing.T) {
		h, _ := startWithProducts(t)
		corrupt(t, h)
		for _, repair := range []bool{false, false, true} {
			differences, by := verify(t, h, repair)
			if len(differences) != 13 || by["view"].Differing != 6 || by["index"].Differing != 6 || by["cache"].Differing != 1 {
				t.Fatalf("%s; want 6 in the view, 6 in the index, 1 in the cache", summary(differences))
			}
			for _, d := range differences {
				if d.Repaired != repair {
					t.Errorf("%s, product %s: Repaired = %v; want %v", d.Store, d.Want.ID, d.Repaired, repair)
				}
			}
		}
		wantEqual(t, h)
	})
	t.Run("an empty view is filled", func(t *testing.T) {
		h, _ := startWithProducts(t)
		var all []catalog.Product
		if err := h.View.Scan(t.Context(), func(products []catalog.Product) error { all = append(all, products...); return nil }); err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if err := h.View.Overwrite(t.Context(), p.Version, catalog.Product{ID: p.ID}); err != nil {
				t.Fatal(err)
			}
		}
		if _, by := verify(t, h, true); by["view"].Repaired != 8 {
			t.Fatalf("%d products of the view repaired; want 8", by["view"].Repaired)
		}
		wantEqual(t, h)
	})
	t.Run("a repair while events are applied leaves the right product", func(t *testing.T) {
		h, j := startWithProducts(t)
		stop := feedInBackground(t, h, func(offset int64) catalog.Event { return j.Settle("a", offset%5 == 0) })
		for range 5 {
			p, err := h.View.Product(t.Context(), catalog.DerivedID("a"))
			if err != nil {
				t.Fatal(err)
			}
			was := p.Version
			p.Version += 1_000_000
			if err := h.View.Overwrite(t.Context(), was, p); err != nil {
				t.Fatal(err)
			}
			verify(t, h, true)
		}
		stop()
		verify(t, h, true)
		wantEqual(t, h)
	})
}

// feedInBackground delivers events from offset 11 on until stop is called.
func feedInBackground(t testing.TB, h *readertest.Harness, next func(offset int64) catalog.Event) (stop func()) {
	ctx, cancel := context.WithCancel(t.Context())
	var feeding sync.WaitGroup
	feeding.Go(func() {
		for offset := int64(11); ctx.Err() == nil; offset++ {
			h.Feed(t, offset, next(offset))
		}
	})
	return func() { cancel(); feeding.Wait() }
}

// corrupt makes 6 products wrong in the view and in the index, in every possible
// way, and another one in the cache.
func corrupt(t testing.TB, h *readertest.Harness) {
	t.Helper()
	id := func(name string) catalog.ID { return catalog.DerivedID(name) }
	wrong := func(name string, version int64) catalog.Product {
		return catalog.Product{ID: id(name), Version: version, ProductData: catalog.ProductData{Name: "wrong"}, CreatedAt: readertest.Moment, UpdatedAt: readertest.Moment}
	}
	for _, c := range []struct {
		was int64
		catalog.Product
	}{
		{2, wrong("a", 1)},                // an old version
		{2, wrong("b", 2)},                // other contents
		{1, wrong("c", 9)},                // a version that does not exist
		{0, wrong("x", 1)},                // a product that was never created
		{2, wrong("h", 3)},                // a deleted product that exists
		{1, catalog.Product{ID: id("d")}}, // a missing product
	} {
		if err := h.View.Overwrite(t.Context(), c.was, c.Product); err != nil {
			t.Fatal(err)
		}
	}
	h.Index.Edit(func(products map[catalog.ID]catalog.Product) {
		for _, p := range []catalog.Product{wrong("a", 1), wrong("b", 2), wrong("c", 9), wrong("x", 1), wrong("h", 3)} {
			products[p.ID] = p
		}
		delete(products, id("d"))
	})
	h.Cache.Edit(func() { h.Cache.Cached[id("e")] = wrong("e", 1) })
}

// endlessJournal is a journal whose snapshots end only when their context does.
type endlessJournal struct{ readertest.Journal }

func (endlessJournal) Snapshot(ctx context.Context, _ int32, _ []catalog.ID, _ func([]catalog.Product) error) (int64, error) {
	<-ctx.Done()
	return 0, ctx.Err()
}

func TestVerify_queue(t *testing.T) {
	t.Run("a third verification is refused after some seconds", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			r := readertest.New(reader.Deps{Index: readertest.NewIndex(), Journal: endlessJournal{}})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			for range 2 {
				go func() { _, _ = r.Auditor.Verify(ctx, audit.Verification{}) }()
			}
			synctest.Wait()
			since := time.Now()
			if _, err := r.Auditor.Verify(ctx, audit.Verification{}); !errors.Is(err, catalog.ErrOverloaded) || time.Since(since) != 10*time.Second {
				t.Errorf("Verify = %v after %v; want ErrOverloaded after 10 s", err, time.Since(since))
			}
		})
	})
}
