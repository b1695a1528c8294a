package catalogtest

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/reader"
)

// TestIndex says what a reader.Index must do. Each open answers an index of its
// own, empty; open closes it at the end of the test.
func TestIndex(t *testing.T, open func(t *testing.T) reader.Index) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, x reader.Index)
	}{
		{"words are found in any order, whole, begun, in the plural or with an error", indexWords},
		{"what a person means comes first", indexRelevance},
		{"filters keep what they say", indexFilters},
		{"facets count", indexFacets},
		{"pages in every order neither repeat nor miss", indexPages},
		{"a cursor belongs to its query", indexCursors},
		{"a page has its limits", indexLimits},
		{"a tombstone is not found, and a replay changes nothing", indexReplay},
		{"progress is kept", indexProgress},
		{"text is data", indexHostile},
		{"no sign in a query is an operator", indexInjection},
		{"every field comes back exactly", indexFields},
		{"whatever is asked, the index and a list agree", indexModel},
		{"each product is shown once, and is there by its id", indexEach},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// item is a product to be found.
func item(name, category, description string, units int64, tags ...string) catalog.Product {
	p := at(name, 1, catalog.Draft{SKU: "SKU-" + name, Name: name, Category: category, Description: description, Price: price(units, 0, "EUR"), Tags: tags})
	p.CreatedAt = moment.Add(time.Duration(units) * time.Second)
	return p
}

func put(t rapid.TB, x reader.Index, products ...catalog.Product) {
	t.Helper()
	if err := x.Apply(context.Background(), products, nil); err != nil {
		t.Fatal(err)
	}
}

func ask(t rapid.TB, x reader.Index, q catalog.Query) catalog.Page {
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

func names(items []catalog.Product) string {
	list := make([]string, len(items))
	for i, p := range items {
		list[i] = p.Name
	}
	return strings.Join(list, ", ")
}

// refused fails the test unless the query is refused for the field.
func refused(t *testing.T, x reader.Index, q catalog.Query, field string) {
	t.Helper()
	_, err := x.Search(t.Context(), q)
	var r *catalog.Refusal
	if !errors.As(err, &r) || len(r.Fields) == 0 || r.Fields[0].Field != field || r.Fields[0].Reason == "" {
		t.Errorf("Search(%+v) = %v; want a refusal of %s", q, err, field)
	}
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

func indexWords(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	for text, want := range map[string]string{
		"oak table": "Oak table", "table oak": "Oak table", "raskog": "RÅSKOG", "RÅSK": "RÅSKOG", "cafe": "Café chair", "chairs": "Folding chair",
		"fol cha": "Folding chair", "foldig": "Folding chair", "tabel": "Oak table", "lmap": "Desk lamp", "fodlng": "", "trollly": "RÅSKOG", "tyrolleys": "RÅSKOG", "trolys": "",
		"throlleyys": "RÅSKOG", "lamps": "Desk lamp", "l": "Desk lamp", "SKU-Desk lamp": "Desk lamp", "35x45": "RÅSKOG", "lighting": "Desk lamp",
	} {
		if got := names(ask(t, x, catalog.Query{Text: text}).Items); !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("%q finds %q, without %s", text, got, want)
		}
	}
	for _, text := range []string{"oak lamp", "sofa", "xyz", "***"} {
		if page := ask(t, x, catalog.Query{Text: text}); page.Total != 0 {
			t.Errorf("%q finds %s", text, names(page.Items))
		}
	}
}

func indexRelevance(t *testing.T, x reader.Index) {
	all := furniture()
	put(t, x, all...)
	for text, want := range map[string]string{
		"table": "table", "chair": "chair", "sku-folding chair": "Folding chair", all[3].ID.String(): "Folding chair", "SKU-RÅSKOG": "RÅSKOG", "oak": "Oak table",
	} {
		if items := ask(t, x, catalog.Query{Text: text}).Items; len(items) == 0 || !strings.Contains(items[0].Name, want) {
			t.Errorf("%q finds %q; want %s first", text, names(items), want)
		}
	}
}

func indexFilters(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	long := strings.Repeat("long ", 300) + "end"
	put(t, x, at("lacquer", 1, catalog.Draft{Name: "Lacquer", Price: price(1, 0, "USD"), Attributes: map[string]string{"colour": "black", "finish": "a:b", "care": long}}))
	put(t, x, at("yen", 1, catalog.Draft{Name: "Yen", Price: price(300, 0, "JPY")}))
	for _, test := range []struct {
		q    catalog.Query
		want string
	}{
		{catalog.Query{Category: "Furniture/Tables"}, "Coffee table, Oak table"},
		{catalog.Query{Category: "Furniture/Tab"}, ""},
		{catalog.Query{Category: "Furniture/Tables/Low"}, "Coffee table"},
		{catalog.Query{Tag: "new"}, "Café chair, Oak table"},
		{catalog.Query{Tag: "new", Text: "oak"}, "Oak table"},
		{catalog.Query{Currency: "JPY"}, "Yen"},
		{catalog.Query{Attributes: map[string]string{"colour": "black"}}, "Lacquer"},
		{catalog.Query{Attributes: map[string]string{"colour": "black", "finish": "a:b", "care": long}}, "Lacquer"},
		{catalog.Query{Attributes: map[string]string{"colour": "black", "finish": "a"}}, ""},
		{catalog.Query{Attributes: map[string]string{"colour": "blac"}}, ""},
		{catalog.Query{Attributes: map[string]string{"finish": "black"}}, ""},
		{catalog.Query{Attributes: map[string]string{"care": long + "s"}}, ""},
		{catalog.Query{Currency: "EUR", MinPrice: &catalog.Decimal{Units: 40}, MaxPrice: &catalog.Decimal{Units: 175}}, "Café chair, Folding chair, RÅSKOG"},
		{catalog.Query{Currency: "EUR", MinPrice: &catalog.Decimal{Units: 40, Nanos: 1}, MaxPrice: &catalog.Decimal{Units: 174, Nanos: 999_999_999}}, "Café chair"},
		{catalog.Query{Currency: "EUR", MinPrice: &catalog.Decimal{Units: 300}}, "Coffee table, Oak table"},
		{catalog.Query{Currency: "EUR", MaxPrice: &catalog.Decimal{Units: 25}}, "Desk lamp"},
	} {
		test.q.Sort = catalog.ByName
		if page := ask(t, x, test.q); names(page.Items) != test.want || page.Total != int64(len(page.Items)) {
			t.Errorf("%+v finds %q (%d in all), want %q", test.q, names(page.Items), page.Total, test.want)
		}
	}
	refused(t, x, catalog.Query{Limit: 1, MinPrice: &catalog.Decimal{}}, "currency")
	refused(t, x, catalog.Query{Limit: 1, Currency: "EUR", MinPrice: &catalog.Decimal{Units: 2}, MaxPrice: &catalog.Decimal{Units: 1}}, "minPrice")
	refused(t, x, catalog.Query{Limit: 1, Currency: "EUX"}, "currency")
}

func indexFacets(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	got := map[string]string{}
	for _, f := range ask(t, x, catalog.Query{Text: "chair", Facets: true}).Facets {
		for _, v := range f.Values {
			got[f.Field] += fmt.Sprintf("%s %d ", v.Value, v.Count)
		}
	}
	if got["category"] != "Furniture/Chairs 2 " || got["tag"] != "beech 2 new 1 " || got["currency"] != "EUR 2 " {
		t.Errorf("facets: %q", got)
	}
}

func indexPages(t *testing.T, x reader.Index) {
	var all []catalog.Product
	for i := range 250 {
		p := item(fmt.Sprintf("Näme %d", i%40), "c", "", int64(i%30))
		p.ID = product(fmt.Sprint("page ", i))
		p.SKU = ""
		all = append(all, p)
	}
	put(t, x, all...)
	byID := func(a, b catalog.Product) int { return strings.Compare(a.ID.String(), b.ID.String()) }
	for sort, less := range map[catalog.Sort]func(a, b catalog.Product) int{
		catalog.ByName:    func(a, b catalog.Product) int { return cmp.Or(strings.Compare(a.Name, b.Name), byID(a, b)) },
		catalog.Cheapest:  func(a, b catalog.Product) int { return cmp.Or(a.Price.Cmp(b.Price.Decimal), byID(a, b)) },
		catalog.Dearest:   func(a, b catalog.Product) int { return cmp.Or(b.Price.Cmp(a.Price.Decimal), byID(a, b)) },
		catalog.Newest:    func(a, b catalog.Product) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), byID(b, a)) },
		catalog.Relevance: nil,
	} {
		q := catalog.Query{Text: "näme", Sort: sort, Limit: 17}
		var got []catalog.Product
		for {
			page := ask(t, x, q)
			if page.Total != int64(len(all)) {
				t.Fatalf("%s: %d in all, not %d", sort, page.Total, len(all))
			}
			got = append(got, page.Items...)
			// Something else is written meanwhile.
			put(t, x, item("Other", "c", "", 1))
			if q.Cursor = page.NextCursor; q.Cursor == "" {
				break
			}
		}
		want := slices.Clone(all)
		if less == nil {
			less = byID
			slices.SortFunc(got, byID)
		}
		slices.SortFunc(want, less)
		if !slices.EqualFunc(got, want, equal) {
			t.Errorf("sorted by %s the pages hold %d products, or in another order", sort, len(got))
		}
	}
}

