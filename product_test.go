package catalog_test

import (
	"maps"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"catalog"
)

func euros(units int64) catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: units}, Currency: "EUR"}
}

// chair returns product data with a value in every field that has a fixed place in
// the fingerprint.
func chair() catalog.ProductData {
	return catalog.ProductData{
		SKU: "CH-1", Name: "Chair", Description: "Oak.\n\tOiled.", Price: euros(149), Category: "Furniture/Chairs",
		Tags: []string{"oak", "new"}, Attributes: map[string]string{"width": "45", "designer": ""},
	}
}

// texts draws mostly valid texts, and sometimes any text.
func texts(limit int) *rapid.Generator[string] {
	good := rapid.StringMatching(`[a-zA-ZäöÜ漢 /-]{0,12}`)
	return rapid.OneOf(good, good, good, good, rapid.StringN(0, limit+2, -1))
}

// productData draws product data, which may be invalid.
func productData() *rapid.Generator[catalog.ProductData] {
	return rapid.Custom(func(t *rapid.T) catalog.ProductData {
		return catalog.ProductData{
			SKU:         texts(catalog.MaxSKU).Draw(t, "sku"),
			Name:        texts(catalog.MaxName).Draw(t, "name"),
			Description: texts(300).Draw(t, "description"),
			Price: catalog.Money{
				Decimal:  decimals().Draw(t, "amount"),
				Currency: rapid.SampledFrom([]string{"EUR", "JPY", "KWD", "", "eur"}).Draw(t, "currency"),
			},
			Category:   texts(catalog.MaxCategory).Draw(t, "category"),
			Tags:       rapid.SliceOfN(texts(catalog.MaxTag), 0, 4).Draw(t, "tags"),
			Attributes: rapid.MapOfN(texts(catalog.MaxAttributeKey), texts(100), 0, 4).Draw(t, "attributes"),
		}
	})
}

// patches draws patches of any fields to any values.
func patches() *rapid.Generator[catalog.Patch] {
	return rapid.Custom(func(t *rapid.T) catalog.Patch {
		d := productData().Draw(t, "to")
		p := catalog.Patch{ClearAttributes: rapid.Bool().Draw(t, "clear attributes")}
		text := func(name string, to **string, from string) {
			if rapid.Bool().Draw(t, name) {
				*to = &from
			}
		}
		text("has sku", &p.SKU, d.SKU)
		text("has name", &p.Name, d.Name)
		text("has description", &p.Description, d.Description)
		text("has currency", &p.Currency, d.Price.Currency)
		text("has category", &p.Category, d.Category)
		if rapid.Bool().Draw(t, "has amount") {
			p.Amount = &d.Price.Decimal
		}
		if rapid.Bool().Draw(t, "has tags") {
			p.Tags = &d.Tags
		}
		p.Attributes = rapid.MapOfN(rapid.SampledFrom([]string{"width", "height", "designer", "ä"}), rapid.Ptr(rapid.String(), true), 0, 4).Draw(t, "attributes")
		return p
	})
}

func TestEqual(t *testing.T) {
	t.Run("absent and empty are equal", func(t *testing.T) {
		a, b := catalog.ProductData{Tags: []string{}, Attributes: map[string]string{}}, catalog.ProductData{}
		if !a.Equal(b) || !b.Equal(a) {
			t.Fatal("not equal")
		}
	})
	t.Run("each field counts", func(t *testing.T) {
		for name, change := range differences() {
			d := chair()
			change(&d)
			if d.Equal(chair()) || chair().Equal(d) {
				t.Errorf("%s: equal", name)
			}
			if !d.Equal(d) {
				t.Errorf("%s: not equal to itself", name)
			}
		}
	})
}

