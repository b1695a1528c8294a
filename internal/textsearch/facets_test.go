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

func TestFacet_Value(t *testing.T) {
	colour := textsearch.FacetsOf(catalog.Query{FacetAttributes: []string{"colour"}})[0]
	for name, c := range map[string]struct {
		f     textsearch.Facet
		term  string
		value string
		ok    bool
	}{
		"a field":            {textsearch.FieldFacet(textsearch.Tag), "new", "new", true},
		"an attribute":       {colour, textsearch.AttributeTerm("colour", "red"), "red", true},
		"an empty attribute": {colour, textsearch.AttributeTerm("colour", ""), "", true},
		"a hashed attribute": {colour, textsearch.AttributeTerm("colour", strings.Repeat("x", 100)), "", false},
		"another attribute":  {colour, textsearch.AttributeTerm("colours", "red"), "", false},
	} {
		if value, ok := c.f.Value(c.term); ok != c.ok || ok && value != c.value {
			t.Errorf("%s: Value(%q) = %q, %v; want %q, %v", name, c.term, value, ok, c.value, c.ok)
		}
	}
}
