// Package spelling decides which texts are spellings of one category, brand, tag or value of an
// attribute. Search counts and filters by spelling, and the change feeds filter by it.
package spelling

import (
	"cmp"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"
	"golang.org/x/text/width"
)

// Key returns the form that all spellings of a value have in common. They may differ in case, in
// the width and the Unicode form of characters, in invisible characters, and in blanks between
// words and around slashes. Accents make a difference.
func Key(value string) string {
	key := value
	if strings.ContainsFunc(value, func(r rune) bool { return r >= utf8.RuneSelf }) {
		key = norm.NFC.String(cases.Fold().String(width.Fold.String(strings.Map(visible, value))))
	}
	key = strings.Join(strings.Fields(strings.ToLower(key)), " ")
	return cmp.Or(blanksAroundSlash.Replace(key), value)
}

var blanksAroundSlash = strings.NewReplacer(" / ", "/", " /", "/", "/ ", "/")

// visible returns r, or -1 for a character that only affects how its neighbours look.
func visible(r rune) rune {
	if unicode.In(r, unicode.Cf, unicode.Variation_Selector, unicode.Other_Default_Ignorable_Code_Point) {
		return -1
	}
	return r
}
