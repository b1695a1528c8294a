package textsearch

import (
	"slices"
	"strings"

	"catalog"
)

// Limits of the work that one text can cause.
const (
	maxWords      = 12 // words of a text; further words are ignored
	maxFuzzyWords = 4  // words of a text that may match with edits: the first ones
)

// TermQuery matches the products that have a term in a field: exactly Term, any term with the prefix
// Term, or any term that begins with the same character and is at most MaxEdits edits away.
type TermQuery struct {
	Field, Term string
	Prefix      bool
	MaxEdits    int
}

// Clause is a term query that adds Boost to the score of the products it matches. The score of a
// product is the sum of the boosts of its clauses. So a word in category and description counts more
// than a word in one of them, and less than a word in the name; a prefix counts less than a whole
// word, and a misspelt word counts least.
type Clause struct {
	Boost int
	TermQuery
}

// Boosts of the clauses of a word.
const (
	nameBoost        = 64
	labelsBoost      = 24
	textBoost        = 20
	firstPhraseBoost = 12 // its words are in Text too
	namePrefixBoost  = 10
	otherPrefixBoost = 6
	// MisspeltBoost is the boost of a term that matches with edits. No other clause has it.
	MisspeltBoost = 1
)

// Boosts of what the text as a whole may be. identifierBoost is more than the words of a text can
// reach together, so that an identifier comes first.
const (
	identifierBoost = 10_000 // a SKU, a GTIN or an id
	titleBoost      = 200
	phraseBoost     = 40
)

// Word is a word of a text. A product matches it by any of its clauses.
type Word struct {
	Word     string
	MaxEdits int // the edits that its clauses allow; 0 for none
	Clauses  []Clause
}

// Plan is a query in terms of the index.
type Plan struct {
	Filters []TermQuery // a product must match each of them

	// MinPrice and MaxPrice are the lowest and highest PriceKey of a matching product, both
	// included; "" for any price.
	MinPrice, MaxPrice string

	HasText bool // a product must match all of Words or one of ExactMatches
	Words   []Word
	// ExactMatches match what the text as a whole may be: an identifier, a name or a first phrase.
	ExactMatches []Clause
}

// NewPlan returns the plan of q, whose text must have no spaces around it.
func NewPlan(q catalog.Query) Plan {
	p := Plan{Filters: filters(q)}
	if q.MinPrice != nil || q.MaxPrice != nil {
		p.MinPrice, p.MaxPrice = strings.Repeat("0", PriceDigits), strings.Repeat("9", PriceDigits)
		if q.MinPrice != nil {
			p.MinPrice = PriceKey(*q.MinPrice)
		}
		if q.MaxPrice != nil {
			p.MaxPrice = PriceKey(*q.MaxPrice)
		}
	}
	if q.Text == "" {
		return p
	}
	p.HasText = true
	p.ExactMatches = exactMatches(q.Text)
	for _, w := range Tokenize(q.Text) {
		repeated := slices.ContainsFunc(p.Words, func(other Word) bool { return other.Word == w })
		if repeated || len(p.Words) == maxWords {
			continue
		}
		edits := 0
		if len(p.Words) < maxFuzzyWords {
			edits = maxEdits(w)
		}
		p.Words = append(p.Words, newWord(w, edits))
	}
	return p
}

// filters returns the term queries of the filters of q.
func filters(q catalog.Query) (all []TermQuery) {
	for _, s := range schema {
		if s.filter == nil {
			continue
		}
		if term := s.filter(&q); term != "" {
			all = append(all, TermQuery{Field: s.name, Term: term})
		}
	}
	for key, value := range q.Attributes {
		all = append(all, TermQuery{Field: Attributes, Term: AttributeTerm(key, value)})
	}
	return all
}

// exactMatches returns the clauses for text as a whole.
func exactMatches(text string) []Clause {
	folded := Fold(text)
	all := []Clause{
		{identifierBoost, TermQuery{Field: SKU, Term: folded}},
		{titleBoost, TermQuery{Field: Title, Term: folded}},
		{phraseBoost, TermQuery{Field: FirstPhrase, Term: phraseTerm(stemAll(Tokenize(text)))}},
	}
	if id, err := catalog.ParseID(folded); err == nil {
		all = append(all, Clause{identifierBoost, TermQuery{Field: ID, Term: id.String()}})
	}
	if catalog.FieldByName("gtin").Check(folded) == "" {
		all = append(all, Clause{identifierBoost, TermQuery{Field: GTIN, Term: catalog.GTIN14(folded)}})
	}
	return all
}

// newWord returns the clauses of a word: the whole word, words that begin with it, and words that
// differ by no more than the given edits.
func newWord(w string, edits int) Word {
	stem := Stem(w)
	word := Word{Word: w, MaxEdits: edits, Clauses: []Clause{
		{nameBoost, TermQuery{Field: Name, Term: stem}},
		{labelsBoost, TermQuery{Field: Labels, Term: stem}},
		{textBoost, TermQuery{Field: Text, Term: stem}},
		{firstPhraseBoost, TermQuery{Field: FirstPhrase, Term: stem}},
	}}
	boost := namePrefixBoost
	for _, prefix := range prefixQueries(w) { // the name comes first
		word.Clauses = append(word.Clauses, Clause{boost, prefix})
		boost = otherPrefixBoost
	}
	for n := 1; n <= edits; n++ {
		for _, field := range []string{Name, Labels, Text} {
			word.Clauses = append(word.Clauses, Clause{MisspeltBoost, TermQuery{Field: field, Term: stem, MaxEdits: n}})
		}
	}
	return word
}
