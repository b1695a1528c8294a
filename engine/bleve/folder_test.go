package bleve_test

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"catalog"
	"catalog/engine/bleve"
	"catalog/engine/enginetest"
	"catalog/eventlog"
	"catalog/reader"
)

func openFolder(t *testing.T, dir string) *bleve.Generations {
	t.Helper()
	f, err := bleve.OpenGenerations(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestFolder(t *testing.T) {
	enginetest.TestIndex(t, func(t *testing.T) reader.Index {
		f := openFolder(t, "")
		t.Cleanup(func() { f.Close() })
		return f
	})
}

func TestAnIndexIsMadeAnewBesideItself(t *testing.T) {
	dir := t.TempDir()
	f := openFolder(t, dir)
	ctx := t.Context()
	p := func(name string, version int64) catalog.Product {
		return catalog.Product{ID: catalog.DerivedID(name), Version: version, ProductData: catalog.ProductData{Name: name, Description: fmt.Sprint(version)}}
	}
	at := func(seq int64) []eventlog.Checkpoint {
		return []eventlog.Checkpoint{{Position: catalog.Position{Shard: 1, Seq: seq}, Offset: seq}}
	}
	has := func(name string, version int64) {
		t.Helper()
		if got, err := f.Product(ctx, catalog.DerivedID(name)); got.Version != version || err != nil && !errors.Is(err, catalog.ErrNotFound) {
			t.Fatalf("%s is at version %d, %v; want %d", name, got.Version, err, version)
		}
	}
	must := func(errs ...error) {
		t.Helper()
		if err := errors.Join(errs...); err != nil {
			t.Fatal(err)
		}
	}
	must(f.Apply(ctx, []catalog.Product{p("a", 1), p("wrong", 9)}, at(1)))
	if err := f.Rollback(ctx, 0); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("Back = %v, and there is nothing", err)
	}
	must(f.CreateStandby(ctx))
	must(f.Apply(ctx, []catalog.Product{p("b", 2)}, at(2)))
	must(f.Load(ctx, []catalog.Product{p("a", 1), p("b", 1), {ID: catalog.DerivedID("gone"), Version: 2, Deleted: true}}))
	has("wrong", 9)
	if err := f.Rollback(ctx, 0); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("Back = %v, and the other one is not whole", err)
	}
	must(f.Switch(ctx, 0))
	has("a", 1)
	has("b", 2)
	has("wrong", 0)
	must(f.Apply(ctx, []catalog.Product{p("b", 3)}, at(3)))
	must(f.Rollback(ctx, 0))
	has("b", 3)
	has("wrong", 9)
	must(f.Rollback(ctx, 0))
	must(f.Close())

	f = openFolder(t, dir) // which is the live one is kept
	has("b", 3)
	has("wrong", 0)
	if all, err := f.Checkpoints(ctx); err != nil || len(all) != 1 || all[0].Seq != 3 {
		t.Errorf("the progress is %v, %v", all, err)
	}
	must(f.CreateStandby(ctx)) // and one that was left half made is not taken for it
	must(f.Load(ctx, []catalog.Product{p("half", 1)}))
	must(f.Close())
	f = openFolder(t, dir)
	defer f.Close()
	has("b", 3)
	has("half", 0)
	left, err := filepath.Glob(filepath.Join(dir, "index-*"))
	if err != nil || len(left) != 1 {
		t.Errorf("%v are left, %v", left, err)
	}
	if zap, err := filepath.Glob(filepath.Join(dir, "*.zap")); err != nil || len(zap) != 0 {
		t.Errorf("of the first index %v are left, %v", zap, err)
	}
	if _, err := os.Stat(filepath.Join(dir, "root.bolt")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("of the first index root.bolt is left, %v", err)
	}
}
