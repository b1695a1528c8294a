package textsearch

import (
	"html"
	"strings"
)

// maxTag is the longest text, in bytes, that is taken for a tag.
const maxTag = 2_000

// inlineTags are the tags inside a word or sentence: <b>W</b>ord is one word. All other tags divide words.
var inlineTags = map[string]bool{
	"a": true, "abbr": true, "b": true, "bdi": true, "bdo": true, "big": true, "cite": true, "code": true, "data": true, "em": true, "font": true,
	"i": true, "ins": true, "kbd": true, "mark": true, "q": true, "s": true, "small": true, "span": true, "strong": true, "sub": true, "sup": true,
	"u": true, "wbr": true,
}

// hiddenTags are the elements whose content is not shown.
var hiddenTags = map[string]bool{"script": true, "style": true, "template": true, "noscript": true}

// PlainText returns a description as a shop shows it: without HTML tags and comments, and with the
// characters that entities stand for. Text without markup is returned unchanged.
func PlainText(text string) string {
	if !strings.ContainsAny(text, "<&") {
		return text
	}
	var b strings.Builder
	for text != "" {
		at := strings.IndexByte(text, '<')
		if at < 0 {
			b.WriteString(text)
			break
		}
		b.WriteString(text[:at])
		text = text[at:]
		name, length := tag(text)
		if length == 0 {
			b.WriteByte('<')
			text = text[1:]
			continue
		}
		text = text[length:]
		if hiddenTags[name] {
			if end := indexClosing(text, name); end >= 0 {
				text = text[end:]
			}
		}
		if plain := b.String(); !inlineTags[strings.TrimPrefix(name, "/")] && plain != "" && !strings.HasSuffix(plain, " ") {
			b.WriteByte(' ')
		}
	}
	return html.UnescapeString(b.String())
}

// tag returns the name of the tag or comment that text begins with, and its length in bytes; 0 for none.
func tag(text string) (name string, length int) {
	if strings.HasPrefix(text, "<!--") {
		if end := strings.Index(text, "-->"); end > 0 {
			return "!", end + len("-->")
		}
	}
	end := strings.IndexByte(text[:min(len(text), maxTag)], '>')
	if end < 0 {
		return "", 0
	}
	name = text[1:end]
	if at := strings.IndexAny(name[min(1, len(name)):], " \t\r\n/"); at >= 0 {
		name = name[:at+1]
	}
	name = strings.ToLower(name)
	first := strings.TrimPrefix(name, "/")
	if first == "" || !(first[0] >= 'a' && first[0] <= 'z' || first[0] == '!') || strings.ContainsAny(first, "<@") {
		return "", 0
	}
	return name, end + 1
}

// indexClosing returns where the closing tag of an element begins, in any case, or -1.
func indexClosing(text, name string) int {
	for from := 0; ; {
		at := strings.Index(text[from:], "</")
		if at < 0 {
			return -1
		}
		at += from
		if rest := text[at+2:]; len(rest) >= len(name) && strings.EqualFold(rest[:len(name)], name) {
			return at
		}
		from = at + 2
	}
}
