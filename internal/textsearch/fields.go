package textsearch

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"catalog"
	"catalog/internal/spelling"
)

// Fields of the index that hold words. The words of a query's text are looked up in them.
const (
	Name           = "name"            // stems of the words of the name
	Joined         = "joined"          // stems of neighbours in the name, written as one word
	BrandWords     = "brand_words"     // stems of the words of the brand
	Labels         = "labels"          // stems of the words of category and tags
	AttributeWords = "attribute_words" // stems of the words of attribute values
	Text           = "text"            // stems of the words of SKU and description
	NamePrefixes   = "name_prefixes"   // prefixes of the words of the name
	OtherPrefixes  = "other_prefixes"  // prefixes of the words of all other fields
	WordEnds       = "word_ends"       // ends of long words of name, category and tags
	FirstPhrase    = "first_phrase"    // the words of the description's first phrase, and the whole phrase
)

// wordFields returns the fields of whole words.
func wordFields() []string { return []string{Name, BrandWords, Labels, AttributeWords, Text} }

// Fields of the index that hold exact values.
const (
	ID           = "_id"
	SKU          = "sku"              // the SKU, folded and without marks
	GTIN         = "gtin"             // the GTIN in the form of catalog.GTIN14
	Identifiers  = "identifier_parts" // all parts of identifierPart characters of SKU and GTIN
	Brand        = "brand"            // the key of the brand and its spelling, as in all facets; see facetTerm
	CategoryPath = "category_path"    // the keys of the category and of all categories above it
	Category     = "category"
	Tag          = "tag"
	Attributes   = "attributes" // the name of the attribute before the key of its value
	Currency     = "currency"
	Price        = "price"   // the price in the form of PriceKey
	Created      = "created" // microseconds since 1970 in hexadecimal, so that terms sort by time
	Title        = "title"   // the whole name, folded, to sort by
)

// fieldSpec says how one field of the index is filled and used.
type fieldSpec struct {
	name   string
	sorted bool                                  // products are sorted by the field
	facet  bool                                  // products are counted by the field
	terms  func(p *tokenizedProduct) []string    // the product's terms; a term may occur twice
	filter func(q *catalog.Query) (value string) // the value that a query requires; "" for none
}

// tokenizedProduct is a product and the words of its texts, each text analyzed once.
type tokenizedProduct struct {
	catalog.Product
	descriptionText                      string // description without markup
	name, description                    []rawWord
	nameWords, brand, labels, attributes []string
	joined                               []token // neighbours in the name and in the brand
	text                                 []string
}

