package bleve_test

import (
	"testing"

	"catalog"
)

func TestDidYouMean(t *testing.T) {
	x := open(t, "")
	product := func(name, category string) catalog.Product {
		return catalog.Product{ID: catalog.DerivedID(name), Version: 1, ProductData: catalog.ProductData{Name: name, Category: category, Price: catalog.Money{Currency: "EUR"}}}
	}
	deleted := product("Stanchion", "")
	apply(t, x, 1, product("Oak table", "Furniture"), product("Folding chair", "Furniture"), product("Räskog", "Kitchen"), product("Oat mill", "Kitchen"), product("Oak bench", "Furniture"), deleted)
	deleted.Version, deleted.Deleted = 2, true
	apply(t, x, 2, deleted)
	for name, texts := range map[string]map[string]string{
		"the most frequent of the closest words is offered":  {"xak table": "oak table", "oxk": "oak"},
		"all unknown words are corrected":                    {"dablr": "table", "foldign xhair": "folding chair", "zaskog": "raskog", "wurniture": "furniture"},
		"nothing is offered for a word without a correction": {"xhair xxxxxxx": "", "chair 12345": "", "chair 12345 67890": ""},
		"nothing is offered for a text that finds something": {"tale": "", "oak tavles": "", "raskog": "", "": ""},
		"nothing is offered when all words are known":        {"oak chair": ""},
		"nothing is offered without a similar word":          {"xyz": "", "x": "", "12345": "", "***": ""},
		"words of deleted products are not offered":          {"stanchiom": ""},
		"a text of more than four words is not corrected":    {"xak table oak furniture": "oak table furniture", "xak table oak oa furniture": ""},
	} {
		t.Run(name, func(t *testing.T) {
			for text, want := range texts {
				page, err := x.Search(t.Context(), catalog.Query{Text: text, Limit: 1})
				if err != nil || page.DidYouMean != want {
					t.Errorf("Search(%q).DidYouMean = %q, %v; want %q", text, page.DidYouMean, err, want)
				}
				if page.DidYouMean == "" {
					continue
				}
				if page, err = x.Search(t.Context(), catalog.Query{Text: page.DidYouMean, Limit: 1}); err != nil || page.Total == 0 {
					t.Errorf("Search(%q) finds %d, %v; it was offered", want, page.Total, err)
				}
			}
		})
	}
	t.Run("the offered text must find something with the filters of the query", func(t *testing.T) {
		page, err := x.Search(t.Context(), catalog.Query{Text: "xak table", Category: "Kitchen", Limit: 1})
		if err != nil || page.DidYouMean != "" {
			t.Errorf("DidYouMean = %q, %v; want none", page.DidYouMean, err)
		}
	})
}
