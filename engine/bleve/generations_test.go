package bleve_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"catalog"
	"catalog/engine/bleve"
	"catalog/engine/enginetest"
	"catalog/eventlog"
	"catalog/reader"
)

func openGenerations(t *testing.T, dir string) *bleve.Generations {
	t.Helper()
	g, err := bleve.OpenGenerations(dir, discardLog)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestGenerations(t *testing.T) {
	enginetest.TestIndex(t, func(t *testing.T) reader.Index {
		g := openGenerations(t, "")
		t.Cleanup(func() { g.Close() })
		return g
	})
}

func named(name string, version int64) catalog.Product {
	return catalog.Product{ID: catalog.DerivedID(name), Version: version, ProductData: catalog.ProductData{Name: name, Description: fmt.Sprint(version)}}
}

// checkpoint returns a checkpoint at seq, according to which the products exist.
func checkpoint(seq int64, products ...catalog.Product) []eventlog.Checkpoint {
	c := eventlog.Checkpoint{Position: catalog.Position{Shard: 1, Seq: seq}, Offset: seq}
	for _, p := range products {
		c.Contents.Add(p.ID, p.Version)
	}
	return []eventlog.Checkpoint{c}
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// wantVersion fails the test unless the live index has the product at that version; 0 for not at all.
func wantVersion(t *testing.T, g *bleve.Generations, name string, version int64) {
	t.Helper()
	got, err := g.Product(t.Context(), catalog.DerivedID(name))
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

func TestGenerations_rebuild(t *testing.T) {
	ctx := t.Context()
	// rebuilt returns generations of which the live one was rebuilt while b was applied; the previous
	// one has a wrong product.
	rebuilt := func(t *testing.T, dir string) *bleve.Generations {
		t.Helper()
		g := openGenerations(t, dir)
		must(t, g.Apply(ctx, []catalog.Product{named("a", 1), named("wrong", 9)}, checkpoint(1)))
		must(t, g.CreateStandby(ctx))
		must(t, g.Apply(ctx, []catalog.Product{named("b", 2)}, checkpoint(2)))
		must(t, g.Load(ctx, []catalog.Product{named("a", 1), named("b", 1), {ID: catalog.DerivedID("gone"), Version: 2, Deleted: true}}))
		return g
	}
	t.Run("without a standby there is nothing to load, to switch to or to roll back to", func(t *testing.T) {
		g := openGenerations(t, "")
		defer g.Close()
		wantNotFound(t, g.Rollback(ctx))
		wantNotFound(t, g.Switch(ctx))
		wantNotFound(t, g.Load(ctx, nil))
		wantNotFound(t, g.ScanStandby(ctx, nil))
	})
	t.Run("an incomplete standby is not searched, and there is no rollback to it", func(t *testing.T) {
		g := rebuilt(t, "")
		defer g.Close()
		wantVersion(t, g, "wrong", 9)
		wantNotFound(t, g.Rollback(ctx))
		if p, err := g.StandbyProduct(ctx, catalog.DerivedID("b")); err != nil || p.Version != 2 {
			t.Errorf("StandbyProduct = version %d, %v; want 2, applied after the snapshot", p.Version, err)
		}
	})
	t.Run("after Switch the standby is live, and Rollback restores the previous index up to date", func(t *testing.T) {
		g := rebuilt(t, t.TempDir())
		defer g.Close()
		must(t, g.Switch(ctx))
		wantVersion(t, g, "a", 1)
		wantVersion(t, g, "b", 2)
		wantVersion(t, g, "wrong", 0)
		must(t, g.Apply(ctx, []catalog.Product{named("b", 3)}, checkpoint(3)))
		must(t, g.Rollback(ctx))
		wantVersion(t, g, "b", 3)
		wantVersion(t, g, "wrong", 9)
		must(t, g.Rollback(ctx))
		wantVersion(t, g, "wrong", 0)
	})
	t.Run("a restart keeps the live index and its checkpoints, and removes all others", func(t *testing.T) {
		dir := t.TempDir()
		g := rebuilt(t, dir)
		must(t, g.Switch(ctx))
		must(t, g.Apply(ctx, []catalog.Product{named("b", 3)}, checkpoint(3, named("a", 1), named("b", 3))))
		must(t, g.Close())

		g = openGenerations(t, dir)
		wantVersion(t, g, "b", 3)
		wantVersion(t, g, "wrong", 0)
		if all, err := g.Checkpoints(ctx); err != nil || len(all) != 1 || all[0].Seq != 3 {
			t.Errorf("Checkpoints = %v, %v; want seq 3", all, err)
		}
		must(t, g.CreateStandby(ctx))
		must(t, g.Load(ctx, []catalog.Product{named("half", 1)}))
		must(t, g.Close())

		g = openGenerations(t, dir)
		defer g.Close()
		wantVersion(t, g, "b", 3)
		wantVersion(t, g, "half", 0)
		for pattern, want := range map[string]int{"index-*": 1, "*.zap": 0, "root.bolt": 0} {
			if left, err := filepath.Glob(filepath.Join(dir, pattern)); err != nil || len(left) != want {
				t.Errorf("%s matches %v, %v; want %d files", pattern, left, err, want)
			}
		}
	})
	t.Run("an unreadable live file means the first generation", func(t *testing.T) {
		dir := t.TempDir()
		must(t, os.WriteFile(filepath.Join(dir, "live"), []byte("nonsense"), 0o600))
		g := openGenerations(t, dir)
		must(t, g.Close())
		if _, err := os.Stat(filepath.Join(dir, "root.bolt")); err != nil {
			t.Error(err)
		}
	})
}
