package textsearch

import (
	"strings"

	"catalog"
)

// MaxFacetValues is how many values a facet lists, the most frequent first.
const MaxFacetValues = 50

// Facet is a request to count the matching products by the terms of a field.
type Facet struct {
	catalog.Facet        // without values
	IndexField    string // the field whose terms are counted
	Prefix        string // only terms with this prefix are counted; the value is the rest of the term
}

// FacetsOf returns the facets that q asks for, in the order of the response.
func FacetsOf(q catalog.Query) (all []Facet) {
	for _, field := range q.Facets {
		all = append(all, FieldFacet(field))
	}
	for _, key := range q.FacetAttributes {
		all = append(all, Facet{
			Facet:      catalog.Facet{Field: "attribute", Attribute: key},
			IndexField: Attributes, Prefix: AttributeTerm(key, ""),
		})
	}
	return all
}

// FieldFacet returns the facet of a field that has the same name in the contract and in the index.
func FieldFacet(field string) Facet {
	return Facet{Facet: catalog.Facet{Field: field}, IndexField: field}
}

// Value returns the facet value that a term stands for. It reports false for a term that does not
// belong to the facet, and for a long value, of which the index has only the hash.
func (f Facet) Value(term string) (string, bool) {
	value, ok := strings.CutPrefix(term, f.Prefix)
	return value, ok && (f.Prefix == "" || !strings.HasPrefix(value, HashMark))
}
