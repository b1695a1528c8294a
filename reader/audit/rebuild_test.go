package audit_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"

	"catalog"
	"catalog/engine/bleve"
	"catalog/engine/sqlite"
	"catalog/reader/audit"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// startRebuildable starts a reader whose view and index have generations, with
// the products 0 to n-1.
func startRebuildable(t testing.TB, n int) (*readertest.Harness, *readertest.GrowingJournal, *sqlite.View) {
	x, err := bleve.OpenGenerations(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	views, j := readertest.OpenSQLite(t), &readertest.GrowingJournal{}
	h := readertest.Start(t, readertest.Config{View: projection.NewGenerationalView(views), Index: x, Journal: j})
	var events []catalog.Event
	for i := range n {
		events = append(events, j.Settle(fmt.Sprint(i), false))
	}
	h.Feed(t, 0, events...)
	h.WaitForIndex(t, int64(n))
	return h, j, views
}

func rebuild(t testing.TB, h *readertest.Harness, action audit.RebuildAction) {
	t.Helper()
	if err := h.Auditor.Rebuild(t.Context(), []string{"view", "index"}, action, func(string, int64, int64) {}); err != nil {
		t.Fatal(err)
	}
}

func TestRebuild(t *testing.T) {
	t.Run("a lost view is restored", func(t *testing.T) {
		t.Parallel()
		const products = 1_000
		h, j, views := startRebuildable(t, products)
		if err := views.Create(t.Context(), 0); err != nil { // empties the view
			t.Fatal(err)
		}
		if differences, _ := verify(t, h, false); len(differences) != products {
			t.Fatalf("%s; want %d", summary(differences), products)
		}
		rebuild(t, h, audit.RebuildNew)
		wantEqual(t, h)
		h.Feed(t, products, j.Settle("7", true), j.Settle("more", false))
		wantEqual(t, h)
	})
	t.Run("a rollback works again and again, with the events applied since", func(t *testing.T) {
		t.Parallel()
		h, j, _ := startRebuildable(t, 100)
		rebuild(t, h, audit.RebuildNew)
		h.Feed(t, 100, j.Settle("8", true), j.Settle("9", false))
		rebuild(t, h, audit.RebuildRollback)
		wantEqual(t, h)
		h.Feed(t, 102, j.Settle("10", true))
		rebuild(t, h, audit.RebuildRollback)
		wantEqual(t, h)
		rebuild(t, h, audit.RebuildDropPrevious)
		for _, store := range []string{"view", "index"} {
			if err := h.Auditor.Rebuild(t.Context(), []string{store}, audit.RebuildRollback, nil); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("Rebuild %s = %v; want ErrNotFound after the previous generation was dropped", store, err)
			}
		}
		wantEqual(t, h)
	})
}

// awayViews are view generations that are unavailable for the next calls of Apply and Scan.
type awayViews struct {
	*sqlite.View
	away *atomic.Int64 // number of failed calls
}

func (v awayViews) Generation(n int64) awayViews { return awayViews{v.View.Generation(n), v.away} }

func (v awayViews) Apply(ctx context.Context, created, changed []catalog.Product) error {
	if v.away.Add(-1) >= 0 {
		return catalog.ErrUnavailable
	}
	return v.View.Apply(ctx, created, changed)
}

func (v awayViews) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	if v.away.Add(-1) >= 0 {
		return catalog.ErrUnavailable
	}
	return v.View.Scan(ctx, handle)
}

func TestRebuild_viewAway(t *testing.T) {
	views := awayViews{readertest.OpenSQLite(t), &atomic.Int64{}}
	journal := &readertest.GrowingJournal{}
	h := readertest.Start(t, readertest.Config{View: projection.NewGenerationalView(views), Journal: journal})
	for i := range 100 {
		h.Feed(t, int64(i), journal.Settle(fmt.Sprint(i), false))
	}
	views.away.Store(2)
	rebuildView := func(progress func(step string, products, of int64)) error {
		return h.Auditor.Rebuild(t.Context(), []string{"view"}, audit.RebuildNew, progress)
	}
	compared := sync.OnceFunc(func() { views.away.Store(1) })
	err := rebuildView(func(step string, _, _ int64) {
		if step == "load from the journal" {
			compared() // the view is away again when it is compared
		}
	})
	if left := views.away.Load(); err != nil || left > 0 {
		t.Errorf("Rebuild while the view is away for some calls = %v, with %d calls left; want nil", err, left)
	}
	wantEqual(t, h)
}

func TestRebuild_underLoad(t *testing.T) {
	t.Run("reads and writes continue, none fails and no version goes back", func(t *testing.T) {
		t.Parallel()
		const products = 300
		h, j, _ := startRebuildable(t, products)
		ctx, stop := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		var reads, slow atomic.Int64 // slow ones fail on a busy machine only
		busy.Go(func() {
			for offset := int64(products); ctx.Err() == nil; offset++ {
				h.Feed(t, offset, j.Settle(fmt.Sprint(offset%10), false))
			}
		})
		for i := range 2 {
			busy.Go(func() {
				for last := int64(0); ctx.Err() == nil; reads.Add(1) {
					p, err := h.Product(context.Background(), catalog.DerivedID(fmt.Sprint(i)), catalog.Position{})
					if readertest.Slow(err) {
						slow.Add(1)
						continue
					}
					if err != nil || p.Version < last {
						t.Errorf("Product = version %d, %v; want version %d or later", p.Version, err, last)
						return
					}
					last = p.Version
					page, err := h.Search(context.Background(), catalog.Query{Limit: 1}, catalog.Position{})
					if readertest.Slow(err) {
						slow.Add(1)
						continue
					}
					if err != nil || page.Total != products {
						t.Errorf("Search = %d products, %v; want %d", page.Total, err, products)
						return
					}
				}
			})
		}
		rebuild(t, h, audit.RebuildNew)
		rebuild(t, h, audit.RebuildRollback)
		stop()
		busy.Wait()
		wantEqual(t, h)
		if reads.Load() < 100 || slow.Load() > reads.Load()/20 {
			t.Errorf("void: %d reads, of which %d timed out; want at least 100, and at most one in 20", reads.Load(), slow.Load())
		}
	})
}

func TestRebuild_interrupted(t *testing.T) {
	t.Run("a rebuild that ends at any step leaves a right view", func(t *testing.T) {
		t.Parallel()
		h, j, views := startRebuildable(t, 300)
		was, err := views.Generations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offset := int64(300)
		// Each round cancels the rebuild after one more change of the generations.
		for step := range 5 {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() {
				ended <- h.Auditor.Rebuild(ctx, []string{"view"}, audit.RebuildNew, func(string, int64, int64) {})
			}()
			for seen, before := 0, was; seen < step && len(ended) == 0; {
				now, err := views.Generations(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if now != before {
					seen, before = seen+1, now
				}
			}
			stop()
			<-ended
			h.Feed(t, offset, j.Settle(fmt.Sprint(step), step%2 == 0))
			offset++
			wantEqual(t, h)
			if was, err = views.Generations(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		rebuild(t, h, audit.RebuildNew)
		wantEqual(t, h)
	})
}
