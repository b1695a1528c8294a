package textsearch_test

import (
	"reflect"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

func TestNewPlan_filters(t *testing.T) {
	p := textsearch.DefaultRules().NewPlan(catalog.Query{
		Category: "A/B", Brand: "Carl", GTIN: "614141000036", Tag: "New", Currency: "EUR", Attributes: map[string]string{"colour": "red"},
	})
	want := map[string]textsearch.TermQuery{}
	for _, q := range []textsearch.TermQuery{
		{Field: textsearch.CategoryPath, Term: "a/b"},
		{Field: textsearch.Brand, Term: "carl\x00", Prefix: true},
		{Field: textsearch.GTIN, Term: "00614141000036"},
		{Field: textsearch.Tag, Term: "new\x00", Prefix: true},
		{Field: textsearch.Currency, Term: "eur\x00", Prefix: true},
		{Field: textsearch.Attributes, Term: "colour\x00red\x00", Prefix: true},
	} {
		want[q.Field] = q
	}
	for _, f := range p.Filters {
		if !reflect.DeepEqual(f, want[f.Field]) {
			t.Errorf("filter %+v; want %+v", f, want[f.Field])
		}
	}
	if len(p.Filters) != len(want) {
		t.Errorf("%d filters; want %d", len(p.Filters), len(want))
	}
	if p.HasText || p.MinPrice != "" || p.MaxPrice != "" {
		t.Errorf("text %v, prices %q to %q; want none", p.HasText, p.MinPrice, p.MaxPrice)
	}
}

func TestNewPlan_price(t *testing.T) {
	five, nines := &catalog.Decimal{Units: 5}, strings.Repeat("9", textsearch.PriceDigits)
	for name, c := range map[string]struct {
		q        catalog.Query
		min, max string
	}{
		"no bound":    {catalog.Query{}, "", ""},
		"lower bound": {catalog.Query{MinPrice: five}, textsearch.PriceKey(*five), nines},
		"upper bound": {catalog.Query{MaxPrice: five}, textsearch.PriceKey(catalog.Decimal{}), textsearch.PriceKey(*five)},
		"both bounds": {catalog.Query{MinPrice: five, MaxPrice: five}, textsearch.PriceKey(*five), textsearch.PriceKey(*five)},
	} {
		if p := textsearch.DefaultRules().NewPlan(c.q); p.MinPrice != c.min || p.MaxPrice != c.max {
			t.Errorf("%s: prices %q to %q; want %q to %q", name, p.MinPrice, p.MaxPrice, c.min, c.max)
		}
	}
}

func TestNewPlan_words(t *testing.T) {
	words := func(text string) (all []string) {
		for _, w := range textsearch.DefaultRules().NewPlan(catalog.Query{Text: text}).Words {
			all = append(all, w.Word)
		}
		return all
	}
	t.Run("a repeated word counts once", func(t *testing.T) {
		if got := words("oak Oak table OAK"); !slices.Equal(got, []string{"oak", "table"}) {
			t.Errorf("words %v; want oak and table", got)
		}
	})
	t.Run("at most twelve words are looked up", func(t *testing.T) {
		if got := words("a b c d e f g h i j k l m n"); len(got) != 12 || got[11] != "l" {
			t.Errorf("words %v; want a to l", got)
		}
	})
	t.Run("only the first four words may be misspelt", func(t *testing.T) {
		for i, w := range textsearch.DefaultRules().NewPlan(catalog.Query{Text: "tables chairs benches stools lamps"}).Words {
			if got, want := w.MaxEdits > 0, i < 4; got != want {
				t.Errorf("word %d may be misspelt: %v; want %v", i, got, want)
			}
		}
	})
	t.Run("text without words has no words but exact matches", func(t *testing.T) {
		if p := textsearch.DefaultRules().NewPlan(catalog.Query{Text: "***"}); !p.HasText || len(p.Words) != 0 || len(p.ExactMatches) == 0 {
			t.Errorf("text %v, %d words, %d exact matches; want text, none and some", p.HasText, len(p.Words), len(p.ExactMatches))
		}
	})
}

// score returns the sum of the boosts of the clauses that p matches, as an engine computes it.
func score(text string, p catalog.Product) (sum int) {
	plan := textsearch.DefaultRules().NewPlan(catalog.Query{Text: text})
	clauses := plan.ExactMatches
	for _, w := range plan.Words {
		clauses = append(clauses, w.Clauses...)
	}
	for _, c := range clauses {
		if c.Field == textsearch.ID && c.Term == p.ID.String() || c.MaxEdits == 0 && hasTerm(p, c.TermQuery) {
			sum += c.Boost
		}
	}
	return sum
}

func TestNewPlan_boosts(t *testing.T) {
	id := catalog.DerivedID("p")
	in := func(d catalog.ProductData) catalog.Product { return catalog.Product{ProductData: d} }
	const later = "Something else. " // pushes words out of the first phrase
	for name, c := range map[string]struct {
		text          string
		better, worse catalog.Product
	}{
		"a name before a category and a description": {"oak", in(catalog.ProductData{Name: "Big oak"}), in(catalog.ProductData{Category: "Oak", Description: later + "oak"})},
		"two fields before one":                      {"oak", in(catalog.ProductData{Category: "Oak", Description: later + "oak"}), in(catalog.ProductData{Category: "Oak"})},
		"a category before a description":            {"oak", in(catalog.ProductData{Category: "Oak"}), in(catalog.ProductData{Description: later + "oak"})},
		"a brand before a description":               {"oak", in(catalog.ProductData{Brand: "Oak"}), in(catalog.ProductData{Description: later + "oak"})},
		"the first phrase before the rest":           {"oak", in(catalog.ProductData{Description: "Oak bench. Else"}), in(catalog.ProductData{Description: later + "oak bench"})},
		"a whole word before a prefix":               {"oak", in(catalog.ProductData{Description: later + "oak"}), in(catalog.ProductData{Name: "Oaken"})},
		"a prefix in the name before one elsewhere":  {"oak", in(catalog.ProductData{Name: "Oaken"}), in(catalog.ProductData{Description: later + "oaken"})},
		"the whole name before its words":            {"oak bench", in(catalog.ProductData{Name: "Oak bench"}), in(catalog.ProductData{Name: "Oak bench long"})},
		"the whole first phrase before its words":    {"oak bench", in(catalog.ProductData{Description: "Oak benches, long"}), in(catalog.ProductData{Description: "Oak bench long"})},
		"a SKU before everything":                    {"oak-1", in(catalog.ProductData{SKU: "OAK-1"}), in(catalog.ProductData{Name: "Oak-1", Category: "Oak 1", Description: "Oak 1"})},
		"an id before everything":                    {id.String(), catalog.Product{ID: id}, in(catalog.ProductData{Name: id.String(), Category: id.String(), Description: id.String()})},
		"a GTIN before everything":                   {"614141000036", in(catalog.ProductData{GTIN: "0614141000036"}), in(catalog.ProductData{Name: "614141000036", Category: "614141000036", Description: "614141000036"})},
	} {
		t.Run(name, func(t *testing.T) {
			if better, worse := score(c.text, c.better), score(c.text, c.worse); better <= worse || worse == 0 {
				t.Errorf("scores of %q: %d and %d; want the first to be greater, and both to match", c.text, better, worse)
			}
		})
	}
	t.Run("an identifier before any number of words", func(t *testing.T) {
		text := "a b c d e f g h i j k l"
		all := in(catalog.ProductData{Name: text, Category: text, Brand: text, Description: text})
		if words, sku := score(text, all), score(text, in(catalog.ProductData{SKU: text})); words >= sku {
			t.Errorf("scores: words %d, SKU %d; want the SKU to be greater", words, sku)
		}
	})
	t.Run("a number with a wrong check digit is no GTIN", func(t *testing.T) {
		for _, c := range textsearch.DefaultRules().NewPlan(catalog.Query{Text: "614141000037"}).ExactMatches {
			if c.Field == textsearch.GTIN {
				t.Errorf("clause %+v; want none for a GTIN", c)
			}
		}
	})
	t.Run("misspelt words count least", func(t *testing.T) {
		for _, c := range textsearch.DefaultRules().NewPlan(catalog.Query{Text: "wardrobe"}).Widen(1).Words[0].Clauses {
			if c.MaxEdits == 0 && c.Boost <= textsearch.MisspeltBoost {
				t.Errorf("clause %+v; want a boost above %d", c, textsearch.MisspeltBoost)
			}
		}
	})
}

func TestPlan_identifier(t *testing.T) {
	for text, want := range map[string]bool{
		"DEMO-000123": true, "wh1000xm4": true, "0614141000036": true, "0198a3c4-6f1e-7a52-9d0b-5c2e8f7a1b34": true,
		"oak table": false, "chair": false, "sofa 3 seats": false, "": false,
	} {
		if got := textsearch.DefaultRules().NewPlan(catalog.Query{Text: text}).HasIdentifier(); got != want {
			t.Errorf("%q is an identifier: %t; want %t", text, got, want)
		}
	}
}