// differences returns changes of chair, each of one field.
func differences() map[string]func(*catalog.ProductData) {
	return map[string]func(*catalog.ProductData){
		"sku":                 func(d *catalog.ProductData) { d.SKU = "CH-2" },
		"gtin":                func(d *catalog.ProductData) { d.GTIN = "4006381333931" },
		"name":                func(d *catalog.ProductData) { d.Name = "chair" },
		"brand":               func(d *catalog.ProductData) { d.Brand = "4006381333931" },
		"description":         func(d *catalog.ProductData) { d.Description = "" },
		"units":               func(d *catalog.ProductData) { d.Price.Units++ },
		"nanos":               func(d *catalog.ProductData) { d.Price.Nanos++ },
		"currency":            func(d *catalog.ProductData) { d.Price.Currency = "USD" },
		"category":            func(d *catalog.ProductData) { d.Category = "Furniture" },
		"fewer tags":          func(d *catalog.ProductData) { d.Tags = d.Tags[:1] },
		"order of tags":       func(d *catalog.ProductData) { slices.Reverse(d.Tags) },
		"a tag":               func(d *catalog.ProductData) { d.Tags[0] = "beech" },
		"value of attribute":  func(d *catalog.ProductData) { d.Attributes["width"] = "46" },
		"fewer attributes":    func(d *catalog.ProductData) { delete(d.Attributes, "width") },
		"more attributes":     func(d *catalog.ProductData) { d.Attributes["depth"] = "" },
		"name of attribute":   func(d *catalog.ProductData) { delete(d.Attributes, "designer"); d.Attributes["Designer"] = "" },
		"attributes exchange": func(d *catalog.ProductData) { d.Attributes = map[string]string{"width": "", "designer": "45"} },
	}
}

func TestPatch(t *testing.T) {
	empty, height := "", "80"
	noTags := []string{}
	for _, c := range []struct {
		name string
		p    catalog.Patch
		want func(d *catalog.ProductData)
	}{
		{"an empty patch changes nothing", catalog.Patch{}, func(*catalog.ProductData) {}},
		{"a text is replaced", catalog.Patch{Name: &height}, func(d *catalog.ProductData) { d.Name = "80" }},
		{"a text is cleared", catalog.Patch{SKU: &empty, Description: &empty, Category: &empty}, func(d *catalog.ProductData) { d.SKU, d.Description, d.Category = "", "", "" }},
		{"the amount alone", catalog.Patch{Amount: &catalog.Decimal{Nanos: 500_000_000}}, func(d *catalog.ProductData) {
			d.Price = catalog.Money{Decimal: catalog.Decimal{Nanos: 500_000_000}, Currency: "EUR"}
		}},
		{"the currency alone", catalog.Patch{Currency: &height}, func(d *catalog.ProductData) { d.Price.Currency = "80" }},
		{"tags are replaced, not merged", catalog.Patch{Tags: &[]string{"beech"}}, func(d *catalog.ProductData) { d.Tags = []string{"beech"} }},
		{"tags are cleared", catalog.Patch{Tags: &noTags}, func(d *catalog.ProductData) { d.Tags = nil }},
		{"attributes are merged", catalog.Patch{Attributes: map[string]*string{"height": &height}}, func(d *catalog.ProductData) { d.Attributes["height"] = "80" }},
		{"an attribute is replaced", catalog.Patch{Attributes: map[string]*string{"width": &height}}, func(d *catalog.ProductData) { d.Attributes["width"] = "80" }},
		{"an attribute is removed", catalog.Patch{Attributes: map[string]*string{"width": nil, "depth": nil}}, func(d *catalog.ProductData) { delete(d.Attributes, "width") }},
		{"an attribute gets an empty value", catalog.Patch{Attributes: map[string]*string{"width": &empty}}, func(d *catalog.ProductData) { d.Attributes["width"] = "" }},
		{"attributes are removed", catalog.Patch{ClearAttributes: true}, func(d *catalog.ProductData) { d.Attributes = nil }},
		{"attributes are removed before others are set", catalog.Patch{ClearAttributes: true, Attributes: map[string]*string{"height": &height, "width": nil}}, func(d *catalog.ProductData) { d.Attributes = map[string]string{"height": "80"} }},
	} {
		t.Run(c.name, func(t *testing.T) {
			from, want := chair(), chair()
			c.want(&want)
			if got := c.p.Apply(from); !got.Equal(want) {
				t.Fatalf("Apply = %+v\nwant %+v", got, want)
			}
			if !from.Equal(chair()) {
				t.Fatalf("Apply changes its argument: %+v", from)
			}
		})
	}
	t.Run("applying a patch twice has the effect of once, and changes no argument", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			d, p := productData().Draw(t, "data"), patches().Draw(t, "patch")
			before := d
			before.Tags, before.Attributes = slices.Clone(d.Tags), maps.Clone(d.Attributes)
			fingerprint := catalog.Command{Op: catalog.PatchProduct{Patch: p}}.Fingerprint()
			once := p.Apply(d)
			if twice := p.Apply(once); !twice.Equal(once) {
				t.Fatalf("once:  %+v\ntwice: %+v", once, twice)
			}
			if !d.Equal(before) || fingerprint != (catalog.Command{Op: catalog.PatchProduct{Patch: p}}).Fingerprint() {
				t.Fatal("Apply changes its arguments")
			}
		})
	})
}
