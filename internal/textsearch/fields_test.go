package textsearch_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/internal/textsearch"
)

// termsOf returns the terms of p by field, sorted and without duplicates.
func termsOf(p catalog.Product) map[string][]string {
	all := map[string][]string{}
	for _, f := range textsearch.FieldsOf(p) {
		all[f.Name] = slices.Compact(slices.Sorted(slices.Values(f.Terms)))
	}
	return all
}

func TestFieldsOf(t *testing.T) {
	long := strings.Repeat("long ", 20)
	p := catalog.Product{CreatedAt: time.UnixMicro(0x1234), ProductData: catalog.ProductData{
		SKU: "AB-12", GTIN: "614141000036", Name: "Çhairs", Brand: "Carl Hansen", Description: "Oak bench, 90 cm",
		Price: catalog.Money{Decimal: catalog.Decimal{Units: 5, Nanos: 900_000_000}, Currency: "EUR"}, Category: "A/Beds/C",
		Tags: []string{"New", "oak"}, Attributes: map[string]string{"colour": "red", "care": long},
	}}
	got := termsOf(p)
	for field, want := range map[string][]string{
		textsearch.Name:           {"chair"},
		textsearch.BrandWords:     {"carl", "hansen"},
		textsearch.Labels:         {"a", "bed", "c", "new", "oak"},
		textsearch.AttributeWords: {"long", "red"},
		textsearch.Text:           {"12", "90", "90cm", "ab", "ab12", "bench", "cm", "oak"},
		textsearch.Identifiers:    {"0000", "0003", "0036", "1000", "1410", "1414", "4100", "4141", "6141", "ab12"},
		textsearch.FirstPhrase:    {"=oak bench", "bench", "oak"},
		textsearch.SKU:            {"ab-12", "ab12"},
		textsearch.GTIN:           {"00614141000036"},
		textsearch.Brand:          {"carl hansen\x00Carl Hansen"},
		textsearch.Category:       {"a/beds/c\x00A/Beds/C"},
		textsearch.CategoryPath:   {"a", "a/beds", "a/beds/c"},
		textsearch.Tag:            {"new\x00New", "oak\x00"},
		textsearch.Currency:       {"eur\x00EUR"},
		textsearch.Price:          {"000000000000005900000000"},
		textsearch.Created:        {"0000000000001234"},
		textsearch.Title:          {"chairs"},
		textsearch.Attributes:     {attributeTerm("care", long), "colour\x00red\x00"},
	} {
		if !slices.Equal(got[field], want) {
			t.Errorf("terms of %s = %q; want %q", field, got[field], want)
		}
	}
	t.Run("a field without a value has no terms", func(t *testing.T) {
		got := termsOf(catalog.Product{ProductData: catalog.ProductData{Name: "x"}})
		for _, field := range []string{
			textsearch.SKU, textsearch.GTIN, textsearch.Brand, textsearch.Category, textsearch.CategoryPath, textsearch.Tag,
			textsearch.Attributes, textsearch.Currency, textsearch.Labels, textsearch.Text, textsearch.FirstPhrase,
		} {
			if terms, ok := got[field]; ok {
				t.Errorf("terms of %s = %q; want none", field, terms)
			}
		}
	})
	t.Run("a name of accents alone sorts as it is written", func(t *testing.T) {
		if got := termsOf(catalog.Product{ProductData: catalog.ProductData{Name: "\u0301"}})[textsearch.Title]; !slices.Equal(got, []string{"\u0301"}) {
			t.Errorf("terms of the title = %q; want the name", got)
		}
	})
	t.Run("a long first phrase is no phrase", func(t *testing.T) {
		for words, want := range map[int]bool{16: true, 17: false} { // 80 and 85 bytes
			description := strings.Repeat("word ", words) + ". The end"
			if _, got := termsOf(catalog.Product{ProductData: catalog.ProductData{Description: description}})[textsearch.FirstPhrase]; got != want {
				t.Errorf("first phrase of %d words: %v; want %v", words, got, want)
			}
		}
	})
	t.Run("every field is listed with its type", func(t *testing.T) {
		types := textsearch.FieldTypes()
		for _, f := range textsearch.FieldsOf(p) {
			if !slices.Contains(types, f.FieldType) {
				t.Errorf("FieldTypes lacks %+v", f.FieldType)
			}
		}
		for _, f := range []textsearch.FieldType{
			{Name: textsearch.Price, Sorted: true}, {Name: textsearch.Created, Sorted: true}, {Name: textsearch.Title, Sorted: true},
			{Name: textsearch.Category, Facet: true}, {Name: textsearch.Brand, Facet: true}, {Name: textsearch.Tag, Facet: true},
			{Name: textsearch.Currency, Facet: true}, {Name: textsearch.Attributes, Facet: true},
		} {
			if !slices.Contains(types, f) {
				t.Errorf("FieldTypes lacks %+v", f)
			}
		}
	})
}

// attributeTerm returns the term of an attribute.
func attributeTerm(name, value string) string {
	return termsOf(catalog.Product{ProductData: catalog.ProductData{Attributes: map[string]string{name: value}}})[textsearch.Attributes][0]
}

func TestFieldsOf_attributes(t *testing.T) {
	long := strings.Repeat("x", 65)
	for name, pair := range map[string][4]string{
		"different values":                 {"a", "1", "a", "2"},
		"different keys":                   {"a", "1", "b", "1"},
		"the border between key and value": {"a", "b1", "ab", "1"},
		"different long values":            {"a", long + "1", "a", long + "2"},
	} {
		if a, b := attributeTerm(pair[0], pair[1]), attributeTerm(pair[2], pair[3]); a == b {
			t.Errorf("%s: both terms are %q", name, a)
		}
	}
	if n := len(attributeTerm("a", strings.Repeat(long, 100))); n > 100 {
		t.Errorf("the term of a long value has %d bytes; want a hash", n)
	}
	if got := attributeTerm("a", long[:64]); !strings.HasSuffix(got, long[:64]+"\x00") {
		t.Errorf("the term of 64 bytes is %q; want the value", got)
	}
}

func TestPriceKey(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		decimal := rapid.Custom(func(t *rapid.T) catalog.Decimal {
			return catalog.Decimal{Units: rapid.Int64Range(0, 999_999_999_999_999).Draw(t, "units"), Nanos: rapid.Int32Range(0, 999_999_999).Draw(t, "nanos")}
		})
		a, b := decimal.Draw(t, "a"), decimal.Draw(t, "b")
		ka, kb := textsearch.PriceKey(a), textsearch.PriceKey(b)
		if len(ka) != textsearch.PriceDigits || strings.Compare(ka, kb) != a.Cmp(b) {
			t.Fatalf("keys %s and %s of %v and %v; want %d digits in the order of the prices", ka, kb, a, b, textsearch.PriceDigits)
		}
	})
}
