package bleve_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"catalog"
)

// similarWords returns products whose words share as many prefixes as possible and are one or two
// edits from one another.
func similarWords(r *rand.Rand, n int) []catalog.Product {
	letter := func() byte { return byte('a' + r.IntN(26)) }
	text := func(n int) string {
		var b strings.Builder
		for range n {
			short := []byte{letter(), letter(), letter(), letter(), ' '}
			long := []byte("aaaaaaaaaaaa ")[r.IntN(8):]
			long[1+r.IntN(len(long)-2)], long[1+r.IntN(len(long)-2)] = letter(), letter()
			b.Write(append(short, long...))
		}
		return b.String()
	}
	all := make([]catalog.Product, n)
	for i := range all {
		all[i] = catalog.Product{ID: catalog.DerivedID("crowded", fmt.Sprint(i)), Version: 1, ProductData: catalog.ProductData{
			Name: text(1), Description: text(2), Price: catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"},
		}}
	}
	return all
}

func TestSearch_termLimit(t *testing.T) {
	x := open(t, "")
	all := similarWords(rand.New(rand.NewPCG(1, 2)), 5_000)
	all[0].Name = "aaaa baaa caaa daaa eaaa faaa gaaa haaa iaaa jaaa zzyzx" // its words come first among those with their prefixes
	for i := 0; i < len(all); i += 1_000 {
		apply(t, x, int64(i), all[i:i+1_000]...)
	}
	terms := func(text string) int {
		t.Helper()
		n, err := x.CountTerms(catalog.Query{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const limit = 4_000 + 100 // the budget, and the terms that the text itself names
	t.Run("no text is resolved to more terms than the budget", func(t *testing.T) {
		for _, text := range []string{
			"a", "ab", "aaaaaa", "aaaaaaaaaaa", "a b c d e f g h i j k l m n o p q r s t", "aaaa aaaaa aaaaaa aaaaaaa", "aaaaaaaa aaaaaaaaa aaaaaaaaaa aaaaaaaaaaa aab aac",
			strings.Repeat("a ", 100), strings.Repeat("a", 24), strings.Repeat("aaaaaaa ", 25), strings.Repeat("x", 200), strings.Repeat("e\u0301", 100),
			strings.Repeat("*?", 100), strings.Repeat(`"`, 200), strings.Repeat("\u0301", 200), strings.Repeat("漢", 200), strings.Repeat("[a-z]", 40),
		} {
			if n := terms(text); n > limit {
				t.Errorf("%.30q has %d terms; want at most %d", text, n, limit)
			}
		}
	})
	t.Run("the products of this test exhaust the budget", func(t *testing.T) {
		if n := terms("a b c d e f g h i j k l"); n < limit/2 {
			t.Errorf("%d terms; want at least %d", n, limit/2)
		}
	})
	t.Run("a very long word is only looked up exactly, and in identifiers", func(t *testing.T) {
		if n := terms(strings.Repeat("a", 25)); n > 40 {
			t.Errorf("%d terms; want at most 40", n)
		}
	})
	t.Run("the first words leave a share of the budget to the last", func(t *testing.T) {
		page, err := x.Search(t.Context(), catalog.Query{Text: "a b c d e f g h i j zzy", Limit: 1})
		if err != nil || page.Total != 1 {
			t.Errorf("Search finds %d, %v; want 1", page.Total, err)
		}
	})
}
