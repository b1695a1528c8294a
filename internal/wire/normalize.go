package wire

import (
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"catalog"
)

// TextForm is the version of the form that NormalizeText gives texts. A change that gives
// stored texts another form raises it.
const TextForm = 1

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

// NormalizeData returns the data of a product with all texts as NormalizeText returns them.
// A text of which nothing is left stays as it is, and so do attributes of which two would get
// one name. A tag that repeats another one is left out.
func NormalizeData(d catalog.ProductData) catalog.ProductData {
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; f.Kind {
		case catalog.KindMoney:
		case catalog.KindList:
			list := f.List(&d)
			var next []string
			for _, s := range *list {
				if s = normalizeOrKeep(f, s); !slices.Contains(next, s) {
					next = append(next, s)
				}
			}
			*list = next
		case catalog.KindMap:
			d.Attributes = normalizeAttributes(f, d.Attributes)
		default:
			text := f.Text(&d)
			*text = normalizeOrKeep(f, *text)
		}
	}
	return d
}

func normalizeAttributes(f *catalog.Field, old map[string]string) map[string]string {
	next := make(map[string]string, len(old))
	for k, v := range old {
		next[normalizeOrKeep(f, k)] = norm.NFC.String(v)
	}
	if len(next) < len(old) {
		return old
	}
	return next
}

func normalizeOrKeep(f *catalog.Field, s string) string {
	if next := NormalizeText(f, s); next != "" {
		return next
	}
	return s
}

// onlyInvisible reports whether a text has no visible character, except ASCII's blanks.
func onlyInvisible(s string) bool {
	return s == "" || !isASCII(s) && strings.TrimSpace(strings.Map(withoutJoiners, s)) == ""
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
