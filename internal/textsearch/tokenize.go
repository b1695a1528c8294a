package textsearch

import (
	"cmp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// token is a folded word of a text, and where it stands in the text in bytes.
type token struct {
	term       string
	start, end int
}

// rawWord is a run of letters, digits and marks in a text.
type rawWord struct {
	spellings  []string // folded spellings, the usual one first
	start, end int
	glue       string  // the mark, such as a hyphen, that joins the word to the previous one; "" for none
	unspaced   bool    // a character of a script without spaces between words
	symbol     bool    // an emoji
	inchMark   bool    // the mark after a number that stands for inch: 24"
	parts      []token // parts of a word such as iphone13, GreenBox or l'oreal; nil for others
	elided     bool    // the parts are divided by an apostrophe, so the word is not a sequence of them
}

// analyze returns the words of text in their order.
//
//   - An apostrophe stands inside a word: chef's is chefs, and its part is chef.
//   - A point or comma between digits, or before the first one, makes a decimal number: 1,50 and 1.5 are
//     the same word, .5 and 0.5 too.
//   - A quotation mark after a number is the word inch, unless it ends a quotation.
//   - A fraction of one character is a word of its own: 1½ is 1 and 1/2.
//   - Plus signs and number signs after up to three letters belong to the word: c++, c#.
//   - Between digits, × is an x.
//   - In scripts without spaces, such as Chinese and Thai, each character with its marks is a word.
func analyze(text string) (all []rawWord) {
	quoted := false // a quotation mark before i has not been closed
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		end := i + size
		w := rawWord{start: i}
		switch {
		case isUnspaced(r):
			for end < len(text) {
				mark, n := utf8.DecodeRuneInString(text[end:])
				if !unicode.IsMark(mark) && mark != 'ﾞ' && mark != 'ﾟ' {
					break
				}
				end += n
			}
			w.unspaced, w.spellings = true, []string{Fold(text[i:end])}
		case isEmoji(r):
			if flag, n := utf8.DecodeRuneInString(text[end:]); isRegional(r) && isRegional(flag) {
				end += n
			}
			w.symbol, w.spellings = true, []string{text[i:end]}
		case isTimes(text, i, end):
			w.spellings = []string{"x"}
		case isQuotationMark(r):
			if before, _ := utf8.DecodeLastRuneInString(text[:i]); !quoted && unicode.IsNumber(before) {
				w.inchMark, w.spellings = true, []string{"inch"}
			} else {
				quoted = !quoted
			}
		case isVulgarFraction(r):
			w.spellings = []string{Fold(text[i:end])}
		case beginsFraction(text, i):
			end = wordEnd(text, end)
			w.fold(text[i:end])
		case isWordChar(r) && !unicode.Is(unicode.Mn, r):
			end = wordEnd(text, i)
			w.fold(text[i:end])
		}
		if w.end = end; len(w.spellings) > 0 && w.spellings[0] != "" {
			if len(all) > 0 {
				w.glue = glue(text[all[len(all)-1].end:i])
			}
			all = append(all, w)
		}
		i = end
	}
	return all
}

// wordEnd returns where the word that begins at i ends.
func wordEnd(text string, i int) int {
	end := i
	for end < len(text) {
		r, size := utf8.DecodeRuneInString(text[end:])
		next, _ := utf8.DecodeRuneInString(text[end+size:])
		switch {
		case isUnspaced(r) || isEmoji(r) || isVulgarFraction(r):
			return end
		case isWordChar(r) || unicode.Is(unicode.Cf, r):
		case isApostrophe(r) && end > i && unicode.IsLetter(next) && !isUnspaced(next):
		case (r == '.' || r == ',') && isDecimalPoint(text, end):
		case isTimes(text, end, end+size) && isDigit(next):
		case (r == '+' || r == '#') && isSuffixSign(text, i, end):
			for end < len(text) && (text[end] == '+' || text[end] == '#') {
				end++
			}
			return end
		default:
			return end
		}
		end += size
	}
	return end
}

// maxSignedWord is the length in bytes of the longest word that a plus or number sign belongs to.
const maxSignedWord = 3

// isSuffixSign reports whether the signs at i belong to the word that begins at start: the word has
// few letters, and no other word follows immediately.
func isSuffixSign(text string, start, i int) bool {
	if i == start || i-start > maxSignedWord || strings.ContainsFunc(text[start:i], func(r rune) bool { return !unicode.IsLetter(r) }) {
		return false
	}
	next, _ := utf8.DecodeRuneInString(strings.TrimLeft(text[i:], "+#"))
	return !isWordChar(next) || next == utf8.RuneError
}

