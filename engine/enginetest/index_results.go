package enginetest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/reader"
)

// facetValues returns facets by field, or by "attribute KEY", as "value count"
// in their order.
func facetValues(facets []catalog.Facet) map[string]string {
	all := map[string]string{}
	for _, f := range facets {
		key := strings.TrimSpace(f.Field + " " + f.Attribute)
		var values []string
		for _, v := range f.Values {
			values = append(values, fmt.Sprint(v.Value, " ", v.Count))
		}
		all[key] = strings.Join(values, ", ")
	}
	return all
}

func wantFacets(t *testing.T, page catalog.Page, want map[string]string) {
	t.Helper()
	got := facetValues(page.Facets)
	for field, values := range want {
		if v, ok := got[field]; !ok || v != values {
			t.Errorf("facet %s = %q; want %q", field, v, values)
		}
	}
	if len(got) != len(want) || len(page.Facets) != len(want) {
		t.Errorf("%d facets; want %d", len(page.Facets), len(want))
	}
}

func indexFacets(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, branded()...)
	page := search(t, x, catalog.Query{Text: "chair", Facets: catalog.FacetFields()})
	wantFacets(t, page, map[string]string{
		"category": "Furniture/Chairs 5", "brand": "Carl Hansen & Søn 3", "tag": "beech 2, new 1", "currency": "EUR 5",
	})
	for _, fields := range [][]string{{"tag", "category"}, {"currency"}, catalog.FacetFields()} {
		var order []string
		for _, f := range search(t, x, catalog.Query{Text: "chair", Facets: fields}).Facets {
			order = append(order, f.Field)
		}
		if !slices.Equal(order, fields) {
			t.Errorf("facets %v; want %v", order, fields)
		}
	}
}

// indexFacetSpellings tests that values that differ only in how they are written are one value, shown as
// most products have it.
func indexFacetSpellings(t *testing.T, x reader.Index) {
	for i, d := range []catalog.ProductData{
		{Brand: "ACME", Category: "Möbel/Stühle", Tags: []string{"SALE", "sale", "new"}, Attributes: map[string]string{"colour": "dark  red"}},
		{Brand: "Acme", Category: "MÖBEL/stühle", Tags: []string{"Sale"}, Attributes: map[string]string{"colour": "Dark Red"}},
		{Brand: "Acme", Category: "Möbel/Stühle", Tags: []string{"Sale", "New"}, Attributes: map[string]string{"colour": "Dark Red"}},
		{Brand: "acme\u00ad", Category: "Mo\u0308bel / Tische", Tags: []string{"new"}, Attributes: map[string]string{"colour": "ｄａｒｋ red"}},
		{Brand: "Acme 2", Category: "Möbel", Tags: []string{"sales"}, Attributes: map[string]string{"colour": "red"}},
	} {
		d.Name, d.Price = fmt.Sprint("Product ", i), price(1, 0, "EUR")
		put(t, x, at(fmt.Sprint("spelling ", i), 1, d))
	}
	wantFacets(t, search(t, x, catalog.Query{Facets: []string{"category", "brand", "tag"}, FacetAttributes: []string{"colour"}}), map[string]string{
		"category": "Möbel/Stühle 3, Möbel 1, Mo\u0308bel / Tische 1", "brand": "Acme 4, Acme 2 1", "tag": "new 3, Sale 3, sales 1", "attribute colour": "Dark Red 4, red 1",
	})
	for name, c := range map[string]struct {
		q    catalog.Query
		want int64
	}{
		"brand":                {catalog.Query{Brand: "ACME"}, 4},
		"category":             {catalog.Query{Category: "möbel / STÜHLE"}, 3},
		"the category above":   {catalog.Query{Category: "MÖBEL"}, 5},
		"tag":                  {catalog.Query{Tag: "sAlE"}, 3},
		"attribute":            {catalog.Query{Attributes: map[string]string{"colour": "dark RED "}}, 4},
		"another attribute":    {catalog.Query{Attributes: map[string]string{"color": "dark red"}}, 0},
		"a part of a spelling": {catalog.Query{Brand: "acm"}, 0},
	} {
		if page := search(t, x, c.q); page.Total != c.want {
			t.Errorf("filter by %s: %d products; want %d", name, page.Total, c.want)
		}
	}
}

