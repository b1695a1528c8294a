package textsearch

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis"
	"github.com/blevesearch/bleve/v2/analysis/char/asciifolding"
	"github.com/blevesearch/bleve/v2/analysis/lang/en"
	"golang.org/x/text/unicode/norm"
)

// Fold returns text in lower case, without accents and in one Unicode form. RÅSKOG becomes raskog,
// whether the ring is part of its letter or a combining mark.
func Fold(text string) string {
	if strings.ContainsFunc(text, notASCII) {
		text = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFKD.String(text))
		text = foldToASCII(text)
	}
	return strings.ToLower(text)
}

// foldToASCII replaces characters that have an ASCII form, such as ø by o. It passes only the runs
// of non-ASCII characters to the filter, since most of most texts is ASCII.
func foldToASCII(text string) string {
	var folded strings.Builder
	filter := asciifolding.New()
	for {
		from := strings.IndexFunc(text, notASCII)
		if from < 0 {
			folded.WriteString(text)
			return folded.String()
		}
		to := from + 1
		for to < len(text) && text[to] >= utf8.RuneSelf {
			to++
		}
		folded.WriteString(text[:from])
		folded.Write(filter.Filter([]byte(text[from:to])))
		text = text[to:]
	}
}

func notASCII(r rune) bool { return r >= utf8.RuneSelf }

// Tokenize returns the folded words of text. A word is a run of letters, digits and marks; an
// apostrophe inside a word is dropped (chef's is chefs). In scripts without spaces, such as Chinese
// and Thai, each character is a word.
func Tokenize(text string) []string {
	text = strings.ReplaceAll(Fold(text), "'", "")
	var all []string
	start := -1 // of the current word; -1 between words
	end := func(i int) {
		if start >= 0 {
			all = append(all, text[start:i])
		}
		start = -1
	}
	for i, r := range text {
		switch {
		case isUnspaced(r):
			end(i)
			all = append(all, string(r))
		case isWordChar(r):
			if start < 0 {
				start = i
			}
		default:
			end(i)
		}
	}
	end(len(text))
	return all
}

// wordSpans yields the start and end of each word in text, in bytes. It splits the original text as
// Tokenize splits the folded one.
func wordSpans(text string) func(yield func(start, end int) bool) {
	return func(yield func(start, end int) bool) {
		start := -1
		for i, r := range text {
			switch {
			case isUnspaced(r):
				if start >= 0 && !yield(start, i) || !yield(i, i+utf8.RuneLen(r)) {
					return
				}
				start = -1
			case isWordChar(r), r == '\'' && start >= 0:
				if start < 0 {
					start = i
				}
			case start >= 0:
				if !yield(start, i) {
					return
				}
				start = -1
			}
		}
		if start >= 0 {
			yield(start, len(text))
		}
	}
}

// isWordChar reports whether r can be part of a word.
func isWordChar(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r))
}

// isUnspaced reports whether r belongs to a script that puts no spaces between words.
func isUnspaced(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// Stem returns word without an English plural ending.
func Stem(word string) string {
	if !strings.HasSuffix(word, "s") {
		return word
	}
	token := analysis.TokenStream{{Term: []byte(word)}}
	return string((&en.EnglishPluralStemmerFilter{}).Filter(token)[0].Term)
}

func stemAll(words []string) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = Stem(w)
	}
	return all
}