func indexCursors(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	q := catalog.Query{Text: "chair", Limit: 1}
	q.Cursor = ask(t, x, q).NextCursor
	if q.Cursor == "" {
		t.Fatal("there is no second page")
	}
	if page := ask(t, x, q); len(page.Items) != 1 || page.NextCursor != "" {
		t.Errorf("the second page has %d products", len(page.Items))
	}
	for _, other := range []catalog.Query{{Text: "table"}, {Text: "chair", Sort: catalog.ByName}, {Text: "chair", Tag: "new"}, {}} {
		other.Limit, other.Cursor = 1, q.Cursor
		refused(t, x, other, "cursor")
	}
	for _, broken := range []string{"x", "!!", "bm9uc2Vuc2U", q.Cursor[1:], q.Cursor + "A"} {
		refused(t, x, catalog.Query{Text: "chair", Limit: 1, Cursor: broken}, "cursor")
	}
}

func indexLimits(t *testing.T, x reader.Index) {
	for _, limit := range []int{-1, 0, catalog.MaxLimit + 1, 1 << 40} {
		refused(t, x, catalog.Query{Limit: limit}, "limit")
	}
	refused(t, x, catalog.Query{Limit: 1, Text: strings.Repeat("x", catalog.MaxText+1)}, "q")
	if page := ask(t, x, catalog.Query{}); page.Total != 0 || len(page.Items) != 0 || page.NextCursor != "" {
		t.Errorf("an empty index answers %+v", page)
	}
}

