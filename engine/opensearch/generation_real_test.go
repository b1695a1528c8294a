//go:build real

package opensearch_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func named(name string, version int64) catalog.Product {
	return catalog.Product{ID: catalog.DerivedID(name), Version: version, ProductData: catalog.ProductData{
		Name: name, Description: fmt.Sprint(version), Price: catalog.Money{Currency: "EUR"},
	}}
}

func reached(seq int64) []eventlog.Checkpoint {
	return []eventlog.Checkpoint{{Position: catalog.Position{Shard: 1, Seq: seq}, Offset: seq}}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestAnIndexIsMadeAnewBesideItself(t *testing.T) {
	t.Parallel()
	ctx, c := t.Context(), own(t)
	// One of two readers that share the index makes it anew.
	f, other := open(t, c), open(t, c)
	has := func(name string, version int64) {
		t.Helper()
		if got, err := other.Product(ctx, catalog.DerivedID(name)); got.Version != version || err != nil && !errors.Is(err, catalog.ErrNotFound) {
			t.Fatalf("%s is at version %d, %v; want %d", name, got.Version, err, version)
		}
	}
	must(t, f.Apply(ctx, []catalog.Product{named("a", 1), named("wrong", 9)}, reached(1)))
	if err := f.Rollback(ctx, 0); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("Back = %v, and there is nothing", err)
	}
	must(t, f.CreateStandby(ctx))
	must(t, other.Apply(ctx, []catalog.Product{named("b", 2)}, reached(2)))
	must(t, f.Load(ctx, []catalog.Product{named("a", 1), named("b", 1), {ID: catalog.DerivedID("gone"), Version: 2, Deleted: true}}))
	has("wrong", 9)
	if err := f.Rollback(ctx, 0); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("Back = %v, and the other one is not whole", err)
	}
	beside := 0
	must(t, f.ScanStandby(ctx, func(all []catalog.Product) error { beside += len(all); return nil }))
	if p, err := f.StandbyProduct(ctx, catalog.DerivedID("b")); err != nil || p.Version != 2 || beside != 2 {
		t.Fatalf("beside are %d products, and b at version %d, %v", beside, p.Version, err)
	}
	must(t, f.Switch(ctx, 0))
	has("a", 1)
	has("b", 2)
	has("wrong", 0)
	must(t, other.Apply(ctx, []catalog.Product{named("b", 3), named("gone", 1)}, reached(3)))
	has("gone", 0)
	must(t, f.Rollback(ctx, 0))
	has("b", 3)
	has("wrong", 9)
	must(t, f.Rollback(ctx, 0))
	has("wrong", 0)
	if all, err := open(t, c).Checkpoints(ctx); err != nil || len(all) != 1 || all[0] != reached(3)[0] {
		t.Errorf("the progress is %v, %v", all, err)
	}
	must(t, f.DropPrevious(ctx))
	if err := f.Rollback(ctx, 0); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Back = %v, and what was before is given up", err)
	}
	must(t, f.CreateStandby(ctx), other.CreateStandby(ctx)) // the place of one is taken by the other
	if err := f.Load(ctx, []catalog.Product{named("half", 1)}); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Load = %v, and its index is gone", err)
	}
	if err := f.Switch(ctx, 0); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Switch = %v, and its index is gone", err)
	}
	must(t, other.Apply(ctx, []catalog.Product{named("b", 4)}, reached(4)))
	has("b", 4)
}

// TestWhatIsOlderNeverWins has many readers write the versions of products in
// all orders, while one makes the index anew again and again.
func TestWhatIsOlderNeverWins(t *testing.T) {
	t.Parallel()
	const readers, products, versions = 4, 5, 12
	ctx, c := t.Context(), own(t)
	x := open(t, c)
	var mu sync.Mutex
	truth := map[catalog.ID]catalog.Product{}
	var writing sync.WaitGroup
	for r := range readers {
		reader := open(t, c)
		writing.Go(func() {
			for v := range int64(versions) {
				for p := range products {
					product := named(fmt.Sprint("p", p), 1+(v*7+int64(r)*5)%versions)
					product.Deleted = p == 0 && product.Version == versions
					mu.Lock()
					if product.Version > truth[product.ID].Version {
						truth[product.ID] = product
					}
					mu.Unlock()
					// What is found when Apply returns is not older.
					if err := reader.Apply(ctx, []catalog.Product{product}, nil); err != nil {
						t.Errorf("Apply: %v", err)
						return
					}
					page, err := reader.Search(ctx, catalog.Query{Text: product.Name, Limit: 10})
					if err != nil || len(page.Items) == 1 && page.Items[0].Version < product.Version || len(page.Items) == 0 && p != 0 {
						t.Errorf("after version %d %s is found as %+v, %v", product.Version, product.Name, page.Items, err)
						return
					}
				}
			}
		})
	}
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
			}
			if err := x.CreateStandby(ctx); err != nil {
				t.Errorf("making it anew: %v", err)
				return
			}
			mu.Lock()
			snapshot := slices.Collect(maps.Values(truth))
			mu.Unlock()
			if err := errors.Join(x.Load(ctx, snapshot), x.Switch(ctx, 0)); err != nil {
				t.Errorf("making it anew: %v", err)
				return
			}
		}
	}()
	writing.Wait()
	close(stop)
	<-stopped
	found := 0
	must(t, x.Scan(ctx, func(all []catalog.Product) error {
		for _, p := range all {
			found++
			if p.Version != versions {
				t.Errorf("%s is at version %d", p.Name, p.Version)
			}
		}
		return nil
	}))
	if found != products-1 {
		t.Errorf("there are %d products", found)
	}
}