// isDecimalPoint reports whether the point or comma at i is the only one in a number.
func isDecimalPoint(text string, i int) bool {
	from, to := i, i+1
	for from > 0 && isASCIIDigit(text[from-1]) {
		from--
	}
	for to < len(text) && isASCIIDigit(text[to]) {
		to++
	}
	isPoint := func(at int) bool { return at >= 0 && at < len(text) && (text[at] == '.' || text[at] == ',') }
	return from < i && to > i+1 && (!isPoint(from-1) || from < 2 || !isASCIIDigit(text[from-2])) &&
		(!isPoint(to) || to+1 >= len(text) || !isASCIIDigit(text[to+1]))
}

// beginsFraction reports whether the character at i is the point of a decimal number without a whole
// part, such as .5.
func beginsFraction(text string, i int) bool {
	if text[i] != '.' && text[i] != ',' || i+1 == len(text) || !isASCIIDigit(text[i+1]) {
		return false
	}
	return i == 0 || text[i-1] == ' ' || text[i-1] == '('
}

// isTimes reports whether text[i:end] is a multiplication sign between two numbers.
func isTimes(text string, i, end int) bool {
	if s := text[i:end]; s != "×" && s != "*" && s != "✕" {
		return false
	}
	before, after := strings.TrimRight(text[:i], " "), strings.TrimLeft(text[end:], " ")
	return before != "" && after != "" && isASCIIDigit(before[len(before)-1]) && isASCIIDigit(after[0])
}

// minCamelPart is the number of letters that each part of a word such as GreenBox has at least.
const minCamelPart = 3

// minElidedPart is the number of letters that a part beside an apostrophe has at least: chef of
// chef's, oreal of l'oreal.
const minElidedPart = 3

// fold sets the spellings and parts of w, which is text.
func (w *rawWord) fold(text string) {
	if isPlain(text) {
		w.spellings = []string{strings.ToLower(text)}
		return
	}
	type piece struct{ from, to int }
	var pieces []piece
	from, letters := 0, 0 // start of the present piece, and number of its letters
	end := func(to, next int) {
		if to > from {
			pieces = append(pieces, piece{from, to})
		}
		from, letters = next, 0
	}
	last, whole := rune(0), make([]byte, 0, len(text))
	for i, r := range text {
		size := utf8.RuneLen(r)
		switch {
		case isApostrophe(r):
			w.elided = true
			end(i, i+size)
			continue
		case r == '+' || r == '#':
			end(i, len(text)) // c is a part of c++
		case i > from && isNumeric(r) != isNumeric(last):
			end(i, i)
		case letters >= minCamelPart && unicode.IsUpper(r) && unicode.IsLower(last) && lowerLetters(text[i+size:]) >= minCamelPart-1:
			end(i, i)
		}
		if unicode.IsLetter(r) {
			letters++
		}
		last, whole = r, utf8.AppendRune(whole, r)
	}
	end(len(text), 0)
	w.spellings = wordSpellings(string(whole))
	if len(pieces) == 1 && len(whole) == pieces[0].to {
		return
	}
	for _, p := range pieces {
		form := wordSpellings(text[p.from:p.to])[0]
		if form != "" && (!w.elided || utf8.RuneCountInString(form) >= minElidedPart) {
			w.parts = append(w.parts, token{form, w.start + p.from, w.start + p.to})
		}
	}
}

// isPlain reports whether text consists of ASCII letters, or of digits, and has no parts.
func isPlain(text string) bool {
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z' && (i == 0 || text[i-1] < 'a'):
			if isASCIIDigit(text[0]) {
				return false
			}
		case !isASCIIDigit(c) || !isASCIIDigit(text[0]):
			return false
		}
	}
	return true
}

// lowerLetters returns how many lower-case letters text begins with.
func lowerLetters(text string) (n int) {
	for _, r := range text {
		if !unicode.IsLower(r) {
			break
		}
		n++
	}
	return n
}

// timesSigns replaces multiplication signs.
var timesSigns = strings.NewReplacer("×", "x", "✕", "x", "*", "x")

