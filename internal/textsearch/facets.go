package textsearch

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"

	"catalog"
	"catalog/internal/spelling"
)

// MaxFacetValues is how many values a facet lists, the most frequent first.
const MaxFacetValues = 50

// Facet is a request to count the matching products by the terms of a field.
type Facet struct {
	catalog.Facet        // the facet without values
	IndexField    string // the field whose terms are counted
	Prefix        string // only terms with this prefix are counted
}

// FacetsOf returns the facets that q asks for, in the order of the response.
func FacetsOf(q catalog.Query) (all []Facet) {
	for _, field := range q.Facets {
		all = append(all, FieldFacet(field))
	}
	for _, key := range q.FacetAttributes {
		all = append(all, Facet{
			Facet:      catalog.Facet{Field: "attribute", Attribute: key},
			IndexField: Attributes, Prefix: key + separator,
		})
	}
	return all
}

// FieldFacet returns the facet of a field that has the same name in the contract and in the index.
func FieldFacet(field string) Facet {
	return Facet{Facet: catalog.Facet{Field: field}, IndexField: field}
}

// Value returns the facet value that a term stands for, and the key that all spellings of the value
// have in common. It reports false for a term that does not belong to the facet, and for a long value,
// of which the index has only the hash.
func (f Facet) Value(term string) (key, value string, ok bool) {
	key, ok = strings.CutPrefix(term, f.Prefix)
	key, value, _ = strings.Cut(key, separator)
	return key, cmp.Or(value, key), ok && !strings.HasPrefix(key, HashMark)
}

// separator ends the name of an attribute and the key of a value in the terms of facets. Neither
// contains control characters.
const separator = "\x00"

// WithoutSpelling returns a term of a facet without the spelling: the prefix that all spellings of a value
// have in common.
func WithoutSpelling(term string) string {
	return term[:strings.LastIndex(term, separator)+len(separator)]
}

// HashMark begins the key of a value that is too long for a term. The rest of the key is a hash.
const HashMark = "\x01"

// facetTerm returns the term of a facet value that is written as value. Terms with one key are
// neighbours in the index.
func facetTerm(key, value string) string {
	if value == key {
		return key + separator
	}
	return key + separator + value
}

// facetTerms returns the terms of the values of a product. Of several spellings of one value it
// returns the first, so that a product counts once.
func facetTerms(values ...string) (all []string) {
	var keys []string
	for _, v := range values {
		if key := spelling.Key(v); key != "" && !slices.Contains(keys, key) {
			keys, all = append(keys, key), append(all, facetTerm(key, v))
		}
	}
	return all
}

// maxAttributeKey is the longest key of an attribute value, in bytes, that is a term as it is. The
// values of attributes may be long texts.
const maxAttributeKey = 64

// attributeTerm returns the term of an attribute.
func attributeTerm(name, value string) string {
	key := spelling.Key(value)
	if len(key) > maxAttributeKey {
		return attributePrefix(name, value)
	}
	return name + separator + facetTerm(key, value)
}

// attributePrefix returns the prefix of the terms of an attribute, for all spellings of its value.
func attributePrefix(name, value string) string {
	key := spelling.Key(value)
	if len(key) > maxAttributeKey {
		key = fmt.Sprintf("%s%x", HashMark, sha256.Sum256([]byte(key)))
	}
	return name + separator + key + separator
}
