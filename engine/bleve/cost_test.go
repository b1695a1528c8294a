package bleve_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"catalog"
)

// crowded makes products whose words begin alike, as often as can be, and are
// one or two letters from one another.
func crowded(r *rand.Rand, n int) []catalog.Product {
	letter := func() byte { return byte('a' + r.IntN(26)) }
	text := func(n int) string {
		var b strings.Builder
		for range n {
			begin := []byte{letter(), letter(), letter(), letter(), ' '}
			like := []byte("aaaaaaaaaaaa ")[r.IntN(8):]
			like[1+r.IntN(len(like)-2)], like[1+r.IntN(len(like)-2)] = letter(), letter()
			b.Write(append(begin, like...))
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

func TestNoTextStandsForMoreThanSoManyTerms(t *testing.T) {
	x := open(t, "")
	all := crowded(rand.New(rand.NewPCG(1, 2)), 10_000)
	all[0].Name = "aaaa baaa caaa daaa eaaa faaa gaaa haaa iaaa jaaa zzyzx" // of what begins as they do, these are looked for first
	for i := 0; i < len(all); i += 1_000 {
		apply(t, x, int64(i), all[i:i+1_000]...)
	}
	terms := func(text string) int {
		t.Helper()
		n, err := x.Terms(catalog.Query{Text: text})
		if err != nil {
			t.Fatal(err)
		}
		return n
	}
	const most = 4_000 + 100 // and those that the text itself names
	for _, text := range []string{
		"a", "ab", "aaaaaa", "aaaaaaaaaaa", "a b c d e f g h i j k l m n o p q r s t", "aaaa aaaaa aaaaaa aaaaaaa", "aaaaaaaa aaaaaaaaa aaaaaaaaaa aaaaaaaaaaa aab aac",
		strings.Repeat("a ", 100), strings.Repeat("a", 24), strings.Repeat("aaaaaaa ", 25), strings.Repeat("x", 200), strings.Repeat("e\u0301", 100),
		strings.Repeat("*?", 100), strings.Repeat(`"`, 200), strings.Repeat("\u0301", 200), strings.Repeat("漢", 200), strings.Repeat("[a-z]", 40),
	} {
		if n := terms(text); n > most {
			t.Errorf("%.30q is looked for by %d terms", text, n)
		}
	}
	if n := terms("a b c d e f g h i j k l"); n < most/2 {
		t.Errorf("the limit is not put to the test by %d terms", n)
	}
	if n := terms(strings.Repeat("a", 25)); n > 10 {
		t.Errorf("what is longer than words is looked for by %d terms", n)
	}
	t.Run("what the words before take leaves enough for the last", func(t *testing.T) {
		page, err := x.Search(t.Context(), catalog.Query{Text: "a b c d e f g h i j zzy", Limit: 1})
		if err != nil || page.Total != 1 {
			t.Errorf("found %d, %v", page.Total, err)
		}
	})
}
