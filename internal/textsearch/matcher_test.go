package textsearch_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"catalog"
	"catalog/internal/textsearch"
)

func joined(fragments []catalog.Fragment) (text string, matches int) {
	for _, f := range fragments {
		text += f.Text
		if f.Match {
			matches++
		}
	}
	return text, matches
}

// Texts as people and machines write them, with words that are looked for and
// without, with blanks and without.
func texts() *rapid.Generator[string] {
	piece := rapid.OneOf(
		rapid.SampledFrom([]string{"oak", "Oaken", "chef's", "RÅSKOG", "椅子", "e\u0301", " ", " ", ", ", "<b>", "'", "½", "ﬁ", "İ", "🪑", "ไม้"}),
		rapid.StringN(0, 40, -1),
		rapid.Map(rapid.IntRange(1, 400), func(n int) string { return strings.Repeat("椅", n) }),
		rapid.Map(rapid.IntRange(1, 100), func(n int) string { return strings.Repeat("made of wood ", n) }),
	)
	return rapid.Map(rapid.SliceOfN(piece, 0, 12), func(all []string) string { return strings.Join(all, "") })
}

func TestFragmentsAreTheTextOrAnExcerptAroundAMatch(t *testing.T) {
	const most = 240 + 2*len("…")
	rapid.Check(t, func(t *rapid.T) {
		p := catalog.Product{ProductData: catalog.ProductData{Name: texts().Draw(t, "name"), Description: texts().Draw(t, "description")}}
		m := textsearch.NewHighlighter("oak")
		m.AddMatched("oak", "oak", "raskog")
		for _, h := range m.Highlights(p) {
			text, matches := joined(h.Fragments)
			if matches == 0 {
				t.Fatalf("the %s %q is shown without a match", h.Field, text)
			}
			if utf8.ValidString(p.Description) && !utf8.ValidString(text) {
				t.Fatalf("a letter is cut in two in %q", text)
			}
			whole := map[string]string{"name": p.Name, "description": p.Description}[h.Field]
			if text == whole {
				continue
			}
			if h.Field != "description" {
				t.Fatalf("the %s %q is shown as %q", h.Field, whole, text)
			}
			if !strings.Contains(whole, strings.TrimSuffix(strings.TrimPrefix(text, "…"), "…")) {
				t.Fatalf("%q is no part of %q", text, whole)
			}
			if last := h.Fragments[len(h.Fragments)-1]; len(text) > most+len(last.Text) || !last.Match && len(text) > most {
				t.Fatalf("the excerpt %q has %d bytes", text, len(text))
			}
		}
	})
}

func TestAnExcerptOfATextWithoutBlanksHasTheMatch(t *testing.T) {
	long := strings.Repeat("木", 1_000)
	m := textsearch.NewHighlighter("oak")
	m.AddMatched("oak", "oak")
	all := m.Highlights(catalog.Product{ProductData: catalog.ProductData{Description: long + " oak " + long}})
	if len(all) != 1 {
		t.Fatalf("shown as %v", all)
	}
	if text, matches := joined(all[0].Fragments); matches != 1 || !strings.HasPrefix(text, "…木") || !strings.HasSuffix(text, "木…") || len(text) > 300 {
		t.Errorf("shown as %q", text)
	}
}
