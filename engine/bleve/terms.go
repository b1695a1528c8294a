package bleve

import (
	"slices"
	"sync"
	"unicode/utf8"

	segment "github.com/blevesearch/scorch_segment_api/v2"
	"github.com/blevesearch/vellum/levenshtein"
)

// termBudget is how many more terms may be looked up.
type termBudget int

// take returns the first of the terms, as many as the budget has left.
func (b *termBudget) take(terms []string) []string {
	terms = terms[:min(len(terms), int(*b))]
	*b -= termBudget(len(terms))
	return terms
}

// lookUp returns the terms of a field in the range [from, to) that the automaton accepts, in order
// and at most limit. A nil from or to means no bound, a nil automaton accepts every term.
func lookUp(r snapshot, field string, limit int, a segment.Automaton, from, to []byte) (all []string, _ error) {
	for _, s := range r.segments {
		dict, err := s.dictionary(field)
		if err != nil {
			return nil, err
		}
		terms := dict.between(a, from, to)
		for range limit {
			e, err := terms.Next()
			if err != nil {
				return nil, err
			}
			if e == nil {
				break
			}
			all = append(all, e.Term)
		}
	}
	slices.Sort(all)
	all = slices.Compact(all)
	return all[:min(len(all), limit)], nil
}

// withPrefix returns the terms of a field that begin with prefix, at most limit.
func withPrefix(r snapshot, field, prefix string, limit int) ([]string, error) {
	return lookUp(r, field, limit, nil, []byte(prefix), endOfPrefix(prefix))
}

// endOfPrefix returns a bound that is above all terms with the prefix: UTF-8 contains no byte 0xff.
func endOfPrefix(prefix string) []byte { return []byte(prefix + "\xff") }

// similarTerms looks up the terms that are a few edits away from one term, in several fields. It
// builds the Levenshtein automaton of the term once, for the largest number of edits: to build it
// takes longer than to look up the terms.
type similarTerms struct {
	term      string
	maxEdits  int
	limit     int
	anyStart  bool             // the first character may differ; otherwise it must match, which is seldom wrong and faster
	automaton *levenshtein.DFA // nil until it is needed
	byField   map[string][]similarTerm
}

type similarTerm struct {
	term  string
	edits int
}

// within returns the terms of a field within that many edits.
func (s *similarTerms) within(r snapshot, field string, edits int) (all []string, _ error) {
	similar, ok := s.byField[field]
	if !ok {
		var err error
		if similar, err = s.lookUp(r, field); err != nil {
			return nil, err
		}
		if s.byField == nil {
			s.byField = map[string][]similarTerm{}
		}
		s.byField[field] = similar
	}
	for _, t := range similar {
		if t.edits <= edits {
			all = append(all, t.term)
		}
	}
	return all, nil
}

func (s *similarTerms) lookUp(r snapshot, field string) (all []similarTerm, err error) {
	if s.automaton == nil {
		builders, err := automatonBuilders()
		if err != nil {
			return nil, err
		}
		if s.automaton, err = builders[s.maxEdits-1].BuildDfa(s.term, uint8(s.maxEdits)); err != nil {
			return nil, err
		}
	}
	var from, to []byte
	if !s.anyStart {
		_, size := utf8.DecodeRuneInString(s.term)
		from, to = []byte(s.term[:size]), endOfPrefix(s.term[:size])
	}
	terms, err := lookUp(r, field, s.limit, s.automaton, from, to)
	for _, t := range terms {
		_, edits := s.automaton.MatchAndDistance(t)
		all = append(all, similarTerm{t, int(edits)})
	}
	return all, err
}

// maxAutomatonEdits is the largest number of edits of an automaton: the states of one grow exponentially
// with the edits.
const maxAutomatonEdits = 2

// automatonBuilders returns the builders of automata for 1, 2 … edits. An edit may swap two adjacent
// characters. A builder takes milliseconds to make.
var automatonBuilders = sync.OnceValues(func() (all [maxAutomatonEdits]*levenshtein.LevenshteinAutomatonBuilder, err error) {
	for i := range all {
		if all[i], err = levenshtein.NewLevenshteinAutomatonBuilder(uint8(i+1), true); err != nil {
			break
		}
	}
	return all, err
})
