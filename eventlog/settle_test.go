package eventlog_test

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/eventlog"
)

var now = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

func name(s string) catalog.ID { return catalog.DerivedID(s) }

func euros(units int64) catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: units}, Currency: "EUR"}
}

func chair() catalog.ProductData {
	return catalog.ProductData{SKU: "CHA-7", Name: "Chair", Price: euros(10), Tags: []string{"new"}}
}

// memoryStore is a store in memory.
type memoryStore struct {
	products map[catalog.ID]catalog.Product
	settled  map[eventlog.ShardCommand]bool
	journal  []catalog.Event
}

func newMemoryStore() *memoryStore {
	return &memoryStore{products: map[catalog.ID]catalog.Product{}, settled: map[eventlog.ShardCommand]bool{}}
}

func (w *memoryStore) settle(commands []catalog.Command) []catalog.Event {
	var skus eventlog.SKUOwners
	for _, p := range w.products {
		skus.Add(p.ID, p.SKU, catalog.SKUKey(p.SKU))
	}
	b := eventlog.Batch{NextSeq: int64(len(w.journal)) + 1, Commands: commands}
	events := eventlog.Settle(eventlog.Group{b}, eventlog.GroupState{Products: w.products, Settled: w.settled, SKUs: skus}, now)[0].Events
	w.journal = append(w.journal, events...)
	for _, e := range events {
		w.settled[eventlog.ShardCommand{Command: e.Command}] = true
	}
	for _, p := range eventlog.LastVersions(events) {
		w.products[p.ID] = p
	}
	return events
}

// drawCommands draws commands on a few products with a few SKUs. Some commands are
// sent more than once.
func drawCommands(t *rapid.T) []catalog.Command {
	op := rapid.Custom(func(t *rapid.T) catalog.Operation {
		sku := rapid.SampledFrom([]string{"", "A", "a", "B", "C"}).Draw(t, "sku")
		d := catalog.ProductData{SKU: sku, Name: rapid.SampledFrom([]string{"x", "y", ""}).Draw(t, "name"), Price: euros(int64(rapid.IntRange(0, 2).Draw(t, "price")))}
		switch rapid.IntRange(0, 4).Draw(t, "op") {
		case 0:
			return catalog.CreateProduct{Data: d}
		case 1:
			return catalog.PutProduct{Data: d}
		case 2:
			return catalog.PatchProduct{Patch: catalog.Patch{SKU: &sku}}
		case 3:
			return catalog.PatchProduct{Patch: catalog.Patch{SKU: &sku, Name: &d.Name, Amount: &d.Price.Decimal, Currency: &d.Price.Currency}, Create: true}
		}
		return catalog.DeleteProduct{}
	})
	n := rapid.IntRange(1, 40).Draw(t, "commands")
	commands := make([]catalog.Command, n)
	for i := range commands {
		if i > 0 && rapid.IntRange(0, 5).Draw(t, "repeat") == 0 {
			commands[i] = commands[rapid.IntRange(0, i-1).Draw(t, "of")]
			continue
		}
		commands[i] = catalog.Command{
			ID: name(fmt.Sprint("command ", i)), Product: name(rapid.SampledFrom([]string{"p", "q", "r"}).Draw(t, "product")),
			Op: op.Draw(t, "operation"), If: catalog.Condition{Version: int64(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(t, "if version"))},
		}
	}
	return commands
}

// cut divides commands into batches at random.
func cut(t *rapid.T, commands []catalog.Command, label string) (batches [][]catalog.Command) {
	for len(commands) > 0 {
		n := rapid.IntRange(1, len(commands)).Draw(t, label)
		batches, commands = append(batches, commands[:n]), commands[n:]
	}
	return batches
}

