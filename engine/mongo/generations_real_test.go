//go:build real

package mongo_test

import (
	"errors"
	"testing"

	driver "go.mongodb.org/mongo-driver/v2/mongo"

	"catalog"
	"catalog/eventlog"
)

// Generations are stored side by side, and one process at a time switches them.
func TestGenerations(t *testing.T) { onServers(t, testGenerations) }

func testGenerations(t *testing.T, url string, client *driver.Client) {
	v, ctx := open(t, url, client), t.Context()
	wantGenerations := func(want eventlog.ViewGenerations) {
		t.Helper()
		if g, err := v.Generations(ctx); err != nil || g != want {
			t.Fatalf("Generations = %+v, %v; want %+v", g, err, want)
		}
	}
	var first eventlog.ViewGenerations
	wantGenerations(first)
	next := eventlog.ViewGenerations{Standby: 1, ReadBoth: true}
	if err := v.CompareAndSwap(ctx, first, next); err != nil {
		t.Fatal(err)
	}
	wantGenerations(next)
	if err := v.CompareAndSwap(ctx, first, eventlog.ViewGenerations{Live: 1}); !errors.Is(err, catalog.ErrFenced) {
		t.Fatalf("CompareAndSwap with an old value = %v; want ErrFenced", err)
	}
	wantGenerations(next)
	p := catalog.Product{ID: catalog.DerivedID("p"), Version: 1}
	if err := errors.Join(v.Create(ctx, 1), v.Apply(ctx, []catalog.Product{p}, nil)); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Generation(1).Product(ctx, p.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("Product in a new generation = %v; want ErrNotFound", err)
	}
	p.Version = 2
	if err := v.Generation(1).Apply(ctx, nil, []catalog.Product{p}); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Generation(0).Product(ctx, p.ID); err != nil || got.Version != 1 {
		t.Fatalf("Product in generation 0 = version %d, %v; want 1", got.Version, err)
	}
	if err := v.Drop(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Generation(1).Product(ctx, p.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("Product in a dropped generation = %v; want ErrNotFound", err)
	}
}
