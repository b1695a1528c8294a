package enginetest

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/eventlog"
	"catalog/reader"
)

func indexReplay(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, furniture()...)
	if page := search(t, x, catalog.Query{}); page.Total != 6 {
		t.Fatalf("Total after a repeated Apply = %d; want 6", page.Total)
	}
}

func indexTombstones(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, tombstone("Oak table", 2), tombstone("never there", 1))
	if page := search(t, x, catalog.Query{Text: "oak"}); foundNames(page) != "Coffee table" {
		t.Errorf("Search(oak) after a deletion = %q; want Coffee table", foundNames(page))
	}
	put(t, x, at("Oak table", 3, catalog.ProductData{Name: "Oak desk", Price: price(1, 0, "EUR")}))
	if page := search(t, x, catalog.Query{Text: "oak desk"}); len(page.Items) != 1 || page.Items[0].Version != 3 {
		t.Errorf("Search(oak desk) = %q; want Oak desk at version 3", foundNames(page))
	}
}

func indexOverwrite(t *testing.T, x reader.Index) {
	wantVersions := func(when, want string) {
		t.Helper()
		var all []string
		for _, p := range search(t, x, catalog.Query{Text: "shelf"}).Items {
			all = append(all, fmt.Sprint(p.Name, " ", p.Version))
		}
		slices.Sort(all)
		if got := strings.Join(all, ", "); got != want {
			t.Errorf("%s: %s; want %s", when, got, want)
		}
	}
	shelf := func(name string, version int64) catalog.Product {
		return at(name, version, catalog.ProductData{Name: name + " shelf", Price: price(1, 0, "EUR")})
	}
	put(t, x, shelf("ahead", 9), shelf("behind", 1), shelf("same", 2), shelf("extra", 3))
	same := shelf("same", 2)
	same.Name = "other shelf"
	if err := x.Overwrite(t.Context(), []catalog.Product{shelf("ahead", 3), shelf("behind", 2), same, {ID: product("extra")}, shelf("missing", 4)}); err != nil {
		t.Fatal(err)
	}
	wantVersions("after Overwrite", "ahead shelf 3, behind shelf 2, missing shelf 4, other shelf 2")
	put(t, x, shelf("ahead", 4), shelf("extra", 1))
	wantVersions("after the next events", "ahead shelf 4, behind shelf 2, extra shelf 1, missing shelf 4, other shelf 2")
}

func indexCheckpoints(t *testing.T, x reader.Index) {
	if all, err := x.Checkpoints(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("Checkpoints of an empty index = %v, %v; want none", all, err)
	}
	want := []eventlog.Checkpoint{{Position: catalog.Position{Shard: 0, Seq: 7}, Offset: 9}, {Position: catalog.Position{Shard: 63, Seq: 1 << 40}, Offset: 1 << 41}}
	if err := x.Apply(t.Context(), furniture(), want); err != nil {
		t.Fatal(err)
	}
	got, err := x.Checkpoints(t.Context())
	slices.SortFunc(got, func(a, b eventlog.Checkpoint) int { return cmp.Compare(a.Shard, b.Shard) })
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Checkpoints = %v, %v; want %v", got, err, want)
	}
}

func indexFields(t *testing.T, x reader.Index) {
	for name, d := range extremes() {
		t.Run(name, func(t *testing.T) {
			want := at(name, 1, d)
			put(t, x, want)
			page := search(t, x, catalog.Query{Text: want.ID.String()})
			if len(page.Items) == 0 {
				t.Fatal("Search finds no product by its id")
			}
			sameFields(t, "Search", page.Items[0], want)
		})
	}
}

func indexScan(t *testing.T, x reader.Index) {
	if all := each(t, x); len(all) != 0 {
		t.Fatalf("Scan of an empty index = %d products; want none", len(all))
	}
	var want []catalog.Product
	for i := range 1_500 {
		want = append(want, item(fmt.Sprint(i), "", "", int64(i)))
	}
	put(t, x, want...)
	put(t, x, tombstone("7", 2))
	want[8].Version = 2
	put(t, x, want[8])
	all := each(t, x)
	if len(all) != len(want)-1 {
		t.Fatalf("Scan = %d products; want %d", len(all), len(want)-1)
	}
	for i, p := range want {
		got, err := x.Product(t.Context(), p.ID)
		if i == 7 {
			if !errors.Is(err, catalog.ErrNotFound) {
				t.Fatalf("Product of a deleted product = version %d, %v; want ErrNotFound", got.Version, err)
			}
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		sameFields(t, "Product", got, p)
		sameFields(t, "Scan", all[p.ID], p)
	}
	failure := errors.New("failure")
	if err := x.Scan(t.Context(), func([]catalog.Product) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("Scan = %v; want the error of handle", err)
	}
}

func indexSize(t *testing.T, x reader.Index) {
	deleted := item("Deleted", "Furniture", "", 1)
	put(t, x, append(furniture(), deleted)...)
	deleted = catalog.Product{ID: deleted.ID, Version: 2, Deleted: true, CreatedAt: deleted.CreatedAt, UpdatedAt: deleted.UpdatedAt}
	put(t, x, deleted)
	if n, bytes, err := x.Size(t.Context()); err != nil || n != int64(len(furniture())) || bytes < 0 {
		t.Errorf("Size = %d products, %d bytes, %v; want %d products", n, bytes, err, len(furniture()))
	}
}
