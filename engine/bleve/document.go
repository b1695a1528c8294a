package bleve

import (
	"encoding/binary"

	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
	"catalog/internal/textsearch"
	"catalog/internal/wire"
)

// Fields of this engine, beside those of package textsearch.
const (
	fieldPricePrefixes = "price_prefixes" // the first digits of the price; see price_range.go
	fieldProduct       = "product"        // the encoded product; stored, not indexed
	fieldVersion       = "version"        // the version of the product in 8 bytes; stored, not indexed
)

// Options of fields.
const (
	indexed           = index.IndexField | index.SkipFreqNorm
	indexedWithValues = indexed | index.DocValues
	storedOnly        = index.StoreField
)

// newDocument returns the index document of p.
func newDocument(p catalog.Product) (*document.Document, error) {
	encoded, err := wire.EncodeProduct(p)
	if err != nil {
		return nil, err
	}
	d := document.NewDocument(docID(p.ID))
	for _, f := range textsearch.FieldsOf(p) {
		d.AddField(&field{name: f.Name, options: options(f.FieldType), terms: newTerms(f.Terms...)})
		if f.Name == textsearch.Price || f.Name == textsearch.Created {
			d.AddField(&field{name: descendingField(f.Name), options: indexed, terms: newTerms(string(invert([]byte(f.Terms[0]))))})
		}
		if f.Name == textsearch.Price {
			d.AddField(&field{name: fieldPricePrefixes, options: indexed, terms: newTerms(pricePrefixes(f.Terms[0])...)})
		}
	}
	d.AddField(&field{name: fieldVersion, options: storedOnly, value: binary.BigEndian.AppendUint64(nil, uint64(p.Version))})
	d.AddField(&field{name: fieldProduct, options: storedOnly, value: encoded})
	return d, nil
}

func options(f textsearch.FieldType) index.FieldIndexingOptions {
	if f.Sorted { // facets are counted in columns
		return indexedWithValues
	}
	return indexed
}

// descendingField returns the name of the field that holds the terms of another field inverted.
// Scorch lists terms in ascending order only, so a descending sort reads this field.
func descendingField(field string) string { return "-" + field }

// invert flips every bit of term. Among terms of one length, inverted terms sort in the opposite
// order. Inverting twice returns the term.
func invert(term []byte) []byte {
	other := make([]byte, len(term))
	for i, b := range term {
		other[i] = ^b
	}
	return other
}

// singleFrequency is the frequency of every term. The index ignores frequencies, but stores terms of
// a single product in a short form only when their frequency is 1.
var singleFrequency = func() *index.TokenFreq {
	f := &index.TokenFreq{}
	f.SetFrequency(1)
	return f
}()

func newTerms(all ...string) index.TokenFrequencies {
	t := make(index.TokenFrequencies, len(all))
	for _, s := range all {
		t[s] = singleFrequency
	}
	return t
}

// field is a field of a document: terms to index or a value to store. It implements document.Field.
// Its terms are final, so there is nothing to analyse.
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