// TestSettle checks the invariants for random commands in random batches.
func TestSettle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		commands := drawCommands(t)
		w := newMemoryStore()
		for _, b := range cut(t, commands, "batch") {
			before := len(w.journal)
			events := w.settle(b)
			if again := w.settle(b); len(again) > 0 {
				t.Fatalf("settling a batch again makes %d events; want 0", len(again))
			}
			versions := map[catalog.ID]int64{}
			for _, e := range w.journal[:before] {
				versions[e.Product.ID] = e.Product.Version
			}
			for i, e := range events {
				if e.Seq != int64(before+i+1) {
					t.Fatalf("event %d has sequence number %d", before+i+1, e.Seq)
				}
				step := int64(0)
				if e.Applied() {
					step = 1
				}
				if e.Product.Version != versions[e.Product.ID]+step {
					t.Fatalf("outcome %s changes product %s from version %d to %d", e.Outcome, e.Product.ID, versions[e.Product.ID], e.Product.Version)
				}
				versions[e.Product.ID] = e.Product.Version
				if (e.Outcome == catalog.Refused) != (e.Refusal != nil) {
					t.Fatalf("outcome %s has the refusal %v", e.Outcome, e.Refusal)
				}
			}
			owners := map[string]catalog.ID{}
			for _, p := range w.products {
				if p.SKU == "" {
					continue
				}
				key := strings.ToLower(p.SKU)
				if owner, taken := owners[key]; taken || !p.Exists() {
					t.Fatalf("SKU %s belongs to %s and %s", p.SKU, owner, p.ID)
				}
				owners[key] = p.ID
			}
		}
		outcomes := map[catalog.ID]int{}
		for _, e := range w.journal {
			outcomes[e.Command]++
		}
		for _, c := range commands {
			if outcomes[c.ID] != 1 {
				t.Fatalf("command %s has %d outcomes", c.ID, outcomes[c.ID])
			}
		}

		// The division into batches makes no difference.
		other := newMemoryStore()
		for _, b := range cut(t, commands, "other batch") {
			other.settle(b)
		}
		if !slices.EqualFunc(w.journal, other.journal, func(a, b catalog.Event) bool {
			return a.Position == b.Position && a.Outcome == b.Outcome && a.Command == b.Command && a.Product.Version == b.Product.Version && a.Product.ProductData.Equal(b.Product.ProductData)
		}) {
			t.Fatal("the same commands in other batches have other events")
		}

		// The products are the last versions in the journal.
		for _, p := range eventlog.LastVersions(w.journal) {
			if got := w.products[p.ID]; got.Version != p.Version || !got.ProductData.Equal(p.ProductData) || got.Deleted != p.Deleted {
				t.Fatalf("product %s = %+v; the journal has %+v", p.ID, got, p)
			}
		}
	})
}

func TestSettle_eventFields(t *testing.T) {
	c := catalog.Command{
		ID: name("c"), Product: name("p"), Op: catalog.CreateProduct{Data: chair()},
		Actor: "maria", Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", AcceptedAt: now.Add(-time.Second),
	}
	b := eventlog.Batch{Shard: 5, NextSeq: 1207, Commands: []catalog.Command{c, {ID: name("d"), Product: name("p"), Op: catalog.CreateProduct{Data: chair()}, Actor: "ole"}}}
	events := eventlog.Settle(eventlog.Group{b}, eventlog.GroupState{}, now)[0].Events
	if len(events) != 2 {
		t.Fatalf("%d events; want 2", len(events))
	}
	want := catalog.Event{
		Position: catalog.Position{Shard: 5, Seq: 1207}, Outcome: catalog.Created,
		Product: catalog.Product{ID: c.Product, ProductData: chair(), Version: 1, CreatedAt: now, UpdatedAt: now},
		Command: c.ID, Fingerprint: c.Fingerprint(), Actor: c.Actor, Trace: c.Trace, AcceptedAt: c.AcceptedAt, SettledAt: now,
	}
	if !reflect.DeepEqual(events[0], want) {
		t.Errorf("created: %+v\nwant     %+v", events[0], want)
	}
	if e := events[1]; e.Outcome != catalog.Refused || e.Actor != "ole" || e.Command != name("d") || e.Fingerprint != b.Commands[1].Fingerprint() ||
		e.SettledAt != now || !reflect.DeepEqual(e.Product, catalog.Product{ID: c.Product, Version: 1}) || e.Refusal.Code != catalog.CodeExists {
		t.Errorf("refused: %+v", e)
	}
}
