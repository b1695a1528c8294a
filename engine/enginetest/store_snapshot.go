package enginetest

import (
	"errors"
	"fmt"
	"testing"

	"catalog"
)

// snapshot returns the products and the next seq that Snapshot reads.
func snapshot(t testing.TB, s Store, shard int32, only []catalog.ID) (map[catalog.ID]catalog.Product, int64) {
	t.Helper()
	all := map[catalog.ID]catalog.Product{}
	next, err := s.Snapshot(t.Context(), shard, only, func(products []catalog.Product) error {
		for _, p := range products {
			all[p.ID] = p
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, next
}

func snapshotShard(t *testing.T, s Store) {
	const n = 2_300
	one, other := claim(t, s, 1), claim(t, s, 2)
	if all, next := snapshot(t, s, 1, nil); len(all) != 0 || next != 1 {
		t.Fatalf("Snapshot of an empty shard = %d products, next seq %d; want 0 and 1", len(all), next)
	}
	var commands []catalog.Command
	for i := range n {
		commands = append(commands, command(fmt.Sprint("create ", i), fmt.Sprint(i), catalog.CreateProduct{Data: data("")}))
	}
	if _, err := one.try(t.Context(), commands...); err != nil {
		t.Fatal(err)
	}
	one.settle(t, []catalog.Outcome{catalog.Deleted, catalog.Changed},
		command("delete", "7", catalog.DeleteProduct{}), command("rename", "8", rename("Sofa")))
	other.settle(t, []catalog.Outcome{catalog.Created}, command("other", "other", catalog.CreateProduct{Data: data("")}))

	all, next := snapshot(t, s, 1, nil)
	if len(all) != n || next != n+3 {
		t.Fatalf("Snapshot = %d products, next seq %d; want %d and %d", len(all), next, n, n+3)
	}
	for _, p := range all {
		sameProduct(t.Context(), t, s, p)
	}
	if p := all[product("7")]; !p.Deleted || p.Version != 2 {
		t.Errorf("deleted product = version %d, deleted %v; want version 2, true", p.Version, p.Deleted)
	}
	some, next := snapshot(t, s, 1, []catalog.ID{product("8"), product("other"), product("unknown")})
	if len(some) != 1 || some[product("8")].Version != 2 || next != n+3 {
		t.Errorf("Snapshot of three ids = %d products, next seq %d; want the one of the shard, %d", len(some), next, n+3)
	}
	if none, _ := snapshot(t, s, 1, []catalog.ID{}); len(none) != 0 {
		t.Errorf("Snapshot of no ids = %d products; want none", len(none))
	}
	failure := errors.New("failure")
	if _, err := s.Snapshot(t.Context(), 1, nil, func([]catalog.Product) error { return failure }); !errors.Is(err, failure) {
		t.Errorf("Snapshot = %v; want the error of handle", err)
	}
	if _, err := s.Snapshot(t.Context(), 99, nil, nil); err == nil {
		t.Error("Snapshot of an unknown shard = nil; want an error")
	}
}

func snapshotDuringWrites(t *testing.T, s Store) {
	o := claim(t, s, 0)
	const n = 1_500
	var commands, renames []catalog.Command
	for i := range n {
		commands = append(commands, command(fmt.Sprint("create ", i), fmt.Sprint(i), catalog.CreateProduct{Data: data("")}))
		renames = append(renames, command(fmt.Sprint("rename ", i), fmt.Sprint(i), rename("Sofa")))
	}
	if _, err := o.try(t.Context(), commands...); err != nil {
		t.Fatal(err)
	}
	read := map[catalog.ID]int64{}
	pages := 0
	next, err := s.Snapshot(t.Context(), 0, nil, func(products []catalog.Product) error {
		for _, p := range products {
			if _, ok := read[p.ID]; ok {
				t.Errorf("product %s is in two pages", p.ID)
			}
			read[p.ID] = p.Version
		}
		if pages++; pages > 1 {
			return nil
		}
		// The commands change all products and add one between two pages: no page holds
		// a lock.
		_, err := o.try(t.Context(), append(renames, command("more", "more", catalog.CreateProduct{Data: data("")}))...)
		return err
	})
	if err != nil || pages < 2 || next != n+1 {
		t.Fatalf("Snapshot = next seq %d, %v, %d pages; want %d and several pages", next, err, pages, n+1)
	}
	newer := 0
	for _, c := range commands {
		if read[c.Product] == 0 {
			t.Fatalf("product %s, created before the snapshot, is missing", c.Product)
		}
		if read[c.Product] > 1 {
			newer++
		}
	}
	if newer == 0 {
		t.Error("no page was read after the change, although pages are read when the caller wants them")
	}
}
