package textsearch

import (
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"catalog"
)

const (
	maxWords    = 12 // of a text; further ones are not looked for
	maxMisspelt = 4  // words of a text that may be misspelt: the first ones
	maxLetters  = 24 // of a word that may be misspelt
	maxNear     = 16 // letters of a word that is put right: to compare all of its letters takes longer
)

// Check keeps the rules of a query that the contract cannot say.
func ValidateQuery(q catalog.Query) error {
	r := &catalog.Refusal{}
	if utf8.RuneCountInString(q.Text) > catalog.MaxText {
		r.Add("q", fmt.Sprintf("must have at most %d characters", catalog.MaxText))
	}
	if q.Limit < 1 || q.Limit > catalog.MaxLimit {
		r.Add("limit", fmt.Sprintf("must be between 1 and %d", catalog.MaxLimit))
	}
	if len(q.Attributes) > catalog.MaxFilters {
		r.Add("attribute", fmt.Sprintf("may be given %d times", catalog.MaxFilters))
	}
	if len(q.FacetAttributes) > catalog.MaxFilters {
		r.Add("facet", fmt.Sprintf("may be given %d times", catalog.MaxFilters))
	}
	if len(slices.Compact(slices.Sorted(slices.Values(q.FacetAttributes)))) < len(q.FacetAttributes) {
		r.Add("facet", "must not name an attribute twice")
	}
	if q.Currency != "" && catalog.CurrencyDigits(q.Currency) < 0 {
		r.Add("currency", "is not a currency of ISO 4217; give a code such as EUR")
	}
	if (q.MinPrice != nil || q.MaxPrice != nil) && q.Currency == "" {
		r.Add("currency", "must be given with minPrice and maxPrice: prices in different currencies do not compare")
	}
	for field, d := range map[string]*catalog.Decimal{"minPrice": q.MinPrice, "maxPrice": q.MaxPrice} {
		if d != nil && (d.Units < 0 || d.Nanos < 0 || len(PriceKey(*d)) != Digits) {
			r.Add(field, "must be at least 0 and less than 1000000000000000")
		}
	}
	if q.MinPrice != nil && q.MaxPrice != nil && q.MinPrice.Cmp(*q.MaxPrice) > 0 {
		r.Add("minPrice", "must not be more than maxPrice")
	}
	return r.Err()
}

// Place is where to look: the products that have in the field the term, or one
// that begins with it, or one so many errors away from it and with the same first
// letter.
type TermQuery struct {
	Field, Term string
	Prefix      bool
	MaxEdits    int
}

// Tier is a place, and what it is worth to be found there. What a product is
// worth is the sum. So a word in category and description is worth more than one
// in either, and less than one in the name; the beginning of a word is worth less
// than a whole word, and a misspelt one least, wherever they are.
type Clause struct {
	Boost int
	TermQuery
}

// Misspelt is what it is worth to have a word that is like the one looked for.
const MisspeltBoost = 1

// Word is a word of a text, and where it is looked for.
type Word struct {
	Word     string
	MaxEdits int // that it may have
	Clauses  []Clause
}

// Plan is a query in terms.
type Plan struct {
	Filters      []TermQuery // each must be met
	Low, High    string      // the price lies between these, both included; "" where it may be any
	Text         bool
	Words        []Word   // each must be found somewhere
	ExactMatches []Clause // what the text as a whole may be; then words need not be found
}

// NewPlan is the query as it is looked for. Its text has no blanks around it.
func NewPlan(q catalog.Query) Plan {
	var p Plan
	for field, value := range map[string]string{CategoryPath: q.Category, Tag: q.Tag, Currency: q.Currency} {
		if value != "" {
			p.Filters = append(p.Filters, TermQuery{Field: field, Term: value})
		}
	}
	for key, value := range q.Attributes {
		p.Filters = append(p.Filters, TermQuery{Field: Attributes, Term: AttributeTerm(key, value)})
	}
	if q.MinPrice != nil || q.MaxPrice != nil {
		p.Low, p.High = strings.Repeat("0", Digits), strings.Repeat("9", Digits)
		if q.MinPrice != nil {
			p.Low = PriceKey(*q.MinPrice)
		}
		if q.MaxPrice != nil {
			p.High = PriceKey(*q.MaxPrice)
		}
	}
	if q.Text == "" {
		return p
	}
	p.Text = true
	folded := Fold(q.Text)
	p.ExactMatches = []Clause{
		{10_000, TermQuery{Field: SKU, Term: folded}},
		{200, TermQuery{Field: Title, Term: folded}},
		{40, TermQuery{Field: Head, Term: headTerm(stems(q.Text))}},
	}
	if id, err := catalog.ParseID(folded); err == nil {
		p.ExactMatches = append(p.ExactMatches, Clause{10_000, TermQuery{Field: ID, Term: id.String()}})
	}
	for _, w := range Tokenize(q.Text) {
		known := slices.ContainsFunc(p.Words, func(other Word) bool { return other.Word == w })
		if known || len(p.Words) == maxWords {
			continue
		}
		errors := 0
		if len(p.Words) < maxMisspelt {
			errors = errorsIn(w)
		}
		p.Words = append(p.Words, newWord(w, errors))
	}
	return p
}

// newWord looks for a word whole, as the beginning of another, and with so many
// errors at most.
func newWord(w string, errors int) Word {
	s := Stem(w)
	word := Word{Word: w, MaxEdits: errors, Clauses: []Clause{
		{64, TermQuery{Field: Name, Term: s}},
		{24, TermQuery{Field: Path, Term: s}},
		{20, TermQuery{Field: Text, Term: s}},
		{12, TermQuery{Field: Head, Term: s}}, // in the text too
	}}
	for i, begun := range beginning(w) {
		word.Clauses = append(word.Clauses, Clause{10 - 4*min(i, 1), begun})
	}
	for n := 1; n <= errors; n++ {
		for _, field := range []string{Name, Path, Text} {
			word.Clauses = append(word.Clauses, Clause{MisspeltBoost, TermQuery{Field: field, Term: s, MaxEdits: n}})
		}
	}
	return word
}

// errorsIn is how many letters of a word may be wrong, missing, too many or
// swapped. Most short words are one letter from another, and so they have to be
// right. A number that is written differently is another number. What is longer
// than words are would take long to compare.
func errorsIn(word string) int {
	length := utf8.RuneCountInString(word)
	switch {
	case length < 4 || length > maxLetters || strings.ContainsFunc(word, unicode.IsNumber):
		return 0
	case length < 8:
		return 1
	}
	return 2
}

// Near is how many letters of a word may be wrong that is put right where a text
// finds nothing: more than in a search, and the first one too.
func MaxEditsForSuggestion(word string) int {
	length := utf8.RuneCountInString(word)
	switch {
	case length < 3 || length > maxNear || strings.ContainsFunc(word, unicode.IsNumber):
		return 0
	case length == 3:
		return 1
	}
	return 2
}

// beginning lists where words are looked for that begin with w.
func beginning(w string) (all []TermQuery) {
	length := utf8.RuneCountInString(w)
	fields, start := []string{Name, Path, Text}, w // what is longer than the last level is looked for among the words
	for _, level := range levels() {
		if length <= level {
			fields, start = []string{NamePrefixes, Prefixes}, startTerm(level, w)
			break
		}
	}
	for _, field := range fields {
		all = append(all, TermQuery{Field: field, Term: start, Prefix: true})
	}
	return all
}
