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
	"catalog/engine/opensearch"
	"catalog/eventlog"
)

func named(name string, version int64) catalog.Product {
	return catalog.Product{ID: catalog.DerivedID(name), Version: version, ProductData: catalog.ProductData{
		Name: name, Description: fmt.Sprint(version), Price: catalog.Money{Currency: "EUR"},
	}}
}

func checkpoint(seq int64) []eventlog.Checkpoint {
	return []eventlog.Checkpoint{{Position: catalog.Position{Shard: 1, Seq: seq}, Offset: seq}}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// wantVersion fails the test unless the live index has the product at that version; 0 for not at all.
func wantVersion(t *testing.T, x *opensearch.Index, name string, version int64) {
	t.Helper()
	got, err := x.Product(t.Context(), catalog.DerivedID(name))
	if got.Version != version || err != nil && !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("%s is at version %d, %v; want %d", name, got.Version, err, version)
	}
}

func wantNotFound(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("%v; want ErrNotFound", err)
	}
}

// TestGenerations has two readers that share an index, of which the first rebuilds it.
func TestGenerations(t *testing.T) {
	// rebuilt returns two readers. The first has loaded a standby while the second applied b; the live
	// index has a wrong product.
	rebuilt := func(t *testing.T) (x, other *opensearch.Index, c opensearch.Config) {
		t.Helper()
		ctx, c := t.Context(), newConfig(t)
		x, other = open(t, c), open(t, c)
		must(t, x.Apply(ctx, []catalog.Product{named("a", 1), named("wrong", 9)}, checkpoint(1)))
		must(t, x.CreateStandby(ctx))
		must(t, other.Apply(ctx, []catalog.Product{named("b", 2)}, checkpoint(2)))
		must(t, x.Load(ctx, []catalog.Product{named("a", 1), named("b", 1), {ID: catalog.DerivedID("gone"), Version: 2, Deleted: true}}))
		return x, other, c
	}
	t.Run("without a standby there is nothing to load, to switch to or to roll back to", func(t *testing.T) {
		t.Parallel()
		x := open(t, newConfig(t))
		wantNotFound(t, x.Rollback(t.Context()))
		wantNotFound(t, x.Switch(t.Context()))
		wantNotFound(t, x.Load(t.Context(), nil))
	})
	t.Run("an incomplete standby is not searched, and there is no rollback to it", func(t *testing.T) {
		t.Parallel()
		x, other, _ := rebuilt(t)
		wantVersion(t, other, "wrong", 9)
		wantNotFound(t, x.Rollback(t.Context()))
		n := 0
		must(t, x.ScanStandby(t.Context(), func(all []catalog.Product) error { n += len(all); return nil }))
		if p, err := x.StandbyProduct(t.Context(), catalog.DerivedID("b")); err != nil || p.Version != 2 || n != 2 {
			t.Fatalf("the standby has %d products, and b at version %d, %v; want 2 and version 2", n, p.Version, err)
		}
	})
	t.Run("after Switch the standby is live, and Rollback restores the previous index up to date", func(t *testing.T) {
		t.Parallel()
		x, other, c := rebuilt(t)
		ctx := t.Context()
		must(t, x.Switch(ctx))
		wantVersion(t, other, "a", 1)
		wantVersion(t, other, "b", 2)
		wantVersion(t, other, "wrong", 0)
		must(t, other.Apply(ctx, []catalog.Product{named("b", 3), named("gone", 1)}, checkpoint(3)))
		wantVersion(t, other, "gone", 0)
		must(t, x.Rollback(ctx))
		wantVersion(t, other, "b", 3)
		wantVersion(t, other, "wrong", 9)
		must(t, x.Rollback(ctx))
		wantVersion(t, other, "wrong", 0)
		if all, err := open(t, c).Checkpoints(ctx); err != nil || len(all) != 1 || all[0] != checkpoint(3)[0] {
			t.Errorf("Checkpoints = %v, %v; want %v", all, err, checkpoint(3))
		}
		must(t, x.DropPrevious(ctx))
		wantNotFound(t, x.Rollback(ctx))
	})
	t.Run("a standby of another reader replaces the first reader's", func(t *testing.T) {
		t.Parallel()
		c := newConfig(t)
		x, other, ctx := open(t, c), open(t, c), t.Context()
		must(t, x.CreateStandby(ctx), other.CreateStandby(ctx))
		wantNotFound(t, x.Load(ctx, []catalog.Product{named("half", 1)}))
		wantNotFound(t, x.Switch(ctx))
		must(t, other.Apply(ctx, []catalog.Product{named("b", 4)}, checkpoint(4)))
		wantVersion(t, other, "b", 4)
	})
}

// TestApply_concurrentReaders has several readers write the versions of products in different orders
// while another one rebuilds the index again and again.
func TestApply_concurrentReaders(t *testing.T) {
	t.Parallel()
	const readers, products, versions = 4, 5, 12
	ctx, c := t.Context(), newConfig(t)
	x := open(t, c)
	var mu sync.Mutex
	latest := map[catalog.ID]catalog.Product{}
	var writing sync.WaitGroup
	for r := range readers {
		reader := open(t, c)
		writing.Go(func() {
			for v := range int64(versions) {
				for p := range products {
					product := named(fmt.Sprint("p", p), 1+(v*7+int64(r)*5)%versions)
					product.Deleted = p == 0 && product.Version == versions
					mu.Lock()
					if product.Version > latest[product.ID].Version {
						latest[product.ID] = product
					}
					mu.Unlock()
					if err := reader.Apply(ctx, []catalog.Product{product}, nil); err != nil {
						t.Errorf("Apply = %v", err)
						return
					}
					page, err := reader.Search(ctx, catalog.Query{Text: product.Name, Limit: 10})
					if err != nil || len(page.Items) == 1 && page.Items[0].Version < product.Version || len(page.Items) == 0 && p != 0 {
						t.Errorf("after Apply of version %d, Search finds %d products, %v; want that version or a newer one", product.Version, len(page.Items), err)
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
				t.Errorf("CreateStandby = %v", err)
				return
			}
			mu.Lock()
			snapshot := slices.Collect(maps.Values(latest))
			mu.Unlock()
			if err := errors.Join(x.Load(ctx, snapshot), x.Switch(ctx)); err != nil {
				t.Errorf("rebuild: %v", err)
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
				t.Errorf("%s is at version %d; want %d", p.Name, p.Version, versions)
			}
		}
		return nil
	}))
	if found != products-1 {
		t.Errorf("Scan returns %d products; want %d", found, products-1)
	}
}
