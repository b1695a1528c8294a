package bleve_test

import (
	"bufio"
	"cmp"
	"encoding/csv"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/engine/bleve"
)

// furniture reads a listing as an import does: the item's number is the SKU,
// and an item that stands there several times is one product.
func furniture(t *testing.T, file string) []catalog.Product {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	r := csv.NewReader(strings.NewReader(strings.TrimPrefix(string(b), "\uFEFF")))
	r.Comma = ';'
	lines, err := r.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	column := map[string]int{}
	for i, name := range lines[0] {
		column[name] = i
	}
	var all []catalog.Product
	at := map[string]int{}
	for _, l := range lines[1:] {
		cell := func(name string) string { return strings.Join(strings.Fields(l[column[name]]), " ") }
		amount, err := catalog.ParseDecimal(strings.Replace(cell("price"), ",", ".", 1))
		if err != nil {
			t.Fatal(err)
		}
		p := catalog.Product{
			ID: catalog.DerivedID("furniture", cell("item_id")), Version: 1, CreatedAt: time.Unix(int64(len(all)), 0),
			ProductData: catalog.ProductData{
				SKU: cell("item_id"), Name: cell("name"), Description: cell("short_description"), Category: cell("category"),
				Price: catalog.Money{Decimal: amount, Currency: "SAR"},
			},
		}
		i, ok := at[p.SKU]
		if !ok {
			i = len(all)
			at[p.SKU], all = i, append(all, p)
		}
		all[i] = p
	}
	return all
}

// TestRelevance asks what people ask of a furniture shop. Lines of the files
// are
//
//	words | how many | field has text, field has text …
//
// and say that so many products come first that have these texts, whatever
// their case, in these fields: name, category, description, sku or any; or that
// there is nothing, with 0.
func TestRelevance(t *testing.T) {
	t.Run("made-up furniture", func(t *testing.T) {
		relevance(t, "../../examples/furniture.csv", "testdata/furniture.queries")
	})
	if file := os.Getenv("CATALOG_TEST_FURNITURE"); file != "" {
		t.Run("real furniture", func(t *testing.T) { relevance(t, file, "testdata/real-furniture.queries") })
	}
}

func relevance(t *testing.T, listing, queries string) {
	x, err := bleve.Open("", quiet)
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	if err := x.Apply(t.Context(), furniture(t, listing), nil); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(queries)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		line := lines.Text()
		if line == "" || line[0] == '#' {
			continue
		}
		parts := strings.Split(line, " | ")
		many, err := strconv.Atoi(parts[1])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		page, err := x.Search(t.Context(), catalog.Query{Text: parts[0], Limit: max(many, 1)})
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if len(page.Items) < many || many == 0 && len(page.Items) > 0 {
			t.Errorf("%s: %d products", line, page.Total)
		}
		for i, p := range page.Items {
			for _, wish := range strings.Split(strings.Join(parts[2:], ""), ", ") {
				field, text, _ := strings.Cut(wish, " has ")
				has := map[string]string{
					"name": p.Name, "category": p.Category, "description": p.Description, "sku": p.SKU,
					"any": strings.Join([]string{p.Name, p.Category, p.Description}, " "),
				}[field]
				if !strings.Contains(strings.ToLower(has), strings.ToLower(text)) {
					t.Errorf("%s\n\tnumber %d is %s, %s: %s (%s)", line, i+1, p.Name, p.Category, p.Description, cmp.Or(p.SKU, "no SKU"))
				}
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
