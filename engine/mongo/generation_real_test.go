//go:build real

package mongo_test

import (
	"errors"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func TestGenerationsStandBesideOneAnother(t *testing.T) {
	url, client := server(t)
	v, ctx := open(t, url, client), t.Context()
	is := func(want eventlog.ViewGenerations) {
		t.Helper()
		if g, err := v.Generations(ctx); err != nil || g != want {
			t.Fatalf("Generations = %+v, %v; want %+v", g, err, want)
		}
	}
	var first eventlog.ViewGenerations
	is(first)
	next := eventlog.ViewGenerations{Standby: 1, ReadBoth: true}
	if err := v.CompareAndSwap(ctx, first, next); err != nil {
		t.Fatal(err)
	}
	is(next)
	if err := v.CompareAndSwap(ctx, first, eventlog.ViewGenerations{Live: 1}); !errors.Is(err, catalog.ErrFenced) {
		t.Fatalf("Turn = %v, want ErrFenced", err)
	}
	is(next)
	p := catalog.Product{ID: catalog.DerivedID("p"), Version: 1}
	if err := errors.Join(v.Create(ctx, 1), v.Apply(ctx, []catalog.Product{p})); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Generation(1).Product(ctx, p.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("a new generation has the product, %v", err)
	}
	p.Version = 2
	if err := v.Generation(1).Apply(ctx, []catalog.Product{p}); err != nil {
		t.Fatal(err)
	}
	if got, err := v.Generation(0).Product(ctx, p.ID); err != nil || got.Version != 1 {
		t.Fatalf("generation 0 has version %d, %v", got.Version, err)
	}
	if err := v.Drop(ctx, 1); err != nil {
		t.Fatal(err)
	}
	if _, err := v.Generation(1).Product(ctx, p.ID); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("a dropped generation has the product, %v", err)
	}
}
