package wire

import (
	"strings"

	"golang.org/x/text/unicode/norm"

	"catalog"
)

// NormalizeText returns a text of a field as the catalogue stores it: in Unicode's
// composed form (NFC), so that texts that look alike are alike. SKUs and GTINs,
// categories, tags and names of attributes, which identify something, lose their invisible
// characters. Queries that compare with a field pass through the same function.
func NormalizeText(f *catalog.Field, s string) string {
	switch {
	case isASCII(s):
		return s
	case f.Name == "sku", f.Name == "gtin":
		s = strings.Map(withoutJoiners, s)
	case f.Name == "category", f.Kind == catalog.KindList, f.Kind == catalog.KindMap:
		s = strings.Map(withoutInvisible, s)
	}
	return norm.NFC.String(s)
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}

// withoutInvisible returns -1 for characters that have no width and no meaning in a name:
// zero-width spaces, soft hyphens, byte-order marks and marks of writing direction.
func withoutInvisible(r rune) rune {
	switch {
	case r == '\u00AD', r == '\u061C', r == '\u180E', r == '\u200B', r == '\u200E', r == '\u200F',
		r >= '\u202A' && r <= '\u202E', r >= '\u2060' && r <= '\u2064', r >= '\u2066' && r <= '\u206F', r == '\uFEFF':
		return -1
	}
	return r
}

// withoutJoiners is withoutInvisible, and removes joiners too. These have a meaning in
// emoji and in Persian names, and none in an SKU.
func withoutJoiners(r rune) rune {
	if r == '\u200C' || r == '\u200D' || r == '\uFE0E' || r == '\uFE0F' {
		return -1
	}
	return withoutInvisible(r)
}
