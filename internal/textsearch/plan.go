package textsearch

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"catalog"
	"catalog/internal/spelling"
)

// Limits of the work that one text can cause.
const (
	maxWords      = 12 // words of a text; further words are ignored
	maxFuzzyWords = 4  // words of a text that may match with edits: the first ones
)

// TermQuery matches the products that have a term in a field: exactly Term, any term with the prefix
// Term, or any term that begins with the same character and is at most MaxEdits edits away. With All,
// a product must have each of these terms, and Term is not used.
type TermQuery struct {
	Field, Term string
	Prefix      bool
	MaxEdits    int
	All         []string
}

// Clause is a term query that adds Boost to the score of the products it matches. The score of a
// product is the sum of the boosts of its clauses. So a word in category and description counts more
// than a word in one of them, and less than a word in the name; a prefix counts less than a whole
// word, and a misspelt word counts least.
type Clause struct {
	Boost int
	TermQuery
}

// Boosts of clauses that do not depend on a field.
const (
	namePrefixBoost  = 10
	otherPrefixBoost = 6
	joinedBoost      = 8 // neighbours of the text are neighbours in the name
	compoundBoost    = 8 // the last part of a compound word
	inflectionBoost  = 6 // a singular or plural
	innerBoost       = 2 // another part of a compound word
	partsBoost       = 8 // all parts of a word in the name, not as neighbours
	skuPrefixBoost   = 5
	skuPartBoost     = 3
	optionalBoost    = 4 // a stop word in the name
	// MisspeltBoost is the boost of a term that matches with edits. No other clause has it.
	MisspeltBoost = 1
)

// Boosts of what the text as a whole may be. identifierBoost is more than the words of a text can
// reach together, so that an identifier comes first.
const (
	identifierBoost = 20_000 // a SKU, a GTIN or an id
	titleBoost      = 200
	phraseBoost     = 40
	// skuBeginningBoost is more than two words of a text add that a product has in other places.
	skuBeginningBoost = 150
)

// minSKUBeginning is how many letters and digits a text has at least that may be the beginning of a SKU.
const minSKUBeginning = 5

// Word is a word of a text. A product matches it by any of its clauses.
type Word struct {
	Word     string // the folded word
	Clauses  []Clause
	Fallback []Clause // what else the word may stand for; see Plan.Widen
	Related  []Clause // compound words that end with the word, its inflections, identifiers with it
	Optional bool     // a product need not match the word: it only adds to the score
	Weight   int      // added to the score of a product that matches the word, beside its clauses
	MaxEdits int      // number of edits that Fallback allows; 0 for none
}

// Plan is a query in terms of the index.
type Plan struct {
	Filters []TermQuery // a product must match each of them

	// MinPrice and MaxPrice are the lowest and highest PriceKey of a matching product, both
	// included; "" for any price.
	MinPrice, MaxPrice string

	HasText bool   // a product must match enough of Words or one of ExactMatches
	Words   []Word // in the order of the text
	AtLeast int    // how many of the words that are not optional a product must match; 0 for all
	// ExactMatches match what the text as a whole may be: an identifier, a name or a first phrase.
	ExactMatches []Clause
	Widened      Widening
}

// Widening is a set of words of a plan that match by their fallback clauses too: bit i for word i.
// related is the bit for the related words of all words.
type Widening uint16

const related Widening = 1 << 15

// Has reports whether word i is widened.
func (w Widening) Has(i int) bool { return w&(1<<i) != 0 }

// Widen returns p with further clauses: those of related words for all words, the fallback for the
// words in the set.
func (p Plan) Widen(set Widening) Plan {
	p.Words = slices.Clone(p.Words)
	for i := range p.Words {
		w := &p.Words[i]
		if set&related != 0 {
			w.Clauses = slices.Concat(w.Clauses, w.Related)
		}
		if set.Has(i) {
			w.Clauses = slices.Concat(w.Clauses, w.Fallback)
		}
	}
	p.Widened = set
	return p
}

// NewPlan returns the plan of q, whose text must have no spaces around it.
func (r *Rules) NewPlan(q catalog.Query) Plan {
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
	p.Words = r.words(q.Text)
	return p
}

// words returns the words of a text. A word that occurs twice is one word with the clauses of both.
func (r *Rules) words(text string) (all []Word) {
	raw := queryWords(analyze(text))
	stops := 0
	for i, w := range raw {
		word := r.newWord(raw, i, len(all) < maxFuzzyWords)
		if at := slices.IndexFunc(all, func(other Word) bool { return other.Word == word.Word }); at >= 0 {
			for _, c := range word.Clauses {
				if !slices.ContainsFunc(all[at].Clauses, c.equal) {
					all[at].Clauses = append(all[at].Clauses, c)
				}
			}
			continue
		}
		if len(all) == maxWords {
			break
		}
		if word.Optional = w.inchMark || isSizeUnit(raw, i) || w.glue == "" && r.stopWords[word.Word] && (i+1 == len(raw) || raw[i+1].glue == ""); word.Optional {
			stops++
		}
		all = append(all, word)
	}
	for i := range all {
		switch {
		case stops == len(all): // a text of stop words alone
			all[i].Optional = false
		case all[i].Optional:
			all[i].Clauses = []Clause{{optionalBoost, TermQuery{Field: Name, Term: Stem(all[i].Word)}}}
			all[i].Fallback, all[i].Related = nil, nil
		}
	}
	return all
}

