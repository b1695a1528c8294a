package productfile

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/htmlindex"
)

const (
	utf8Name        = "utf-8"
	windows1252Name = "windows-1252"
)

// encodings are the encodings that browsers, whose names of encodings are known too, do not
// have. UTF-8 is not decoded, so that a row with other bytes is refused.
var encodings = map[string]encoding.Encoding{
	utf8Name: encoding.Nop, "ibm437": charmap.CodePage437, "ibm850": charmap.CodePage850, "ibm852": charmap.CodePage852,
}

// encodingNames are names of encodings that browsers do not know.
var encodingNames = map[string]string{
	"ansi": windows1252Name, "latin-1": windows1252Name, "latin9": "iso-8859-15", "macroman": "macintosh", "mac-roman": "macintosh",
	"cp437": "ibm437", "cp850": "ibm850", "cp852": "ibm852", "cp932": "shift_jis", "cp936": "gbk", "cp949": "euc-kr", "cp950": "big5",
	"utf16": "utf-16le", "utf16le": "utf-16le", "utf16be": "utf-16be", "eucjp": "euc-jp", "euckr": "euc-kr",
}

// encodingExamples are the encodings that a message names.
const encodingExamples = "utf-8, utf-16le, utf-16be, windows-1250 to windows-1258, iso-8859-1 to iso-8859-16, macintosh, ibm437, ibm850, ibm852, koi8-r, shift_jis, euc-jp, gbk, gb18030, big5 and euc-kr"

// encodingOf returns the encoding with a name, and its first name.
func encodingOf(name string) (encoding.Encoding, string, error) {
	known := strings.ToLower(strings.TrimSpace(name))
	if other, ok := encodingNames[known]; ok {
		known = other
	}
	if e, ok := encodings[known]; ok {
		return e, known, nil
	}
	e, err := htmlindex.Get(known)
	if err == nil {
		known, err = htmlindex.Name(e)
	}
	switch {
	case err != nil || e == encoding.Replacement || known == "x-user-defined":
		return nil, "", fmt.Errorf("-encoding %q is unknown; the encodings are %s", name, encodingExamples)
	case known == utf8Name:
		e = encoding.Nop
	}
	return e, known, nil
}

// byteOrderMarks are the first bytes that name an encoding.
var byteOrderMarks = []struct{ mark, encoding string }{
	{"\xEF\xBB\xBF", utf8Name}, {"\xFF\xFE", "utf-16le"}, {"\xFE\xFF", "utf-16be"},
}

// recogniseEncoding returns the encoding of a file by its beginning, and the length of
// its byte-order mark. Files that are not UTF-8 and look like a Western language are
// windows-1252. It returns utf8Name if the text is neither: the rows are then refused
// with the remedy.
func recogniseEncoding(sample []byte) (name string, mark int) {
	for _, b := range byteOrderMarks {
		if bytes.HasPrefix(sample, []byte(b.mark)) {
			return b.encoding, len(b.mark)
		}
	}
	if bytes.Contains(sample, []byte("\x1B$B")) || bytes.Contains(sample, []byte("\x1B$@")) {
		return "iso-2022-jp", 0 // an escape sequence begins Japanese text
	}
	// In UTF-16, the high byte of most characters of a feed is 0.
	var zeros [2]int
	for i, b := range sample {
		if b == 0 {
			zeros[i%2]++
		}
	}
	switch half := len(sample) / 2; {
	case half > 0 && zeros[1] > half/4 && zeros[0] < zeros[1]/4:
		return "utf-16le", 0
	case half > 0 && zeros[0] > half/4 && zeros[1] < zeros[0]/4:
		return "utf-16be", 0
	case !utf8.Valid(withoutPart(sample)) && looksWestern(sample):
		if bytes.IndexByte(sample, 0xA4) >= 0 && bytes.IndexByte(sample, 0x80) < 0 {
			return "iso-8859-15", 0 // 0xA4 is the euro in ISO 8859-15, and an unused sign elsewhere
		}
		return windows1252Name, 0
	}
	return utf8Name, 0
}

