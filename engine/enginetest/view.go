package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/eventlog"
	"catalog/reader"
)

// Lack is what an engine does not do and the design can do without: its tests
// are left out.
type Lack string

// NoRaces is the lack of a view in which two who write one product at the same
// moment can leave the older version. FerretDB 1 reads before it writes. There
// is one projector of a product at a time, but for the moments in which one does
// not yet know that it has lost a shard.
const NoRaces Lack = "writes of one product may not race"

// TestView says what a reader.View must do. Each open answers a view of its own,
// empty; open closes it at the end of the test.
func TestView(t *testing.T, open func(t *testing.T) reader.View, lacks ...Lack) {
	for _, c := range []struct {
		name  string
		test  func(t *testing.T, v reader.View)
		needs Lack // not to be there
	}{
		{"a product that was never stored is not found", viewMissing, ""},
		{"every field comes back exactly", viewFields, ""},
		{"a newer version replaces, the same or an older one changes nothing", viewGuard, ""},
		{"a tombstone stays, and what is older does not bring the product back", viewTombstone, ""},
		{"of one product twice in a batch the newer version stays", viewTwice, ""},
		{"a thousand products are stored at once", viewThousand, ""},
		{"progress is saved, and never goes back", viewProgress, ""},
		{"whatever comes in whatever order, the newest version stays", viewAnyOrder, ""},
		{"many shards are written at once", viewShards, ""},
		{"of many who write one product at once, the newest stays", viewRace, NoRaces},
		{"a call that was cancelled is an error", viewCancelled, ""},
		{"each product is shown once", viewEach, ""},
		{"what is wrong is corrected, unless it has changed meanwhile", viewCorrect, ""},
	} {
		if slices.Contains(lacks, c.needs) {
			t.Logf("without %q: %s", c.name, c.needs)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// at is the product of that name at a version.
func at(name string, version int64, d catalog.ProductData) catalog.Product {
	p := catalog.Product{ID: product(name), ProductData: d, Version: version, CreatedAt: moment, UpdatedAt: moment.Add(time.Duration(version) * time.Microsecond)}
	if version > 1 {
		p.PastPrices = []catalog.PastPrice{{Money: price(999_999_999_999_999, 990_000_000, "EUR"), Until: moment}, {Money: price(0, 1_000_000, "KWD"), Until: p.UpdatedAt}}
	}
	return p
}

// gone is the tombstone of that name at a version.
func gone(name string, version int64) catalog.Product {
	p := at(name, version, catalog.ProductData{})
	p.Deleted, p.PastPrices = true, nil
	return p
}

func apply(t rapid.TB, v reader.View, products ...catalog.Product) {
	t.Helper()
	if err := v.Apply(context.Background(), products); err != nil {
		t.Fatal(err)
	}
}

func viewHas(t rapid.TB, v reader.View, want catalog.Product) {
	t.Helper()
	got, err := v.Product(context.Background(), want.ID)
	if err != nil || !equal(got, want) {
		t.Fatalf("the view has %+v, %v; want %+v", got, err, want)
	}
}

func equal(a, b catalog.Product) bool { return a.Equal(b) }

func viewMissing(t *testing.T, v reader.View) {
	if _, err := v.Product(t.Context(), product("nobody")); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("Product = %v, want ErrNotFound", err)
	}
}

func viewFields(t *testing.T, v reader.View) {
	for name, d := range extremes() {
		apply(t, v, at(name, 1, d))
		viewHas(t, v, at(name, 1, d))
	}
}

func viewGuard(t *testing.T, v reader.View) {
	apply(t, v, at("a", 2, draft("two")), at("b", 1, draft("other")))
	apply(t, v, at("a", 1, draft("one")), at("b", 2, draft("newer")))
	viewHas(t, v, at("a", 2, draft("two")))
	viewHas(t, v, at("b", 2, draft("newer")))
	apply(t, v, at("a", 2, draft("same")))
	viewHas(t, v, at("a", 2, draft("two")))
	less := draft("")
	less.Name = "less than before"
	apply(t, v, at("a", 3, less))
	viewHas(t, v, at("a", 3, less))
}

func viewTombstone(t *testing.T, v reader.View) {
	apply(t, v, at("a", 1, draft("a")))
	apply(t, v, gone("a", 2))
	viewHas(t, v, gone("a", 2))
	apply(t, v, at("a", 1, draft("a")))
	viewHas(t, v, gone("a", 2))
	apply(t, v, at("a", 3, draft("again")))
	viewHas(t, v, at("a", 3, draft("again")))
	apply(t, v, gone("never seen", 2), at("never seen", 1, draft("late")))
	viewHas(t, v, gone("never seen", 2))
}

func viewTwice(t *testing.T, v reader.View) {
	apply(t, v, at("a", 1, draft("one")), at("b", 2, draft("two")), at("a", 2, draft("two")), at("b", 1, draft("one")), gone("a", 3))
	viewHas(t, v, gone("a", 3))
	viewHas(t, v, at("b", 2, draft("two")))
}

// viewShards does what the projectors of many shards do under load. Their
// products differ.
func viewShards(t *testing.T, v reader.View) {
	const shards, versions, products = 16, 3, 20
	var wg sync.WaitGroup
	for shard := range int32(shards) {
		wg.Go(func() {
			for version := int64(1); version <= versions; version++ {
				var batch []catalog.Product
				for i := range products {
					batch = append(batch, at(fmt.Sprint(shard, " ", i), version, draft(fmt.Sprint(version))))
				}
				p := eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: version * products}, Offset: version * products}
				if err := errors.Join(v.Apply(t.Context(), batch), v.SaveCheckpoint(t.Context(), p)); err != nil {
					t.Errorf("shard %d: %v", shard, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for shard := range int32(shards) {
		viewHas(t, v, at(fmt.Sprint(shard, " ", 7), versions, draft(fmt.Sprint(versions))))
		if p, err := v.Checkpoint(t.Context(), shard); err != nil || p.Seq != versions*products {
			t.Fatalf("Progress of shard %d = %+v, %v", shard, p, err)
		}
	}
}

func viewRace(t *testing.T, v reader.View) {
	const writers, versions = 8, 40
	var wg sync.WaitGroup
	for w := range int64(writers) {
		wg.Go(func() {
			for version := w + 1; version <= versions; version += writers {
				if err := v.Apply(t.Context(), []catalog.Product{at("a", version, draft(fmt.Sprint(version)))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	viewHas(t, v, at("a", versions, draft(fmt.Sprint(versions))))
}

func viewCancelled(t *testing.T, v reader.View) {
	apply(t, v, at("a", 1, draft("one")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Apply(ctx, []catalog.Product{at("a", 2, draft("two"))}); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply = %v, want Canceled", err)
	}
	if _, err := v.Product(ctx, product("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Product = %v, want Canceled", err)
	}
	viewHas(t, v, at("a", 1, draft("one")))
}

func viewThousand(t *testing.T, v reader.View) {
	var products []catalog.Product
	for i := range 1_000 {
		products = append(products, at(fmt.Sprint(i), 1, draft(fmt.Sprint(i))))
	}
	apply(t, v, products...)
	for i := 0; i < len(products); i += 97 {
		viewHas(t, v, products[i])
	}
}

func viewProgress(t *testing.T, v reader.View) {
	has := func(shard int32, seq, offset int64) {
		t.Helper()
		want := eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}
		if got, err := v.Checkpoint(t.Context(), shard); err != nil || got != want {
			t.Fatalf("Progress = %+v, %v; want %+v", got, err, want)
		}
	}
	save := func(shard int32, seq, offset int64) {
		t.Helper()
		if err := v.SaveCheckpoint(t.Context(), eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}); err != nil {
			t.Fatal(err)
		}
	}
	has(3, 0, 0)
	save(3, 10, 12)
	has(3, 10, 12)
	save(3, 9, 99)
	has(3, 10, 12)
	save(3, 10, 15) // a repeated record moves the offset and not the seq
	has(3, 10, 15)
	save(3, 1<<40, 1<<41)
	has(3, 1<<40, 1<<41)
	has(4, 0, 0)
}

func viewAnyOrder(t *testing.T, v reader.View) {
	round := 0
	rapid.Check(t, func(t *rapid.T) {
		round++
		newest := map[string]catalog.Product{}
		names := []string{fmt.Sprint(round, " a"), fmt.Sprint(round, " b"), fmt.Sprint(round, " c")}
		versions := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 12).Draw(t, "versions")
		var batch []catalog.Product
		for i, n := range versions {
			name := names[i%len(names)]
			p := at(name, int64(n), draft(fmt.Sprint(name, n)))
			if n%5 == 0 {
				p = gone(name, int64(n))
			}
			if p.Version > newest[name].Version {
				newest[name] = p
			}
			batch = append(batch, p)
			if rapid.Bool().Draw(t, "apply now") {
				apply(t, v, batch...)
				batch = nil
			}
		}
		apply(t, v, batch...)
		for _, p := range newest {
			viewHas(t, v, p)
		}
	})
}

// each answers the products that are shown, tombstones too.
func each(t testing.TB, store interface {
	Scan(ctx context.Context, handle func([]catalog.Product) error) error
}) map[catalog.ID]catalog.Product {
	t.Helper()
	all := map[catalog.ID]catalog.Product{}
	if err := store.Scan(t.Context(), func(products []catalog.Product) error {
		for _, p := range products {
			if _, again := all[p.ID]; again {
				t.Errorf("%s is shown twice", p.ID)
			}
			all[p.ID] = p
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func viewEach(t *testing.T, v reader.View) {
	if all := each(t, v); len(all) != 0 {
		t.Fatalf("an empty view shows %d products", len(all))
	}
	want := []catalog.Product{gone("gone", 2)}
	for i := range 1_500 {
		want = append(want, at(fmt.Sprint(i), 1, draft(fmt.Sprint(i))))
	}
	apply(t, v, want...)
	all := each(t, v)
	if len(all) != len(want) {
		t.Fatalf("it shows %d products, not %d", len(all), len(want))
	}
	for _, p := range want {
		if !equal(all[p.ID], p) {
			t.Fatalf("it shows %+v, not %+v", all[p.ID], p)
		}
	}
	enough := errors.New("enough")
	if err := v.Scan(t.Context(), func([]catalog.Product) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Each = %v; want what handle answered", err)
	}
}

func viewCorrect(t *testing.T, v reader.View) {
	correct := func(was int64, p catalog.Product) {
		t.Helper()
		if err := v.Overwrite(t.Context(), was, p); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, v, at("a", 9, draft("wrong")), at("b", 2, draft("wrong")), at("c", 3, draft("never was")))
	correct(9, at("a", 2, draft("right")))
	viewHas(t, v, at("a", 2, draft("right")))
	correct(2, at("b", 2, draft("right")))
	viewHas(t, v, at("b", 2, draft("right")))
	correct(3, catalog.Product{ID: product("c")})
	if p, err := v.Product(t.Context(), product("c")); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("what never was is there at version %d, %v", p.Version, err)
	}
	apply(t, v, at("a", 3, draft("newer")))
	correct(2, gone("a", 2))
	correct(2, catalog.Product{ID: product("a")})
	viewHas(t, v, at("a", 3, draft("newer")))
	correct(0, at("d", 1, draft("missing")))
	viewHas(t, v, at("d", 1, draft("missing")))
	correct(0, at("a", 1, draft("not missing")))
	viewHas(t, v, at("a", 3, draft("newer")))
}