func (c Clause) equal(other Clause) bool {
	return c.Boost == other.Boost && c.Field == other.Field && c.Term == other.Term && c.Prefix == other.Prefix && c.MaxEdits == other.MaxEdits && slices.Equal(c.All, other.All)
}

// queryWords returns the words to look up. In scripts without spaces these are pairs of neighbours,
// and single characters that have no neighbour.
func queryWords(words []rawWord) (all []rawWord) {
	for i, w := range words {
		adjacent := func(j int) bool {
			return j >= 0 && j < len(words) && words[j].unspaced && w.unspaced && (words[j].end == w.start || w.end == words[j].start)
		}
		switch {
		case adjacent(i + 1):
			all = append(all, rawWord{spellings: []string{w.spellings[0] + words[i+1].spellings[0]}, start: w.start, end: words[i+1].end, unspaced: true})
		case adjacent(i - 1): // the second half of a pair
		default:
			all = append(all, w)
		}
	}
	return all
}

// newWord returns the clauses of word i of a text.
func (r *Rules) newWord(words []rawWord, i int, fuzzy bool) Word {
	w := words[i]
	word := Word{Word: w.spellings[0]}
	add := func(boosts map[string]int, share int, term string) {
		for _, field := range wordFields() {
			if boost := boosts[field] / share; boost > 0 {
				word.Clauses = append(word.Clauses, Clause{boost, TermQuery{Field: field, Term: term}})
			}
		}
	}
	for _, s := range w.spellings {
		stem := Stem(s)
		add(r.boosts, 1, stem)
		for _, field := range []string{Joined, FirstPhrase} {
			if r.boosts[field] > 0 {
				word.Clauses = append(word.Clauses, Clause{r.boosts[field], TermQuery{Field: field, Term: stem}})
			}
		}
		for _, other := range r.synonyms[stem] {
			word.Clauses = append(word.Clauses, r.synonymClauses(other)...)
		}
		for _, other := range equalMeasures(s) {
			word.Fallback = append(word.Fallback, r.synonymClauses(other)...)
		}
	}
	if w.elided { // univers of l'univers
		for _, p := range w.parts {
			add(r.boosts, 2, Stem(p.term))
		}
	}
	if size := withoutUnit(word.Word); size != "" {
		add(r.boosts, 2, size)
		word.Clauses = append(word.Clauses, Clause{joinedBoost, TermQuery{Field: Joined, Term: size}})
	}
	for _, j := range r.joinsOf(words, i) {
		add(r.boosts, 1, j)
		word.Clauses = append(word.Clauses, Clause{joinedBoost, TermQuery{Field: Joined, Term: j}})
		for _, other := range r.synonyms[j] {
			word.Clauses = append(word.Clauses, r.synonymClauses(other)...)
		}
		for _, other := range equalMeasures(j) {
			word.Fallback = append(word.Fallback, r.synonymClauses(other)...)
		}
	}
	if !w.symbol {
		r.addPartial(&word, w, i+1 < len(words) && words[i+1].glue != "")
	}
	if fuzzy && !w.unspaced && !w.symbol {
		word.MaxEdits = maxEdits(word.Word)
	}
	for n := 1; n <= word.MaxEdits; n++ {
		for _, field := range wordFields() {
			if r.boosts[field] > 0 {
				word.Fallback = append(word.Fallback, Clause{MisspeltBoost, TermQuery{Field: field, Term: Stem(word.Word), MaxEdits: n}})
			}
		}
	}
	return word
}

// synonymClauses returns the clauses of a synonym, which count half.
func (r *Rules) synonymClauses(stem string) (all []Clause) {
	for _, field := range append(wordFields(), Joined) {
		if boost := r.boosts[field] / 2; boost > 0 {
			all = append(all, Clause{boost, TermQuery{Field: field, Term: stem}})
		}
	}
	return all
}

// maxPartial is how many characters of a word are compared with parts of words and identifiers.
const maxPartial = 40

