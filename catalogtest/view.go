package catalogtest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/reader"
)

// TestView says what a reader.View must do. Each open answers a view of its own,
// empty; open closes it at the end of the test.
func TestView(t *testing.T, open func(t *testing.T) reader.View) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, v reader.View)
	}{
		{"a product that was never stored is not found", viewMissing},
		{"every field comes back exactly", viewFields},
		{"a newer version replaces, the same or an older one changes nothing", viewGuard},
		{"a tombstone stays, and what is older does not bring the product back", viewTombstone},
		{"a thousand products are stored at once", viewThousand},
		{"progress is saved, and never goes back", viewProgress},
		{"whatever comes in whatever order, the newest version stays", viewAnyOrder},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// at is the product of that name at a version.
func at(name string, version int64, d catalog.Draft) catalog.Product {
	return catalog.Product{ID: product(name), Draft: d, Version: version, CreatedAt: moment, UpdatedAt: moment.Add(time.Duration(version) * time.Microsecond)}
}

// gone is the tombstone of that name at a version.
func gone(name string, version int64) catalog.Product {
	p := at(name, version, catalog.Draft{})
	p.Deleted = true
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

// equal says whether two products are the same in all they say.
func equal(a, b catalog.Product) bool {
	return a.ID == b.ID && a.Version == b.Version && a.Deleted == b.Deleted && a.Draft.Equal(b.Draft) &&
		a.CreatedAt.Equal(b.CreatedAt) && a.UpdatedAt.Equal(b.UpdatedAt)
}

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
		want := catalog.Progress{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}
		if got, err := v.Progress(t.Context(), shard); err != nil || got != want {
			t.Fatalf("Progress = %+v, %v; want %+v", got, err, want)
		}
	}
	save := func(shard int32, seq, offset int64) {
		t.Helper()
		if err := v.Save(t.Context(), catalog.Progress{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}); err != nil {
			t.Fatal(err)
		}
	}
	has(3, 0, 0)
	save(3, 10, 12)
	has(3, 10, 12)
	save(3, 9, 99)
	has(3, 10, 12)
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
