package catalog_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
)

var now = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

func name(s string) catalog.ID { return catalog.DerivedID(s) }

func ptr[T any](v T) *T { return &v }

// TestDecide is the table of operations by the state of the product.
func TestDecide(t *testing.T) {
	id := name("p")
	draft := catalog.Draft{Name: "Chair", Price: euros(10)}
	other := catalog.Draft{Name: "Lamp", Price: euros(20)}
	never := catalog.Product{ID: id}
	there := catalog.Product{ID: id, Draft: draft, Version: 3, CreatedAt: now.Add(-time.Hour), UpdatedAt: now.Add(-time.Minute)}
	gone := catalog.Product{ID: id, Version: 4, Deleted: true, CreatedAt: there.CreatedAt, UpdatedAt: now.Add(-time.Second)}
	rename := catalog.Patch{Name: ptr("Lamp")}
	for _, test := range []struct {
		name    string
		p       catalog.Product
		op      catalog.Operation
		only    catalog.Condition
		kind    catalog.Kind
		version int64
		err     error
	}{
		{"create what never was", never, catalog.CreateProduct{Draft: draft}, catalog.Condition{}, catalog.Created, 1, nil},
		{"create what is there", there, catalog.CreateProduct{Draft: draft}, catalog.Condition{}, "", 0, catalog.ErrExists},
		{"create what is gone", gone, catalog.CreateProduct{Draft: draft}, catalog.Condition{}, catalog.Created, 5, nil},
		{"put what never was", never, catalog.PutProduct{Draft: draft}, catalog.Condition{}, catalog.Created, 1, nil},
		{"put the same", there, catalog.PutProduct{Draft: draft}, catalog.Condition{}, catalog.Unchanged, 3, nil},
		{"put another", there, catalog.PutProduct{Draft: other}, catalog.Condition{}, catalog.Changed, 4, nil},
		{"put what is gone", gone, catalog.PutProduct{Draft: draft}, catalog.Condition{}, catalog.Created, 5, nil},
		{"put what breaks a rule", there, catalog.PutProduct{}, catalog.Condition{}, "", 0, catalog.ErrInvalid},
		{"patch what never was", never, catalog.PatchProduct{Patch: rename}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"patch what is there", there, catalog.PatchProduct{Patch: rename}, catalog.Condition{}, catalog.Changed, 4, nil},
		{"patch without an effect", there, catalog.PatchProduct{Patch: catalog.Patch{Name: ptr("Chair")}}, catalog.Condition{}, catalog.Unchanged, 3, nil},
		{"patch what is gone", gone, catalog.PatchProduct{Patch: rename}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"patch or create, with too little", never, catalog.PatchProduct{Patch: rename, Create: true}, catalog.Condition{}, "", 0, catalog.ErrInvalid},
		{"patch or create, with enough", never, catalog.PatchProduct{Patch: catalog.Patch{Name: ptr("Lamp"), Amount: &catalog.Decimal{Units: 1}, Currency: ptr("EUR")}, Create: true}, catalog.Condition{}, catalog.Created, 1, nil},
		{"patch to a price its currency cannot have", there, catalog.PatchProduct{Patch: catalog.Patch{Currency: ptr("JPY"), Amount: &catalog.Decimal{Nanos: 5e8}}}, catalog.Condition{}, "", 0, catalog.ErrInvalid},
		{"delete what never was", never, catalog.DeleteProduct{}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"delete what is there", there, catalog.DeleteProduct{}, catalog.Condition{}, catalog.Deleted, 4, nil},
		{"delete what is gone", gone, catalog.DeleteProduct{}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"at the version asked for", there, catalog.DeleteProduct{}, catalog.Condition{Version: 3}, catalog.Deleted, 4, nil},
		{"at another version", there, catalog.DeleteProduct{}, catalog.Condition{Version: 2}, "", 0, catalog.ErrVersion},
		{"at the version of a tombstone", gone, catalog.PutProduct{Draft: draft}, catalog.Condition{Version: 4}, "", 0, catalog.ErrVersion},
		{"if it exists, and it does", there, catalog.PutProduct{Draft: other}, catalog.Condition{Exists: true}, catalog.Changed, 4, nil},
		{"if it exists, and it does not", never, catalog.PutProduct{Draft: other}, catalog.Condition{Exists: true}, "", 0, catalog.ErrVersion},
		{"if there is none, and there is none", gone, catalog.PutProduct{Draft: other}, catalog.Condition{Absent: true}, catalog.Created, 5, nil},
		{"if there is none, and there is one", there, catalog.PutProduct{Draft: draft}, catalog.Condition{Absent: true}, "", 0, catalog.ErrVersion},
		{"an operation of another time", there, nil, catalog.Condition{}, "", 0, catalog.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := catalog.Decide(test.p, catalog.Command{ID: name("c"), Product: id, Op: test.op, If: test.only}, now)
			if !errors.Is(err, test.err) || e.Kind != test.kind || e.Product.Version != test.version {
				t.Fatalf("Decide = %s at version %d, %v; want %s at version %d, %v", e.Kind, e.Product.Version, err, test.kind, test.version, test.err)
			}
			if test.p.Version > 0 && e.Applied() && e.Kind != catalog.Created && !e.Product.CreatedAt.Equal(test.p.CreatedAt) {
				t.Error("an update has changed the time of creation")
			}
			if e.Kind == catalog.Deleted && !e.Product.Draft.Equal(catalog.Draft{}) {
				t.Error("a tombstone still says something")
			}
		})
	}
	t.Run("the times of a product do not run backwards", func(t *testing.T) {
		e, err := catalog.Decide(there, catalog.Command{Op: catalog.PutProduct{Draft: other}}, there.UpdatedAt.Add(-time.Hour))
		if err != nil || e.Product.UpdatedAt.Before(there.UpdatedAt) {
			t.Fatalf("%v, %v", e.Product.UpdatedAt, err)
		}
	})
}

