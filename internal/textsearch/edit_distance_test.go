package textsearch_test

import (
	"strings"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

func TestWithinEdits(t *testing.T) {
	for name, cases := range map[string][]struct {
		a, b  string
		edits int
		want  bool
	}{
		"equal words":                     {{"table", "table", 0, true}, {"table", "tabel", 0, false}},
		"swapped characters are one edit": {{"table", "tabel", 1, true}, {"abcdef", "acbdfe", 2, true}, {"abcdef", "acbdfe", 1, false}},
		"a missing character is one edit": {{"table", "tabl", 1, true}, {"trolley", "trolys", 2, false}},
		"an extra character is one edit":  {{"table", "tables", 1, true}, {"trolley", "tyrolleys", 2, true}},
		"a wrong character is one edit":   {{"table", "tible", 1, true}, {"table", "tbael", 1, false}, {"trolley", "trollly", 1, true}},
		"the first character must match":  {{"table", "cable", 1, false}, {"table", "able", 1, false}},
		"characters count, not bytes":     {{"lämpe", "lampe", 1, true}, {"椅子", "椅木", 1, true}},
		"empty words":                     {{"", "", 2, false}, {"a", "", 2, false}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, c := range cases {
				if got := textsearch.WithinEdits(c.a, c.b, c.edits); got != c.want {
					t.Errorf("WithinEdits(%q, %q, %d) = %v", c.a, c.b, c.edits, got)
				}
				if got := textsearch.WithinEdits(c.b, c.a, c.edits); got != c.want {
					t.Errorf("WithinEdits(%q, %q, %d) = %v; the distance is symmetric", c.b, c.a, c.edits, got)
				}
			}
		})
	}
}

func TestNewPlan_maxEdits(t *testing.T) {
	for word, want := range map[string]int{
		"oak": 0, "desk": 1, "trolley": 1, "wardrobe": 2, "lämp": 1, "ä1ab": 0, "12345678": 0,
		strings.Repeat("x", 24): 2, strings.Repeat("x", 25): 0,
	} {
		w := textsearch.DefaultRules().NewPlan(catalog.Query{Text: word}).Words[0]
		if w.MaxEdits != want {
			t.Errorf("MaxEdits of %q = %d; want %d", word, w.MaxEdits, want)
		}
		most := 0
		for _, c := range w.Fallback {
			most = max(most, c.MaxEdits)
			if (c.MaxEdits > 0) != (c.Boost == textsearch.MisspeltBoost) {
				t.Errorf("clause %+v of %q: exactly the clauses with edits have MisspeltBoost", c, word)
			}
		}
		for _, c := range w.Clauses {
			if c.MaxEdits > 0 {
				t.Errorf("clause %+v of %q: only the fallback allows edits", c, word)
			}
		}
		if most != want {
			t.Errorf("the clauses of %q allow %d edits; want %d", word, most, want)
		}
	}
}

func TestMaxEditsForSuggestion(t *testing.T) {
	for word, want := range map[string]int{
		"ok": 0, "oak": 1, "öak": 1, "desk": 2, "a1bc": 0, strings.Repeat("x", 16): 2, strings.Repeat("x", 17): 0,
	} {
		if got := textsearch.MaxEditsForSuggestion(word); got != want {
			t.Errorf("MaxEditsForSuggestion(%q) = %d; want %d", word, got, want)
		}
	}
}
