package textsearch

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/blevesearch/bleve/v2/analysis/char/asciifolding"
	"golang.org/x/text/unicode/norm"
)

// Fold returns text in lower case, without accents and in one Unicode form. RÅSKOG becomes raskog,
// whether the ring is part of its letter or a combining mark. Letters and digits that are written in
// several ways become one: hiragana and katakana, Arabic and Persian letters, digits of all scripts.
func Fold(text string) string {
	if strings.ContainsFunc(text, notASCII) {
		text = norm.NFKD.String(strings.Map(foldRune, text))
		text = foldToASCII(removeMarks(text))
	}
	return strings.ToLower(text)
}

// foldRune maps a character to the usual one of those that mean the same, or to -1 when it only
// affects how a text looks.
func foldRune(r rune) rune {
	switch {
	case r < utf8.RuneSelf:
		return r
	case strings.ContainsRune("™®©℠ـ", r), unicode.Is(unicode.Cf, r): // trade marks, tatweel, invisible characters
		return -1
	case 'ぁ' <= r && r <= 'ゖ': // hiragana to katakana
		return r + 'ァ' - 'ぁ'
	case r == 'ى' || r == 'ی':
		return 'ي'
	case r == 'ة' || r == 'ە':
		return 'ه'
	case r == 'ک':
		return 'ك'
	case unicode.Is(unicode.Nd, r):
		for _, digits := range unicode.Nd.R16 { // each range is a sequence of the digits 0 to 9
			if uint16(r) >= digits.Lo && uint16(r) <= digits.Hi && r <= 0xffff {
				return '0' + (r-rune(digits.Lo))%10
			}
		}
	}
	return r
}

// Combining marks of kana that make another sound: ハ, バ and パ are different letters.
const voicedMark, semiVoicedMark = '\u3099', '\u309a'

// removeMarks removes the combining marks of decomposed text, except those of kana, which it composes.
func removeMarks(text string) string {
	kept := make([]byte, 0, len(text))
	kana := 0 // length of the kana before the mark, in bytes
	for _, r := range text {
		switch {
		case (r == voicedMark || r == semiVoicedMark) && kana > 0:
			at := len(kept) - kana
			kept = append(kept[:at], norm.NFC.Bytes(utf8.AppendRune(kept[at:len(kept):len(kept)], r))...)
		case !unicode.Is(unicode.Mn, r):
			kept = utf8.AppendRune(kept, r)
			if kana = 0; unicode.Is(unicode.Katakana, r) {
				kana = utf8.RuneLen(r)
			}
			continue
		}
		kana = 0
	}
	return string(kept)
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

// digraphs replaces letters that are also written with two letters: Möbel is Moebel, Ålborg Aalborg.
var digraphs = strings.NewReplacer("ä", "ae", "ö", "oe", "ü", "ue", "ø", "oe", "å", "aa", "Ä", "ae", "Ö", "oe", "Ü", "ue", "Ø", "oe", "Å", "aa")

// spellings returns the folded forms of a word, the usual one first.
func spellings(word string) []string {
	plain := Fold(word)
	if strings.ContainsFunc(word, notASCII) {
		if other := Fold(digraphs.Replace(norm.NFC.String(word))); other != plain {
			return []string{plain, other}
		}
	}
	return []string{plain}
}
