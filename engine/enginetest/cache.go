package enginetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	"catalog"
	"catalog/internal/wire"
	"catalog/reader"
)

// CacheShards is how many shards the products of TestCache are in.
const CacheShards = 2

// TestCache says what a reader.Cache must do. Each open answers an empty cache
// that is large enough; each call of what it answers is another process that
// uses it. open closes them at the end of the test.
func TestCache(t *testing.T, open func(t *testing.T) func() reader.Cache) {
	shard := func(id catalog.ID) int32 { return catalog.Shard(id, CacheShards) }
	keep := func(t *testing.T, c reader.Cache) {
		ctx, stop := context.WithCancel(context.Background())
		var keeping sync.WaitGroup
		keeping.Go(func() { c.RenewLeases(ctx) })
		t.Cleanup(func() { stop(); keeping.Wait() })
	}
	guard := func(t *testing.T, c reader.Cache) {
		t.Helper()
		for s := range int32(CacheShards) {
			if err := errors.Join(c.Acquire(t.Context(), s), c.AllowFill(t.Context(), s)); err != nil {
				t.Fatal(err)
			}
		}
	}
	// guarded is a cache that this process guards.
	guarded := func(t *testing.T) reader.Cache {
		t.Helper()
		c := open(t)()
		keep(t, c)
		guard(t, c)
		return c
	}
	// ask asks until the cache has the product or would have it: a guard may be
	// lost on a busy machine, and comes back.
	ask := func(t *testing.T, c reader.Cache, id catalog.ID) (catalog.Product, bool, string) {
		t.Helper()
		for end := time.Now().Add(20 * time.Second); time.Now().Before(end); <-time.After(time.Millisecond) {
			p, found, ticket, err := c.Product(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if found || ticket != "" {
				return p, found, ticket
			}
		}
		t.Fatal("the cache is never used")
		return catalog.Product{}, false, ""
	}
	has := func(t *testing.T, c reader.Cache, want catalog.Product) {
		t.Helper()
		if got, found, _ := ask(t, c, want.ID); !found || !equal(got, want) {
			t.Fatalf("the cache has %+v, %v; want %+v", got, found, want)
		}
		for end := time.Now().Add(20 * time.Second); ; <-time.After(time.Millisecond) {
			several, err := c.Products(t.Context(), []catalog.ID{product("another"), want.ID})
			if err != nil || len(several) > 1 || time.Now().After(end) {
				t.Fatalf("of several the cache has %q, %v; want %+v alone", several, err, want)
			}
			if encoded, ok := several[want.ID]; ok {
				if got := decoded(t, want.ID, encoded); !equal(got, want) {
					t.Fatalf("of several the cache has %+v; want %+v", got, want)
				}
				return
			}
		}
	}
	hasNot := func(t *testing.T, c reader.Cache, id catalog.ID) {
		t.Helper()
		if p, found, _, err := c.Product(t.Context(), id); found || err != nil {
			t.Fatalf("the cache has version %d, %v", p.Version, err)
		}
		if several, err := c.Products(t.Context(), []catalog.ID{id}); len(several) > 0 || err != nil {
			t.Fatalf("of several the cache has %+v, %v", several, err)
		}
	}
	fill := func(t *testing.T, c reader.Cache, p catalog.Product) {
		t.Helper()
		_, found, ticket := ask(t, c, p.ID)
		if found {
			t.Fatal("it is there already")
		}
		if err := c.Fill(t.Context(), ticket, p); err != nil {
			t.Fatal(err)
		}
	}
	forget := func(t *testing.T, c reader.Cache, id catalog.ID) {
		t.Helper()
		if err := c.Invalidate(t.Context(), shard(id), []catalog.ID{id}); err != nil {
			t.Fatal(err)
		}
	}
	admit := func(t *testing.T, c reader.Cache, id catalog.ID) {
		t.Helper()
		if err := c.AllowFill(t.Context(), shard(id)); err != nil {
			t.Fatal(err)
		}
	}
	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) { t.Parallel(); f(t) })
	}

	run("every field comes back exactly", func(t *testing.T) {
		c := guarded(t)
		for name, d := range extremes() {
			fill(t, c, at(name, 1, d))
			has(t, c, at(name, 1, d))
		}
	})
	run("a tombstone is an entry, and so is a product that never was", func(t *testing.T) {
		c := guarded(t)
		fill(t, c, gone("a", 3))
		has(t, c, gone("a", 3))
		fill(t, c, catalog.Product{ID: product("nobody")})
		has(t, c, catalog.Product{ID: product("nobody")})
	})
	run("what nobody guards is not there and cannot be filled", func(t *testing.T) {
		c := open(t)()
		if _, found, ticket, err := c.Product(t.Context(), product("a")); found || ticket != "" || err != nil {
			t.Fatalf("Product = %v, %q, %v", found, ticket, err)
		}
	})
	run("what is forgotten is gone, and comes back when it is admitted", func(t *testing.T) {
		c := guarded(t)
		fill(t, c, at("a", 1, draft("one")))
		forget(t, c, product("a"))
		if _, found, ticket, err := c.Product(t.Context(), product("a")); found || ticket != "" || err != nil {
			t.Fatalf("while it changes, Product = %v, %q, %v", found, ticket, err)
		}
		forget(t, c, product("a")) // whoever applies it tries again
		admit(t, c, product("a"))
		fill(t, c, at("a", 2, draft("two")))
		has(t, c, at("a", 2, draft("two")))
	})
	run("what was read before a change is not stored after it", func(t *testing.T) {
		c := guarded(t)
		_, _, ticket := ask(t, c, product("a"))
		forget(t, c, product("a"))
		late := func() {
			t.Helper()
			if err := c.Fill(t.Context(), ticket, at("a", 1, draft("one"))); err != nil {
				t.Fatal(err)
			}
			hasNot(t, c, product("a"))
		}
		late()
		admit(t, c, product("a"))
		late()
		forget(t, c, product("a"))
		admit(t, c, product("a"))
		late()
	})
	run("what another process guards is forgotten by its word alone", func(t *testing.T) {
		process := open(t)
		one, other := process(), process()
		keep(t, one)
		keep(t, other)
		guard(t, one)
		fill(t, one, at("a", 1, draft("one")))
		has(t, other, at("a", 1, draft("one")))
		_, _, ticket := ask(t, one, product("b"))

		if err := other.Acquire(t.Context(), shard(product("a"))); err != nil {
			t.Fatal(err)
		}
		hasNot(t, one, product("a"))
		if err := one.Invalidate(t.Context(), shard(product("a")), []catalog.ID{product("a")}); !errors.Is(err, catalog.ErrFenced) {
			t.Fatalf("Forget of the one before = %v; want ErrFenced", err)
		}
		if _, found, ticket, err := other.Product(t.Context(), product("a")); found || ticket != "" || err != nil {
			t.Fatalf("before it is admitted, Product = %v, %q, %v", found, ticket, err)
		}
		guard(t, other)
		if err := one.Fill(t.Context(), ticket, at("b", 1, draft("late"))); err != nil {
			t.Fatal(err)
		}
		hasNot(t, other, product("b"))
		fill(t, one, at("a", 2, draft("two"))) // anybody may fill
		has(t, other, at("a", 2, draft("two")))
	})
	run("a shard that was left is not used when its term is over", func(t *testing.T) {
		c := guarded(t)
		fill(t, c, at("a", 1, draft("one")))
		c.Release(shard(product("a")))
		for end := time.Now().Add(20 * time.Second); ; <-time.After(10 * time.Millisecond) {
			if _, found, _, err := c.Product(t.Context(), product("a")); err == nil && !found {
				return
			}
			if time.Now().After(end) {
				t.Fatal("it is used for ever")
			}
		}
	})
	run("it cannot be told from the view, however many change and ask at once", func(t *testing.T) {
		unlikeNoView(t, open(t), shard)
	})
	run("nothing is forgotten", func(t *testing.T) {
		if err := guarded(t).Invalidate(t.Context(), 0, nil); err != nil {
			t.Fatal(err)
		}
	})
	run("a call that was cancelled is an error", func(t *testing.T) {
		c := guarded(t)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, _, _, err := c.Product(ctx, product("a")); err == nil {
			t.Error("Product answered")
		}
		if _, err := c.Products(ctx, []catalog.ID{product("a")}); err == nil {
			t.Error("Products answered")
		}
		if err := c.Fill(ctx, "01234567890123456789012345", at("a", 1, draft("one"))); err == nil {
			t.Error("Fill answered")
		}
	})
}

