package textsearch_test

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"

	"catalog"
	"catalog/internal/textsearch"
)

// join returns the text of fragments and how many of them match.
func join(fragments []catalog.Fragment) (text string, matches int) {
	for _, f := range fragments {
		text += f.Text
		if f.Match {
			matches++
		}
	}
	return text, matches
}

// bracketed returns highlights as text, with matches in brackets.
func bracketed(all []catalog.Highlight) string {
	var b strings.Builder
	for _, h := range all {
		b.WriteString(h.Field + ": ")
		for _, f := range h.Fragments {
			if f.Match {
				b.WriteString("[" + f.Text + "]")
			} else {
				b.WriteString(f.Text)
			}
		}
		b.WriteString("; ")
	}
	return b.String()
}

func highlighter(text string) *textsearch.Highlighter {
	return textsearch.NewHighlighter(text, textsearch.DefaultRules().NewPlan(catalog.Query{Text: text}).Words)
}

// widened returns a highlighter of a text of which no product has all words.
func widened(text string) *textsearch.Highlighter {
	p := textsearch.DefaultRules().NewPlan(catalog.Query{Text: text})
	return textsearch.NewHighlighter(text, p.Widen(1<<len(p.Words)-1).Words)
}

func TestHighlighter(t *testing.T) {
	p := catalog.Product{ProductData: catalog.ProductData{Name: "Oak tables", SKU: "OAK-12", GTIN: "4006381333931", Brand: "Carl Hansen", Category: "Furniture/Tables", Description: "Made of oak by Chef's 椅子"}}
	for name, c := range map[string]struct {
		h    *textsearch.Highlighter
		want string
	}{
		"words with the same stem match":    {highlighter("table"), "name: Oak [tables]; category: Furniture/[Tables]; "},
		"words with the prefix match":       {highlighter("furn"), "category: [Furniture]/Tables; "},
		"misspelt words match":              {widened("tabel"), "name: Oak [tables]; category: Furniture/[Tables]; "},
		"a whole SKU matches as a whole":    {highlighter("oak-12"), "name: [Oak] tables; sku: [OAK-12]; description: Made of [oak] by Chef's 椅子; "},
		"a whole GTIN, padded, matches":     {highlighter("04006381333931"), "gtin: [4006381333931]; "},
		"a part of a GTIN does not match":   {highlighter("400638"), ""},
		"unless no word matches":            {widened("400638"), "gtin: [4006381333931]; "},
		"words of the brand match":          {highlighter("hansen"), "brand: Carl [Hansen]; "},
		"a word keeps its apostrophe":       {highlighter("chefs"), "description: Made of oak by [Chef's] 椅子; "},
		"in unspaced scripts, a character":  {highlighter("椅"), "description: Made of oak by Chef's [椅]子; "},
		"a product without a match is left": {highlighter("sofa"), ""},
	} {
		t.Run(name, func(t *testing.T) {
			if got := bracketed(c.h.Highlight(p)); got != c.want {
				t.Errorf("Highlight = %s; want %s", got, c.want)
			}
		})
	}
	t.Run("HighlightAll has an entry for each product", func(t *testing.T) {
		all := highlighter("table").HighlightAll([]catalog.Product{{}, p})
		if len(all) != 2 || all[0] != nil || all[1] == nil {
			t.Errorf("HighlightAll = %v; want nothing and a highlight", all)
		}
	})
}

func TestHighlighter_excerpt(t *testing.T) {
	const limit = 240 + 2*len("…")
	t.Run("fragments are the text, or for a long description an excerpt with a match", func(t *testing.T) {
		rapid.Check(t, func(t *rapid.T) {
			p := catalog.Product{ProductData: catalog.ProductData{Name: texts().Draw(t, "name"), Description: texts().Draw(t, "description")}}
			for _, h := range highlighter("oak raskog").Highlight(p) {
				text, matches := join(h.Fragments)
				if matches == 0 {
					t.Fatalf("the %s %q has no match", h.Field, text)
				}
				if utf8.ValidString(p.Description) && !utf8.ValidString(text) {
					t.Fatalf("%q is cut inside a character", text)
				}
				whole := map[string]string{"name": p.Name, "description": textsearch.PlainText(p.Description)}[h.Field]
				if text == whole {
					continue
				}
				if h.Field != "description" {
					t.Fatalf("the %s %q is highlighted as %q", h.Field, whole, text)
				}
				if !strings.Contains(whole, strings.TrimSuffix(strings.TrimPrefix(text, "…"), "…")) {
					t.Fatalf("%q is no part of %q", text, whole)
				}
				if last := h.Fragments[len(h.Fragments)-1]; len(text) > limit+len(last.Text) || !last.Match && len(text) > limit {
					t.Fatalf("the excerpt %q has %d bytes; want at most %d", text, len(text), limit)
				}
			}
		})
	})
	t.Run("a text without spaces is cut between characters", func(t *testing.T) {
		long := strings.Repeat("木", 1_000)
		all := highlighter("oak").Highlight(catalog.Product{ProductData: catalog.ProductData{Description: long + " oak " + long}})
		if len(all) != 1 {
			t.Fatalf("%d highlights; want 1", len(all))
		}
		if text, matches := join(all[0].Fragments); matches != 1 || !strings.HasPrefix(text, "…木") || !strings.HasSuffix(text, "木…") || len(text) > 300 {
			t.Errorf("excerpt %q; want one match between …木 and 木…", text)
		}
	})
}
