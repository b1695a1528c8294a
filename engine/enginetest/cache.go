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

// CacheShards is the number of shards that TestCache uses.
const CacheShards = 2

// cacheWait limits the time for a cache to accept fills. A lease can be lost for
// a moment on a busy machine.
const cacheWait = time.Minute

// TestCache is the suite of reader.Cache. Each call of open returns an empty
// cache; each call of the returned function connects another process to it.
// open registers their closing with t.Cleanup.
func TestCache(t *testing.T, open func(t *testing.T) (connect func() reader.Cache)) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, connect func() reader.Cache)
	}{
		{"every field comes back exactly", cacheFields},
		{"tombstones and unknown products are cached", cacheTombstones},
		{"without a lease nothing is cached", cacheNoLease},
		{"an invalidated product misses until fills are allowed", cacheInvalidate},
		{"a product read before a change is not stored after it", cacheLateFill},
		{"Acquire in another process invalidates the shard and fences the holder", cacheTakeover},
		{"a released lease expires", cacheRelease},
		{"concurrent reads never return an older product than the view", cacheCoherence},
		{"Invalidate of no products succeeds", cacheInvalidateNone},
		{"a canceled call returns an error", cacheCanceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func cacheShard(id catalog.ID) int32 { return catalog.Shard(id, CacheShards) }

// renewLeases extends the leases of c until the test ends.
func renewLeases(t testing.TB, c reader.Cache) {
	ctx, stop := context.WithCancel(context.Background())
	var renewing sync.WaitGroup
	renewing.Go(func() { c.RenewLeases(ctx) })
	t.Cleanup(func() { stop(); renewing.Wait() })
}

// acquireAll acquires all shards and allows fills.
func acquireAll(t testing.TB, c reader.Cache) {
	t.Helper()
	for s := range int32(CacheShards) {
		if err := errors.Join(c.Acquire(t.Context(), s), c.AllowFill(t.Context(), s)); err != nil {
			t.Fatal(err)
		}
	}
}

// leasedCache returns a cache whose leases this process holds and extends.
func leasedCache(t testing.TB, connect func() reader.Cache) reader.Cache {
	t.Helper()
	c := connect()
	renewLeases(t, c)
	acquireAll(t, c)
	return c
}

// lookUp calls Product until it returns the product or a fill token.
func lookUp(t testing.TB, c reader.Cache, id catalog.ID) (p catalog.Product, found bool, fillToken string) {
	t.Helper()
	for end := time.Now().Add(cacheWait); time.Now().Before(end); <-time.After(time.Millisecond) {
		p, found, fillToken, err := c.Product(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		if found || fillToken != "" {
			return p, found, fillToken
		}
	}
	t.Fatalf("Product returns neither a product nor a fill token for %v", cacheWait)
	return catalog.Product{}, false, ""
}

// fillCache stores want with Fill on one cache, until Product and Products of
// another one, or the same, return it. One attempt is enough unless a busy machine
// loses the lease.
func fillCache(t testing.TB, filler, c reader.Cache, want catalog.Product) {
	t.Helper()
	for end := time.Now().Add(cacheWait); time.Now().Before(end); {
		_, found, fillToken := lookUp(t, filler, want.ID)
		if !found {
			if err := filler.Fill(t.Context(), fillToken, want); err != nil {
				t.Fatal(err)
			}
		}
		got, found, _ := lookUp(t, c, want.ID)
		if !found {
			continue
		}
		sameFields(t, "Product", got, want)
		products, err := c.Products(t.Context(), []catalog.ID{product("another"), want.ID})
		if err != nil || len(products) > 1 {
			t.Fatalf("Products = %d products, %v; want version %d only", len(products), err, want.Version)
		}
		if encoded, ok := products[want.ID]; ok {
			sameFields(t, "Products", decodeCached(t, want.ID, encoded), want)
			return
		}
	}
	t.Fatalf("product %s is not cached after %v of Fill", want.ID, cacheWait)
}

// wantMiss fails the test when Product or Products return the product.
func wantMiss(t testing.TB, c reader.Cache, id catalog.ID) {
	t.Helper()
	if p, found, _, err := c.Product(t.Context(), id); found || err != nil {
		t.Fatalf("Product = version %d, found %v, %v; want a miss", p.Version, found, err)
	}
	if products, err := c.Products(t.Context(), []catalog.ID{id}); len(products) > 0 || err != nil {
		t.Fatalf("Products = %d products, %v; want none", len(products), err)
	}
}

// wantNoFill fails the test unless Product is a miss without a fill token.
func wantNoFill(t testing.TB, c reader.Cache, id catalog.ID) {
	t.Helper()
	if _, found, fillToken, err := c.Product(t.Context(), id); found || fillToken != "" || err != nil {
		t.Fatalf("Product = found %v, fill token %q, %v; want a miss without a fill token", found, fillToken, err)
	}
}

func invalidate(t testing.TB, c reader.Cache, id catalog.ID) {
	t.Helper()
	if err := c.Invalidate(t.Context(), cacheShard(id), []catalog.ID{id}); err != nil {
		t.Fatal(err)
	}
}

func allowFill(t testing.TB, c reader.Cache, id catalog.ID) {
	t.Helper()
	if err := c.AllowFill(t.Context(), cacheShard(id)); err != nil {
		t.Fatal(err)
	}
}

// decodeCached decodes an entry that Products returned.
func decodeCached(t testing.TB, id catalog.ID, encoded []byte) catalog.Product {
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

func cacheFields(t *testing.T, connect func() reader.Cache) {
	c := leasedCache(t, connect)
	for name, d := range extremes() {
		fillCache(t, c, c, at(name, 1, d))
	}
}

func cacheTombstones(t *testing.T, connect func() reader.Cache) {
	c := leasedCache(t, connect)
	fillCache(t, c, c, tombstone("a", 3))
	fillCache(t, c, c, catalog.Product{ID: product("unknown")})
}

func cacheNoLease(t *testing.T, connect func() reader.Cache) {
	wantNoFill(t, connect(), product("a"))
}

func cacheInvalidate(t *testing.T, connect func() reader.Cache) {
	c := leasedCache(t, connect)
	fillCache(t, c, c, at("a", 1, data("one")))
	invalidate(t, c, product("a"))
	wantNoFill(t, c, product("a"))
	invalidate(t, c, product("a")) // as when the view fails and the change is repeated
	allowFill(t, c, product("a"))
	fillCache(t, c, c, at("a", 2, data("two")))
}

func cacheLateFill(t *testing.T, connect func() reader.Cache) {
	c := leasedCache(t, connect)
	_, _, fillToken := lookUp(t, c, product("a"))
	lateFill := func() {
		t.Helper()
		if err := c.Fill(t.Context(), fillToken, at("a", 1, data("one"))); err != nil {
			t.Fatal(err)
		}
		wantMiss(t, c, product("a"))
	}
	invalidate(t, c, product("a"))
	lateFill()
	allowFill(t, c, product("a"))
	lateFill()
	invalidate(t, c, product("a"))
	allowFill(t, c, product("a"))
	lateFill()
}

func cacheTakeover(t *testing.T, connect func() reader.Cache) {
	first := leasedCache(t, connect)
	second := connect()
	renewLeases(t, second)
	fillCache(t, first, second, at("a", 1, data("one")))
	_, _, fillToken := lookUp(t, first, product("b"))

	if err := second.Acquire(t.Context(), cacheShard(product("a"))); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, first, product("a"))
	if err := first.Invalidate(t.Context(), cacheShard(product("a")), []catalog.ID{product("a")}); !errors.Is(err, catalog.ErrFenced) {
		t.Fatalf("Invalidate of the former holder = %v; want ErrFenced", err)
	}
	wantNoFill(t, second, product("a")) // before AllowFill
	acquireAll(t, second)
	if err := first.Fill(t.Context(), fillToken, at("b", 1, data("late"))); err != nil {
		t.Fatal(err)
	}
	wantMiss(t, second, product("b"))
	fillCache(t, first, second, at("a", 2, data("two"))) // any process may fill
}

func cacheRelease(t *testing.T, connect func() reader.Cache) {
	c := leasedCache(t, connect)
	fillCache(t, c, c, at("a", 1, data("one")))
	c.Release(cacheShard(product("a")))
	for end := time.Now().Add(cacheWait); ; <-time.After(10 * time.Millisecond) {
		if _, found, _, err := c.Product(t.Context(), product("a")); err == nil && !found {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("the product is still cached %v after Release", cacheWait)
		}
	}
}

func cacheInvalidateNone(t *testing.T, connect func() reader.Cache) {
	if err := leasedCache(t, connect).Invalidate(t.Context(), 0, nil); err != nil {
		t.Fatal(err)
	}
}

func cacheCanceled(t *testing.T, connect func() reader.Cache) {
	c := leasedCache(t, connect)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, _, err := c.Product(ctx, product("a")); err == nil {
		t.Error("Product with a canceled context = nil; want an error")
	}
	if _, err := c.Products(ctx, []catalog.ID{product("a")}); err == nil {
		t.Error("Products with a canceled context = nil; want an error")
	}
	if err := c.Fill(ctx, "01234567890123456789012345", at("a", 1, data("one"))); err == nil {
		t.Error("Fill with a canceled context = nil; want an error")
	}
}

// cacheCoherence raises the versions of a few products in a view while several
// readers use the cache. No read may return an older version than the view held,
// or than another read returned, before the read began. The test
// runs until the cache has served at least one read.
func cacheCoherence(t *testing.T, connect func() reader.Cache) {
	const products, readers = 4, 8
	duration := 3 * time.Second
	if full() {
		duration = 15 * time.Second
	}
	var (
		mu       sync.Mutex
		view     [products]int64 // versions in the view
		returned [products]int64 // highest versions that a read has returned
		hits     int
	)
	ids := make([]catalog.ID, products)
	for i := range ids {
		ids[i] = product(fmt.Sprint(i))
	}
	oldest := func(i int) int64 { mu.Lock(); defer mu.Unlock(); return max(view[i], returned[i]) }
	check := func(i int, version, oldest int64, cached bool) {
		if version < oldest {
			t.Errorf("read version %d after version %d (cached: %v)", version, oldest, cached)
		}
		mu.Lock()
		defer mu.Unlock()
		returned[i] = max(returned[i], version)
		if cached {
			hits++
		}
	}
	ctx, stop := context.WithTimeout(t.Context(), cacheWait)
	defer stop()
	start := time.Now()
	var all sync.WaitGroup
	holder := connect()
	all.Go(func() { holder.RenewLeases(ctx) })
	acquireAll(t, holder)
	all.Go(func() {
		for ctx.Err() == nil {
			i := rand.IntN(products)
			if err := holder.Invalidate(t.Context(), cacheShard(ids[i]), ids[i:i+1]); err != nil {
				t.Error(err)
				return
			}
			<-time.After(rand.N(2 * time.Millisecond)) // the time to write the view
			mu.Lock()
			view[i]++
			if hits > 0 && time.Since(start) > duration {
				stop()
			}
			mu.Unlock()
			_ = holder.AllowFill(t.Context(), cacheShard(ids[i])) // after an error the cache only misses
			<-time.After(rand.N(10 * time.Millisecond))
		}
	})
	for n := range readers {
		c := holder
		if n%2 == 1 {
			c = connect()
		}
		all.Go(func() {
			for ctx.Err() == nil {
				i := rand.IntN(products)
				atLeast := oldest(i)
				p, found, fillToken, err := c.Product(t.Context(), ids[i])
				if err != nil {
					t.Error(err)
					return
				}
				if !found {
					mu.Lock()
					p = catalog.Product{ID: ids[i], Version: view[i]}
					mu.Unlock()
					<-time.After(rand.N(3 * time.Millisecond)) // a slow fill
					if err := c.Fill(t.Context(), fillToken, p); err != nil {
						t.Error(err)
						return
					}
				}
				check(i, p.Version, atLeast, found)

				var atLeasts [products]int64
				for i := range atLeasts {
					atLeasts[i] = oldest(i)
				}
				cached, err := c.Products(t.Context(), ids)
				if err != nil {
					t.Error(err)
					return
				}
				for id, encoded := range cached {
					i := slices.Index(ids, id)
					check(i, decodeCached(t, id, encoded).Version, atLeasts[i], true)
				}
			}
		})
	}
	all.Wait()
	if hits == 0 {
		t.Error("invalid test: no read was served from the cache")
	}
}
