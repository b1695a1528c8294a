package bleve

import (
	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
	"catalog/internal/textsearch"
	"catalog/internal/wire"
)

// Fields beside those of package term.
const (
	fieldPrices  = "prices"  // the first digits of the price; see price.go
	fieldProduct = "product" // the product, stored only
)

const (
	found  = index.IndexField | index.SkipFreqNorm
	sorted = found | index.DocValues
	stored = index.StoreField
)

// newDocument is the product as it is indexed.
func newDocument(p catalog.Product) (*document.Document, error) {
	whole, err := wire.EncodeProduct(p)
	if err != nil {
		return nil, err
	}
	d := document.NewDocument(key(p.ID))
	for _, f := range textsearch.FieldsOf(p) {
		if len(f.Terms) == 0 {
			continue
		}
		d.AddField(&field{name: f.Name, options: options(f.Name), terms: newTerms(f.Terms...)})
		if f.Name == textsearch.Price || f.Name == textsearch.Created {
			d.AddField(&field{name: descending(f.Name), options: found, terms: newTerms(string(reversed([]byte(f.Terms[0]))))})
		}
		if f.Name == textsearch.Price {
			d.AddField(&field{name: fieldPrices, options: found, terms: newTerms(coarse(f.Terms[0])...)})
		}
	}
	d.AddField(&field{name: fieldProduct, options: stored, value: whole})
	return d, nil
}

// options says which fields are sorted or counted by.
func options(field string) index.FieldIndexingOptions {
	switch field {
	case textsearch.Category, textsearch.Tag, textsearch.Currency, textsearch.Price, textsearch.Created, textsearch.Title:
		return sorted
	}
	return found
}

// descending is the field that has the terms of another one in the other order.
func descending(field string) string { return "-" + field }

// reversed is what sorts among its like as the term among terms of its length,
// but the other way round. Reversed again it is the term.
func reversed(term []byte) []byte {
	other := make([]byte, len(term))
	for i, b := range term {
		other[i] = ^b
	}
	return other
}

// once is what the index reads of a term: how often it is there. Only terms with
// a frequency of one have the short form for those of a single product.
var once = func() *index.TokenFreq {
	f := &index.TokenFreq{}
	f.SetFrequency(1)
	return f
}()

// newTerms makes what a product is found by in one field.
func newTerms(all ...string) index.TokenFrequencies {
	t := make(index.TokenFrequencies, len(all))
	for _, s := range all {
		t[s] = once
	}
	return t
}

// field is one field of a document: terms to be found by, or a value to keep.
// It implements document.Field with nothing left to analyse.
type field struct {
	name    string
	options index.FieldIndexingOptions
	terms   index.TokenFrequencies
	value   []byte
}

func (f *field) Name() string                                     { return f.name }
func (f *field) Options() index.FieldIndexingOptions              { return f.options }
func (f *field) Value() []byte                                    { return f.value }
func (f *field) Analyze()                                         {}
func (f *field) AnalyzedLength() int                              { return 1 }
func (f *field) AnalyzedTokenFrequencies() index.TokenFrequencies { return f.terms }
func (f *field) ArrayPositions() []uint64                         { return nil }
func (f *field) EncodedFieldType() byte                           { return 't' }
func (f *field) NumPlainTextBytes() uint64                        { return uint64(len(f.value)) }
func (f *field) Size() int                                        { return len(f.value) + 32*len(f.terms) }
