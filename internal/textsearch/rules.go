package textsearch

import (
	"maps"
	"slices"
	"strings"
)

// Rules say how texts are searched.
type Rules struct {
	boosts    map[string]int // by field, of a whole word
	stopWords map[string]bool
	synonyms  synonyms
	compounds bool // a word matches all compound words that end with it
}

// defaultBoosts are the boosts of a whole word, by field.
var defaultBoosts = map[string]int{
	Name: 64, Joined: 56, BrandWords: 40, Labels: 24, AttributeWords: 22, Text: 20,
	FirstPhrase: 12, // its words are in Text too
}

// DefaultRules returns the rules of an installation that sets none.
func DefaultRules() *Rules {
	return &Rules{
		boosts:    defaultBoosts,
		stopWords: stopWordsOf(slices.Collect(maps.Keys(stopWords)), nil),
		synonyms:  newSynonyms(strings.Split(defaultSynonyms, "\n")...),
	}
}
