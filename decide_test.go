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

// TestDecide tests every operation on a product in every state.
func TestDecide(t *testing.T) {
	id := name("p")
	data := catalog.ProductData{Name: "Chair", Price: euros(10)}
	other := catalog.ProductData{Name: "Lamp", Price: euros(20)}
	absent := catalog.Product{ID: id}
	existing := catalog.Product{ID: id, ProductData: data, Version: 3, CreatedAt: now.Add(-time.Hour), UpdatedAt: now.Add(-time.Minute)}
	deleted := catalog.Product{ID: id, Version: 4, Deleted: true, CreatedAt: existing.CreatedAt, UpdatedAt: now.Add(-time.Second)}
	rename := catalog.Patch{Name: ptr("Lamp")}
	for _, test := range []struct {
		name    string
		p       catalog.Product
		op      catalog.Operation
		cond    catalog.Condition
		outcome catalog.Outcome
		version int64
		err     error
	}{
		{"create an absent product", absent, catalog.CreateProduct{Data: data}, catalog.Condition{}, catalog.Created, 1, nil},
		{"create an existing product", existing, catalog.CreateProduct{Data: data}, catalog.Condition{}, "", 0, catalog.ErrExists},
		{"create a deleted product", deleted, catalog.CreateProduct{Data: data}, catalog.Condition{}, catalog.Created, 5, nil},
		{"put an absent product", absent, catalog.PutProduct{Data: data}, catalog.Condition{}, catalog.Created, 1, nil},
		{"put the same data", existing, catalog.PutProduct{Data: data}, catalog.Condition{}, catalog.Unchanged, 3, nil},
		{"put other data", existing, catalog.PutProduct{Data: other}, catalog.Condition{}, catalog.Changed, 4, nil},
		{"put a deleted product", deleted, catalog.PutProduct{Data: data}, catalog.Condition{}, catalog.Created, 5, nil},
		{"put invalid data", existing, catalog.PutProduct{}, catalog.Condition{}, "", 0, catalog.ErrInvalid},
		{"patch an absent product", absent, catalog.PatchProduct{Patch: rename}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"patch an existing product", existing, catalog.PatchProduct{Patch: rename}, catalog.Condition{}, catalog.Changed, 4, nil},
		{"patch to the same data", existing, catalog.PatchProduct{Patch: catalog.Patch{Name: ptr("Chair")}}, catalog.Condition{}, catalog.Unchanged, 3, nil},
		{"patch a deleted product", deleted, catalog.PatchProduct{Patch: rename}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"patch or create, without a price", absent, catalog.PatchProduct{Patch: rename, Create: true}, catalog.Condition{}, "", 0, catalog.ErrInvalid},
		{"patch or create, with a currency alone", absent, catalog.PatchProduct{Patch: catalog.Patch{Name: ptr("Lamp"), Currency: ptr("EUR")}, Create: true}, catalog.Condition{}, "", 0, catalog.ErrInvalid},
		{"patch or create, without a name", absent, catalog.PatchProduct{Patch: catalog.Patch{Amount: &catalog.Decimal{Units: 1}, Currency: ptr("EUR")}, Create: true}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"patch or create, with name and price", absent, catalog.PatchProduct{Patch: catalog.Patch{Name: ptr("Lamp"), Amount: &catalog.Decimal{Units: 1}, Currency: ptr("EUR")}, Create: true}, catalog.Condition{}, catalog.Created, 1, nil},
		{"patch to a price with too many digits for its currency", existing, catalog.PatchProduct{Patch: catalog.Patch{Currency: ptr("JPY"), Amount: &catalog.Decimal{Nanos: 5e8}}}, catalog.Condition{}, "", 0, catalog.ErrInvalid},
		{"delete an absent product", absent, catalog.DeleteProduct{}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"delete an existing product", existing, catalog.DeleteProduct{}, catalog.Condition{}, catalog.Deleted, 4, nil},
		{"delete a deleted product", deleted, catalog.DeleteProduct{}, catalog.Condition{}, "", 0, catalog.ErrNotFound},
		{"version matches", existing, catalog.DeleteProduct{}, catalog.Condition{Version: 3}, catalog.Deleted, 4, nil},
		{"one of several versions matches", existing, catalog.DeleteProduct{}, catalog.Condition{Version: 1, OrVersions: []int64{2, 3}}, catalog.Deleted, 4, nil},
		{"none of several versions matches", existing, catalog.DeleteProduct{}, catalog.Condition{Version: 1, OrVersions: []int64{2, 4}}, "", 0, catalog.ErrVersion},
		{"version differs", existing, catalog.DeleteProduct{}, catalog.Condition{Version: 2}, "", 0, catalog.ErrVersion},
		{"version of a tombstone", deleted, catalog.PutProduct{Data: data}, catalog.Condition{Version: 4}, "", 0, catalog.ErrVersion},
		{"must exist, and exists", existing, catalog.PutProduct{Data: other}, catalog.Condition{Exists: true}, catalog.Changed, 4, nil},
		{"must exist, and is absent", absent, catalog.PutProduct{Data: other}, catalog.Condition{Exists: true}, "", 0, catalog.ErrVersion},
		{"must be absent, and is deleted", deleted, catalog.PutProduct{Data: other}, catalog.Condition{Absent: true}, catalog.Created, 5, nil},
		{"must be absent, and exists", existing, catalog.PutProduct{Data: data}, catalog.Condition{Absent: true}, "", 0, catalog.ErrVersion},
		{"an unknown operation", existing, nil, catalog.Condition{}, "", 0, catalog.ErrInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			e, err := catalog.Decide(test.p, catalog.Command{ID: name("c"), Product: id, Op: test.op, If: test.cond}, now)
			if !errors.Is(err, test.err) || e.Outcome != test.outcome || e.Product.Version != test.version {
				t.Fatalf("Decide = %s at version %d, %v; want %s at version %d, %v", e.Outcome, e.Product.Version, err, test.outcome, test.version, test.err)
			}
			if test.p.Version > 0 && e.Applied() && e.Outcome != catalog.Created && !e.Product.CreatedAt.Equal(test.p.CreatedAt) {
				t.Error("the update changes CreatedAt")
			}
			if e.Outcome == catalog.Deleted && !e.Product.ProductData.Equal(catalog.ProductData{}) {
				t.Error("the tombstone has product data")
			}
		})
	}
	t.Run("the times of a product do not run backwards", func(t *testing.T) {
		e, err := catalog.Decide(existing, catalog.Command{Op: catalog.PutProduct{Data: other}}, existing.UpdatedAt.Add(-time.Hour))
		if err != nil || e.Product.UpdatedAt.Before(existing.UpdatedAt) {
			t.Fatalf("UpdatedAt = %v, %v; want at least %v", e.Product.UpdatedAt, err, existing.UpdatedAt)
		}
	})
}
