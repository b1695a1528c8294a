package enginetest

import (
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/reader"
)

// wantFound searches for each text and fails the test unless it finds the
// product with that name among others; "" wants no product.
func wantFound(t *testing.T, x reader.Index, texts map[string]string) {
	t.Helper()
	for text, want := range texts {
		page := search(t, x, catalog.Query{Text: text})
		if got := foundNames(page); !strings.Contains(got, want) || want == "" && (got != "" || page.Total != 0) {
			t.Errorf("Search(%q) = %q; want %q", text, got, want)
		}
	}
}

func indexWords(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	for name, texts := range map[string]map[string]string{
		"in any order":                              {"oak table": "Oak table", "table oak": "Oak table"},
		"without case and accents":                  {"raskog": "RÅSKOG", "RÅSK": "RÅSKOG", "cafe": "Café chair"},
		"in the plural":                             {"chairs": "Folding chair", "lamps": "Desk lamp"},
		"by prefix":                                 {"fol cha": "Folding chair", "l": "Desk lamp"},
		"with one error from four letters":          {"tabel": "Oak table", "lmap": "Desk lamp", "foldig": "Folding chair", "trollly": "RÅSKOG", "fodlng": "", "trolys": ""},
		"with two errors from eight":                {"tyrolleys": "RÅSKOG", "throlleyys": "RÅSKOG"},
		"in SKU, description and category":          {"SKU-Desk lamp": "Desk lamp", "35x45": "RÅSKOG", "lighting": "Desk lamp"},
		"and a word that no product has finds none": {"sofa": "", "xyz": "", "xyz xyzz": ""},
		"and text without words finds none":         {"***": ""},
	} {
		t.Run(name, func(t *testing.T) { wantFound(t, x, texts) })
	}
}

func indexRelevance(t *testing.T, x reader.Index) {
	all := furniture()
	put(t, x, all...)
	for text, want := range map[string]string{
		"table": "table", "chair": "chair", "sku-folding chair": "Folding chair", all[3].ID.String(): "Folding chair", "SKU-RÅSKOG": "RÅSKOG", "oak": "Oak table",
	} {
		if page := search(t, x, catalog.Query{Text: text}); len(page.Items) == 0 || !strings.Contains(page.Items[0].Name, want) {
			t.Errorf("Search(%q) = %q; want %s first", text, foundNames(page), want)
		}
	}
}

func indexBrandWords(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, branded()...)
	wantFound(t, x, map[string]string{
		"hansen shell": "Shell chair", "carl son wishbone": "Wishbone chair", "hans wishb": "Wishbone chair", "hnasen shell": "Shell chair",
	})
	t.Run("and rank before words of the description", func(t *testing.T) {
		other := item("Other chair", "Furniture/Chairs", "For people who like oak, not by Hansen", 1)
		put(t, x, other)
		page := search(t, x, catalog.Query{Text: "hansen"})
		if n := len(page.Items); n != 4 || page.Items[n-1].ID != other.ID {
			t.Errorf("Search(hansen) = %q; want Other chair last of 4", foundNames(page))
		}
	})
}

func indexIdentifiers(t *testing.T, x reader.Index) {
	all := append(branded(), furniture()...)
	// Products that have the identifiers as words of their names.
	for i, text := range []string{"614141000036 SKU-Shell chair", "0614141000036 4006381333931", all[1].ID.String()} {
		all = append(all, item(text, "", "", int64(i)))
	}
	put(t, x, all...)
	for text, want := range map[string]string{
		"614141000036": "Wishbone chair", "0614141000036": "Wishbone chair", "00614141000036": "Wishbone chair", " 4006381333931 ": "Shell chair",
		"sku-shell chair": "Shell chair", all[1].ID.String(): "Shell chair",
	} {
		if page := search(t, x, catalog.Query{Text: text}); len(page.Items) == 0 || page.Items[0].Name != want {
			t.Errorf("Search(%q) = %q; want %s first", text, foundNames(page), want)
		}
	}
	t.Run("and so does a part of four characters and more", func(t *testing.T) {
		wantFound(t, x, map[string]string{"1333931": "Shell chair", "63813": "Shell chair", "u-shel": "Shell chair", "6381333931x": ""})
	})
}

