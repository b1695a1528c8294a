package catalog_test

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog"
)

func euros(units int64) catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: units}, Currency: "EUR"}
}

// chair is a draft that says something of everything.
func chair() catalog.ProductData {
	return catalog.ProductData{
		SKU: "CH-1", Name: "Chair", Description: "Oak.\n\tOiled.", Price: euros(149), Category: "Furniture/Chairs",
		Tags: []string{"oak", "new"}, Attributes: map[string]string{"width": "45", "designer": ""},
	}
}

// texts are mostly good and sometimes anything.
func texts(limit int) *rapid.Generator[string] {
	good := rapid.StringMatching(`[a-zA-ZäöÜ漢 /-]{0,12}`)
	return rapid.OneOf(good, good, good, good, rapid.StringN(0, limit+2, -1))
}

// drafts may break rules.
func drafts() *rapid.Generator[catalog.ProductData] {
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

// patches change anything to anything.
func patches() *rapid.Generator[catalog.Patch] {
	return rapid.Custom(func(t *rapid.T) catalog.Patch {
		d := drafts().Draw(t, "to")
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

func repeat(s string, n int) string { return strings.Repeat(s, n) }

func TestValidate(t *testing.T) {
	many := func(n int) []string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprint("tag ", i)
		}
		return list
	}
	attributes := func(n int) map[string]string {
		m := map[string]string{}
		for _, tag := range many(n) {
			m[tag] = "x"
		}
		return m
	}
	price := func(units int64, nanos int32, currency string) func(*catalog.ProductData) {
		return func(d *catalog.ProductData) {
			d.Price = catalog.Money{Decimal: catalog.Decimal{Units: units, Nanos: nanos}, Currency: currency}
		}
	}
	for _, c := range []struct {
		name   string
		change func(d *catalog.ProductData)
		fields string // that are refused, in order
	}{
		{"a full draft", func(*catalog.ProductData) {}, ""},
		{"a draft of name and price only", func(d *catalog.ProductData) { *d = catalog.ProductData{Name: "x", Price: euros(0)} }, ""},
		{"an empty draft", func(d *catalog.ProductData) { *d = catalog.ProductData{} }, "name price.currency"},

		{"an SKU of 64 characters", func(d *catalog.ProductData) { d.SKU = repeat("漢", 64) }, ""},
		{"an SKU of 65 characters", func(d *catalog.ProductData) { d.SKU = repeat("x", 65) }, "sku"},
		{"an SKU of blanks", func(d *catalog.ProductData) { d.SKU = " \t" }, "sku"},
		{"an SKU with a blank before it", func(d *catalog.ProductData) { d.SKU = " x" }, "sku"},
		{"an SKU with a blank behind it", func(d *catalog.ProductData) { d.SKU = "x\u00a0" }, "sku"},
		{"an SKU with a blank in it", func(d *catalog.ProductData) { d.SKU = "x y" }, ""},
		{"an SKU of two lines", func(d *catalog.ProductData) { d.SKU = "x\ny" }, "sku"},
		{"an SKU with a NUL in it", func(d *catalog.ProductData) { d.SKU = "x\x00y" }, "sku"},
		{"an SKU that is not UTF-8", func(d *catalog.ProductData) { d.SKU = "x\xff" }, "sku"},

		{"a name of one character", func(d *catalog.ProductData) { d.Name = "x" }, ""},
		{"a name of 250 characters", func(d *catalog.ProductData) { d.Name = repeat("𝄞", 250) }, ""},
		{"a name of 251 characters", func(d *catalog.ProductData) { d.Name = repeat("x", 251) }, "name"},
		{"no name", func(d *catalog.ProductData) { d.Name = "" }, "name"},
		{"a name of blanks", func(d *catalog.ProductData) { d.Name = "   " }, "name"},
		{"a name with blanks around it", func(d *catalog.ProductData) { d.Name = " x " }, "name"},
		{"a name of two lines", func(d *catalog.ProductData) { d.Name = "x\r\ny" }, "name"},
		{"a name with an escape in it", func(d *catalog.ProductData) { d.Name = "x\x1b[31my" }, "name"},
		{"a name that is not UTF-8", func(d *catalog.ProductData) { d.Name = "x\xc3\x28" }, "name"},
		{"a name of markup", func(d *catalog.ProductData) { d.Name = `<script>alert("x")</script> '; DROP TABLE products; --` }, ""},

		{"a description of 5000 characters", func(d *catalog.ProductData) { d.Description = repeat("é", 5000) }, ""},
		{"a description of 5001 characters", func(d *catalog.ProductData) { d.Description = repeat("x", 5001) }, "description"},
		{"a description of several lines", func(d *catalog.ProductData) { d.Description = "\tx\r\ny\n" }, ""},
		{"a description of blanks", func(d *catalog.ProductData) { d.Description = "\n\n" }, "description"},
		{"a description with a NUL in it", func(d *catalog.ProductData) { d.Description = "x\x00" }, "description"},
		{"a description that is not UTF-8", func(d *catalog.ProductData) { d.Description = "\xed\xa0\x80" }, "description"},

		{"a price of nothing", price(0, 0, "EUR"), ""},
		{"a price of a cent", price(0, 10_000_000, "EUR"), ""},
		{"the largest price", price(999_999_999_999_999, 990_000_000, "EUR"), ""},
		{"too large a price", price(1_000_000_000_000_000, 0, "EUR"), "price.amount"},
		{"a negative price", price(-1, 0, "EUR"), "price.amount"},
		{"a price of negative cents", price(0, -10_000_000, "EUR"), "price.amount"},
		{"a price with too many nanos", price(0, 1_000_000_000, "KWD"), "price.amount"},
		{"a tenth of a cent", price(1, 1_000_000, "EUR"), "price.amount"},
		{"a tenth of a cent where the currency has it", price(1, 1_000_000, "KWD"), ""},
		{"a hundredth of a cent where the currency has tenths", price(1, 100_000, "KWD"), "price.amount"},
		{"half a yen", price(1, 500_000_000, "JPY"), "price.amount"},
		{"no currency", price(1, 0, ""), "price.currency"},
		{"a currency in small letters", price(1, 0, "eur"), "price.currency"},
		{"a currency that is none", price(1, 0, "XYZ"), "price.currency"},
		{"a currency that is not UTF-8", price(1, 0, "\xff\xff\xff"), "price.currency"},
		{"an endless currency", price(1, 0, repeat("EUR", 1000)), "price.currency"},

		{"a category of 250 characters", func(d *catalog.ProductData) { d.Category = repeat("x", 250) }, ""},
		{"a category of 251 characters", func(d *catalog.ProductData) { d.Category = repeat("x", 251) }, "category"},
		{"a category of many levels", func(d *catalog.ProductData) { d.Category = "a/b/c/d e/f" }, ""},
		{"a category with a slash before it", func(d *catalog.ProductData) { d.Category = "/a" }, "category"},
		{"a category with a slash behind it", func(d *catalog.ProductData) { d.Category = "a/" }, "category"},
		{"a category with an empty level", func(d *catalog.ProductData) { d.Category = "a//b" }, "category"},
		{"a category with blanks around a slash", func(d *catalog.ProductData) { d.Category = "a / b" }, "category"},
		{"a category of two lines", func(d *catalog.ProductData) { d.Category = "a\nb" }, "category"},
		{"a category of blanks", func(d *catalog.ProductData) { d.Category = " " }, "category"},

		{"50 tags", func(d *catalog.ProductData) { d.Tags = many(50) }, ""},
		{"51 tags", func(d *catalog.ProductData) { d.Tags = many(51) }, "tags"},
		{"a thousand tags", func(d *catalog.ProductData) { d.Tags = many(1000) }, "tags"},
		{"a tag of 64 characters", func(d *catalog.ProductData) { d.Tags = []string{repeat("x", 64)} }, ""},
		{"a tag of 65 characters", func(d *catalog.ProductData) { d.Tags = []string{"x", repeat("x", 65)} }, "tags[1]"},
		{"an empty tag", func(d *catalog.ProductData) { d.Tags = []string{""} }, "tags[0]"},
		{"a tag twice", func(d *catalog.ProductData) { d.Tags = []string{"a", "b", "a"} }, "tags[2]"},
		{"two tags that differ in case", func(d *catalog.ProductData) { d.Tags = []string{"a", "A"} }, ""},

		{"100 attributes", func(d *catalog.ProductData) { d.Attributes = attributes(100) }, ""},
		{"101 attributes", func(d *catalog.ProductData) { d.Attributes = attributes(101) }, "attributes"},
		{"an attribute without a value", func(d *catalog.ProductData) { d.Attributes = map[string]string{"a": ""} }, ""},
		{"a value of 2000 characters", func(d *catalog.ProductData) { d.Attributes = map[string]string{"a": repeat("x", 2000)} }, ""},
		{"a value of 2001 characters", func(d *catalog.ProductData) { d.Attributes = map[string]string{"a": repeat("x", 2001)} }, "attributes.a"},
		{"a value of blanks", func(d *catalog.ProductData) { d.Attributes = map[string]string{"a": " "} }, "attributes.a"},
		{"a value that is not UTF-8", func(d *catalog.ProductData) { d.Attributes = map[string]string{"a": "\xff"} }, "attributes.a"},
		{"a key of 64 characters", func(d *catalog.ProductData) { d.Attributes = map[string]string{repeat("x", 64): "x"} }, ""},
		{"a key of 65 characters", func(d *catalog.ProductData) { d.Attributes = map[string]string{repeat("x", 65): "x"} }, "attributes"},
		{"an empty key", func(d *catalog.ProductData) { d.Attributes = map[string]string{"": "x"} }, "attributes"},
		{"a key that is not UTF-8", func(d *catalog.ProductData) { d.Attributes = map[string]string{"\xff": "x"} }, "attributes"},

		{"everything wrong at once", func(d *catalog.ProductData) {
			*d = catalog.ProductData{
				SKU: " ", Name: "\n", Description: "\x00", Category: "/", Tags: []string{"", ""},
				Attributes: map[string]string{"": "\x00"}, Price: catalog.Money{Decimal: catalog.Decimal{Units: -1}, Currency: "EUR"},
			}
		}, "sku name description price.amount category tags[0] tags[1] tags[1] attributes attributes."},
	} {
		t.Run(c.name+" is "+map[bool]string{true: "good", false: "refused"}[c.fields == ""], func(t *testing.T) {
			d := chair()
			c.change(&d)
			err := d.Validate()
			var refusal *catalog.Refusal
			var fields []string
			switch {
			case err == nil:
			case !errors.As(err, &refusal) || !errors.Is(err, catalog.ErrInvalid):
				t.Fatalf("Validate = %#v, want a refusal of kind invalid", err)
			default:
				for _, f := range refusal.Fields {
					fields = append(fields, f.Field)
					if f.Reason == "" || len(f.Reason) > 300 {
						t.Errorf("the reason for %s is %q", f.Field, f.Reason)
					}
				}
			}
			if got := strings.Join(fields, " "); got != c.fields {
				t.Fatalf("refused: %q, want %q (%v)", got, c.fields, err)
			}
		})
	}
	t.Run("a reason is always good UTF-8 that a client can be shown", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			d := drafts().Draw(t, "draft")
			bytes := string(rapid.SliceOfN(rapid.Byte(), 0, 8).Draw(t, "bytes"))
			d.SKU, d.Category, d.Price.Currency, d.Tags, d.Attributes = bytes, bytes, bytes, []string{bytes, bytes}, map[string]string{bytes: bytes}
			var refusal *catalog.Refusal
			if errors.As(d.Validate(), &refusal) {
				for _, f := range refusal.Fields {
					if strings.ToValidUTF8(f.Field+f.Reason, "") != f.Field+f.Reason {
						t.Fatalf("%q %q", f.Field, f.Reason)
					}
				}
			}
		})
	})
}

