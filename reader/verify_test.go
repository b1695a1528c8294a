package reader_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"catalog"
	"catalog/reader"
)

// live is a journal that grows.
type live struct {
	mu     sync.Mutex
	events []catalog.Event
}

func (l *live) now() journal {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.events[:len(l.events):len(l.events)]
}

func (l *live) Next(ctx context.Context, shard int32) (int64, error) { return l.now().Next(ctx, shard) }

func (l *live) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	return l.now().Replay(ctx, shard, from, to, handle)
}

func (l *live) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	return l.now().Snapshot(ctx, shard, only, handle)
}

// settle adds the next version of the product of that name, or its tombstone,
// and answers the event.
func (l *live) settle(name string, deleted bool) catalog.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	e := catalog.Event{
		Position: catalog.Position{Seq: int64(len(l.events)) + 1}, Outcome: catalog.Changed, Command: catalog.DerivedID(name, fmt.Sprint(len(l.events))), SettledAt: moment,
		Product: catalog.Product{ID: catalog.DerivedID(name), Version: 1, CreatedAt: moment, UpdatedAt: moment},
	}
	for _, before := range l.events {
		if before.Product.ID == e.Product.ID {
			e.Product.Version = before.Product.Version + 1
		}
	}
	if deleted {
		e.Outcome, e.Product.Deleted = catalog.Deleted, true
	} else {
		e.Product.ProductData = catalog.ProductData{Name: name, Description: fmt.Sprint(e.Product.Version)}
	}
	l.events = append(l.events, e)
	return e
}

// verify answers what differs and what came of each store.
func verify(t testing.TB, w *world, repair bool) ([]reader.Difference, map[string]reader.Comparison) {
	t.Helper()
	var differ []reader.Difference
	made, err := w.Verify(t.Context(), reader.Verification{
		Repair: repair, Progress: func(string, int64, int64) {}, Difference: func(d reader.Difference) { differ = append(differ, d) },
	})
	if err != nil {
		t.Fatal(err)
	}
	by := map[string]reader.Comparison{}
	for _, c := range made {
		by[c.Store] = c
	}
	return differ, by
}

// furnished is a reader with the products a to h, of which h is deleted.
func furnished(t testing.TB) (*world, *live) {
	j := &live{}
	w := startOn(t, view(t), &log{}, j)
	for i, name := range []string{"a", "b", "c", "d", "e", "f", "g", "h", "a", "b"} {
		w.feed(t, int64(i), j.settle(name, false))
	}
	w.feed(t, 10, j.settle("h", true))
	if _, err := w.Search(t.Context(), catalog.Query{}, catalog.Position{Seq: 11}); err != nil {
		t.Fatal(err)
	}
	return w, j
}

func TestVerify(t *testing.T) {
	t.Run("what is equal is told to be", func(t *testing.T) {
		w, _ := furnished(t)
		differ, made := verify(t, w, false)
		if len(differ) > 0 || made["view"].Products != 8 || made["index"].Products != 7 || made["cache"].Products != 8 || len(made["view"].Shards) != 1 {
			t.Fatalf("%+v, %+v", differ, made)
		}
	})
	t.Run("whatever is wrong is found, and made right by repair alone", func(t *testing.T) {
		w, _ := furnished(t)
		id, ctx := func(name string) catalog.ID { return catalog.DerivedID(name) }, t.Context()
		other := func(name string, version int64) catalog.Product {
			return catalog.Product{ID: id(name), Version: version, ProductData: catalog.ProductData{Name: "wrong"}, CreatedAt: moment, UpdatedAt: moment}
		}
		// Missing, older, other, newer, never there, and back from the dead.
		for _, wrong := range []struct {
			was int64
			catalog.Product
		}{{2, other("a", 1)}, {2, other("b", 2)}, {1, other("c", 9)}, {0, other("x", 1)}, {2, other("h", 3)}, {1, catalog.Product{ID: id("d")}}} {
			if err := w.view.Overwrite(ctx, wrong.was, wrong.Product); err != nil {
				t.Fatal(err)
			}
		}
		w.index.set(func(products map[catalog.ID]catalog.Product) {
			products[id("a")], products[id("b")], products[id("c")] = other("a", 1), other("b", 2), other("c", 9)
			products[id("x")], products[id("h")] = other("x", 1), other("h", 3)
			delete(products, id("d"))
		})
		w.cache.set(func() { w.cache.products[id("e")] = other("e", 1) })
		for _, repair := range []bool{false, false, true} {
			differ, made := verify(t, w, repair)
			if len(differ) != 13 || made["view"].Differing != 6 || made["index"].Differing != 6 || made["cache"].Differing != 1 {
				t.Fatalf("%d differ: %+v", len(differ), made)
			}
			for _, d := range differ {
				if d.Repaired != repair {
					t.Errorf("repaired is %v: %+v", d.Repaired, d)
				}
			}
		}
		if differ, made := verify(t, w, false); len(differ) > 0 {
			t.Fatalf("after the repair %+v, %+v", differ, made)
		}
	})
	t.Run("an empty view is filled", func(t *testing.T) {
		w, _ := furnished(t)
		var all []catalog.Product
		if err := w.view.Scan(t.Context(), func(products []catalog.Product) error { all = append(all, products...); return nil }); err != nil {
			t.Fatal(err)
		}
		for _, p := range all {
			if err := w.view.Overwrite(t.Context(), p.Version, catalog.Product{ID: p.ID}); err != nil {
				t.Fatal(err)
			}
		}
		if _, made := verify(t, w, true); made["view"].Repaired != 8 {
			t.Fatalf("%+v", made)
		}
		if differ, _ := verify(t, w, false); len(differ) > 0 {
			t.Fatalf("%+v", differ)
		}
	})
	t.Run("what is only late is no difference, however much is written", func(t *testing.T) {
		w, j := furnished(t)
		ctx, stop := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		writing.Go(func() {
			for offset := int64(11); ctx.Err() == nil; offset++ {
				w.feed(t, offset, j.settle(string(rune('a'+offset%7)), offset%5 == 0))
			}
		})
		for range 10 {
			if differ, _ := verify(t, w, false); len(differ) > 0 {
				t.Errorf("%+v", differ)
			}
		}
		stop()
		writing.Wait()
		if differ, _ := verify(t, w, false); len(differ) > 0 {
			t.Errorf("at the end %+v", differ)
		}
	})
	t.Run("what is repaired while it is written is right at the end", func(t *testing.T) {
		w, j := furnished(t)
		ctx, stop := context.WithCancel(t.Context())
		var writing sync.WaitGroup
		writing.Go(func() {
			for offset := int64(11); ctx.Err() == nil; offset++ {
				w.feed(t, offset, j.settle("a", offset%5 == 0))
			}
		})
		for range 5 {
			p, err := w.view.Product(t.Context(), catalog.DerivedID("a"))
			if err != nil {
				t.Fatal(err)
			}
			was := p.Version
			p.Version += 1_000_000
			if err := w.view.Overwrite(t.Context(), was, p); err != nil {
				t.Fatal(err)
			}
			verify(t, w, true)
		}
		stop()
		writing.Wait()
		verify(t, w, true)
		if differ, _ := verify(t, w, false); len(differ) > 0 {
			t.Errorf("%+v", differ)
		}
	})
}
