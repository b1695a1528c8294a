package wire

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// expected is what the parser looks for when it meets a syntax error.
type expected int

const (
	expectValue expected = iota
	expectName           // name of a member of an object
	expectColon          // colon after a name
	expectEnd            // end of an object or list
)

// describeSyntax describes for a user what is wrong with the JSON text after offset at, and returns
// the offset of the character concerned. Go's own messages are about its parser.
func describeSyntax(body []byte, at int, want expected) (where int, what string) {
	at += len(body[at:]) - len(bytes.TrimLeft(body[at:], " \t\r\n"))
	rest := body[at:]
	if len(rest) == 0 {
		return at, "the text ends too early"
	}
	start := at // start of a word or number whose first characters the decoder has taken
	for start > 0 && isWord(body[start-1]) && isWord(rest[0]) {
		start--
	}
	end := at
	for end < len(body) && isWord(body[end]) {
		end++
	}
	word := fmt.Sprintf("%.40s", body[start:end])
	before := byte(0) // the character before the word
	if text := bytes.TrimRight(body[:start], " \t\r\n"); len(text) > 0 {
		before = text[len(text)-1]
	}
	separated := before == 0 || strings.IndexByte("{[,:", before) >= 0
	first, _ := utf8.DecodeRune(rest)
	switch {
	case before == 0 && start == at:
		return at, fmt.Sprintf("it begins with %c, not with {", first)
	case strings.ContainsRune("/#", first):
		return at, "JSON has no comments"
	case strings.ContainsRune("'`‘’“”„«»", first):
		return at, fmt.Sprintf("names and texts stand in double quotes (\"), not in %c", first)
	case (first == '}' || first == ']') && before == ',':
		return at, fmt.Sprintf("JSON has no comma before %c", first)
	case strings.ContainsRune("}],", first) && (before == ':' || before == '[' || before == '{' || before == ','):
		return at, fmt.Sprintf("a value is missing before %c", first)
	case first == '}' || first == ']':
		return at, fmt.Sprintf("%c does not close the bracket that was opened last", first)
	case want == expectColon && before != ':':
		return at, "a colon is missing after the name"
	case !separated && start == at:
		return at, "a comma is missing here"
	case first == '"':
		return describeString(body, at)
	case word == "":
		return at, fmt.Sprintf("%c is unexpected", first)
	case want == expectName && start == at:
		return start, fmt.Sprintf("the name %s must stand in double quotes", word)
	case strings.IndexByte("+-.0123456789", word[0]) >= 0:
		return start, word + " is not a number in JSON; in double quotes it is a text"
	}
	return start, word + " is not a value in JSON; a text stands in double quotes"
}

// describeString is describeSyntax of the string whose quote is at offset at.
func describeString(body []byte, at int) (where int, what string) {
	for i := at + 1; i < len(body); i++ {
		switch b := body[i]; {
		case b == '\n':
			return i, `the text has a line break; write \n, or end it with "`
		case b == '\t':
			return i, `the text has a tab; write \t`
		case b < ' ':
			return i, fmt.Sprintf(`the text has the control character U+%04X; write \u%04x`, b, b)
		case b != '\\':
		case i+1 == len(body):
		case body[i+1] == 'u' && escapedUnit(body[i:]) < 0:
			return i, `\u must be followed by four hexadecimal digits`
		case strings.IndexByte(`"\/bfnrtu`, body[i+1]) < 0:
			r, _ := utf8.DecodeRune(body[i+1:])
			return i, fmt.Sprintf(`\%c is not an escape of JSON; write \\ for a backslash`, r)
		default:
			i++
		}
	}
	return at, `the text has no " at its end`
}

// isWord reports whether b can be a part of a number or of a word that is not in quotes.
func isWord(b byte) bool {
	return b >= '0' && b <= '9' || b >= 'a' && b <= 'z' || b >= 'A' && b <= 'Z' || b >= utf8.RuneSelf || strings.IndexByte("_+-.$", b) >= 0
}

// location names an offset in body for people, from 1: the column, and the line if the body
// has several.
func location(body []byte, offset int) string {
	before := body[:min(offset, len(body))]
	column := "column " + strconv.Itoa(utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:])+1)
	if bytes.IndexByte(bytes.TrimSpace(body), '\n') < 0 {
		return column
	}
	return "line " + strconv.Itoa(bytes.Count(before, []byte("\n"))+1) + ", " + column
}