// schema is the one place that says how each field of a product is searched: by words, by exact
// value, as a facet or by sorting. A product field that is not listed here is only stored.
//
// A change of the schema needs a new format number in the engines.
var schema = []fieldSpec{
	{name: Name, terms: func(p *tokenizedProduct) []string { return stemAll(p.nameWords) }},
	{name: Joined, terms: func(p *tokenizedProduct) []string { return stemAll(termsOf(p.joined)) }},
	{name: BrandWords, terms: func(p *tokenizedProduct) []string { return stemAll(p.brand) }},
	{name: AttributeWords, terms: func(p *tokenizedProduct) []string { return stemAll(p.attributes) }},
	{name: Labels, terms: func(p *tokenizedProduct) []string { return stemAll(p.labels) }},
	{name: Text, terms: func(p *tokenizedProduct) []string { return stemAll(p.text) }},
	{name: NamePrefixes, terms: func(p *tokenizedProduct) []string { return prefixTerms(p.nameWords) }},
	{name: OtherPrefixes, terms: func(p *tokenizedProduct) []string {
		return prefixTerms(slices.Concat(p.brand, p.labels, p.attributes, p.text))
	}},
	{name: WordEnds, terms: func(p *tokenizedProduct) []string { return wordEnds(stemAll(slices.Concat(p.nameWords, p.labels))) }},
	{name: FirstPhrase, terms: func(p *tokenizedProduct) []string { return firstPhraseTerms(p.descriptionText, p.description) }},
	{name: SKU, terms: func(p *tokenizedProduct) []string { return value(Fold(p.SKU), compact(p.SKU)) }},
	{name: Identifiers, terms: func(p *tokenizedProduct) []string {
		return append(identifierParts(compact(p.SKU)), identifierParts(compact(p.GTIN))...)
	}},
	{
		name:   GTIN,
		terms:  func(p *tokenizedProduct) []string { return value(gtinTerm(p.GTIN)) },
		filter: func(q *catalog.Query) string { return gtinTerm(q.GTIN) },
	},
	{name: Category, facet: true, terms: func(p *tokenizedProduct) []string { return facetTerms(p.Category) }},
	{
		name:   CategoryPath,
		terms:  func(p *tokenizedProduct) []string { return categoryAndAncestors(spelling.Key(p.Category)) },
		filter: func(q *catalog.Query) string { return spelling.Key(q.Category) },
	},
	{
		name: Brand, facet: true,
		terms:  func(p *tokenizedProduct) []string { return facetTerms(p.Brand) },
		filter: func(q *catalog.Query) string { return q.Brand },
	},
	{
		name: Tag, facet: true,
		terms:  func(p *tokenizedProduct) []string { return facetTerms(p.Tags...) },
		filter: func(q *catalog.Query) string { return q.Tag },
	},
	{name: Attributes, facet: true, terms: attributeTerms}, // its filters and facets name a key
	{
		name: Currency, facet: true,
		terms:  func(p *tokenizedProduct) []string { return facetTerms(p.Price.Currency) },
		filter: func(q *catalog.Query) string { return q.Currency },
	},
	{name: Price, sorted: true, terms: func(p *tokenizedProduct) []string { return value(PriceKey(p.Price.Decimal)) }},
	{name: Created, sorted: true, terms: func(p *tokenizedProduct) []string {
		return value(fmt.Sprintf("%016x", p.CreatedAt.UnixMicro()))
	}},
	// A name of accents alone folds to nothing; it sorts as it is written.
	{name: Title, sorted: true, terms: func(p *tokenizedProduct) []string { return value(cmp.Or(Fold(p.Name), p.Name)) }},
}

// FieldType is a field of the index.
type FieldType struct {
	Name   string
	Sorted bool // products are sorted by the field
	Facet  bool // products are counted by the field; see [Facet.Value] for its terms
}

// Field is a field of an index document and its terms. A term may occur twice.
type Field struct {
	FieldType
	Terms []string
}

// FieldTypes returns all fields of the index, except ID.
func FieldTypes() []FieldType {
	var all []FieldType
	for _, s := range schema {
		all = append(all, FieldType{s.name, s.sorted, s.facet})
	}
	return all
}

// FieldsOf returns the fields of p that have terms, except ID.
func FieldsOf(p catalog.Product) []Field {
	tokenized := newTokenizedProduct(p)
	all := make([]Field, 0, len(schema))
	for _, s := range schema {
		if terms := s.terms(tokenized); len(terms) > 0 {
			all = append(all, Field{FieldType{s.name, s.sorted, s.facet}, terms})
		}
	}
	return all
}

func newTokenizedProduct(p catalog.Product) *tokenizedProduct {
	description := PlainText(p.Description)
	t := &tokenizedProduct{Product: p, descriptionText: description, description: analyze(description), name: analyze(p.Name)}
	brand := analyze(p.Brand)
	t.nameWords, t.brand = termsOf(terms(t.name)), withUnits(brand)
	t.joined = append(joins(t.name, false), joins(brand, false)...)
	t.labels = wordsOf(p.Category)
	for _, tag := range p.Tags {
		t.labels = append(t.labels, wordsOf(tag)...)
	}
	for _, v := range p.Attributes {
		t.attributes = append(t.attributes, wordsOf(v)...)
	}
	t.text = slices.Concat(skuWords(p.SKU), withUnits(t.description))
	return t
}

// termsOf returns the terms of tokens.
func termsOf(tokens []token) []string {
	all := make([]string, len(tokens))
	for i, t := range tokens {
		all[i] = t.term
	}
	return all
}

// wordsOf returns the words of a short text, and of each number with its unit.
func wordsOf(text string) []string { return withUnits(analyze(text)) }

