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
	terms    map[string]bool // stems of whole and joined words
	prefixes []string        // beginnings of words
	ends     []string        // ends of compound words
	inner    []string        // other parts of compound words
	misspelt []TermQuery
	parts    []string // compact parts of identifiers
	text     string   // the whole text, folded
}

// NewHighlighter returns a highlighter of the words of a text, by their clauses.
func NewHighlighter(text string, words []Word) *Highlighter {
	h := &Highlighter{terms: map[string]bool{}, text: Fold(text)}
	for _, w := range words {
		if w.Optional {
			continue
		}
		for _, c := range w.Clauses {
			switch {
			case c.All != nil && c.Field == Name:
				for _, part := range c.All {
					h.terms[part] = true
				}
			case c.All != nil:
				h.parts = append(h.parts, compact(w.Word))
			case c.MaxEdits > 0:
				h.misspelt = append(h.misspelt, c.TermQuery)
			case c.Field == SKU:
			case c.Field == WordEnds && c.Prefix:
				h.inner = append(h.inner, c.Term)
			case c.Field == WordEnds:
				h.ends = append(h.ends, c.Term)
			case c.Field == NamePrefixes:
				h.prefixes = append(h.prefixes, c.Term[len(prefixTerm(0, "")):])
			case c.Field == OtherPrefixes: // as in the name
			case c.Prefix:
				h.prefixes = append(h.prefixes, c.Term)
			default:
				h.terms[c.Term] = true
			}
		}
	}
	return h
}

// matches reports whether a folded word of a product matches the query.
func (h *Highlighter) matches(word string) bool {
	stem := Stem(word)
	return h.terms[stem] ||
		slices.ContainsFunc(h.prefixes, func(s string) bool { return strings.HasPrefix(word, s) }) ||
		slices.ContainsFunc(h.ends, func(s string) bool { return strings.HasSuffix(stem, s) }) ||
		slices.ContainsFunc(h.inner, func(s string) bool { return strings.Contains(stem, s) }) ||
		slices.ContainsFunc(h.misspelt, func(q TermQuery) bool { return q.matches([]string{stem}) })
}

// matchesPart reports whether a word of the text is a part of an identifier.
func (h *Highlighter) matchesPart(identifier string) bool {
	id := compact(identifier)
	return slices.ContainsFunc(h.parts, func(part string) bool { return strings.Contains(id, part) })
}

// HighlightAll returns the highlights of each product.
func (h *Highlighter) HighlightAll(products []catalog.Product) (all [][]catalog.Highlight) {
	for _, p := range products {
		all = append(all, h.Highlight(p))
	}
	return all
}

// Highlight returns the fields of p that have a match, with the matches marked. A long description
// is cut to the words around the first match, and has no markup. Identifiers match as a whole.
func (h *Highlighter) Highlight(p catalog.Product) (all []catalog.Highlight) {
	for _, f := range []struct{ name, text string }{
		{"name", p.Name}, {"sku", p.SKU}, {"gtin", p.GTIN}, {"brand", p.Brand}, {"category", p.Category}, {"description", PlainText(p.Description)},
	} {
		var fragments []catalog.Fragment
		switch {
		case f.text == "":
		case f.name == "sku" && Fold(f.text) == h.text, f.name == "gtin" && catalog.GTIN14(f.text) == catalog.GTIN14(h.text):
			fragments = []catalog.Fragment{{Text: f.text, Match: true}}
		case (f.name == "sku" || f.name == "gtin") && h.matchesPart(f.text):
			fragments = []catalog.Fragment{{Text: f.text, Match: true}}
		case f.name == "gtin": // a GTIN has no words
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
	words := analyze(text)
	var matching []token
	for _, w := range terms(words) {
		if h.matches(w.term) {
			matching = append(matching, w)
		}
	}
	for _, j := range joins(words, false) {
		if h.terms[Stem(j.term)] {
			matching = append(matching, j)
		}
	}
	slices.SortFunc(matching, func(a, b token) int { return cmp.Or(a.start-b.start, b.end-a.end) })
	done := 0
	for _, w := range words { // a part of a word marks the whole word
		for len(matching) > 0 && matching[0].end <= w.start {
			matching = matching[1:]
		}
		marked := false
		for _, m := range matching {
			if marked = m.end > w.start && m.start < w.end; marked || m.start >= w.end {
				break
			}
		}
		if !marked {
			continue
		}
		if w.start > done {
			all = append(all, catalog.Fragment{Text: text[done:w.start]})
		}
		all = append(all, catalog.Fragment{Text: text[w.start:w.end], Match: true})
		done = w.end
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
	for _, w := range analyze(text) {
		lastStart = w.start
	}
	typed, before := Tokenize(text), strings.ToLower(text[:lastStart])
	weights := map[string]int{}
	for i, p := range products {
		for _, w := range analyze(p.Name) {
			if slices.ContainsFunc(w.spellings, h.matches) && !slices.Contains(typed, w.spellings[0]) {
				weights[before+strings.ToLower(p.Name[w.start:w.end])] += len(products) - i
			}
		}
	}
	return slices.SortedFunc(maps.Keys(weights), func(a, b string) int { return cmp.Or(cmp.Compare(weights[b], weights[a]), strings.Compare(a, b)) })
}
