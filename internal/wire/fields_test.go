package wire_test

import (
	"bytes"
	"encoding/json"
	"reflect"
	"slices"
	"testing"

	"catalog"
	"catalog/internal/wire"
)

// full returns valid product data in which every field is set: a field that a
// conversion forgets comes back empty.
func full(t *testing.T) catalog.ProductData {
	t.Helper()
	d := catalog.ProductData{
		Price:      catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
		Attributes: map[string]string{"width": "45"},
	}
	for _, f := range catalog.Fields {
		switch {
		case f.IsText():
			*f.Text(&d) = f.Example
		case f.Kind == catalog.KindList:
			*f.List(&d) = []string{f.Example}
		}
	}
	allSet(t, d)
	if err := d.Validate(); err != nil {
		t.Fatal(err)
	}
	return d
}

// fullPatch returns a patch in which every field is set.
func fullPatch(t *testing.T) catalog.Patch {
	t.Helper()
	d := full(t)
	p := catalog.Patch{
		Amount: &d.Price.Decimal, Currency: &d.Price.Currency,
		ClearAttributes: true, Attributes: map[string]*string{"width": text("46"), "depth": nil},
	}
	for _, f := range catalog.Fields {
		switch {
		case f.IsText():
			*f.PatchText(&p) = f.Text(&d)
		case f.Kind == catalog.KindList:
			*f.PatchList(&p) = f.List(&d)
		}
	}
	allSet(t, p)
	return p
}

// allSet fails the test when a field of the struct v has its zero value.
func allSet(t *testing.T, v any) {
	t.Helper()
	s := reflect.ValueOf(v)
	for i := range s.NumField() {
		if s.Field(i).IsZero() {
			t.Errorf("%s.%s is not set", s.Type(), s.Type().Field(i).Name)
		}
	}
}

// TestFields_noneForgotten sends every field of ProductData and Patch through
// every conversion.
func TestFields_noneForgotten(t *testing.T) {
	for name, op := range map[string]catalog.Operation{
		"create": catalog.CreateProduct{Data: full(t)}, "put": catalog.PutProduct{Data: full(t)},
		"patch": catalog.PatchProduct{Patch: fullPatch(t), Create: true},
	} {
		t.Run("a command to "+name+" in protobuf", func(t *testing.T) {
			c := commands()["create"]
			c.Op = op
			b, err := wire.EncodeCommand(c)
			if err != nil {
				t.Fatal(err)
			}
			if got, err := wire.DecodeCommand(b); err != nil || !reflect.DeepEqual(got, c) {
				t.Fatalf("DecodeCommand = %+v, %v; want %+v", got.Op, err, c.Op)
			}
		})
	}
	p := events()["dearer"].Product
	p.ProductData = full(t)
	p.PastPrices = []catalog.PastPrice{{Money: p.Price, Until: p.UpdatedAt}}
	t.Run("a product in protobuf", func(t *testing.T) {
		b, err := wire.EncodeProduct(p)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := wire.DecodeProduct(b); err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("DecodeProduct = %+v, %v; want %+v", got, err, p)
		}
	})
	t.Run("a product in JSON", func(t *testing.T) {
		if got, err := wire.ProductFromJSON(wire.ProductToJSON(p, catalog.BeforeLastReduction)); err != nil || !reflect.DeepEqual(got, p) {
			t.Fatalf("ProductFromJSON = %+v, %v; want %+v", got, err, p)
		}
		want := slices.Concat([]string{"id"}, catalog.FieldNames(), []string{"version", "createdAt", "updatedAt", "lowestPrice30d"})
		if got := memberNames(t, wire.ProductToJSON(p, catalog.BeforeLastReduction)); !slices.Equal(got, want) {
			t.Fatalf("members of a product: %v; want %v", got, want)
		}
	})
	body, err := json.Marshal(wire.ProductDataToJSON(full(t)))
	if err != nil {
		t.Fatal(err)
	}
	t.Run("product data in JSON", func(t *testing.T) {
		if got := memberNames(t, wire.ProductDataToJSON(full(t))); !slices.Equal(got, catalog.FieldNames()) {
			t.Fatalf("members of product data: %v; want %v", got, catalog.FieldNames())
		}
		if got, err := wire.ParseProductData(body); err != nil || !reflect.DeepEqual(got, full(t)) {
			t.Fatalf("ParseProductData = %+v, %v; want %+v", got, err, full(t))
		}
	})
	t.Run("a patch in JSON", func(t *testing.T) {
		p, err := wire.ParsePatch(body)
		if err != nil {
			t.Fatal(err)
		}
		if got := p.Apply(catalog.ProductData{}); !reflect.DeepEqual(got, full(t)) {
			t.Fatalf("the patch of every field makes %+v; want %+v", got, full(t))
		}
		p.ClearAttributes = true
		allSet(t, p)
	})
	t.Run("null clears every optional field", func(t *testing.T) {
		o := map[string]any{}
		for _, f := range catalog.Fields {
			if !f.Required {
				o[f.Name] = nil
			}
		}
		body, _ := json.Marshal(o)
		p, err := wire.ParsePatch(body)
		want := catalog.ProductData{Name: full(t).Name, Price: full(t).Price}
		if got := p.Apply(full(t)); err != nil || !got.Equal(want) {
			t.Fatalf("cleared to %+v, %v; want %+v", got, err, want)
		}
	})
}

// memberNames returns the names in the JSON of v, in their order.
func memberNames(t *testing.T, v any) (names []string) {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	if _, err := d.Token(); err != nil {
		t.Fatal(err)
	}
	for d.More() {
		name, err := d.Token()
		if err != nil {
			t.Fatal(err)
		}
		names = append(names, name.(string))
		var value json.RawMessage
		if err := d.Decode(&value); err != nil {
			t.Fatal(err)
		}
	}
	return names
}