// withoutPart returns the sample without the part of a character at its end.
func withoutPart(sample []byte) []byte {
	for n := 1; n <= utf8.UTFMax && n <= len(sample); n++ {
		if last := sample[len(sample)-n:]; utf8.RuneStart(last[0]) {
			if !utf8.FullRune(last) {
				return sample[:len(sample)-n]
			}
			break
		}
	}
	return sample
}

// looksWestern reports whether a text that is not UTF-8 looks like windows-1252: of its
// characters beyond ASCII, few stand in groups of three, as the letters of other alphabets
// do; those from 0x80 to 0x9F, which are letters in MacRoman and IBM 850, are punctuation;
// few stand where only the letters of Eastern Europe do; and few are UTF-8.
func looksWestern(sample []byte) bool {
	high, inGroups, inWords, eastern, inUTF8 := 0, 0, 0, 0, 0
	for i, b := range sample {
		if b < 0x80 {
			continue
		}
		high++
		before, after := byteAt(sample, i-1), byteAt(sample, i+1)
		if before >= 0x80 && after >= 0x80 {
			inGroups++
		}
		if _, size := utf8.DecodeRune(sample[i:]); size > 1 {
			inUTF8++
		}
		if b < 0xA0 && asciiLetter(before) && asciiLetter(after) && b != 0x92 { // 0x92 is an apostrophe
			inWords++
		}
		if asciiLetter(after) && (bytes.IndexByte(innerEastern, b) >= 0 || asciiLetter(before) && bytes.IndexByte(signs, b) >= 0) || b == 0xFE && asciiLetter(before) {
			eastern++
		}
	}
	return inGroups*8 <= high && inWords*8 <= high && eastern*8 <= high && inUTF8*8 <= high
}

// In windows-1252, signs are not letters, and innerEastern, ì and ù, end words. In windows-1250
// and windows-1254 both are letters, as is 0xFE, which in windows-1252 begins words.
var signs, innerEastern = []byte("\xA3\xA5\xAF\xB3\xB9\xBA\xBC\xBE\xBF"), []byte("\xEC\xF9")

// encodedTwice reports whether all characters beyond ASCII of a text, of which there are
// several, are the bytes of UTF-8 as windows-1252 shows them, such as Ã© for é.
func encodedTwice(text []byte) bool {
	groups := 0
	for len(text) > 0 {
		start := bytes.IndexFunc(text, func(r rune) bool { return r >= utf8.RuneSelf })
		if start < 0 {
			break
		}
		text = text[start:]
		end := bytes.IndexFunc(text, func(r rune) bool { return r < utf8.RuneSelf })
		if end < 0 {
			end = len(text)
		}
		var group []byte
		for _, r := range string(text[:end]) {
			b, ok := charmap.Windows1252.EncodeRune(r)
			if !ok && r <= 0xFF { // a byte that windows-1252 lacks
				b, ok = byte(r), true
			}
			if !ok {
				return false
			}
			group = append(group, b)
		}
		if !utf8.Valid(group) {
			return false
		}
		text = text[end:]
		groups++
	}
	return groups > 1
}

func byteAt(b []byte, i int) byte {
	if i < 0 || i >= len(b) {
		return 0
	}
	return b[i]
}

func asciiLetter(b byte) bool { return b|0x20 >= 'a' && b|0x20 <= 'z' }

// checkText returns what is wrong with the characters of a cell or row, or nil.
func (r *Reader) checkText(what, s string) error {
	switch {
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not UTF-8; give the encoding of the file: -encoding windows-1252 for files of Windows programs, macintosh for old ones of a Mac, windows-1250, windows-1251 or windows-1254 for languages of Eastern Europe, shift_jis, gbk, big5 or euc-kr for those of East Asia", what)
	case r.about.encoding != utf8Name && strings.ContainsRune(s, utf8.RuneError):
		return fmt.Errorf("%s has a character that is not in %s; give the right -encoding", what, r.about.encoding)
	}
	return nil
}
