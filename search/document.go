package search

import (
	"crypto/sha256"
	"fmt"
	"strings"

	"github.com/blevesearch/bleve/v2/document"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
	"catalog/wire"
)

// Fields that people's words are looked for in.
const (
	fieldName       = "name"       // words of the name, without plural
	fieldPath       = "path"       // words of the category
	fieldText       = "text"       // words of SKU and description
	fieldNameStarts = "namestarts" // the beginnings of the words of the name
	fieldStarts     = "starts"     // the beginnings of all other words
)

// Fields that are taken as they are.
const (
	fieldID       = "_id" // as bleve has it
	fieldSKU      = "sku" // folded
	fieldIn       = "in"  // the category and those above it
	fieldCategory = "category"
	fieldTag      = "tag"
	fieldHas      = "has" // attributes; see attributeTerm
	fieldCurrency = "currency"
	fieldPrice    = "price"   // sortable; see price.go for the coarser ones
	fieldCreated  = "created" // sortable
	fieldTitle    = "title"   // the whole name, folded, to sort by
	fieldHead     = "head"    // words of the head of the description, and the whole head
	fieldProduct  = "product" // the product, stored only
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
	add := func(name string, options index.FieldIndexingOptions, t terms) {
		if len(t) > 0 {
			d.AddField(&field{name: name, options: options, terms: t})
		}
	}
	one := func(name string, options index.FieldIndexingOptions, value string) {
		if value != "" {
			add(name, options, terms{}.with(value))
		}
	}

	name, path, text := words(p.Name), words(p.Category), append(skuWords(p.SKU), words(p.Description)...)
	for _, f := range []struct {
		field string
		words []string
	}{{fieldName, name}, {fieldPath, path}, {fieldText, text}} {
		t := make(terms, len(f.words))
		for _, w := range f.words {
			t.with(stem(w))
		}
		add(f.field, found, t)
	}
	for _, f := range []struct {
		field string
		words []string
	}{{fieldNameStarts, name}, {fieldStarts, append(path, text...)}} {
		t := make(terms, 2*len(f.words))
		for _, w := range f.words {
			for _, start := range starts(w) {
				t.with(start)
			}
		}
		add(f.field, found, t)
	}
	lead := terms{}
	for _, s := range stems(head(p.Description)) {
		lead.with(s)
	}
	if len(lead) > 0 {
		lead.with(headTerm(head(p.Description)))
	}
	add(fieldHead, found, lead)

	one(fieldSKU, found, fold(p.SKU))
	one(fieldCategory, sorted, p.Category)
	in := terms{}
	for i, c := range p.Category + "/" {
		if c == '/' && i > 0 {
			in.with(p.Category[:i])
		}
	}
	add(fieldIn, found, in)
	tags := terms{}
	for _, t := range p.Tags {
		tags.with(t)
	}
	add(fieldTag, sorted, tags)
	has := terms{}
	for key, value := range p.Attributes {
		has.with(attributeTerm(key, value))
	}
	add(fieldHas, found, has)
	one(fieldCurrency, sorted, p.Price.Currency)
	price := sortablePrice(p.Price.Decimal)
	one(fieldPrice, sorted, price)
	for _, digits := range priceLevels() {
		one(priceField(digits), found, price[:digits])
	}
	one(fieldCreated, sorted, fmt.Sprintf("%016x", p.CreatedAt.UnixMicro()))
	one(fieldTitle, sorted, fold(p.Name))
	d.AddField(&field{name: fieldProduct, options: stored, value: whole})
	return d, nil
}

// attributeTerm is the term of an attribute with a value: exactly this value, a
// long one by its hash. No key has the sign that stands between.
func attributeTerm(key, value string) string {
	if len(value) > 64 {
		sum := sha256.Sum256([]byte(value))
		value = hashed + string(sum[:])
	}
	return key + "\x00" + value
}

// hashed is what the hash of a long value begins with.
const hashed = "\x00"

// skuWords are the words of a SKU, and the whole without what is between them:
// AB-12 is found as "ab 12" and as "ab12".
func skuWords(sku string) []string {
	all := words(sku)
	if len(all) > 1 {
		all = append(all, strings.Join(all, ""))
	}
	return all
}

// terms are what a product is found by in one field.
type terms index.TokenFrequencies

// with adds a term to t.
func (t terms) with(term string) terms {
	f := &index.TokenFreq{Term: []byte(term)}
	f.SetFrequency(1) // only terms with one have the short form for those of a single product
	t[term] = f
	return t
}

// field is one field of a document: terms to be found by, or a value to keep.
// It implements document.Field with nothing left to analyse.
type field struct {
	name    string
	options index.FieldIndexingOptions
	terms   terms
	value   []byte
}

func (f *field) Name() string                        { return f.name }
func (f *field) Options() index.FieldIndexingOptions { return f.options }
func (f *field) Value() []byte                       { return f.value }
func (f *field) Analyze()                            {}
func (f *field) AnalyzedLength() int                 { return 1 }
func (f *field) AnalyzedTokenFrequencies() index.TokenFrequencies {
	return index.TokenFrequencies(f.terms)
}
func (f *field) ArrayPositions() []uint64  { return nil }
func (f *field) EncodedFieldType() byte    { return 't' }
func (f *field) NumPlainTextBytes() uint64 { return uint64(len(f.value)) }
func (f *field) Size() int                 { return len(f.value) + 32*len(f.terms) }
