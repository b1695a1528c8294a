package textsearch

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// inflection is an ending of plurals and the ending of the singular, both folded, in languages whose
// plurals are more than an s. They are not stems: languages share endings, so a word may stand for
// several others, and most of these exist in no language.
type inflection struct {
	plural, singular string
	minLength        int // of the plural, in characters: shorter words of other languages end so too
}

var inflections = []inflection{
	{"aux", "al", 5}, {"oux", "ou", 5}, {"eux", "eu", 5}, // French: chevaux, bijoux
	{"ces", "z", 5}, {"nes", "n", 7}, {"res", "r", 7}, {"les", "l", 7}, {"des", "d", 7}, // Spanish: luces, cojines
	{"oes", "ao", 5}, {"aes", "ao", 4}, {"eis", "el", 6}, {"ais", "al", 6}, // Portuguese: botões, pães, pincéis
	{"ie", "ia", 5}, {"che", "ca", 6}, {"ghe", "ga", 6}, // Italian: sedie
	{"en", "e", 6}, {"zen", "s", 6}, {"elen", "el", 7}, {"kken", "k", 6}, {"llen", "l", 6}, {"nnen", "n", 6}, {"ssen", "s", 6}, // German and Dutch: lampen, huizen
	{"or", "a", 6},                                                     // Swedish: lampor
	{"ky", "ek", 5}, {"ki", "ek", 5}, {"ки", "ок", 5}, {"ки", "ек", 5}, // Czech, Polish and Russian: dárky, kubki
	{"lar", "", 7}, {"ler", "", 7}, {"lari", "", 8}, {"leri", "", 8}, // Turkish: bardaklar
}

// umlautEndings are the endings of German plurals with an umlaut: Stühle, Bücher.
var umlautEndings = []string{"er", "e"}

// inflectionsOf returns the stems of what may be the singulars and plurals of a word, spelled as in
// rawWord.spellings.
func inflectionsOf(spellings []string) (all []string) {
	word := spellings[0]
	add := func(other string) {
		if stem := Stem(other); stem != Stem(word) && !slices.Contains(all, stem) {
			all = append(all, stem)
		}
	}
	for _, f := range inflections {
		if stem, ok := strings.CutSuffix(word, f.plural); ok && utf8.RuneCountInString(word) >= f.minLength {
			add(stem + f.singular)
		}
		// A plural that begins with the singular is found by its beginning.
		if stem, ok := strings.CutSuffix(word, f.singular); ok && !strings.HasPrefix(f.plural, f.singular) && utf8.RuneCountInString(stem+f.plural) >= f.minLength {
			add(stem + f.plural)
		}
	}
	if len(spellings) > 1 { // ü is u, and ue
		for _, ending := range umlautEndings {
			if stem, ok := strings.CutSuffix(word, ending); ok && utf8.RuneCountInString(stem) >= minCompoundHead {
				add(stem)
			}
		}
	}
	return all
}
