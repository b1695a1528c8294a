package catalog_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"catalog"
)

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
		fields string // refused fields, in order
	}{
		{"full data", func(*catalog.ProductData) {}, ""},
		{"name and price only", func(d *catalog.ProductData) { *d = catalog.ProductData{Name: "x", Price: euros(0)} }, ""},
		{"empty data", func(d *catalog.ProductData) { *d = catalog.ProductData{} }, "name price"},

		{"an SKU of 64 characters", func(d *catalog.ProductData) { d.SKU = repeat("漢", 64) }, ""},
		{"an SKU of 65 characters", func(d *catalog.ProductData) { d.SKU = repeat("x", 65) }, "sku"},
		{"an SKU of spaces", func(d *catalog.ProductData) { d.SKU = " \t" }, "sku"},
		{"an SKU with a space before it", func(d *catalog.ProductData) { d.SKU = " x" }, "sku"},
		{"an SKU with a space after it", func(d *catalog.ProductData) { d.SKU = "x\u00a0" }, "sku"},
		{"an SKU with a space in it", func(d *catalog.ProductData) { d.SKU = "x y" }, ""},
		{"an SKU of two lines", func(d *catalog.ProductData) { d.SKU = "x\ny" }, "sku"},
		{"an SKU with a NUL in it", func(d *catalog.ProductData) { d.SKU = "x\x00y" }, "sku"},
		{"an SKU that is not UTF-8", func(d *catalog.ProductData) { d.SKU = "x\xff" }, "sku"},

		{"a name of one character", func(d *catalog.ProductData) { d.Name = "x" }, ""},
		{"a name of 250 characters", func(d *catalog.ProductData) { d.Name = repeat("𝄞", 250) }, ""},
		{"a name of 251 characters", func(d *catalog.ProductData) { d.Name = repeat("x", 251) }, "name"},
		{"no name", func(d *catalog.ProductData) { d.Name = "" }, "name"},
		{"a name of spaces", func(d *catalog.ProductData) { d.Name = "   " }, "name"},
		{"a name with spaces around it", func(d *catalog.ProductData) { d.Name = " x " }, "name"},
		{"a name of two lines", func(d *catalog.ProductData) { d.Name = "x\r\ny" }, "name"},
		{"a name with an escape in it", func(d *catalog.ProductData) { d.Name = "x\x1b[31my" }, "name"},
		{"a name that is not UTF-8", func(d *catalog.ProductData) { d.Name = "x\xc3\x28" }, "name"},
		{"a name of markup", func(d *catalog.ProductData) { d.Name = `<script>alert("x")</script> '; DROP TABLE products; --` }, ""},

		{"a description of 5000 characters", func(d *catalog.ProductData) { d.Description = repeat("é", 5000) }, ""},
		{"a description of 5001 characters", func(d *catalog.ProductData) { d.Description = repeat("x", 5001) }, "description"},
		{"a description of several lines", func(d *catalog.ProductData) { d.Description = "\tx\r\ny\n" }, ""},
		{"a description of spaces", func(d *catalog.ProductData) { d.Description = "\n\n" }, "description"},
		{"a description with a NUL in it", func(d *catalog.ProductData) { d.Description = "x\x00" }, "description"},
		{"a description that is not UTF-8", func(d *catalog.ProductData) { d.Description = "\xed\xa0\x80" }, "description"},

		{"a price of zero", price(0, 0, "EUR"), ""},
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
		{"a currency in lower case", price(1, 0, "eur"), "price.currency"},
		{"an unknown currency", price(1, 0, "XYZ"), "price.currency"},
		{"a currency that is not UTF-8", price(1, 0, "\xff\xff\xff"), "price.currency"},
		{"a very long currency", price(1, 0, repeat("EUR", 1000)), "price.currency"},

		{"a category of 250 characters", func(d *catalog.ProductData) { d.Category = repeat("x", 250) }, ""},
		{"a category of 251 characters", func(d *catalog.ProductData) { d.Category = repeat("x", 251) }, "category"},
		{"a category of many levels", func(d *catalog.ProductData) { d.Category = "a/b/c/d e/f" }, ""},
		{"a category with a slash before it", func(d *catalog.ProductData) { d.Category = "/a" }, "category"},
		{"a category with a slash behind it", func(d *catalog.ProductData) { d.Category = "a/" }, "category"},
		{"a category with an empty level", func(d *catalog.ProductData) { d.Category = "a//b" }, "category"},
		{"a category with spaces around a slash", func(d *catalog.ProductData) { d.Category = "a / b" }, "category"},
		{"a category of two lines", func(d *catalog.ProductData) { d.Category = "a\nb" }, "category"},
		{"a category of spaces", func(d *catalog.ProductData) { d.Category = " " }, "category"},

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
		{"a value of spaces", func(d *catalog.ProductData) { d.Attributes = map[string]string{"a": " "} }, "attributes.a"},
		{"a value that is not UTF-8", func(d *catalog.ProductData) { d.Attributes = map[string]string{"a": "\xff"} }, "attributes.a"},
		{"a key of 64 characters", func(d *catalog.ProductData) { d.Attributes = map[string]string{repeat("x", 64): "x"} }, ""},
		{"a key of 65 characters", func(d *catalog.ProductData) { d.Attributes = map[string]string{repeat("x", 65): "x"} }, "attributes"},
		{"an empty key", func(d *catalog.ProductData) { d.Attributes = map[string]string{"": "x"} }, "attributes"},
		{"a key that is not UTF-8", func(d *catalog.ProductData) { d.Attributes = map[string]string{"\xff": "x"} }, "attributes"},

		{"every field invalid", func(d *catalog.ProductData) {
			*d = catalog.ProductData{
				SKU: " ", Name: "\n", Description: "\x00", Category: "/", Tags: []string{"", ""},
				Attributes: map[string]string{"": "\x00"}, Price: catalog.Money{Decimal: catalog.Decimal{Units: -1}, Currency: "EUR"},
			}
		}, "sku name description price.amount category tags[0] tags[1] tags[1] attributes attributes."},
	} {
		t.Run(c.name+" is "+map[bool]string{true: "valid", false: "refused"}[c.fields == ""], func(t *testing.T) {
			d := chair()
			c.change(&d)
			err := d.Validate()
			var refusal *catalog.Refusal
			var fields []string
			switch {
			case err == nil:
			case !errors.As(err, &refusal) || !errors.Is(err, catalog.ErrInvalid):
				t.Fatalf("Validate = %#v; want a refusal with code invalid", err)
			default:
				for _, f := range refusal.Fields {
					fields = append(fields, f.Field)
					if f.Reason == "" || len(f.Reason) > 300 {
						t.Errorf("reason of %s = %q; want 1 to 300 bytes", f.Field, f.Reason)
					}
				}
			}
			if got := strings.Join(fields, " "); got != c.fields {
				t.Fatalf("Validate refuses %q; want %q (%v)", got, c.fields, err)
			}
		})
	}
	t.Run("a reason is always valid UTF-8", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			d := productData().Draw(t, "data")
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