// wordSpellings returns the folded forms of a word with or without a decimal number.
func wordSpellings(word string) []string {
	at := strings.IndexAny(word, ".,")
	if at < 0 {
		return spellings(timesSigns.Replace(word))
	}
	from, to := at, at+1
	for from > 0 && isASCIIDigit(word[from-1]) {
		from--
	}
	for to < len(word) && isASCIIDigit(word[to]) {
		to++
	}
	whole, fraction := cmp.Or(word[from:at], "0"), strings.TrimRight(word[at+1:to], "0")
	number := whole
	if fraction != "" {
		number += "." + fraction
	}
	numbers := []string{number}
	if to-at == 4 && whole != "0" && len(whole) <= 3 { // 1,234 may be a thousand and more
		numbers = []string{whole + word[at+1:to], number}
	}
	var all []string
	for _, n := range numbers {
		for _, rest := range wordSpellings(word[to:]) {
			for _, begin := range spellings(word[:from]) {
				all = append(all, begin+n+rest)
			}
		}
	}
	return all
}

// terms returns the spellings and parts of the words, and in scripts without spaces each pair of
// neighbours.
func terms(words []rawWord) []token {
	all := make([]token, 0, len(words))
	for i, w := range words {
		for _, s := range w.spellings {
			all = append(all, token{s, w.start, w.end})
		}
		all = append(all, w.parts...)
		if i > 0 && w.unspaced && words[i-1].unspaced && words[i-1].end == w.start {
			all = append(all, token{words[i-1].spellings[0] + w.spellings[0], words[i-1].start, w.end})
		}
	}
	return all
}

// Limits of the words that are joined.
const (
	maxJoined     = 48 // bytes of a joined word
	maxJoinedUnit = 4  // bytes of a unit or short name that is joined to its number in a description
)

// atom is a word without parts, or a part of a word.
type atom struct {
	token
	follows bool // joins may extend from the previous atom
	glue    string
}

// atoms returns the pieces of which words are joined.
func atoms(words []rawWord) (all []atom) {
	follows := false
	for _, w := range words {
		switch {
		case w.unspaced || w.symbol:
			follows = false
			continue
		case w.parts != nil && !w.elided:
			for k, p := range w.parts {
				a := atom{p, follows || k > 0, w.glue}
				if k > 0 {
					a.glue = inWord
				}
				all = append(all, a)
			}
		default:
			all = append(all, atom{token{w.spellings[0], w.start, w.end}, follows, w.glue})
		}
		follows = true
	}
	return all
}

// joins returns the words that arise when two or three neighbours are written as one, or all that
// marks join: wifi of Wi-Fi, 10mm of 10 mm, 50x60x70 of 50 x 60 x 70. Two numbers are only joined as a fraction
// and within a part number. With unitsOnly it returns only those of a number and what belongs to it, and
// of all words that marks join.
func joins(words []rawWord, unitsOnly bool) (joined []token) {
	if unitsOnly && !slices.ContainsFunc(words, func(w rawWord) bool { return w.glue != "" || w.hasDigit() }) {
		return nil
	}
	all := atoms(words)
	joined = partNumbers(all)
	for i, first := range all {
		term, glued, size := first.term, true, true // size: numbers with an x between them
		for j := i + 1; j < len(all) && all[j].follows; j++ {
			left, right := all[j-1], all[j]
			if endsWithDigit(left.term) && startsWithDigit(right.term) {
				if right.glue == "/" && j == i+1 {
					joined = append(joined, token{left.term + "/" + right.term, left.start, right.end})
				}
				break
			}
			glued = glued && right.glue != ""
			size = size && (left.term == "x" && startsWithDigit(right.term) || endsWithDigit(left.term) && right.term == "x")
			term += right.term
			if len(term) > maxJoined || j > i+2 && !glued && !size || unitsOnly && !isUnit(left.term, right.term) {
				break
			}
			if unitsOnly && j > i+1 && left.term != "x" && !size {
				break
			}
			joined = append(joined, token{term, first.start, right.end})
		}
	}
	return joined
}

// partNumbers returns the words that marks join, each as a whole: trx900b of TRX-900.B. A slash divides
// categories and alternatives, and two numbers such as 10-20 are a range.
func partNumbers(all []atom) (joined []token) {
	for from := 0; from < len(all); {
		to, marks := from+1, 0
		term := all[from].term
		for ; to < len(all) && all[to].follows && all[to].glue != "" && all[to].glue != "/"; to++ {
			term += all[to].term
			if all[to].glue != inWord {
				marks++
			}
		}
		if numbers := !strings.ContainsFunc(term, unicode.IsLetter); marks > 1 || marks == 1 && !numbers {
			if len(term) <= maxJoined {
				joined = append(joined, token{term, all[from].start, all[to-1].end})
			}
		}
		from = to
	}
	return joined
}