func TestEqual(t *testing.T) {
	t.Run("absent and empty are the same", func(t *testing.T) {
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

// differences make a draft another one, each by one field.
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
		{"a text is emptied", catalog.Patch{SKU: &empty, Description: &empty, Category: &empty}, func(d *catalog.ProductData) { d.SKU, d.Description, d.Category = "", "", "" }},
		{"the amount alone", catalog.Patch{Amount: &catalog.Decimal{Nanos: 500_000_000}}, func(d *catalog.ProductData) {
			d.Price = catalog.Money{Decimal: catalog.Decimal{Nanos: 500_000_000}, Currency: "EUR"}
		}},
		{"the currency alone", catalog.Patch{Currency: &height}, func(d *catalog.ProductData) { d.Price.Currency = "80" }},
		{"tags are replaced, not joined", catalog.Patch{Tags: &[]string{"beech"}}, func(d *catalog.ProductData) { d.Tags = []string{"beech"} }},
		{"tags are emptied", catalog.Patch{Tags: &noTags}, func(d *catalog.ProductData) { d.Tags = nil }},
		{"attributes are joined", catalog.Patch{Attributes: map[string]*string{"height": &height}}, func(d *catalog.ProductData) { d.Attributes["height"] = "80" }},
		{"an attribute is replaced", catalog.Patch{Attributes: map[string]*string{"width": &height}}, func(d *catalog.ProductData) { d.Attributes["width"] = "80" }},
		{"an attribute is removed", catalog.Patch{Attributes: map[string]*string{"width": nil, "depth": nil}}, func(d *catalog.ProductData) { delete(d.Attributes, "width") }},
		{"an attribute is emptied", catalog.Patch{Attributes: map[string]*string{"width": &empty}}, func(d *catalog.ProductData) { d.Attributes["width"] = "" }},
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
				t.Fatalf("Apply has changed what it was given: %+v", from)
			}
		})
	}
	t.Run("a patch applied twice is applied once, and changes neither side", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			d, p := drafts().Draw(t, "draft"), patches().Draw(t, "patch")
			before := d
			before.Tags, before.Attributes = slices.Clone(d.Tags), maps.Clone(d.Attributes)
			fingerprint := catalog.Command{Op: catalog.PatchProduct{Patch: p}}.Fingerprint()
			once := p.Apply(d)
			if twice := p.Apply(once); !twice.Equal(once) {
				t.Fatalf("once:  %+v\ntwice: %+v", once, twice)
			}
			if !d.Equal(before) || fingerprint != (catalog.Command{Op: catalog.PatchProduct{Patch: p}}).Fingerprint() {
				t.Fatal("Apply has changed what it was given")
			}
		})
	})
}