func indexWidening(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, item("Walnut chair", "Furniture/Chairs", "", 10), item("Chair of steel", "Furniture/Chairs", "", 20))
	t.Run("a misspelt word is corrected, and the page says so", func(t *testing.T) {
		page := search(t, x, catalog.Query{Text: "foldnig chair"})
		if want := []catalog.Correction{{Word: "foldnig", Correction: "folding"}}; foundNames(page) != "Folding chair" || !slices.Equal(page.Corrections, want) || page.Match != catalog.MatchAll {
			t.Errorf("found %q with corrections %v, match %q; want Folding chair with %v", foundNames(page), page.Corrections, page.Match, want)
		}
	})
	t.Run("a word with a product is not corrected", func(t *testing.T) {
		page := search(t, x, catalog.Query{Text: "table"})
		if page.Corrections != nil || page.Total != 3 { // two in the name, one in the description
			t.Errorf("found %q, corrections %v; want the three products with table", foundNames(page), page.Corrections)
		}
	})
	t.Run("pages of a corrected text neither repeat nor miss a product", func(t *testing.T) {
		q := catalog.Query{Text: "chiar", Limit: 1}
		var names []string
		for range 10 {
			page := search(t, x, q)
			if page.Total != 4 {
				t.Fatalf("total %d; want 4 chairs", page.Total)
			}
			names = append(names, foundNames(page))
			if q.Cursor = page.NextCursor; q.Cursor == "" {
				break
			}
		}
		if slices.Sort(names); !slices.Equal(names, []string{"Café chair", "Chair of steel", "Folding chair", "Walnut chair"}) {
			t.Errorf("pages of %q; want each chair once", names)
		}
	})
	t.Run("without a product that has all words, those with the rare words come first", func(t *testing.T) {
		page := search(t, x, catalog.Query{Text: "walnut lamp chair xyz", Limit: 2})
		if page.Match != catalog.MatchPartial || foundNames(page) != "Walnut chair" || !slices.Equal(page.Unmatched, []string{"lamp", "xyz"}) || page.NextCursor != "" {
			t.Errorf("found %q, match %q, unmatched %q, cursor %q; want Walnut chair without lamp and xyz, and one page", foundNames(page), page.Match, page.Unmatched, page.NextCursor)
		}
		page = search(t, x, catalog.Query{Text: "chair lamp"})
		if names := foundNames(page); !strings.HasPrefix(names, "Desk lamp, ") || page.Total != 5 {
			t.Errorf("found %q; want the lamp, which is rarer, before four chairs", names)
		}
	})
	t.Run("products with less than half of the words are not shown", func(t *testing.T) {
		if page := search(t, x, catalog.Query{Text: "walnut xyz xyzz"}); page.Total != 0 || page.Match != catalog.MatchAll {
			t.Errorf("found %q, match %q; want nothing", foundNames(page), page.Match)
		}
	})
	t.Run("a stop word never blocks", func(t *testing.T) {
		if page := search(t, x, catalog.Query{Text: "the lamp for a desk"}); foundNames(page) != "Desk lamp" || page.Match != catalog.MatchAll {
			t.Errorf("found %q, match %q; want Desk lamp", foundNames(page), page.Match)
		}
	})
}

func indexAnyText(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	for _, text := range []string{
		"[", "]", "(", "{", "*", ".*", "/.*/", `"`, "'", `\`, "+oak -table", "name:oak", "oak~2", "oak^9", "((((((((", "[a-z]{1000}", "\x00", "\u202e\u0301", strings.Repeat("*", 200),
		strings.Repeat("a ", 100), strings.Repeat("é", 200), "\xff\xfe", "💺", "{{7*7}}", "' OR 1=1 --", "%", "_", "..", "-", "&&", "||", "!",
	} {
		search(t, x, catalog.Query{Text: text, Facets: catalog.FacetFields()})
		search(t, x, catalog.Query{Category: text, Tag: text})
	}
	wantFound(t, x, map[string]string{`("oak") [table]*`: "Oak table"})
}

// indexOperators searches for a word between characters that are operators of
// some query language. The search finds what the word finds alone; as a filter
// such a text matches nothing.
func indexOperators(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	want := foundNames(search(t, x, catalog.Query{Text: "oak"}))
	before := []string{"", "+", "-", "!", "(", "[", "{", `"`, "'", `\`, "*", "?", "/", "^", "~", "&&", "||", "$", "{{", "<", ">=", "%", ";", "--", "/*", "..", "#", "@", "=", ":"}
	behind := []string{"", ")", "]", "}", `"`, "'", "*", "~", "^", "/", `\`, "?", "!", ";--", "*/", "}}", ">"}
	if n := len(before)*len(behind) - 1; n < 500 {
		t.Errorf("%d texts; want at least 500", n)
	}
	for _, b := range before {
		for _, a := range behind {
			if a == "" && b == "" {
				continue
			}
			if got := foundNames(search(t, x, catalog.Query{Text: b + "oak" + a})); got != want {
				t.Errorf("Search(%q) = %q; want %q as for oak", b+"oak"+a, got, want)
			}
			for _, q := range []catalog.Query{{Category: "Furniture" + a + b}, {Tag: b + "oak" + a}, {Attributes: map[string]string{"a" + a: b}}} {
				if page := search(t, x, q); page.Total != 0 {
					t.Errorf("Search(%+v) = %q; want none", q, foundNames(page))
				}
			}
		}
	}
}
