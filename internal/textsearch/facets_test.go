package textsearch_test

import (
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

func TestFacetsOf(t *testing.T) {
	for name, c := range map[string]struct {
		q    catalog.Query
		want []string
	}{
		"none":                    {catalog.Query{}, nil},
		"fields":                  {catalog.Query{Facets: catalog.FacetFields()}, []string{"category", "brand", "tag", "currency"}},
		"attributes":              {catalog.Query{FacetAttributes: []string{"b", "a"}}, []string{"attribute b", "attribute a"}},
		"fields, then attributes": {catalog.Query{Facets: catalog.FacetFields(), FacetAttributes: []string{"a"}}, []string{"category", "brand", "tag", "currency", "attribute a"}},
	} {
		var got []string
		for _, f := range textsearch.FacetsOf(c.q) {
			got = append(got, strings.TrimSpace(f.Field+" "+f.Attribute))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: %v; want %v", name, got, c.want)
		}
	}
}

// TestFieldsOf_facets tests the terms of facets: which values they stand for, and that all spellings of
// a value have one key.
func TestFieldsOf_facets(t *testing.T) {
	long := strings.Repeat("x", 100)
	p := catalog.Product{ProductData: catalog.ProductData{
		Category: "Möbel / Stühle", Brand: "ACME", Tags: []string{"Sale", "new", "SALE"}, Attributes: map[string]string{"colour": "Red", "care": long, "a\x00": "z"},
	}}
	terms := map[string][]string{}
	for _, f := range textsearch.FieldsOf(p) {
		terms[f.Name] = f.Terms
	}
	for _, facet := range textsearch.FacetsOf(catalog.Query{Facets: catalog.FacetFields(), FacetAttributes: []string{"colour", "care", "colours"}}) {
		name := facet.Field + facet.Attribute
		var got []string
		for _, term := range terms[facet.IndexField] {
			if key, value, ok := facet.Value(term); ok {
				got = append(got, key+"="+value)
			}
		}
		want := map[string][]string{
			"category": {"möbel/stühle=Möbel / Stühle"}, "brand": {"acme=ACME"}, "tag": {"sale=Sale", "new=new"}, "attributecolour": {"red=Red"},
		}
		if !slices.Equal(got, want[name]) {
			t.Errorf("facet %s: %q; want %q", name, got, want[name])
		}
	}
	key := func(brand string) string {
		for _, f := range textsearch.FieldsOf(catalog.Product{ProductData: catalog.ProductData{Brand: brand}}) {
			if f.Name == textsearch.Brand {
				return textsearch.WithoutSpelling(f.Terms[0])
			}
		}
		return ""
	}
	for name, c := range map[string]struct {
		spellings []string
		same      bool
	}{
		"case":                         {[]string{"Straße", "STRASSE", "strasse"}, true},
		"one Unicode form":             {[]string{"Søn Café", "SØN CAFE\u0301"}, true},
		"width":                        {[]string{"Sony バ", "Ｓｏｎｙ　ﾊﾞ"}, true},
		"invisible characters":         {[]string{"Acme", "Ac\u00adme", "\u200bAcme\ufe0f"}, true},
		"blanks":                       {[]string{"Carl Hansen", "carl  hansen", "Carl\u00a0Hansen "}, true},
		"blanks around slashes":        {[]string{"AC/DC", "AC / DC", "ac /dc"}, true},
		"invisible characters alone":   {[]string{"\u200b", "\u200c"}, false},
		"accents make a difference":    {[]string{"Søn", "Son"}, false},
		"superscripts do":              {[]string{"10²", "102"}, false},
		"a longer value is another":    {[]string{"Acme", "Acme 2"}, false},
		"blanks inside of a word do":   {[]string{"Lego", "Le go"}, false},
		"punctuation makes a value":    {[]string{"A-B", "AB"}, false},
		"a value with a mark at start": {[]string{"#1", "1"}, false},
	} {
		for _, s := range c.spellings[1:] {
			if a, b := key(c.spellings[0]), key(s); (a == b) != c.same {
				t.Errorf("%s: keys %q and %q; want the same: %v", name, a, b, c.same)
			}
		}
	}
}
