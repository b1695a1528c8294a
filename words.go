package catalog

import "unicode"

// WordCount returns about how many words a search index makes of d, parts of words
// such as Green and Box of GreenBox included. The memory and the time to index a
// product grow with them rather than with its size.
func (d *ProductData) WordCount() (n int) {
	for i := range Fields {
		switch f := &Fields[i]; f.Kind {
		case KindLine, KindProse:
			n += countWords(*f.Text(d))
		case KindList:
			for _, s := range *f.List(d) {
				n += countWords(s)
			}
		case KindMap:
			for _, v := range d.Attributes {
				n += countWords(v)
			}
		}
	}
	return n
}

// countWords counts the places where a word or a part of one begins. In scripts without spaces each
// character is a word, and so is each symbol. For speed, every character from U+0E00 on counts as
// one, because most of them belong to such scripts or are symbols.
func countWords(text string) (n int) {
	const none, lower, upper, digit = 0, 1, 2, 3
	before := none
	for _, r := range text {
		kind := none
		switch {
		case 'a' <= r && r <= 'z':
			kind = lower
		case '0' <= r && r <= '9':
			kind = digit
		case r >= 0x0e00:
			n++
		case unicode.IsUpper(r):
			kind = upper
		case unicode.IsLetter(r), unicode.IsMark(r), unicode.IsNumber(r):
			kind = lower
		}
		if kind != none && kind != before && (before != upper || kind != lower) {
			n++
		}
		before = kind
	}
	return n
}
