package productfile

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
)

const (
	utf8Name        = "utf-8"
	windows1252Name = "windows-1252"
)

// encodings are the character encodings of feeds by the value of -encoding.
var encodings = map[string]encoding.Encoding{
	utf8Name:       encoding.Nop,
	"utf-16le":     unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM),
	"utf-16be":     unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"windows-1250": charmap.Windows1250, "windows-1251": charmap.Windows1251, windows1252Name: charmap.Windows1252,
	"windows-1253": charmap.Windows1253, "windows-1254": charmap.Windows1254, "windows-1257": charmap.Windows1257,
	"iso-8859-1": charmap.ISO8859_1, "iso-8859-2": charmap.ISO8859_2, "iso-8859-15": charmap.ISO8859_15,
	"macintosh": charmap.Macintosh, "ibm850": charmap.CodePage850, "koi8-r": charmap.KOI8R,
}

// encodingNames are other names of the encodings.
var encodingNames = map[string]string{
	"utf8": utf8Name, "utf-16": "utf-16le", "utf16": "utf-16le", "utf16le": "utf-16le", "utf16be": "utf-16be",
	"latin1": "iso-8859-1", "latin-1": "iso-8859-1", "latin2": "iso-8859-2", "latin9": "iso-8859-15",
	"cp1250": "windows-1250", "cp1251": "windows-1251", "cp1252": windows1252Name, "ansi": windows1252Name,
	"macroman": "macintosh", "mac-roman": "macintosh", "mac": "macintosh", "cp850": "ibm850",
}

// encodingName returns the name under which an encoding is in the table.
func encodingName(name string) string {
	name = strings.ToLower(strings.TrimSpace(name))
	if other, ok := encodingNames[name]; ok {
		return other
	}
	return name
}

// decoderOf returns the encoding with a name, UTF-8 for "".
func decoderOf(name string) (encoding.Encoding, error) {
	if name == "" {
		name = utf8Name
	}
	e, ok := encodings[encodingName(name)]
	if !ok {
		return nil, fmt.Errorf("-encoding %q is unknown; the encodings are %s", name, strings.Join(slices.Sorted(maps.Keys(encodings)), ", "))
	}
	return e, nil
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
			return "iso-8859-15", 0 // 0xA4 is the euro there, and an unused sign elsewhere
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

// In windows-1252, signs are no letters, and innerEastern, ì and ù, end words. In windows-1250
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

// decode returns the text of in, which has the given encoding, as UTF-8.
func decode(in io.Reader, name string) (io.Reader, error) {
	e, err := decoderOf(name)
	if err != nil || e == encoding.Nop {
		return in, err
	}
	return transform.NewReader(in, e.NewDecoder()), nil
}

// checkText returns what is wrong with the characters of a cell or row, or nil.
func (r *Reader) checkText(what, s string) error {
	switch {
	case !utf8.ValidString(s):
		return fmt.Errorf("%s is not UTF-8; give the encoding of the file: -encoding windows-1252 for files of Windows programs, macintosh for old ones of a Mac, windows-1250, windows-1251 or windows-1254 for languages of Eastern Europe", what)
	case r.about.encoding != utf8Name && strings.ContainsRune(s, utf8.RuneError):
		return fmt.Errorf("%s has a character that is not in %s; give the right -encoding", what, r.about.encoding)
	}
	return nil
}