func indexAttributeFacets(t *testing.T, x reader.Index) {
	for i, attributes := range []map[string]string{
		{"colour": "black", "size": "1"}, {"colour": "black", "size": "2"}, {"colour": "white: or so", "colours": "all"}, {"size": strings.Repeat("long ", 100)}, nil,
	} {
		put(t, x, at(fmt.Sprint("facet ", i), 1, catalog.ProductData{Name: "Lacquer", Price: price(1, 0, "EUR"), Attributes: attributes}))
	}
	put(t, x, tombstone("facet 1", 2))
	t.Run("values of one key, without long ones and deleted products", func(t *testing.T) {
		wantFacets(t, search(t, x, catalog.Query{Text: "lacquer", FacetAttributes: []string{"colour", "size", "weight"}}), map[string]string{
			"attribute colour": "black 1, white: or so 1", "attribute size": "1 1", "attribute weight": "",
		})
	})
	t.Run("only matching products are counted", func(t *testing.T) {
		wantFacets(t, search(t, x, catalog.Query{Attributes: map[string]string{"size": "1"}, FacetAttributes: []string{"colour"}}), map[string]string{
			"attribute colour": "black 1",
		})
	})
	t.Run("facets of fields come first", func(t *testing.T) {
		page := search(t, x, catalog.Query{Facets: catalog.FacetFields(), FacetAttributes: []string{"colour"}})
		if n := len(page.Facets); n != 5 || page.Facets[n-1].Attribute != "colour" {
			t.Errorf("%d facets; want those of fields and then colour", n)
		}
	})
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

func indexHighlights(t *testing.T, x reader.Index) {
	long := "Everything that a kitchen needs. " + strings.Repeat("It is made of wood and of more wood. ", 30) + "The <b>tabletop</b> is of oak. " + strings.Repeat("And so on. ", 60)
	put(t, x, append(furniture(), item("Kitchen", "Rooms", long, 1), item("Chef's 椅子 knife", "Knives", "", 2), branded()[1])...)
	for name, texts := range map[string]map[string]string{
		"whole words and plurals": {"oak table": "name: [Oak] [table]; sku: SKU-[Oak] [table]; category: Furniture/[Tables]; "},
		"misspelt words":          {"foldig": "name: [Folding] chair; sku: SKU-[Folding] chair; "},
		"prefixes":                {"RASK": "name: [RÅSKOG]; sku: SKU-[RÅSKOG]; ", "sku-desk lam": "name: [Desk] [lamp]; sku: [SKU]-[Desk] [lamp]; "},
		"a whole SKU":             {"sku-räskog": "name: [RÅSKOG]; sku: [SKU-RÅSKOG]; "},
		"brands":                  {"hans": "brand: Carl [Hansen] & Søn; "},
		"a whole GTIN":            {"04006381333931": "gtin: [4006381333931]; "},
		"apostrophes and other scripts": {
			"chefs":    "name: [Chef's] 椅子 knife; sku: SKU-[Chef's] 椅子 knife; ",
			"椅 knifes": "name: Chef's [椅]子 [knife]; sku: SKU-Chef's [椅]子 [knife]; category: [Knives]; ",
		},
		"an excerpt of a long description": {
			"tabletop": "description: …wood and of more wood. It is made of wood and of more wood. The [tabletop] is of oak. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so…; ",
		},
	} {
		t.Run(name, func(t *testing.T) {
			for text, want := range texts {
				page := search(t, x, catalog.Query{Text: text, Highlight: true})
				if len(page.Items) == 0 || len(page.Highlights) != len(page.Items) {
					t.Fatalf("Search(%q) = %d products with %d highlights; want equal numbers", text, len(page.Items), len(page.Highlights))
				}
				if got := bracketed(page.Highlights[0]); got != want {
					t.Errorf("Search(%q) highlights\n%s; want\n%s", text, got, want)
				}
			}
		})
	}
	t.Run("none without Query.Highlight", func(t *testing.T) {
		if page := search(t, x, catalog.Query{Text: "oak"}); page.Highlights != nil {
			t.Errorf("%d highlights; want none", len(page.Highlights))
		}
	})
	t.Run("empty ones without text", func(t *testing.T) {
		page := search(t, x, catalog.Query{Highlight: true})
		if len(page.Highlights) != len(page.Items) {
			t.Errorf("%d highlights of %d products; want equal numbers", len(page.Highlights), len(page.Items))
		}
		for _, h := range page.Highlights {
			if h != nil {
				t.Errorf("highlights %s; want none", bracketed(h))
			}
		}
	})
}

// suggest calls Suggest, which must not fail.
func suggest(t *testing.T, x reader.Index, text string, limit int) catalog.Suggestions {
	t.Helper()
	s, err := x.Suggest(t.Context(), text, limit)
	if err != nil {
		t.Fatalf("Suggest(%q) = %v", text, err)
	}
	return s
}

func indexSuggestions(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, tombstone("Desk lamp", 2))
	for name, texts := range map[string]map[string]string{
		"complete the last word":              {"tab": "table", "oak ta": "oak table", "OAK TA": "oak table", "rask": "råskog", "cha": "chair", "fold cha": "fold chair", "table oa": "table oak", "[tab": "[table"},
		"correct the last word":               {"tabel": "table", "cofee": "coffee"},
		"list the likeliest completion first": {"c": "chair, coffee, café"},
		"offer nothing for a whole word":      {"oak table": ""},
		"offer no words of deleted products":  {"lamp": ""},
		"offer nothing without a match":       {"xyz": "", "": "", "  ": "", "***": ""},
	} {
		t.Run(name, func(t *testing.T) {
			for text, want := range texts {
				s := suggest(t, x, text, 5)
				if got := strings.Join(s.Texts, ", "); got != want {
					t.Errorf("Suggest(%q) = %q; want %q", text, got, want)
				}
				for _, suggested := range s.Texts {
					if search(t, x, catalog.Query{Text: suggested}).Total == 0 {
						t.Errorf("Suggest(%q) = %q, which finds nothing", text, suggested)
					}
				}
			}
		})
	}
}

func indexSuggestionLimits(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	if s := suggest(t, x, "cha", 1); len(s.Products) != 1 || len(s.Texts) != 1 || len(s.Categories) != 1 || s.Categories[0] != (catalog.FacetValue{Value: "Furniture/Chairs", Count: 2}) {
		t.Errorf("Suggest(cha) = %d products, texts %v, categories %v; want one of each, Furniture/Chairs with 2", len(s.Products), s.Texts, s.Categories)
	}
	for _, text := range []string{strings.Repeat("a ", 100), strings.Repeat("é", 200), "\xff\xfe", "((((", "💺"} {
		suggest(t, x, text, 5)
	}
	for _, limit := range []int{0, -1, catalog.MaxSuggestions + 1} {
		_, err := x.Suggest(t.Context(), "oak", limit)
		wantRefused(t, fmt.Sprintf("Suggest with limit %d", limit), err, "limit")
	}
	_, err := x.Suggest(t.Context(), strings.Repeat("x", catalog.MaxText+1), 5)
	wantRefused(t, "Suggest of a long text", err, "q")
}
