package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"

	"catalog"
	"catalog/reader"
)

// TestCache says what a reader.Cache must do. Each open answers a cache of its
// own, empty and large enough; open closes it at the end of the test.
func TestCache(t *testing.T, open func(t *testing.T) reader.Cache) {
	has := func(t *testing.T, c reader.Cache, want catalog.Product) {
		t.Helper()
		got, ok, err := c.Product(t.Context(), want.ID)
		if err != nil || !ok || !equal(got, want) {
			t.Fatalf("the cache has %+v, %v, %v; want %+v", got, ok, err, want)
		}
	}
	put := func(t *testing.T, c reader.Cache, products ...catalog.Product) {
		t.Helper()
		if err := c.Put(t.Context(), products); err != nil {
			t.Fatal(err)
		}
	}
	t.Run("what was never put is not there", func(t *testing.T) {
		if _, ok, err := open(t).Product(t.Context(), product("nobody")); ok || err != nil {
			t.Fatalf("Product = %v, %v", ok, err)
		}
	})
	t.Run("every field comes back exactly", func(t *testing.T) {
		c := open(t)
		for name, d := range extremes() {
			put(t, c, at(name, 1, d))
			has(t, c, at(name, 1, d))
		}
	})
	t.Run("what is newer is not overwritten by what is older", func(t *testing.T) {
		c := open(t)
		put(t, c, at("a", 2, draft("two")))
		put(t, c, at("a", 1, draft("one")), at("a", 2, draft("same")))
		has(t, c, at("a", 2, draft("two")))
		put(t, c, at("a", 10, draft("ten"))) // as a number, not as text
		has(t, c, at("a", 10, draft("ten")))
	})
	t.Run("a tombstone is an entry", func(t *testing.T) {
		c := open(t)
		put(t, c, gone("a", 3))
		put(t, c, at("a", 2, draft("late")))
		has(t, c, gone("a", 3))
	})
	t.Run("of one product twice in a batch the newer version stays", func(t *testing.T) {
		c := open(t)
		put(t, c, at("a", 1, draft("one")), gone("a", 3), at("a", 2, draft("two")))
		has(t, c, gone("a", 3))
	})
	t.Run("of many who put one product at once, the newest stays", func(t *testing.T) {
		const writers, versions = 8, 200
		c := open(t)
		var wg sync.WaitGroup
		for w := range int64(writers) {
			wg.Go(func() {
				for version := w + 1; version <= versions; version += writers {
					if err := c.Put(t.Context(), []catalog.Product{at("a", version, draft(fmt.Sprint(version)))}); err != nil {
						t.Error(err)
					}
				}
			})
		}
		wg.Wait()
		has(t, c, at("a", versions, draft(fmt.Sprint(versions))))
	})
	t.Run("nothing is put", func(t *testing.T) { put(t, open(t)) })
	t.Run("a call that was cancelled is an error", func(t *testing.T) {
		c := open(t)
		put(t, c, at("a", 1, draft("one")))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, err := c.Product(ctx, product("a")); !errors.Is(err, context.Canceled) {
			t.Errorf("Product = %v, want Canceled", err)
		}
		if err := c.Put(ctx, []catalog.Product{at("a", 2, draft("two"))}); !errors.Is(err, context.Canceled) {
			t.Errorf("Put = %v, want Canceled", err)
		}
	})
	t.Run("a thousand products are put at once", func(t *testing.T) {
		c := open(t)
		var products []catalog.Product
		for i := range 1_000 {
			products = append(products, at(fmt.Sprint(i), 1, draft(fmt.Sprint(i))))
		}
		put(t, c, products...)
		for i := 0; i < len(products); i += 97 {
			has(t, c, products[i])
		}
	})
}
