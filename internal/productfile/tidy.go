package productfile

import (
	"html"
	"regexp"
	"strings"
)

// oneLine replaces each run of blanks and line breaks by one space.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

var lineBreaks = strings.NewReplacer("\r\n", "\n", "\r", "\n", "\u2028", "\n", "\u2029", "\n")

// keepLines replaces each run of blanks in a line by one space, and keeps line breaks.
func keepLines(s string) string {
	lines := strings.Split(lineBreaks.Replace(s), "\n")
	for i, l := range lines {
		lines[i] = oneLine(l)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

var (
	// hiddenHTML matches what a browser does not show.
	hiddenHTML = regexp.MustCompile(`(?is)<!--.*?-->|<(script|style|head|template)\b[^>]*>.*?</(script|style|head|template)\s*>`)
	// breakingHTML matches the tags before and after which a browser begins a line.
	breakingHTML = regexp.MustCompile(`(?i)<(br|/?(p|div|li|ul|ol|tr|table|h[1-6]|section|article|blockquote|dl|dt|dd))\b[^>]*>`)
	anyHTML      = regexp.MustCompile(`</?[a-zA-Z][^<>]*>`)
	manyBreaks   = regexp.MustCompile(`\n{3,}`)
)

// stripHTML returns the text of an HTML fragment as a browser shows it, line by line.
func stripHTML(s string) string {
	if !strings.ContainsAny(s, "<&") {
		return s
	}
	s = hiddenHTML.ReplaceAllString(s, " ")
	s = breakingHTML.ReplaceAllString(s, "\n")
	s = anyHTML.ReplaceAllString(s, "")
	return manyBreaks.ReplaceAllString(keepLines(html.UnescapeString(s)), "\n\n")
}
