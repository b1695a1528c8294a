package textsearch

import (
	"cmp"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"catalog"
)

// Highlighter marks the words of a product that match a query.
type Highlighter struct {
	stems    map[string]bool // stems of the query's words and of the terms that they matched
	prefixes []string        // the query's words: a word that begins with one of them matches
	text     string          // the whole text, folded
}

// NewHighlighter returns a highlighter of text to which no word has been added.
func NewHighlighter(text string) *Highlighter {
	return &Highlighter{stems: map[string]bool{}, text: Fold(text)}
}

// AddMatched adds a word of the query and the stems that it matches.
func (h *Highlighter) AddMatched(word string, stems ...string) {
	h.prefixes = append(h.prefixes, word)
	for _, s := range stems {
		h.stems[s] = true
	}
}

// matches reports whether a folded word of a product matches the query.
func (h *Highlighter) matches(word string) bool {
	return h.stems[Stem(word)] || slices.ContainsFunc(h.prefixes, func(s string) bool { return strings.HasPrefix(word, s) })
}

// HighlightAll returns the highlights of each product.
func (h *Highlighter) HighlightAll(products []catalog.Product) (all [][]catalog.Highlight) {
	for _, p := range products {
		all = append(all, h.Highlight(p))
	}
	return all
}

// Highlight returns the fields of p that have a match, with the matches marked. A long description
// is cut to the words around the first match. A GTIN matches only as a whole.
func (h *Highlighter) Highlight(p catalog.Product) (all []catalog.Highlight) {
	for _, f := range []struct{ name, text string }{
		{"name", p.Name}, {"sku", p.SKU}, {"gtin", p.GTIN}, {"brand", p.Brand}, {"category", p.Category}, {"description", p.Description},
	} {
		var fragments []catalog.Fragment
		switch {
		case f.text == "":
		case f.name == "sku" && Fold(f.text) == h.text, f.name == "gtin" && catalog.GTIN14(f.text) == catalog.GTIN14(h.text):
			fragments = []catalog.Fragment{{Text: f.text, Match: true}}
		case f.name == "gtin": // a search matches no part of it
		case f.name == "description":
			fragments = excerpt(h.fragments(f.text))
		default:
			fragments = h.fragments(f.text)
		}
		if fragments != nil {
			all = append(all, catalog.Highlight{Field: f.name, Fragments: fragments})
		}
	}
	return all
}

// fragments splits text into matching and other parts, or returns nil when nothing matches.
func (h *Highlighter) fragments(text string) (all []catalog.Fragment) {
	done := 0
	for start, end := range wordSpans(text) {
		if !slices.ContainsFunc(Tokenize(text[start:end]), h.matches) {
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

// Lengths of an excerpt, in bytes. Excerpts end at the end of a word, so they may be a little
// shorter or longer.
const (
	maxExcerpt = 240
	leadIn     = 60 // before the first match
)

// excerpt shortens long text to the words around the first match.
func excerpt(all []catalog.Fragment) []catalog.Fragment {
	length := 0
	for _, f := range all {
		length += len(f.Text)
	}
	if length <= maxExcerpt {
		return all
	}
	if first := &all[0]; !first.Match && len(first.Text) > leadIn {
		if at := cutPoint(first.Text, len(first.Text)-leadIn); at > 0 {
			first.Text = "…" + strings.TrimPrefix(first.Text[at:], " ")
		}
	}
	length = 0
	for i := range all {
		if room := maxExcerpt - length; len(all[i].Text) > room && !all[i].Match {
			all[i].Text = all[i].Text[:cutPoint(all[i].Text, room)] + "…"
			return all[:i+1]
		}
		if length += len(all[i].Text); length >= maxExcerpt {
			return all[:i+1]
		}
	}
	return all
}

// cutPoint returns where to cut text, at most at i: at the last space before i, or between two
// characters when there is no space nearby.
func cutPoint(text string, i int) int {
	if at := strings.LastIndexByte(text[max(i-leadIn, 0):i], ' '); at >= 0 {
		return max(i-leadIn, 0) + at
	}
	for i > 0 && !utf8.RuneStart(text[i]) {
		i--
	}
	return i
}

// completions returns text with its last word replaced by words of the products' names that it
// matches, the likeliest first: those of many products, and of the best ones.
func (h *Highlighter) completions(text string, products []catalog.Product) (all []string) {
	var lastStart int
	for start := range wordSpans(text) {
		lastStart = start
	}
	typed, before := Tokenize(text), strings.ToLower(text[:lastStart])
	weights := map[string]int{}
	for i, p := range products {
		for start, end := range wordSpans(p.Name) {
			word := p.Name[start:end]
			if folded := Tokenize(word); slices.ContainsFunc(folded, h.matches) && !slices.Contains(typed, strings.Join(folded, "")) {
				weights[before+strings.ToLower(word)] += len(products) - i
			}
		}
	}
	return slices.SortedFunc(maps.Keys(weights), func(a, b string) int { return cmp.Or(cmp.Compare(weights[b], weights[a]), strings.Compare(a, b)) })
}