// world is what a store keeps, in memory.
type world struct {
	products map[catalog.ID]catalog.Product
	settled  map[catalog.ID]bool
	journal  []catalog.Event
}

func newWorld() *world {
	return &world{products: map[catalog.ID]catalog.Product{}, settled: map[catalog.ID]bool{}}
}

func (w *world) settle(commands []catalog.Command) []catalog.Event {
	skus := map[string]catalog.ID{}
	for _, p := range w.products {
		if p.SKU != "" {
			skus[p.SKU] = p.ID
		}
	}
	b := catalog.Batch{NextSeq: int64(len(w.journal)) + 1, Commands: commands}
	events := catalog.Settle(b, catalog.Known{Products: w.products, Settled: w.settled, SKUs: skus}, now)
	w.journal = append(w.journal, events...)
	for _, e := range events {
		w.settled[e.Command] = true
	}
	for _, p := range catalog.Latest(events) {
		w.products[p.ID] = p
	}
	return events
}

// drawCommands draws commands on few products with few SKUs, some of them sent
// more than once.
func drawCommands(t *rapid.T) []catalog.Command {
	op := rapid.Custom(func(t *rapid.T) catalog.Operation {
		sku := rapid.SampledFrom([]string{"", "A", "B", "C"}).Draw(t, "sku")
		d := catalog.Draft{SKU: sku, Name: rapid.SampledFrom([]string{"x", "y", ""}).Draw(t, "name"), Price: euros(int64(rapid.IntRange(0, 2).Draw(t, "price")))}
		switch rapid.IntRange(0, 4).Draw(t, "op") {
		case 0:
			return catalog.CreateProduct{Draft: d}
		case 1:
			return catalog.PutProduct{Draft: d}
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

// cut cuts commands into batches at random.
func cut(t *rapid.T, commands []catalog.Command, label string) (batches [][]catalog.Command) {
	for len(commands) > 0 {
		n := rapid.IntRange(1, len(commands)).Draw(t, label)
		batches, commands = append(batches, commands[:n]), commands[n:]
	}
	return batches
}

// TestSettle asks for what must hold whatever is wished in whatever batches.
func TestSettle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		commands := drawCommands(t)
		w := newWorld()
		for _, b := range cut(t, commands, "batch") {
			before := len(w.journal)
			events := w.settle(b)
			if again := w.settle(b); len(again) > 0 {
				t.Fatalf("a batch that was settled makes %d events the second time", len(again))
			}
			versions := map[catalog.ID]int64{}
			for _, e := range w.journal[:before] {
				versions[e.Product.ID] = e.Product.Version
			}
			for i, e := range events {
				if e.Seq != int64(before+i+1) {
					t.Fatalf("event %d has seq %d", before+i+1, e.Seq)
				}
				step := int64(0)
				if e.Applied() {
					step = 1
				}
				if e.Product.Version != versions[e.Product.ID]+step {
					t.Fatalf("%s takes product %s from version %d to %d", e.Kind, e.Product.ID, versions[e.Product.ID], e.Product.Version)
				}
				versions[e.Product.ID] = e.Product.Version
				if (e.Kind == catalog.Refused) != (e.Refusal != nil) {
					t.Fatalf("%s with refusal %v", e.Kind, e.Refusal)
				}
			}
			owners := map[string]catalog.ID{}
			for _, p := range w.products {
				if p.SKU == "" {
					continue
				}
				if owner, taken := owners[p.SKU]; taken || !p.Exists() {
					t.Fatalf("SKU %s belongs to %s and %s", p.SKU, owner, p.ID)
				}
				owners[p.SKU] = p.ID
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

		// Where batches are cut makes no difference.
		other := newWorld()
		for _, b := range cut(t, commands, "other batch") {
			other.settle(b)
		}
		if !slices.EqualFunc(w.journal, other.journal, func(a, b catalog.Event) bool {
			return a.Position == b.Position && a.Kind == b.Kind && a.Command == b.Command && a.Product.Version == b.Product.Version && a.Product.Draft.Equal(b.Product.Draft)
		}) {
			t.Fatal("the same commands in other batches have other outcomes")
		}

		// The products are what the journal says.
		for _, p := range catalog.Latest(w.journal) {
			if got := w.products[p.ID]; got.Version != p.Version || !got.Draft.Equal(p.Draft) || got.Deleted != p.Deleted {
				t.Fatalf("product %s is %+v, and the journal says %+v", p.ID, got, p)
			}
		}
	})
}
