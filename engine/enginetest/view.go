package enginetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"catalog"
	"catalog/eventlog"
	"catalog/reader/projection"
)

// Lack is a property that an engine may lack because the design works without
// it. The suite leaves out the tests that need it.
type Lack string

// NoRaces is the lack of a view in which two concurrent writes of one product
// can leave the older version. FerretDB 1 has it: it reads before it writes. The
// design works without it because one process projects a product at a time,
// except in the moments before a process notices that it has lost a shard.
const NoRaces Lack = "concurrent writes of one product can leave the older version"

// TestView is the suite of projection.View. Each call of open returns a new, empty
// view; open registers its closing with t.Cleanup.
func TestView(t *testing.T, open func(t *testing.T) projection.View, lacks ...Lack) {
	for _, c := range []struct {
		name  string
		test  func(t *testing.T, v projection.View)
		skips Lack // feature whose lack skips the test
	}{
		{"a product that was never stored is not found", viewNotFound, ""},
		{"every field comes back exactly", viewFields, ""},
		{"only a newer version replaces a product", viewVersions, ""},
		{"a tombstone stays, and an older version does not replace it", viewTombstone, ""},
		{"when a batch has a product twice, the newer version stays", viewSameProductTwice, ""},
		{"products are stored wherever they are passed", viewWrongPlace, ""},
		{"a thousand products are stored in one call", viewThousand, ""},
		{"a checkpoint is saved and never goes back", viewCheckpoint, ""},
		{"in any order of writes the newest version stays", viewRandomOrder, ""},
		{"many shards are written concurrently", viewConcurrentShards, ""},
		{"of concurrent writes of one product the newest stays", viewConcurrentWrites, NoRaces},
		{"a canceled call returns an error", viewCanceled, ""},
		{"Scan returns each product once", viewScan, ""},
		{"Scan returns pages that end at a size", viewScanLarge, ""},
		{"Overwrite replaces a product unless its version has changed", viewOverwrite, ""},
	} {
		if c.skips != "" && slices.Contains(lacks, c.skips) {
			t.Logf("left out, because %s: %s", c.skips, c.name)
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

func apply(t rapid.TB, v projection.View, products ...catalog.Product) {
	t.Helper()
	if err := v.Apply(context.Background(), nil, products); err != nil {
		t.Fatal(err)
	}
}

// Checkpoint returns the saved checkpoint of the shard, or one with seq and offset 0.
func Checkpoint(t testing.TB, v interface {
	Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error)
}, shard int32) eventlog.Checkpoint {
	t.Helper()
	all, err := v.Checkpoints(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range all {
		if p.Shard == shard {
			return p
		}
	}
	return eventlog.Checkpoint{Position: catalog.Position{Shard: shard}}
}

// wantInView fails the test unless the view returns want.
func wantInView(t rapid.TB, v projection.View, want catalog.Product) {
	t.Helper()
	got, err := v.Product(context.Background(), want.ID)
	if err != nil {
		t.Fatal(err)
	}
	sameFields(t, "Product", got, want)
}

func viewNotFound(t *testing.T, v projection.View) {
	if _, err := v.Product(t.Context(), product("unknown")); !errors.Is(err, catalog.ErrNotFound) {
		t.Fatalf("Product of an unknown id = %v; want ErrNotFound", err)
	}
}

func viewFields(t *testing.T, v projection.View) {
	for name, d := range extremes() {
		apply(t, v, at(name, 1, d))
		wantInView(t, v, at(name, 1, d))
	}
}

func viewVersions(t *testing.T, v projection.View) {
	apply(t, v, at("a", 2, data("two")), at("b", 1, data("other")))
	apply(t, v, at("a", 1, data("one")), at("b", 2, data("newer")))
	wantInView(t, v, at("a", 2, data("two")))
	wantInView(t, v, at("b", 2, data("newer")))
	apply(t, v, at("a", 2, data("same")))
	wantInView(t, v, at("a", 2, data("two")))
	shorter := data("")
	shorter.Name = "without SKU"
	apply(t, v, at("a", 3, shorter))
	wantInView(t, v, at("a", 3, shorter))
}

func viewTombstone(t *testing.T, v projection.View) {
	apply(t, v, at("a", 1, data("a")))
	apply(t, v, tombstone("a", 2))
	wantInView(t, v, tombstone("a", 2))
	apply(t, v, at("a", 1, data("a")))
	wantInView(t, v, tombstone("a", 2))
	apply(t, v, at("a", 3, data("again")))
	wantInView(t, v, at("a", 3, data("again")))
	apply(t, v, tombstone("never seen", 2), at("never seen", 1, data("late")))
	wantInView(t, v, tombstone("never seen", 2))
}

func viewSameProductTwice(t *testing.T, v projection.View) {
	apply(t, v, at("a", 1, data("one")), at("b", 2, data("two")), at("a", 2, data("two")), at("b", 1, data("one")), tombstone("a", 3))
	wantInView(t, v, tombstone("a", 3))
	wantInView(t, v, at("b", 2, data("two")))
}

// viewWrongPlace passes new and stored products as created and as changed, so that
// each call has products of all kinds.
func viewWrongPlace(t *testing.T, v projection.View) {
	var stored, created, changed, want []catalog.Product
	for i, version := range []int64{0, 1, 2, 3, 4, 5} { // the stored version
		for _, next := range []int64{1, 3} {
			for _, products := range []*[]catalog.Product{&created, &changed} {
				name := fmt.Sprint(i, next, len(want))
				p, old := at(name, next, data("new")), at(name, version, data("old"))
				if version > 0 {
					stored = append(stored, old)
				}
				if *products = append(*products, p); version >= next {
					p = old
				}
				want = append(want, p)
			}
		}
	}
	ctx := t.Context()
	if err := errors.Join(v.Apply(ctx, stored, nil), v.Apply(ctx, created, changed)); err != nil {
		t.Fatal(err)
	}
	for _, p := range want {
		wantInView(t, v, p)
	}
}

// viewConcurrentShards writes as the projections of many shards do under load.
// No product is in two shards.
func viewConcurrentShards(t *testing.T, v projection.View) {
	const shards, versions, products = 16, 3, 20
	var wg sync.WaitGroup
	for shard := range int32(shards) {
		wg.Go(func() {
			for version := int64(1); version <= versions; version++ {
				var batch []catalog.Product
				for i := range products {
					batch = append(batch, at(fmt.Sprint(shard, " ", i), version, data(fmt.Sprint(version))))
				}
				p := eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: version * products}, Offset: version * products}
				if err := errors.Join(v.Apply(t.Context(), batch, nil), v.SaveCheckpoints(t.Context(), []eventlog.Checkpoint{p})); err != nil {
					t.Errorf("shard %d: %v", shard, err)
					return
				}
			}
		})
	}
	wg.Wait()
	for shard := range int32(shards) {
		wantInView(t, v, at(fmt.Sprint(shard, " ", 7), versions, data(fmt.Sprint(versions))))
		if p := Checkpoint(t, v, shard); p.Seq != versions*products {
			t.Fatalf("the checkpoint of shard %d is %+v; want seq %d", shard, p, versions*products)
		}
	}
}

func viewConcurrentWrites(t *testing.T, v projection.View) {
	const writers, versions = 8, 40
	var wg sync.WaitGroup
	for w := range int64(writers) {
		wg.Go(func() {
			for version := w + 1; version <= versions; version += writers {
				if err := v.Apply(t.Context(), nil, []catalog.Product{at("a", version, data(fmt.Sprint(version)))}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	wantInView(t, v, at("a", versions, data(fmt.Sprint(versions))))
}

func viewCanceled(t *testing.T, v projection.View) {
	apply(t, v, at("a", 1, data("one")))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := v.Apply(ctx, nil, []catalog.Product{at("a", 2, data("two"))}); !errors.Is(err, context.Canceled) {
		t.Errorf("Apply = %v; want context.Canceled", err)
	}
	if _, err := v.Product(ctx, product("a")); !errors.Is(err, context.Canceled) {
		t.Errorf("Product = %v; want context.Canceled", err)
	}
	wantInView(t, v, at("a", 1, data("one")))
}

func viewThousand(t *testing.T, v projection.View) {
	var products []catalog.Product
	for i := range 1_000 {
		products = append(products, at(fmt.Sprint(i), 1, data(fmt.Sprint(i))))
	}
	apply(t, v, products...)
	for i := 0; i < len(products); i += 97 {
		wantInView(t, v, products[i])
	}
}

func viewCheckpoint(t *testing.T, v projection.View) {
	has := func(shard int32, seq, offset int64) {
		t.Helper()
		want := eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}
		if got := Checkpoint(t, v, shard); got != want {
			t.Fatalf("the checkpoint is %+v; want %+v", got, want)
		}
	}
	save := func(shard int32, seq, offset int64) {
		t.Helper()
		if err := v.SaveCheckpoints(t.Context(), []eventlog.Checkpoint{{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}}); err != nil {
			t.Fatal(err)
		}
	}
	has(3, 0, 0)
	save(3, 10, 12)
	has(3, 10, 12)
	save(3, 9, 99)
	has(3, 10, 12)
	save(3, 10, 15) // a repeated event moves the offset but not the seq
	has(3, 10, 15)
	save(3, 1<<40, 1<<41)
	has(3, 1<<40, 1<<41)
	has(4, 0, 0)
	all := make([]eventlog.Checkpoint, 100)
	for i := range all {
		all[i] = eventlog.Checkpoint{Position: catalog.Position{Shard: int32(i), Seq: 7}, Offset: 8}
	}
	if err := v.SaveCheckpoints(t.Context(), all); err != nil {
		t.Fatal(err)
	}
	has(3, 1<<40, 1<<41)
	has(4, 7, 8)
	has(99, 7, 8)
}

func viewRandomOrder(t *testing.T, v projection.View) {
	round := 0
	check(t, func(t *rapid.T) {
		round++
		newest := map[string]catalog.Product{}
		names := []string{fmt.Sprint(round, " a"), fmt.Sprint(round, " b"), fmt.Sprint(round, " c")}
		versions := rapid.SliceOfN(rapid.IntRange(1, 30), 1, 12).Draw(t, "versions")
		var batch []catalog.Product
		for i, n := range versions {
			name := names[i%len(names)]
			p := at(name, int64(n), data(fmt.Sprint(name, n)))
			if n%5 == 0 {
				p = tombstone(name, int64(n))
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
			wantInView(t, v, p)
		}
	})
}

// each returns all products that Scan returns, tombstones included.
func each(t testing.TB, store interface {
	Scan(ctx context.Context, handle func([]catalog.Product) error) error
}) map[catalog.ID]catalog.Product {
	t.Helper()
	all := map[catalog.ID]catalog.Product{}
	if err := store.Scan(t.Context(), func(products []catalog.Product) error {
		for _, p := range products {
			if _, again := all[p.ID]; again {
				t.Errorf("Scan returned product %s twice", p.ID)
			}
			all[p.ID] = p
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	return all
}

func viewScan(t *testing.T, v projection.View) {
	if all := each(t, v); len(all) != 0 {
		t.Fatalf("Scan of an empty view = %d products; want none", len(all))
	}
	want := []catalog.Product{tombstone("deleted", 2)}
	for i := range 1_500 {
		want = append(want, at(fmt.Sprint(i), 1, data(fmt.Sprint(i))))
	}
	apply(t, v, want...)
	all := each(t, v)
	if len(all) != len(want) {
		t.Fatalf("Scan = %d products; want %d", len(all), len(want))
	}
	for _, p := range want {
		sameFields(t, "Scan", all[p.ID], p)
	}
	failure := errors.New("failure")
	if err := v.Scan(t.Context(), func([]catalog.Product) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("Scan = %v; want the error of handle", err)
	}
}

func viewOverwrite(t *testing.T, v projection.View) {
	overwrite := func(was int64, p catalog.Product) {
		t.Helper()
		if err := v.Overwrite(t.Context(), was, p); err != nil {
			t.Fatal(err)
		}
	}
	apply(t, v, at("a", 9, data("wrong")), at("b", 2, data("wrong")), at("c", 3, data("never was")))
	overwrite(9, at("a", 2, data("right")))
	wantInView(t, v, at("a", 2, data("right")))
	overwrite(2, at("b", 2, data("right")))
	wantInView(t, v, at("b", 2, data("right")))
	overwrite(3, catalog.Product{ID: product("c")})
	if p, err := v.Product(t.Context(), product("c")); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Product after Overwrite with version 0 = version %d, %v; want ErrNotFound", p.Version, err)
	}
	apply(t, v, at("a", 3, data("newer")))
	overwrite(2, tombstone("a", 2))
	overwrite(2, catalog.Product{ID: product("a")})
	wantInView(t, v, at("a", 3, data("newer")))
	overwrite(0, at("d", 1, data("missing")))
	wantInView(t, v, at("d", 1, data("missing")))
	overwrite(0, at("a", 1, data("not missing")))
	wantInView(t, v, at("a", 3, data("newer")))
}

func viewScanLarge(t *testing.T, v projection.View) {
	const products = 6
	d := longestFields()
	for i := range products {
		if err := v.Apply(t.Context(), []catalog.Product{at(fmt.Sprint(i), 1, d)}, nil); err != nil {
			t.Fatal(err)
		}
	}
	all := 0
	if err := v.Scan(t.Context(), func(page []catalog.Product) error {
		size := 0
		for _, p := range page {
			size += p.Size()
		}
		if size > eventlog.MaxPageBytes+d.Size() {
			t.Errorf("a page has %d products with %d bytes", len(page), size)
		}
		all += len(page)
		return nil
	}); err != nil || all != products {
		t.Errorf("Scan = %d products, %v; want %d", all, err, products)
	}
}
