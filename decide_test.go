package catalog_test

import (
	"errors"
	"testing"
	"time"

	"catalog"
)

var now = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

func name(s string) catalog.ID { return catalog.DerivedID(s) }

func ptr[T any](v T) *T { return &v }

// TestDecide is the table of operations by the state of the product.
func TestDecide(t *testing.T) {
	id := name("p")
	draft := catalog.ProductData{Name: "Chair", Price: euros(10)}
	other := catalog.ProductData{Name: "Lamp", Price: euros(20)}
	never := catalog.Product{ID: id}
	there := catalog.Product{ID: id, ProductData: draft, Version: 3, CreatedAt: now.Add(-time.Hour), UpdatedAt: now.Add(-time.Minute)}
	gone := catalog.Product{ID: id, Version: 4, Deleted: true, CreatedAt: there.CreatedAt, UpdatedAt: now.Add(-time.Second)}
	rename := catalog.Patch{Name: ptr("Lamp")}
	for _, test := range []struct {
		name    string
		p       catalog.Product
		op      catalog.Operation
		only    catalog.Condition
		kind    catalog.Outcome
		version int64
		err     error
	}{
		{"create what never was", never, catalog.CreateProduct{Data: draft}, catalog.Condition{}, catalog.Created, 1, nil},
		{"create what is there", there, catalog.CreateProduct{Data: draft}, catalog.Condition{}, "", 0, catalog.ErrExists},
		{"create what is gone", gone, catalog.CreateProduct{Data: draft}, catalog.Condition{}, catalog.Created, 5, nil},
		{"put what never was", never, catalog.PutProduct{Data: draft}, catalog.Condition{}, catalog.Created, 1, nil},
		{"put the same", there, catalog.PutProduct{Data: draft}, catalog.Condition{}, catalog.Unchanged, 3, nil},
		{"put another", there, catalog.PutProduct{Data: other}, catalog.Condition{}, catalog.Changed, 4, nil},
		{"put what is gone", gone, catalog.PutProduct{Data: draft}, catalog.Condition{}, catalog.Created, 5, nil},
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
		{"at the version of a tombstone", gone, catalog.PutProduct{Data: draft}, catalog.Condition{Version: 4}, "", 0, catalog.ErrVersion},
		{"if it exists, and it does", there, catalog.PutProduct{Data: other}, catalog.Condition{Exists: true}, catalog.Changed, 4, nil},
		{"if it exists, and it does not", never, catalog.PutProduct{Data: other}, catalog.Condition{Exists: true}, "", 0, catalog.ErrVersion},
		{"if there is none, and there is none", gone, catalog.PutProduct{Data: other}, catalog.Condition{Absent: true}, catalog.Created, 5, nil},
		{"if there is none, and there is one", there, catalog.PutProduct{Data: draft}, catalog.Condition{Absent: true}, "", 0, catalog.ErrVersion},
		{"an operation of another time", there, nil, catalog.Condition{}, "", 0, catalog.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := catalog.Decide(test.p, catalog.Command{ID: name("c"), Product: id, Op: test.op, If: test.only}, now)
			if !errors.Is(err, test.err) || e.Outcome != test.kind || e.Product.Version != test.version {
				t.Fatalf("Decide = %s at version %d, %v; want %s at version %d, %v", e.Outcome, e.Product.Version, err, test.kind, test.version, test.err)
			}
			if test.p.Version > 0 && e.Applied() && e.Outcome != catalog.Created && !e.Product.CreatedAt.Equal(test.p.CreatedAt) {
				t.Error("an update has changed the time of creation")
			}
			if e.Outcome == catalog.Deleted && !e.Product.ProductData.Equal(catalog.ProductData{}) {
				t.Error("a tombstone still says something")
			}
		})
	}
	t.Run("the times of a product do not run backwards", func(t *testing.T) {
		e, err := catalog.Decide(there, catalog.Command{Op: catalog.PutProduct{Data: other}}, there.UpdatedAt.Add(-time.Hour))
		if err != nil || e.Product.UpdatedAt.Before(there.UpdatedAt) {
			t.Fatalf("%v, %v", e.Product.UpdatedAt, err)
		}
	})
}