// isUnit reports whether one of two words is a number and the other one short.
func isUnit(left, right string) bool {
	return endsWithDigit(left) && len(right) <= maxJoinedUnit || startsWithDigit(right) && len(left) <= maxJoinedUnit
}

// sizeUnits are units that sizes are often written without.
var sizeUnits = []string{"cm", "mm", "m", "inch", "zoll"}

// isSizeUnit reports whether word i is the unit of a size, as in 90x200 cm.
func isSizeUnit(words []rawWord, i int) bool {
	before := func(n int) string {
		if i < n {
			return ""
		}
		return words[i-n].spellings[0]
	}
	return slices.Contains(sizeUnits, before(0)) && (isSize(before(1)) || endsWithDigit(before(1)) && before(2) == "x" && endsWithDigit(before(3)))
}

// withoutUnit returns the size of a word such as 90x200cm; "" for other words.
func withoutUnit(word string) string {
	for _, unit := range sizeUnits {
		if size, ok := strings.CutSuffix(word, unit); ok && isSize(size) {
			return size
		}
	}
	return ""
}

// isSize reports whether a word is numbers with x between them.
func isSize(word string) bool {
	at := strings.IndexByte(word, 'x')
	return at > 0 && endsWithDigit(word[:at]) && startsWithDigit(word[at+1:]) && endsWithDigit(word)
}

// hasLettersAndDigits reports whether an identifier has both.
func hasLettersAndDigits(id string) bool {
	return strings.ContainsFunc(id, unicode.IsLetter) && strings.ContainsFunc(id, unicode.IsNumber)
}

// Tokenize returns the folded words of text, without their parts.
func Tokenize(text string) []string {
	var all []string
	for _, w := range analyze(text) {
		all = append(all, w.spellings[0])
	}
	return all
}

// isWordChar reports whether r can be part of a word.
func isWordChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r))
}

// isUnspaced reports whether r belongs to a script that puts no spaces between words.
func isUnspaced(r rune) bool {
	return r >= 0x0e00 && (unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar) || r == 'ー' || r == 'ｰ')
}

// isQuotationMark reports whether r may stand for inch.
func isQuotationMark(r rune) bool { return r == '"' || r == '”' || r == '“' || r == '″' }

// isVulgarFraction reports whether r is a fraction such as ½.
func isVulgarFraction(r rune) bool {
	return r >= '¼' && r <= '¾' || r >= '⅐' && r <= '⅞' || r == '↉'
}

// isEmoji reports whether r is a pictograph.
func isEmoji(r rune) bool {
	return r >= 0x1f000 && unicode.In(r, unicode.So) || r >= 0x2600 && r <= 0x27bf || r >= 0x2b00 && r <= 0x2bff
}

// isRegional reports whether r is a regional indicator; two of them are a flag.
func isRegional(r rune) bool { return r >= 0x1f1e6 && r <= 0x1f1ff }

func isApostrophe(r rune) bool { return strings.ContainsRune("'’‘ʼ＇´`", r) }

func isASCIIDigit(b byte) bool { return b >= '0' && b <= '9' }

func isDigit(r rune) bool { return r >= '0' && r <= '9' }

// isNumeric reports whether r is a part of a number within a word.
func isNumeric(r rune) bool { return unicode.IsNumber(r) || r == '.' || r == ',' }

// hasDigit reports whether a spelling of w contains a digit.
func (w rawWord) hasDigit() bool { return strings.ContainsFunc(w.spellings[0], isDigit) }

func startsWithDigit(word string) bool { return word != "" && isASCIIDigit(word[0]) }

func endsWithDigit(word string) bool { return word != "" && isASCIIDigit(word[len(word)-1]) }

// inWord is the glue of the parts of a word.
const inWord = "+"

// glue returns text if it is one mark that joins two words, else "".
func glue(text string) string {
	_, size := utf8.DecodeRuneInString(text)
	if len(text) == size && strings.ContainsAny(text, "-‐‑–_./&+'’:|~@\\") {
		return text
	}
	return ""
}
