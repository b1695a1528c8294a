package textsearch

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"catalog"
)

// Matcher tells which words of a product are those that it was found by.
type Highlighter struct {
	stems  map[string]bool // of the words that were looked for, and of those that they may stand for
	starts []string        // the words that were looked for: others may begin with them
	whole  string          // the whole text, folded
}

// NewMatcher makes a matcher of a text of which no word has been looked for yet.
func NewHighlighter(text string) *Highlighter {
	return &Highlighter{stems: map[string]bool{}, whole: Fold(text)}
}

// Looked adds a word that was looked for, and the stems that it may stand for.
func (m *Highlighter) AddMatched(word string, stems ...string) {
	m.starts = append(m.starts, word)
	for _, s := range stems {
		m.stems[s] = true
	}
}

// matches says whether a folded word is one of them.
func (m *Highlighter) matches(word string) bool {
	return m.stems[Stem(word)] || slices.ContainsFunc(m.starts, func(s string) bool { return strings.HasPrefix(word, s) })
}

// Highlights shows the matches in each field that has one.
func (m *Highlighter) Highlights(p catalog.Product) (all []catalog.Highlight) {
	for _, f := range []struct{ name, text string }{
		{"name", p.Name}, {"sku", p.SKU}, {"category", p.Category}, {"description", p.Description},
	} {
		fragments := m.fragments(f.text)
		if f.name == "sku" && f.text != "" && Fold(f.text) == m.whole {
			fragments = []catalog.Fragment{{Text: f.text, Match: true}}
		}
		if f.name == "description" {
			fragments = excerpt(fragments)
		}
		if fragments != nil {
			all = append(all, catalog.Highlight{Field: f.name, Fragments: fragments})
		}
	}
	return all
}

// fragments parts a text into what matches and what does not. When nothing
// does, it answers none.
func (m *Highlighter) fragments(text string) (all []catalog.Fragment) {
	done := 0
	for start, end := range spans(text) {
		if !slices.ContainsFunc(Tokenize(text[start:end]), m.matches) {
			continue
		}
		if start > done {
			all = append(all, catalog.Fragment{Text: text[done:start]})
		}
		all = append(all, catalog.Fragment{Text: text[start:end], Match: true})
		done = end
	}
	if all != nil && done < len(text) {
		all = append(all, catalog.Fragment{Text: text[done:]})
	}
	return all
}

// spans shows where the words of a text begin and end, as words cuts it.
func spans(text string) func(yield func(start, end int) bool) {
	return func(yield func(start, end int) bool) {
		start := -1
		for i, r := range text {
			switch {
			case unbroken(r):
				if start >= 0 && !yield(start, i) || !yield(i, i+utf8.RuneLen(r)) {
					return
				}
				start = -1
			case inWord(r), r == '\'' && start >= 0: // chef's is one word
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

// Lengths of an excerpt, in bytes. They are whole words more or less.
const (
	maxExcerpt = 240
	leadIn     = 60 // before the first match
)

// excerpt shortens what is too long to the words around the first match.
func excerpt(all []catalog.Fragment) []catalog.Fragment {
	length := 0
	for _, f := range all {
		length += len(f.Text)
	}
	if length <= maxExcerpt {
		return all
	}
	if first := &all[0]; !first.Match && len(first.Text) > leadIn {
		if at := cut(first.Text, len(first.Text)-leadIn); at > 0 {
			first.Text = "…" + strings.TrimPrefix(first.Text[at:], " ")
		}
	}
	length = 0
	for i := range all {
		if room := maxExcerpt - length; len(all[i].Text) > room && !all[i].Match {
			all[i].Text = all[i].Text[:cut(all[i].Text, room)] + "…"
			return all[:i+1]
		}
		if length += len(all[i].Text); length >= maxExcerpt {
			return all[:i+1]
		}
	}
	return all
}

// cut is where to cut a text at i or before: at a blank, or between two letters
// of what has none for long.
func cut(text string, i int) int {
	if at := strings.LastIndexByte(text[max(i-leadIn, 0):i], ' '); at >= 0 {
		return max(i-leadIn, 0) + at
	}
	for i > 0 && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}

// Completions are the text with other words in place of its last one: those
// which that one may stand for, of the names of products. First come those of
// many names, and of the best.
func (m *Highlighter) Completions(text string, products []catalog.Product) (all []string) {
	var begin int // of the last word
	for start := range spans(text) {
		begin = start
	}
	typed, before := Tokenize(text), strings.ToLower(text[:begin])
	worth := map[string]int{}
	for i, p := range products {
		for start, end := range spans(p.Name) {
			word := p.Name[start:end]
			if folded := Tokenize(word); slices.ContainsFunc(folded, m.matches) && !slices.Contains(typed, strings.Join(folded, "")) {
				worth[before+strings.ToLower(word)] += len(products) - i
			}
		}
	}
	return slices.SortedFunc(maps.Keys(worth), func(a, b string) int { return cmp.Or(cmp.Compare(worth[b], worth[a]), strings.Compare(a, b)) })
}
