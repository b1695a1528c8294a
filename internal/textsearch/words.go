// Package term says by what terms a product is found, and by which ones a query
// looks for it: what search engines have in common. It cuts words, makes plans of
// queries, knows the orders and cursors of pages, and shows what matched. It
// knows no engine, and no product but those it is given.
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

// Fold is text without case and accents, and with one form for what has several:
// RÅSKOG is raskog, whether the ring is a part of its letter or follows it.
func Fold(text string) string {
	if strings.ContainsFunc(text, beyondASCII) {
		text = strings.Map(func(r rune) rune {
			if unicode.Is(unicode.Mn, r) {
				return -1
			}
			return r
		}, norm.NFKD.String(text))
		text = foldLetters(text)
	}
	return strings.ToLower(text)
}

// foldLetters replaces those that are not of ASCII and have a form there. What is
// between them is not looked at, which is most of most texts.
func foldLetters(text string) string {
	var folded strings.Builder
	filter := asciifolding.New()
	for {
		from := strings.IndexFunc(text, beyondASCII)
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

func beyondASCII(r rune) bool { return r >= utf8.RuneSelf }

// Words cuts text into folded words of letters and digits. What is written
// without blanks between its words is cut into letters.
func Tokenize(text string) []string {
	text = strings.ReplaceAll(Fold(text), "'", "") // chef's is chefs
	var all []string
	start := -1 // of the word that i is in
	end := func(i int) {
		if start >= 0 {
			all = append(all, text[start:i])
		}
		start = -1
	}
	for i, r := range text {
		switch {
		case unbroken(r):
			end(i)
			all = append(all, string(r))
		case inWord(r):
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

// inWord says whether r is a part of a word.
func inWord(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r >= utf8.RuneSelf && (unicode.IsLetter(r) || unicode.IsNumber(r) || unicode.IsMark(r))
}

// unbroken says whether the script of r has no blanks between words.
func unbroken(r rune) bool {
	return r >= 0x0e00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// Stem is the word without the ending of an English plural.
func Stem(word string) string {
	if !strings.HasSuffix(word, "s") {
		return word
	}
	token := analysis.TokenStream{{Term: []byte(word)}}
	return string((&en.EnglishPluralStemmerFilter{}).Filter(token)[0].Term)
}

// stems are the words of a text without plural.
func stems(text string) []string { return eachStem(Tokenize(text)) }

func eachStem(words []string) []string {
	all := make([]string, len(words))
	for i, w := range words {
		all[i] = Stem(w)
	}
	return all
}

// head is what a description has before its first sign. There is often
// said what the thing is: "Bar table, 40x60 cm".
func head(description string) string {
	end := strings.IndexFunc(description, func(r rune) bool { return strings.ContainsRune(",.;:!?()/\n", r) })
	if end < 0 {
		end = len(description)
	}
	if end > maxHead {
		return ""
	}
	return description[:end]
}

// headTerm is the term of a whole head, of its words without plural. No word
// begins as it does.
func headTerm(stems []string) string { return "=" + strings.Join(stems, " ") }

// maxHead is the longest head in bytes: what is longer is a sentence.
const maxHead = 80

// levels are the lengths to which the beginnings of words are indexed. To find
// the words that begin with some letters, the terms of the next level that do
// are looked up: they are few, however many words there are.
func levels() []int { return []int{3, 7, 12} }

// eachStart lists the terms of the beginnings of words.
func eachStart(words []string) []string {
	all := make([]string, 0, 2*len(words))
	for _, w := range words {
		all = appendStarts(all, w)
	}
	return all
}

// appendStarts appends the terms of the beginnings of a word: each marked with
// its level, up to the first that has the whole word.
func appendStarts(all []string, word string) []string {
	letters := 0
	level := levels()
	for i := range word {
		if letters == level[0] {
			all = append(all, startTerm(level[0], word[:i]))
			if level = level[1:]; len(level) == 0 {
				return all
			}
		}
		letters++
	}
	return append(all, startTerm(level[0], word))
}

func startTerm(level int, start string) string { return string(rune('a'+level)) + start }