// withUnits returns the terms of words, and of each number with its unit.
func withUnits(words []rawWord) []string {
	return append(termsOf(terms(words)), termsOf(joins(words, true))...)
}

// value returns the terms of a field with few values; "" means no value.
func value(all ...string) []string {
	return slices.Compact(slices.DeleteFunc(all, func(v string) bool { return v == "" }))
}

// gtinTerm returns the term of a GTIN, the same for its forms of 8, 12, 13 and 14 digits; "" for none.
func gtinTerm(gtin string) string {
	if gtin == "" {
		return ""
	}
	return catalog.GTIN14(gtin)
}

// categoryAndAncestors returns a category path and the paths above it.
func categoryAndAncestors(category string) (all []string) {
	for i, c := range category + "/" {
		if c == '/' && i > 0 {
			all = append(all, category[:i])
		}
	}
	return all
}

// skuWords returns the words of a SKU and, when there are several, the SKU without marks: AB-12 is
// found as "ab 12" and as "ab12".
func skuWords(sku string) []string {
	all := Tokenize(sku)
	if len(all) > 1 {
		all = append(all, compact(sku))
	}
	return all
}

// compact returns the letters and digits of an identifier, folded.
func compact(identifier string) string {
	return strings.Map(func(r rune) rune {
		if isWordChar(r) {
			return r
		}
		return -1
	}, Fold(identifier))
}

// identifierPart is the length of the indexed parts of identifiers, in characters. A search finds an
// identifier by any part of this length and more: it looks up all the parts of the text.
const identifierPart = 4

// identifierParts returns all parts of a compact identifier that have identifierPart characters.
func identifierParts(identifier string) (all []string) {
	runes := []rune(identifier)
	for i := 0; i+identifierPart <= len(runes); i++ {
		all = append(all, string(runes[i:i+identifierPart]))
	}
	return all
}

// Limits of the parts of compound words, in characters.
const (
	minCompoundHead = 4  // the last part, by which a compound is found: Keulen of Jonglierkeulen
	minCompoundRest = 3  // the part before it
	maxCompound     = 40 // longest word that is taken for a compound
)

// wordEnds returns the ends of words that may be compounds. A word begins with a letter.
func wordEnds(words []string) (all []string) {
	for _, w := range words {
		length := utf8.RuneCountInString(w)
		if length < minCompoundRest+minCompoundHead || length > maxCompound || strings.ContainsFunc(w, unicode.IsNumber) {
			continue
		}
		n := 0
		for i := range w {
			if n >= minCompoundRest && length-n >= minCompoundHead {
				all = append(all, w[i:])
			}
			n++
		}
	}
	return all
}

// maxFirstPhrase is the longest first phrase in bytes. A longer one is a sentence, which says more
// than what the product is.
const maxFirstPhrase = 80

// firstPhraseTerms returns the stems of the words of text up to the first punctuation mark between two
// words, and one term for the whole phrase. The first phrase often says what the product is: "Bar table,
// 40x60 cm".
func firstPhraseTerms(text string, words []rawWord) (stems []string) {
	end := 0
	for _, w := range words {
		if strings.ContainsAny(text[end:w.start], ",.;:!?()/\n") {
			break
		}
		if end = w.end; end > maxFirstPhrase {
			return nil
		}
		stems = append(stems, Stem(w.spellings[0]))
	}
	if len(stems) == 0 {
		return nil
	}
	return append(stems, phraseTerm(stems))
}

// phraseTerm returns the term of a whole phrase. No word contains its first character.
func phraseTerm(stems []string) string { return "=" + strings.Join(stems, " ") }

func attributeTerms(p *tokenizedProduct) (all []string) {
	for name, v := range p.Attributes {
		all = append(all, attributeTerm(name, v))
	}
	return all
}

// PriceDigits is the length of a PriceKey: 15 digits before the decimal point and 9 after it.
const PriceDigits = 24

// PriceKey returns d as text of fixed width that sorts exactly as the amounts do.
func PriceKey(d catalog.Decimal) string { return fmt.Sprintf("%015d%09d", d.Units, d.Nanos) }
