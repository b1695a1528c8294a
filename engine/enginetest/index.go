package enginetest

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/reader"
)

// TestIndex is the suite of reader.Index. Each call of open returns a new, empty
// index; open registers its closing with t.Cleanup.
func TestIndex(t *testing.T, open func(t *testing.T) reader.Index) {
	runSubjects(t, open, []subject[reader.Index]{
		{"text", []engineTest[reader.Index]{
			{"words are found in any order, whole, by prefix, in the plural or misspelt", indexWords},
			{"the best matches come first", indexRelevance},
			{"the words of the brand are found", indexBrandWords},
			{"an identifier finds its product first", indexIdentifiers},
			{"a text that finds nothing is widened step by step", indexWidening},
			{"text is data, whatever characters it has", indexAnyText},
			{"no character is an operator", indexOperators},
		}},
		{"filters", []engineTest[reader.Index]{
			{"a filter matches exact values", indexFilters},
			{"a GTIN matches in any of its lengths", indexGTIN},
			{"a price range includes its ends", indexPriceRange},
			{"an invalid query is refused", indexInvalidQueries},
			{"filters and totals agree with a list on random queries", indexRandom},
		}},
		{"facets", []engineTest[reader.Index]{
			{"count the matching products by field", indexFacets},
			{"count the matching products by attribute", indexAttributeFacets},
			{"count and filter by values however they are written", indexFacetSpellings},
		}},
		{"highlights", []engineTest[reader.Index]{{"mark the words that match", indexHighlights}}},
		{"suggestions", []engineTest[reader.Index]{
			{"complete and correct the last word", indexSuggestions},
			{"respect their limits", indexSuggestionLimits},
		}},
		{"pages", []engineTest[reader.Index]{
			{"neither repeat nor miss a product in any order", indexPages},
			{"a cursor belongs to its query", indexCursors},
			{"a page has at most MaxLimit products", indexPageLimits},
			{"pages of the largest products end early", indexLargePages},
		}},
		{"writes", []engineTest[reader.Index]{
			{"a repeated write changes nothing", indexReplay},
			{"a deleted product is not found, until it is created again", indexTombstones},
			{"Overwrite replaces any version, and later versions are applied", indexOverwrite},
			{"checkpoints are stored", indexCheckpoints},
			{"every field comes back exactly", indexFields},
			{"Scan and Product return each product", indexScan},
			{"Size counts the products that are not deleted", indexSize},
		}},
		{"context", []engineTest[reader.Index]{{"a canceled search ends", indexCanceled}}},
	})
}

// item returns a product to search for. Its creation time grows with its price.
func item(name, category, description string, units int64, tags ...string) catalog.Product {
	p := at(name, 1, catalog.ProductData{SKU: "SKU-" + name, Name: name, Category: category, Description: description, Price: price(units, 0, "EUR"), Tags: tags})
	p.CreatedAt = moment.Add(time.Duration(units) * time.Second)
	return p
}

func furniture() []catalog.Product {
	return []catalog.Product{
		item("RÅSKOG", "Furniture/Trolleys", "Trolley of steel, 35x45 cm", 175, "steel"),
		item("Oak table", "Furniture/Tables", "Seats six people", 900, "oak", "new"),
		item("Coffee table", "Furniture/Tables/Low", "Made of oak", 300, "oak"),
		item("Folding chair", "Furniture/Chairs", "Goes with every table", 40, "beech"),
		item("Café chair", "Furniture/Chairs", "Stacks", 60, "beech", "new"),
		item("Desk lamp", "Lighting", "Turns to every side", 25),
	}
}

// branded returns products of two brands, one of them with a GTIN-12.
func branded() []catalog.Product {
	wishbone := item("Wishbone chair", "Furniture/Chairs", "Beech", 700)
	wishbone.Brand, wishbone.GTIN = "Carl Hansen & Søn", "614141000036"
	shell := item("Shell chair", "Furniture/Chairs", "Walnut", 800)
	shell.Brand, shell.GTIN = "Carl Hansen & Søn", "4006381333931"
	copied := item("Copied chair", "Furniture/Chairs", "Looks like one of Carl Hansen", 90)
	copied.Brand = "carl hansen & søn"
	return []catalog.Product{wishbone, shell, copied}
}

// put applies products without a checkpoint.
func put(t rapid.TB, x reader.Index, products ...catalog.Product) {
	t.Helper()
	if err := x.Apply(context.Background(), products, nil); err != nil {
		t.Fatal(err)
	}
}

// search returns the page of q, with MaxLimit products unless q has a limit.
func search(t rapid.TB, x reader.Index, q catalog.Query) catalog.Page {
	t.Helper()
	if q.Limit == 0 {
		q.Limit = catalog.MaxLimit
	}
	page, err := x.Search(context.Background(), q)
	if err != nil {
		t.Fatalf("Search(%+v): %v", q, err)
	}
	return page
}

// foundNames returns the names of the products of a page.
func foundNames(page catalog.Page) string {
	list := make([]string, len(page.Items))
	for i, p := range page.Items {
		list[i] = p.Name
	}
	return strings.Join(list, ", ")
}

// wantRefused fails the test unless err is a refusal that names the field first.
func wantRefused(t *testing.T, what string, err error, field string) {
	t.Helper()
	var r *catalog.Refusal
	if !errors.As(err, &r) || len(r.Fields) == 0 || r.Fields[0].Field != field || r.Fields[0].Reason == "" {
		t.Errorf("%s = %v; want a refusal of %s", what, err, field)
	}
}

// wantQueryRefused fails the test unless Search refuses q because of the field.
func wantQueryRefused(t *testing.T, x reader.Index, q catalog.Query, field string) {
	t.Helper()
	_, err := x.Search(t.Context(), q)
	wantRefused(t, "Search", err, field)
}

func indexCanceled(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := x.Search(ctx, catalog.Query{Text: "oak", Limit: 1}); !errors.Is(err, context.Canceled) {
		t.Errorf("Search = %v; want Canceled", err)
	}
	if _, err := x.Suggest(ctx, "oak", 1); !errors.Is(err, context.Canceled) {
		t.Errorf("Suggest = %v; want Canceled", err)
	}
}
