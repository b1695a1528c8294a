package term_test

import (
	"testing"

	"catalog/term"
)

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
		if got := term.Like(c.a, c.b, c.errors); got != c.want {
			t.Errorf("%q is like %q but for %d errors: %v", c.a, c.b, c.errors, got)
		}
		if term.Like(c.a, c.b, c.errors) != term.Like(c.b, c.a, c.errors) {
			t.Errorf("%q is like %q, but not the other way round", c.a, c.b)
		}
	}
}
