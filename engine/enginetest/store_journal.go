package enginetest

import (
	"errors"
	"fmt"
	"testing"

	"catalog"
)

func journalRanges(t *testing.T, s Store) {
	o, other := claim(t, s, 0), claim(t, s, 1)
	var all []catalog.Event
	for i := range 5 {
		all = append(all, o.settle(t, []catalog.Outcome{catalog.Created, catalog.Refused},
			command(fmt.Sprint("c", i), fmt.Sprint("p", i), catalog.CreateProduct{Data: data("")}),
			command(fmt.Sprint("d", i), fmt.Sprint("p", i), catalog.CreateProduct{Data: data("")}))...)
	}
	other.settle(t, []catalog.Outcome{catalog.Created}, command("other", "other", catalog.CreateProduct{Data: data("")}))
	for _, c := range []struct {
		from, to int64
		limit    int
		want     []catalog.Event
	}{
		{1, 10, 100, all},
		{1, 1 << 40, 100, all},
		{0, 3, 100, all[:3]},
		{4, 6, 100, all[3:6]},
		{4, 10, 2, all[3:5]},
		{10, 10, 1, all[9:]},
		{11, 20, 5, nil},
		{6, 4, 5, nil},
	} {
		got, err := s.Journal(t.Context(), 0, c.from, c.to, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		sameEvents(t, fmt.Sprintf("Journal(%d, %d, limit %d)", c.from, c.to, c.limit), got, c.want)
	}
}

func receipts(t *testing.T, s Store) {
	o := claim(t, s, 0)
	if e, err := s.Receipt(t.Context(), catalog.DerivedID("command", "c")); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Receipt before Settle = %s, %v; want ErrNotFound", e.Outcome, err)
	}
	events := o.settle(t, []catalog.Outcome{catalog.Created}, command("c", "p", catalog.CreateProduct{Data: data("")}))
	e, err := s.Receipt(t.Context(), catalog.DerivedID("command", "c"))
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, "Receipt", []catalog.Event{e}, events)
}

func historyPages(t *testing.T, s Store) {
	o := claim(t, s, 0)
	if _, _, err := s.History(t.Context(), product("p"), 0, 10); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("History of an unknown product = %v; want ErrNotFound", err)
	}
	var versions []catalog.Event // newest first
	settle := func(outcome catalog.Outcome, c catalog.Command) {
		versions = append(o.settle(t, []catalog.Outcome{outcome}, c), versions...)
	}
	settle(catalog.Created, command("1", "p", catalog.CreateProduct{Data: data("")}))
	settle(catalog.Changed, command("2", "p", rename("Stool")))
	o.settle(t, []catalog.Outcome{catalog.Unchanged}, command("3", "p", rename("Stool")))
	o.settle(t, []catalog.Outcome{catalog.Refused}, command("4", "p", catalog.CreateProduct{}))
	settle(catalog.Deleted, command("5", "p", catalog.DeleteProduct{}))
	settle(catalog.Created, command("6", "p", catalog.PutProduct{Data: data("")}))
	o.settle(t, []catalog.Outcome{catalog.Created}, command("7", "q", catalog.PutProduct{Data: data("")}))
	for _, c := range []struct {
		before int64
		limit  int
		want   []catalog.Event
	}{
		{0, 100, versions},
		{0, 3, versions[:3]},
		{2, 3, versions[3:]},
		{3, 1, versions[2:3]},
		{1, 10, nil},
		{99, 10, versions},
	} {
		got, more, err := s.History(t.Context(), product("p"), c.before, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		if want := len(c.want) > 0 && c.want[len(c.want)-1].Product.Version > 1; more != want {
			t.Errorf("History(before %d, limit %d) has more versions: %v; want %v", c.before, c.limit, more, want)
		}
		sameEvents(t, fmt.Sprintf("History(before %d, limit %d)", c.before, c.limit), got, c.want)
	}
}
