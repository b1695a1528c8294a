package textsearch_test

import (
	"slices"
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

// plan returns the plan of a text by the default rules.
func plan(text string) textsearch.Plan {
	return textsearch.DefaultRules().NewPlan(catalog.Query{Text: text})
}

// looksUp reports whether one of the clauses is for the term in the field, as a whole.
func looksUp(clauses []textsearch.Clause, field, term string) bool {
	return slices.ContainsFunc(clauses, func(c textsearch.Clause) bool {
		return c.Field == field && c.Term == term && !c.Prefix && c.MaxEdits == 0
	})
}

func TestNewPlan_inflections(t *testing.T) {
	t.Run("singulars and plurals of several languages are related words", func(t *testing.T) {
		for word, other := range map[string]string{
			"chevaux": "cheval", "cheval": "chevaux", "bijoux": "bijou", "luces": "luz", "luz": "luce", "cojines": "cojin", "botões": "botao", "sedie": "sedia",
			"lampen": "lampe", "zakken": "zak", "pannen": "pan", "stühle": "stuhl", "bücher": "buch", "lampor": "lampa", "hrníčky": "hrnicek", "kubek": "kubky",
			"чулки": "чулок", "bardaklar": "bardak",
		} {
			w := plan(word).Words[0]
			if !looksUp(w.Related, textsearch.Name, other) || looksUp(w.Clauses, textsearch.Name, other) {
				t.Errorf("%s: related words %+v, other words %+v; want %s among the related words alone", word, w.Related, w.Clauses, other)
			}
		}
	})
	t.Run("words of English that end like plurals stay apart", func(t *testing.T) {
		for word, other := range map[string]string{
			"pines": "pin", "planes": "plan", "cones": "con", "corner": "corn", "cape": "cap", "table": "tabl", "dollar": "dol", "linen": "lin",
		} {
			if looksUp(plan(word).Words[0].Related, textsearch.Name, other) {
				t.Errorf("%s looks up %s", word, other)
			}
		}
	})
}

func TestNewPlan_measures(t *testing.T) {
	for text, others := range map[string][]string{
		"750ml": {"75cl", "7.5dl", "0.75l"}, "0,75 l": {"750ml", "75cl"}, "1 kg": {"1000g"}, "500 g": {"0.5kg"}, "2 m": {"200cm", "2000mm"},
	} {
		for _, w := range plan(text).Words {
			for _, other := range others {
				if w.Optional { // l is a stop word of French
					continue
				}
				if !looksUp(w.Fallback, textsearch.Joined, other) || looksUp(w.Clauses, textsearch.Joined, other) {
					t.Errorf("%s, word %s: %s is not looked up as a fallback alone", text, w.Word, other)
				}
			}
		}
	}
	for _, text := range []string{"0 l", "l", "5 v", "0,0000000001 l", "99999999999999999999 kg"} {
		for _, w := range plan(text).Words {
			if i := slices.IndexFunc(w.Fallback, func(c textsearch.Clause) bool { return c.Field == textsearch.Joined }); i >= 0 {
				t.Errorf("%s looks up %s", text, w.Fallback[i].Term)
			}
		}
	}
}

func TestNewPlan_sizes(t *testing.T) {
	for text, optional := range map[string]bool{"90x200 cm": true, "90 x 200 cm": true, "90x200x20 mm": true, "90 cm": false, "x 200 cm": false, "box cm": false} {
		words := plan(text).Words
		if last := words[len(words)-1]; last.Optional != optional {
			t.Errorf("%s: the unit is optional: %v; want %v", text, last.Optional, optional)
		}
	}
	if !looksUp(plan("90x200cm").Words[0].Clauses, textsearch.Name, "90x200") {
		t.Error("90x200cm does not look up 90x200")
	}
}

func TestNewPlan_beginningsOfSKUs(t *testing.T) {
	for text, want := range map[string]bool{"XXXX-AB": true, "KT-INS114": true, "hs11s": true, "42-315": true, "12345": false, "table": false, "oak table": false, "a-1": false} {
		got := slices.ContainsFunc(plan(text).ExactMatches, func(c textsearch.Clause) bool { return c.Field == textsearch.SKU && c.Prefix })
		if got != want {
			t.Errorf("%s is looked up as the beginning of a SKU: %v; want %v", text, got, want)
		}
	}
}

func TestFieldsOf_partNumbers(t *testing.T) {
	p := catalog.Product{ProductData: catalog.ProductData{
		Name: "Core i7-13700K", Attributes: map[string]string{"mpn": "TRX-900.B"}, Description: "Replaces 77-345-12 and easy-fit. For 10-20 kg.",
	}}
	for _, q := range []textsearch.TermQuery{
		{Field: textsearch.Joined, Term: "i713700k"}, {Field: textsearch.AttributeWords, Term: "trx900b"}, {Field: textsearch.Text, Term: "7734512"},
		{Field: textsearch.Text, Term: "easyfit"},
	} {
		if !hasTerm(p, q) {
			t.Errorf("no term %s in %s", q.Term, q.Field)
		}
	}
	if hasTerm(p, textsearch.TermQuery{Field: textsearch.Text, Term: "1020"}) {
		t.Error("the range 10-20 is the number 1020")
	}
}