// unlikeNoView changes a few products of a view, one version after the other,
// while many read them through the cache. Whoever reads must be answered no older
// version than the view had, or than somebody was answered, before he asked.
func unlikeNoView(t *testing.T, process func() reader.Cache, shard func(catalog.ID) int32) {
	const products, readers = 4, 8
	var (
		mu       sync.Mutex
		view     [products]int64
		answered [products]int64
		hits     int
	)
	ids := make([]catalog.ID, products)
	for i := range ids {
		ids[i] = product(fmt.Sprint(i))
	}
	seen := func(i int) int64 { mu.Lock(); defer mu.Unlock(); return max(view[i], answered[i]) }
	told := func(i int, version, least int64, cached bool) {
		if version < least {
			t.Errorf("version %d was answered after version %d (cached: %v)", version, least, cached)
		}
		mu.Lock()
		defer mu.Unlock()
		answered[i] = max(answered[i], version)
		if cached {
			hits++
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Second)
	defer stop()
	var all sync.WaitGroup
	writer := process()
	all.Go(func() { writer.RenewLeases(ctx) })
	for s := range int32(CacheShards) {
		if err := errors.Join(writer.Acquire(t.Context(), s), writer.AllowFill(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
	}
	all.Go(func() {
		for ctx.Err() == nil {
			i := rand.IntN(products)
			if err := writer.Invalidate(t.Context(), shard(ids[i]), ids[i:i+1]); err != nil {
				t.Error(err)
				return
			}
			<-time.After(rand.N(2 * time.Millisecond)) // the view takes its time
			mu.Lock()
			view[i]++
			mu.Unlock()
			_ = writer.AllowFill(t.Context(), shard(ids[i])) // an error only means that it is not used
			<-time.After(rand.N(10 * time.Millisecond))
		}
	})
	for n := range readers {
		c := writer
		if n%2 == 1 {
			c = process()
		}
		all.Go(func() {
			for ctx.Err() == nil {
				i := rand.IntN(products)
				least := seen(i)
				p, found, ticket, err := c.Product(t.Context(), ids[i])
				if err != nil {
					t.Error(err)
					return
				}
				if !found {
					mu.Lock()
					p = catalog.Product{ID: ids[i], Version: view[i]}
					mu.Unlock()
					<-time.After(rand.N(3 * time.Millisecond)) // a slow fill
					if err := c.Fill(t.Context(), ticket, p); err != nil {
						t.Error(err)
						return
					}
				}
				told(i, p.Version, least, found)

				var leasts [products]int64
				for i := range leasts {
					leasts[i] = seen(i)
				}
				several, err := c.Products(t.Context(), ids)
				if err != nil {
					t.Error(err)
					return
				}
				for id, encoded := range several {
					i := slices.Index(ids, id)
					told(i, decoded(t, id, encoded).Version, leasts[i], true)
				}
			}
		})
	}
	all.Wait()
	if hits == 0 {
		t.Error("void: nothing came from the cache")
	}
}

// decoded is what an entry of the cache says of the product.
func decoded(t *testing.T, id catalog.ID, encoded []byte) catalog.Product {
	t.Helper()
	if len(encoded) == 0 {
		return catalog.Product{ID: id}
	}
	p, err := wire.DecodeProduct(encoded)
	if err != nil {
		t.Error(err)
	}
	return p
}
