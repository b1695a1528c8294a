package enginetest

import (
	"errors"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func resets(t *testing.T, s Store) {
	o := own(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created}, command("c", "p", catalog.CreateProduct{Data: draft("")}))
	first := eventlog.Topics{Commands: catalog.ID{1}, Events: catalog.ID{2}}
	other := eventlog.Topics{Commands: catalog.ID{3}, Events: catalog.ID{2}}
	for _, now := range []eventlog.Topics{first, other, first} {
		if got, err := s.BindTopics(t.Context(), now); err != nil || got != first {
			t.Fatalf("Topics(%v) = %v, %v; want %v", now, got, err, first)
		}
	}
	if err := s.ResetShards(t.Context(), other, map[int32]int64{1: 0, 2: 7}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.BindTopics(t.Context(), first); err != nil || got != other {
		t.Errorf("after the reset Topics = %v, %v; want %v", got, err, other)
	}
	if _, err := o.try(t.Context(), command("d", "p", catalog.DeleteProduct{})); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("who owned the shard before: %v, want ErrFenced", err)
	}
	states, err := s.States(t.Context())
	if err != nil || len(states) != 4 || states[1].Offset != 0 || states[1].NextSeq != 2 || states[2].Offset != 7 || states[3].Shard != 3 {
		t.Errorf("the states are %+v, %v", states, err)
	}
	// What is read again is known.
	o = own(t, s, 1)
	o.settle(t, []catalog.Outcome{}, command("c", "p", catalog.CreateProduct{Data: draft("")}))
}

func restored(t *testing.T, s Store) {
	const sku = "WANDERS"
	one, two := own(t, s, 1), own(t, s, 2)
	one.settle(t, []catalog.Outcome{catalog.Created}, command("c1", "p1", catalog.CreateProduct{Data: draft(sku)}))
	two.settle(t, []catalog.Outcome{catalog.Created}, command("c2", "p2", catalog.CreateProduct{Data: draft("")}))

	// What the topic has beyond that: the SKU goes to a product of another shard,
	// one more is made and deleted, and a command is refused.
	known := func(ids ...string) eventlog.BatchState {
		k := eventlog.BatchState{Products: map[catalog.ID]catalog.Product{}}
		for _, id := range ids {
			p, err := s.Product(t.Context(), product(id))
			if err != nil {
				t.Fatal(err)
			}
			k.Products[p.ID] = p
		}
		return k
	}
	later := eventlog.Settle(one.batch(
		command("c3", "p1", giveSKU("")), command("c4", "p3", catalog.CreateProduct{Data: draft("")}),
		command("c5", "p3", catalog.DeleteProduct{}), command("c6", "p3", catalog.DeleteProduct{}),
	), known("p1"), moment)
	later = append(later, eventlog.Settle(two.batch(command("c7", "p2", giveSKU(sku))), known("p2"), moment)...)

	if err := s.AppendEvents(t.Context(), later[1:]); err == nil {
		t.Error("events with a hole before them are put back")
	}
	if err := s.AppendEvents(t.Context(), later); err != nil {
		t.Fatal(err)
	}
	for _, p := range eventlog.LastVersions(later) {
		sameProduct(t.Context(), t, s, p)
	}
	sameEvents(t, "journal of shard 1", journal(t.Context(), t, s, 1)[1:], later[:4])
	sameEvents(t, "journal of shard 2", journal(t.Context(), t, s, 2)[1:], later[4:])
	if _, err := one.try(t.Context(), command("c8", "p1", rename("x"))); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("who owned the shard before: %v, want ErrFenced", err)
	}
	one = own(t, s, 1)
	one.settle(t, []catalog.Outcome{catalog.Changed}, command("c3", "p1", giveSKU("")), command("c8", "p1", rename("x")))
	if owners, err := s.SKUs(t.Context(), []string{sku}); err != nil || owners[sku] != product("p2") {
		t.Errorf("the SKU belongs to %v, %v", owners, err)
	}
}