func indexReplay(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, furniture()...)
	if page := ask(t, x, catalog.Query{}); page.Total != 6 {
		t.Fatalf("after a replay there are %d products", page.Total)
	}
	put(t, x, gone("Oak table", 2), gone("never there", 1))
	if page := ask(t, x, catalog.Query{Text: "oak"}); names(page.Items) != "Coffee table" {
		t.Errorf("after a deletion oak finds %s", names(page.Items))
	}
	put(t, x, at("Oak table", 3, catalog.Draft{Name: "Oak desk", Price: price(1, 0, "EUR")}))
	if page := ask(t, x, catalog.Query{Text: "oak desk"}); len(page.Items) != 1 || page.Items[0].Version != 3 {
		t.Errorf("made again it is found as %+v", page.Items)
	}
}

func indexProgress(t *testing.T, x reader.Index) {
	if all, err := x.Progress(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("an empty index is at %v, %v", all, err)
	}
	want := []catalog.Progress{{Position: catalog.Position{Shard: 0, Seq: 7}, Offset: 9}, {Position: catalog.Position{Shard: 63, Seq: 1 << 40}, Offset: 1 << 41}}
	if err := x.Apply(t.Context(), furniture(), want); err != nil {
		t.Fatal(err)
	}
	got, err := x.Progress(t.Context())
	slices.SortFunc(got, func(a, b catalog.Progress) int { return cmp.Compare(a.Shard, b.Shard) })
	if err != nil || !slices.Equal(got, want) {
		t.Fatalf("Progress = %v, %v; want %v", got, err, want)
	}
}

