package enginetest

import (
	"errors"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func repairReset(t *testing.T, s Store) {
	o := claim(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created}, command("c", "p", catalog.CreateProduct{Data: data("")}))
	first := eventlog.Topics{Commands: catalog.ID{1}, Events: catalog.ID{2}}
	other := eventlog.Topics{Commands: catalog.ID{3}, Events: catalog.ID{2}}
	for _, now := range []eventlog.Topics{first, other, first} {
		if got, err := s.BindTopics(t.Context(), now); err != nil || got != first {
			t.Fatalf("BindTopics(%v) = %v, %v; want %v", now, got, err, first)
		}
	}
	zero, seven, nine := int64(0), int64(7), int64(9)
	if err := s.ResetShards(t.Context(), other, map[int32]eventlog.ShardReset{1: {Offset: &zero}, 2: {Offset: &seven}, 3: {EventsFrom: &nine}}); err != nil {
		t.Fatal(err)
	}
	if got, err := s.BindTopics(t.Context(), first); err != nil || got != other {
		t.Errorf("BindTopics after ResetShards = %v, %v; want %v", got, err, other)
	}
	if _, err := o.try(t.Context(), command("d", "p", catalog.DeleteProduct{})); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("Settle of the former owner = %v; want ErrFenced", err)
	}
	states, err := s.States(t.Context())
	if err != nil || len(states) != 4 || states[1].Offset != 0 || states[1].NextSeq != 2 || states[2].Offset != 7 || states[2].EventsFrom != 0 || states[3].Offset != 0 || states[3].EventsFrom != 9 {
		t.Errorf("States = %+v, %v; want offsets 0 and 7 of shards 1 and 2, and events of shard 3 from 9 on", states, err)
	}
	// A command that is read a second time has its event already.
	o = claim(t, s, 1)
	o.settle(t, []catalog.Outcome{}, command("c", "p", catalog.CreateProduct{Data: data("")}))
}

func repairAppendEvents(t *testing.T, s Store) {
	const sku = "MOVES"
	one, two := claim(t, s, 1), claim(t, s, 2)
	one.settle(t, []catalog.Outcome{catalog.Created}, command("c1", "p1", catalog.CreateProduct{Data: data(sku)}))
	two.settle(t, []catalog.Outcome{catalog.Created}, command("c2", "p2", catalog.CreateProduct{Data: data("")}))

	// The topic has later events: the SKU moves to a product of another shard, a
	// third product is created and deleted, and a command is refused.
	state := func(ids ...string) eventlog.GroupState {
		k := eventlog.GroupState{Products: map[catalog.ID]catalog.Product{}}
		for _, id := range ids {
			p, err := s.Product(t.Context(), product(id))
			if err != nil {
				t.Fatal(err)
			}
			k.Products[p.ID] = p
		}
		return k
	}
	events := eventlog.Settle(eventlog.Group{one.batch(
		command("c3", "p1", giveSKU("")), command("c4", "p3", catalog.CreateProduct{Data: data("")}),
		command("c5", "p3", catalog.DeleteProduct{}), command("c6", "p3", catalog.DeleteProduct{}),
	)}, state("p1"), moment)[0].Events
	more := eventlog.Settle(eventlog.Group{two.batch(command("c7", "p2", giveSKU(sku)))}, state("p2"), moment)[0].Events
	events = append(events, more...)

	if err := s.AppendEvents(t.Context(), events[1:]); err == nil {
		t.Error("AppendEvents with a missing event = nil; want an error")
	}
	if err := s.AppendEvents(t.Context(), events); err != nil {
		t.Fatal(err)
	}
	for _, p := range eventlog.LastVersions(events) {
		sameProduct(t.Context(), t, s, p)
	}
	sameEvents(t, "journal of shard 1", journal(t.Context(), t, s, 1)[1:], events[:4])
	sameEvents(t, "journal of shard 2", journal(t.Context(), t, s, 2)[1:], events[4:])
	if _, err := one.try(t.Context(), command("c8", "p1", rename("x"))); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("Settle of the former owner = %v; want ErrFenced", err)
	}
	one = claim(t, s, 1)
	one.settle(t, []catalog.Outcome{catalog.Changed}, command("c3", "p1", giveSKU("")), command("c8", "p1", rename("x")))
	if owners, err := s.SKUs(t.Context(), []string{sku}); err != nil || owners[sku] != product("p2") {
		t.Errorf("SKUs = %v, %v; want p2", owners, err)
	}
}
