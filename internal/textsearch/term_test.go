package textsearch_test

import (
	"testing"

	"pgregory.net/rapid"

	"catalog/internal/textsearch"
)

// Texts are folded as they are alone, wherever they stand in another.
func TestFold(t *testing.T) {
	for text, want := range map[string]string{
		"": "", "Oak": "oak", "RÅSKOG": "raskog", "RA\u030aSKOG": "raskog", "Straße": "strasse", "½ ﬁne Æther": "1/2 fine aether", "椅子 Ø 5": "椅子 o 5", "Ⓐ–Ⓩ": "a-z",
	} {
		if got := textsearch.Fold(text); got != want {
			t.Errorf("Fold(%q) = %q, want %q", text, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := texts().Draw(t, "a"), texts().Draw(t, "b")
		if got, want := textsearch.Fold(a+" Oak "+b), textsearch.Fold(a)+" oak "+textsearch.Fold(b); got != want {
			t.Fatalf("folded together %q, alone %q", got, want)
		}
	})
}

func TestLike(t *testing.T) {
	for _, c := range []struct {
		a, b   string
		errors int
		want   bool
	}{
		{"table", "table", 0, true}, {"table", "tabel", 1, true}, {"table", "tabl", 1, true}, {"table", "tables", 1, true}, {"table", "tible", 1, true},
		{"table", "cable", 1, false}, {"table", "tbael", 1, false}, {"table", "tabel", 0, false}, {"trolley", "trollly", 1, true},
		{"trolley", "tyrolleys", 2, true}, {"trolley", "trolys", 2, false}, {"lämpe", "lampe", 1, true}, {"", "", 2, false}, {"a", "", 2, false},
		{"abcdef", "acbdfe", 2, true}, {"abcdef", "acbdfe", 1, false},
	} {
		if got := textsearch.WithinEdits(c.a, c.b, c.errors); got != c.want {
			t.Errorf("%q is like %q but for %d errors: %v", c.a, c.b, c.errors, got)
		}
		if textsearch.WithinEdits(c.a, c.b, c.errors) != textsearch.WithinEdits(c.b, c.a, c.errors) {
			t.Errorf("%q is like %q, but not the other way round", c.a, c.b)
		}
	}
}
