package catalog_test

import (
	"reflect"
	"slices"
	"testing"

	"catalog"
)

// TestFields holds the list of fields against the structs: a field that is in
// ProductData or Patch and not in the list fails here.
func TestFields(t *testing.T) {
	t.Run("every field of ProductData and Patch is listed once", func(t *testing.T) {
		var d catalog.ProductData
		var p catalog.Patch
		listed := map[any]string{
			&d.Price: "price", &p.Amount: "price.amount", &p.Currency: "price.currency",
			&d.Attributes: "attributes", &p.Attributes: "attributes", &p.ClearAttributes: "attributes",
		}
		list := func(address any, name string) {
			if other, ok := listed[address]; ok {
				t.Errorf("%s and %s are the same struct field", name, other)
			}
			listed[address] = name
		}
		for _, f := range catalog.Fields {
			switch f.Kind {
			case catalog.KindLine, catalog.KindProse:
				list(f.Text(&d), f.Name)
				list(f.PatchText(&p), f.Name)
			case catalog.KindList:
				list(f.List(&d), f.Name)
				list(f.PatchList(&p), f.Name)
			case catalog.KindMoney, catalog.KindMap:
				if f.Name != "price" && f.Name != "attributes" {
					t.Errorf("%s: ProductData has one price and one map; Fields has no accessor for another", f.Name)
				}
			}
		}
		for _, v := range []reflect.Value{reflect.ValueOf(&d).Elem(), reflect.ValueOf(&p).Elem()} {
			for i := range v.NumField() {
				if listed[v.Field(i).Addr().Interface()] == "" {
					t.Errorf("%s.%s is not in Fields", v.Type(), v.Type().Field(i).Name)
				}
			}
		}
	})
	t.Run("every example and every limit is valid", func(t *testing.T) {
		for _, f := range catalog.Fields {
			if f.Help == "" || f.Example == "" {
				t.Errorf("%s has no Help or no Example", f.Name)
			}
			if f.Kind != catalog.KindMoney && f.MaxLen < 1 {
				t.Errorf("%s: MaxLen = %d", f.Name, f.MaxLen)
			}
			if reason := f.Check(f.Example); f.IsText() && reason != "" {
				t.Errorf("the example of %s, %q, %s", f.Name, f.Example, reason)
			}
			if (f.Kind == catalog.KindList || f.Kind == catalog.KindMap) && f.MaxEntries < 1 {
				t.Errorf("%s: MaxEntries = %d", f.Name, f.MaxEntries)
			}
		}
	})
	t.Run("names are found", func(t *testing.T) {
		for i, name := range catalog.FieldNames() {
			if f := catalog.FieldByName(name); f != &catalog.Fields[i] {
				t.Errorf("FieldByName(%s) = %v", name, f)
			}
		}
		if f := catalog.FieldByName("colour"); f != nil {
			t.Errorf("FieldByName(colour) = %v; want nil", f)
		}
	})
}

// TestFields_noneForgotten changes one struct field after the other, by
// reflection, so that a new one is covered without an edit here.
func TestFields_noneForgotten(t *testing.T) {
	data := reflect.TypeFor[catalog.ProductData]()
	for i := range data.NumField() {
		t.Run("ProductData."+data.Field(i).Name, func(t *testing.T) {
			from, to := full(), full()
			changeField(t, reflect.ValueOf(&to).Elem().Field(i))
			if from.Equal(to) {
				t.Error("Equal ignores the field")
			}
			if diff := catalog.Diff(from, to); len(diff) == 0 {
				t.Error("Diff ignores the field")
			}
			a, b := catalog.Command{Op: catalog.PutProduct{Data: from}}, catalog.Command{Op: catalog.PutProduct{Data: to}}
			if a.Fingerprint() == b.Fingerprint() {
				t.Error("Fingerprint ignores the field")
			}
			bad := full()
			breakField(t, reflect.ValueOf(&bad).Elem().Field(i))
			if err := bad.Validate(); err == nil {
				t.Error("Validate ignores the field")
			}
		})
	}
	patch := reflect.TypeFor[catalog.Patch]()
	for i := range patch.NumField() {
		t.Run("Patch."+patch.Field(i).Name, func(t *testing.T) {
			var p catalog.Patch
			setPatchField(t, reflect.ValueOf(&p).Elem().Field(i))
			if got := p.Apply(full()); got.Equal(full()) {
				t.Error("Apply ignores the field")
			}
			a, b := catalog.Command{Op: catalog.PatchProduct{}}, catalog.Command{Op: catalog.PatchProduct{Patch: p}}
			if a.Fingerprint() == b.Fingerprint() {
				t.Error("Fingerprint ignores the field")
			}
		})
	}
}

