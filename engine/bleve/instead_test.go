package bleve_test

import (
	"testing"

	"catalog"
)

func TestWhereNothingIsFoundANearTextIsOffered(t *testing.T) {
	x := open(t, "")
	name := func(name, category string) catalog.Product {
		return catalog.Product{ID: catalog.DerivedID(name), Version: 1, ProductData: catalog.ProductData{Name: name, Category: category, Price: catalog.Money{Currency: "EUR"}}}
	}
	gone := name("Stanchion", "")
	apply(t, x, 1, name("Oak table", "Furniture"), name("Folding chair", "Furniture"), name("Räskog", "Kitchen"), name("Oat mill", "Kitchen"), name("Oak bench", "Furniture"), gone)
	gone.Version, gone.Deleted = 2, true
	apply(t, x, 2, gone)
	for text, want := range map[string]string{
		"xak table":     "oak table", // the first letter is wrong; oak is more frequent than oat
		"tbale xxxxxxx": "table",
		"tale":          "", "oak tavles": "", "raskog": "", // found as they are
		"dablr": "table", "foldign xhair": "folding chair", "zaskog": "raskog", "oxk": "oak", "wurniture": "furniture",
		"oak chair": "", "xyz": "", "x": "", "12345": "", "***": "", "stanchiom": "", "": "",
		"chair 12345": "chair", "chair 12345 67890": "",
		"xak table oak furniture": "oak table furniture", "xak table oak oa furniture": "", // of so many nobody can tell which is wrong
	} {
		page, err := x.Search(t.Context(), catalog.Query{Text: text, Limit: 1})
		if err != nil || page.DidYouMean != want {
			t.Errorf("%q: instead %q, %v; want %q", text, page.DidYouMean, err, want)
		}
		if page.DidYouMean == "" {
			continue
		}
		if page, err = x.Search(t.Context(), catalog.Query{Text: page.DidYouMean, Limit: 1}); err != nil || page.Total == 0 {
			t.Errorf("%q is offered and finds nothing, %v", want, err)
		}
	}
	page, err := x.Search(t.Context(), catalog.Query{Text: "xak table", Category: "Kitchen", Limit: 1})
	if err != nil || page.DidYouMean != "" {
		t.Errorf("where the filters leave nothing %q is offered, %v", page.DidYouMean, err)
	}
}
