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
)

// furniture reads a CSV file of products. The item's number is the SKU, and of an item that is listed
// several times the last line counts.
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

// TestRelevance runs typical searches of a furniture shop. Each line of a queries file is
//
//	text | n | field has text, field has text …
//
// and says that the first n products have these texts, in any case, in these fields: name, category,
// description, sku or any. With n = 0 it says that no product has all words.
func TestRelevance(t *testing.T) {
	t.Run("made-up furniture", func(t *testing.T) {
		testRelevance(t, "../../examples/furniture.csv", "testdata/furniture.queries")
	})
	if file := os.Getenv("CATALOG_TEST_FURNITURE"); file != "" {
		t.Run("real furniture", func(t *testing.T) { testRelevance(t, file, "testdata/real-furniture.queries") })
	}
}

func testRelevance(t *testing.T, listing, queries string) {
	t.Helper()
	x := open(t, "")
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
		n, err := strconv.Atoi(parts[1])
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		page, err := x.Search(t.Context(), catalog.Query{Text: parts[0], Limit: max(n, 1)})
		if err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		if len(page.Items) < n || n == 0 && len(page.Items) > 0 && page.Match != catalog.MatchPartial {
			t.Errorf("%s: found %d", line, page.Total)
		}
		for i, p := range page.Items[:n] {
			for _, condition := range strings.Split(strings.Join(parts[2:], ""), ", ") {
				field, text, _ := strings.Cut(condition, " has ")
				value := map[string]string{
					"name": p.Name, "category": p.Category, "description": p.Description, "sku": p.SKU,
					"any": strings.Join([]string{p.Name, p.Category, p.Description}, " "),
				}[field]
				if !strings.Contains(strings.ToLower(value), strings.ToLower(text)) {
					t.Errorf("%s\n\tproduct %d is %s, %s: %s (%s)", line, i+1, p.Name, p.Category, p.Description, cmp.Or(p.SKU, "no SKU"))
				}
			}
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
}