// addPartial adds the clauses of words and identifiers that begin or end with w or contain it. A
// number is not looked up as the beginning of another one, unless nothing else matches.
func (r *Rules) addPartial(word *Word, w rawWord, beforeGlue bool) {
	length := utf8.RuneCountInString(word.Word)
	// The h of h&m begins no other word, and a character of an unspaced script no pair.
	single := length == 1 && (w.glue != "" || beforeGlue) || w.unspaced
	for _, s := range w.spellings {
		boost := namePrefixBoost
		for _, prefix := range prefixQueries(s) { // the name comes first
			switch c := (Clause{boost, prefix}); {
			case single:
			case endsWithDigit(s):
				word.Fallback = append(word.Fallback, c)
			default:
				word.Clauses = append(word.Clauses, c)
			}
			boost = otherPrefixBoost
		}
	}
	if length > maxPartial {
		return
	}
	if parts := stemAll(termsOf(w.parts)); len(parts) > 1 && !w.elided {
		word.Fallback = append(word.Fallback, Clause{partsBoost, TermQuery{Field: Name, All: parts}})
	}
	if stem := Stem(word.Word); utf8.RuneCountInString(stem) >= minCompoundHead && !strings.ContainsFunc(stem, isDigit) {
		compound := Clause{compoundBoost, TermQuery{Field: WordEnds, Term: stem}}
		word.Related = append(word.Related, compound)
		if r.compounds {
			word.Clauses = append(word.Clauses, compound)
		}
		word.Fallback = append(word.Fallback, Clause{innerBoost, TermQuery{Field: WordEnds, Term: stem, Prefix: true}})
	}
	for _, stem := range inflectionsOf(w.spellings) {
		for _, field := range wordFields() {
			if r.boosts[field] > 0 {
				word.Related = append(word.Related, Clause{inflectionBoost, TermQuery{Field: field, Term: stem}})
			}
		}
	}
	if id := compact(word.Word); utf8.RuneCountInString(id) >= identifierPart {
		part := Clause{skuPartBoost, TermQuery{Field: Identifiers, All: identifierParts(id)}}
		word.Fallback = append(word.Fallback, Clause{skuPrefixBoost, TermQuery{Field: SKU, Term: id, Prefix: true}}, part)
		if hasLettersAndDigits(id) {
			word.Related = append(word.Related, part)
		}
	}
}

// joinsOf returns the stems of the words that word i makes with its neighbours: notebook of note book.
func (r *Rules) joinsOf(words []rawWord, i int) (all []string) {
	for from := max(0, i-2); from <= i; from++ {
		for to := max(i, from+1); to < min(len(words), from+3); to++ {
			joined, whole := "", true
			for k := from; k <= to; k++ {
				joined += words[k].spellings[0]
				whole = whole && !words[k].unspaced && !words[k].symbol
			}
			if !whole || len(joined) > maxJoined {
				continue
			}
			stem := Stem(joined)
			switch digits := endsWithDigit(words[from].spellings[0]) && startsWithDigit(words[from+1].spellings[0]); {
			case digits && to == from+1 && words[to].glue == "/": // a fraction
				all = append(all, words[from].spellings[0]+"/"+words[to].spellings[0])
			case digits:
			case to == from+1, r.synonyms[stem] != nil, words[to].glue != "" && words[to-1].glue != "", words[from+1].spellings[0] == "x":
				all = append(all, stem)
			}
		}
	}
	return all
}

// filters returns the term queries of the filters of q.
func filters(q catalog.Query) (all []TermQuery) {
	for _, s := range schema {
		if s.filter == nil {
			continue
		}
		switch value := s.filter(&q); {
		case value == "":
		case s.facet:
			all = append(all, TermQuery{Field: s.name, Term: spelling.Key(value) + separator, Prefix: true})
		default:
			all = append(all, TermQuery{Field: s.name, Term: value})
		}
	}
	for name, value := range q.Attributes {
		all = append(all, TermQuery{Field: Attributes, Term: attributePrefix(name, value), Prefix: true})
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
	id := compact(text)
	if id != "" && id != folded {
		all = append(all, Clause{identifierBoost / 2, TermQuery{Field: SKU, Term: id}})
	}
	if utf8.RuneCountInString(id) >= minSKUBeginning && !strings.ContainsFunc(folded, unicode.IsSpace) && (hasLettersAndDigits(id) || strings.Contains(folded, "-")) {
		all = append(all, Clause{skuBeginningBoost, TermQuery{Field: SKU, Term: id, Prefix: true}})
	}
	if id, err := catalog.ParseID(folded); err == nil {
		all = append(all, Clause{identifierBoost, TermQuery{Field: ID, Term: id.String()}})
	}
	if digits := strings.NewReplacer("-", "", " ", "").Replace(folded); catalog.FieldByName("gtin").Check(digits) == "" {
		all = append(all, Clause{identifierBoost, TermQuery{Field: GTIN, Term: catalog.GTIN14(digits)}})
	}
	return all
}

// HasIdentifier reports whether the text of p looks like a SKU or is a GTIN or an id.
func (p Plan) HasIdentifier() bool {
	return slices.ContainsFunc(p.ExactMatches, func(c Clause) bool {
		return c.Field == ID || c.Field == GTIN || c.Field == SKU && c.Prefix
	})
}

// matches reports whether one of the terms of a field matches q.
func (q TermQuery) matches(terms []string) bool {
	if q.All != nil {
		return !slices.ContainsFunc(q.All, func(term string) bool { return !slices.Contains(terms, term) })
	}
	return slices.ContainsFunc(terms, func(term string) bool {
		return term == q.Term || q.Prefix && strings.HasPrefix(term, q.Term) || q.MaxEdits > 0 && WithinEdits(q.Term, term, q.MaxEdits)
	})
}