// full returns valid product data with the example of every field.
func full() catalog.ProductData {
	d := catalog.ProductData{Price: euros(149), Attributes: map[string]string{"width": "45"}}
	for _, f := range catalog.Fields {
		switch {
		case f.IsText():
			*f.Text(&d) = f.Example
		case f.Kind == catalog.KindList:
			*f.List(&d) = []string{f.Example}
		}
	}
	return d
}

// changeField gives v another value.
func changeField(t *testing.T, v reflect.Value) {
	t.Helper()
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p += "x"
	case *catalog.Money:
		p.Units++
	case *[]string:
		*p = append(slices.Clone(*p), "x")
	case *map[string]string:
		*p = map[string]string{"width": "46"}
	default:
		t.Fatalf("no rule to change a %s: add one", v.Type())
	}
}

// breakField gives v a value that is invalid for every product.
func breakField(t *testing.T, v reflect.Value) {
	t.Helper()
	switch p := v.Addr().Interface().(type) {
	case *string:
		*p = "\x00"
	case *catalog.Money:
		p.Units = -1
	case *[]string:
		*p = []string{""}
	case *map[string]string:
		*p = map[string]string{"": "x"}
	default:
		t.Fatalf("no rule to break a %s: add one", v.Type())
	}
}

// setPatchField sets v, a field of a Patch, to a value that full does not have.
func setPatchField(t *testing.T, v reflect.Value) {
	t.Helper()
	switch p := v.Addr().Interface().(type) {
	case **string:
		*p = ptr("x")
	case **catalog.Decimal:
		*p = &catalog.Decimal{Units: 1}
	case **[]string:
		*p = &[]string{"x"}
	case *map[string]*string:
		*p = map[string]*string{"height": ptr("80")}
	case *bool:
		*p = true
	default:
		t.Fatalf("no rule to set a %s: add one", v.Type())
	}
}

func TestDiff(t *testing.T) {
	t.Run("equal data has no changes", func(t *testing.T) {
		if diff := catalog.Diff(chair(), chair()); len(diff) != 0 {
			t.Fatalf("Diff = %v; want none", diff)
		}
	})
	t.Run("changes are in the order of the contract, attributes by key", func(t *testing.T) {
		from, to := chair(), chair()
		to.SKU, to.Name, to.Category, to.Tags = "", "Bench", "Furniture", []string{"oak"}
		to.Price = catalog.Money{Decimal: catalog.Decimal{Units: 90}, Currency: "JPY"}
		to.Attributes = map[string]string{"width": "46", "depth": "50"}
		want := []catalog.Change{
			{Field: "sku", From: "CH-1"}, {Field: "name", From: "Chair", To: "Bench"},
			{Field: "price.amount", From: "149.00", To: "90"}, {Field: "price.currency", From: "EUR", To: "JPY"},
			{Field: "category", From: "Furniture/Chairs", To: "Furniture"}, {Field: "tags", From: "oak, new", To: "oak"},
			{Field: "attributes.depth", To: "50"}, {Field: "attributes.width", From: "45", To: "46"},
		}
		if diff := catalog.Diff(from, to); !slices.Equal(diff, want) {
			t.Fatalf("Diff = %v; want %v", diff, want)
		}
	})
	t.Run("a first version changes from nothing", func(t *testing.T) {
		diff := catalog.Diff(catalog.ProductData{}, catalog.ProductData{Name: "x", Price: euros(0)})
		want := []catalog.Change{{Field: "name", To: "x"}, {Field: "price.amount", To: "0.00"}, {Field: "price.currency", To: "EUR"}}
		if !slices.Equal(diff, want) {
			t.Fatalf("Diff = %v; want %v", diff, want)
		}
	})
}