func indexHostile(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	for _, text := range []string{
		"[", "]", "(", "{", "*", ".*", "/.*/", `"`, "'", `\`, "+oak -table", "name:oak", "oak~2", "oak^9", "((((((((", "[a-z]{1000}", "\x00", "\u202e\u0301", strings.Repeat("*", 200),
		strings.Repeat("a ", 100), strings.Repeat("é", 200), "\xff\xfe", "💺", "{{7*7}}", "' OR 1=1 --", "%", "_", "..", "-", "&&", "||", "!",
	} {
		ask(t, x, catalog.Query{Text: text, Facets: true})
		ask(t, x, catalog.Query{Category: text, Tag: text})
	}
	if got := names(ask(t, x, catalog.Query{Text: `("oak") [table]*`}).Items); !strings.Contains(got, "Oak table") {
		t.Errorf("signs around words hide them: %q", got)
	}
}

// indexInjection asks for a word among signs that mean something in one query
// language or another. Whatever they are, what is found is what the word finds
// without them; as a filter such a text finds nothing.
func indexInjection(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	want := names(ask(t, x, catalog.Query{Text: "oak"}).Items)
	before := []string{"", "+", "-", "!", "(", "[", "{", `"`, "'", `\`, "*", "?", "/", "^", "~", "&&", "||", "$", "{{", "<", ">=", "%", ";", "--", "/*", "..", "#", "@", "=", ":"}
	behind := []string{"", ")", "]", "}", `"`, "'", "*", "~", "^", "/", `\`, "?", "!", ";--", "*/", "}}", ">"}
	asked := 0
	for _, b := range before {
		for _, a := range behind {
			if a == "" && b == "" {
				continue
			}
			asked++
			text := b + "oak" + a
			if got := names(ask(t, x, catalog.Query{Text: text}).Items); got != want {
				t.Errorf("%q finds %q, and oak %q", text, got, want)
			}
			for _, q := range []catalog.Query{{Category: "Furniture" + a + b}, {Tag: b + "oak" + a}, {Attributes: map[string]string{"a" + a: b}}} {
				if page := ask(t, x, q); page.Total != 0 {
					t.Errorf("%+v finds %s", q, names(page.Items))
				}
			}
		}
	}
	if asked < 500 {
		t.Errorf("only %d texts were tried", asked)
	}
}

func indexFields(t *testing.T, x reader.Index) {
	for name, d := range extremes() {
		want := at(name, 1, d)
		put(t, x, want)
		page := ask(t, x, catalog.Query{Text: want.ID.String()})
		if len(page.Items) == 0 || !equal(page.Items[0], want) {
			t.Errorf("%s comes back as %+v", name, page.Items)
		}
	}
}

// indexModel compares filters and counts with a look at every product.
func indexModel(t *testing.T, x reader.Index) {
	var all []catalog.Product
	for i := range 300 {
		p := item(fmt.Sprint("p", i), fmt.Sprintf("C%d/D%d", i%3, i%7), "", 0, fmt.Sprint("t", i%5))
		p.Price = catalog.Money{Decimal: catalog.Decimal{Units: int64(i) * int64(i) * 37 % 250_000, Nanos: int32(i%100) * 10_000_000}, Currency: []string{"EUR", "USD"}[i%2]}
		all = append(all, p)
	}
	put(t, x, all...)
	rapid.Check(t, func(t *rapid.T) {
		q := catalog.Query{
			Category: rapid.SampledFrom([]string{"", "C0", "C1", "C2/D3", "C9"}).Draw(t, "category"),
			Tag:      rapid.SampledFrom([]string{"", "t0", "t4"}).Draw(t, "tag"),
			Currency: rapid.SampledFrom([]string{"EUR", "USD"}).Draw(t, "currency"),
		}
		amounts := []catalog.Decimal{all[rapid.IntRange(0, 299).Draw(t, "a")].Price.Decimal, {Units: rapid.Int64Range(0, 300_000).Draw(t, "b")}}
		slices.SortFunc(amounts, catalog.Decimal.Cmp)
		if rapid.Bool().Draw(t, "min") {
			q.MinPrice = &amounts[0]
		}
		if rapid.Bool().Draw(t, "max") {
			q.MaxPrice = &amounts[1]
		}
		want := 0
		for _, p := range all {
			if p.Price.Currency == q.Currency && (q.Category == "" || p.Category == q.Category || strings.HasPrefix(p.Category, q.Category+"/")) &&
				(q.Tag == "" || slices.Contains(p.Tags, q.Tag)) &&
				(q.MinPrice == nil || p.Price.Cmp(*q.MinPrice) >= 0) && (q.MaxPrice == nil || p.Price.Cmp(*q.MaxPrice) <= 0) {
				want++
			}
		}
		if page := ask(t, x, q); page.Total != int64(want) {
			t.Fatalf("%+v finds %d, and there are %d", q, page.Total, want)
		}
	})
}

func indexEach(t *testing.T, x reader.Index) {
	if all := each(t, x); len(all) != 0 {
		t.Fatalf("an empty index shows %d products", len(all))
	}
	var want []catalog.Product
	for i := range 1_500 {
		want = append(want, item(fmt.Sprint(i), "", "", int64(i)))
	}
	put(t, x, want...)
	put(t, x, gone("7", 2))
	want[8].Version = 2
	put(t, x, want[8])
	all := each(t, x)
	if len(all) != len(want)-1 {
		t.Fatalf("it shows %d products, not %d", len(all), len(want)-1)
	}
	for i, p := range want {
		got, err := x.Product(t.Context(), p.ID)
		switch {
		case i == 7:
			if !errors.Is(err, catalog.ErrNotFound) {
				t.Fatalf("a deleted product is there at version %d, %v", got.Version, err)
			}
		case err != nil || !equal(got, p) || !equal(all[p.ID], p):
			t.Fatalf("it has %+v, %v and shows %+v; want %+v", got, err, all[p.ID], p)
		}
	}
	enough := errors.New("enough")
	if err := x.Each(t.Context(), func([]catalog.Product) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Each = %v; want what handle answered", err)
	}
}
