package enginetest

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
	"catalog/eventlog"
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
		{"attributes are counted by their values", indexAttributeFacets},
		{"what was found is shown where it stands", indexHighlights},
		{"what is being typed is completed and put right", indexSuggestions},
		{"pages in every order neither repeat nor miss", indexPages},
		{"a cursor belongs to its query", indexCursors},
		{"a page has its limits", indexLimits},
		{"a tombstone is not found, and a replay changes nothing", indexReplay},
		{"what is wrong is put right, also when it is newer than it should be", indexCorrection},
		{"progress is kept", indexProgress},
		{"text is data", indexHostile},
		{"nothing is looked for when nobody waits", indexGone},
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
	p := at(name, 1, catalog.ProductData{SKU: "SKU-" + name, Name: name, Category: category, Description: description, Price: price(units, 0, "EUR"), Tags: tags})
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
	put(t, x, at("lacquer", 1, catalog.ProductData{Name: "Lacquer", Price: price(1, 0, "USD"), Attributes: map[string]string{"colour": "black", "finish": "a:b", "care": long}}))
	put(t, x, at("yen", 1, catalog.ProductData{Name: "Yen", Price: price(300, 0, "JPY")}))
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

func indexAttributeFacets(t *testing.T, x reader.Index) {
	for i, attributes := range []map[string]string{
		{"colour": "black", "size": "1"}, {"colour": "black", "size": "2"}, {"colour": "white: or so", "colours": "all"}, {"size": strings.Repeat("long ", 100)}, nil,
	} {
		put(t, x, at(fmt.Sprint("facet ", i), 1, catalog.ProductData{Name: "Lacquer", Price: price(1, 0, "EUR"), Attributes: attributes}))
	}
	put(t, x, tombstone("facet 1", 2))
	page := ask(t, x, catalog.Query{Text: "lacquer", Facets: true, FacetAttributes: []string{"colour", "size", "weight"}})
	if len(page.Facets) != 6 {
		t.Fatalf("%d facets", len(page.Facets))
	}
	got := map[string]string{}
	for _, f := range page.Facets[3:] {
		for _, v := range f.Values {
			got[f.Field+" "+f.Attribute] += fmt.Sprintf("%s %d, ", v.Value, v.Count)
		}
	}
	if got["attribute colour"] != "black 1, white: or so 1, " || got["attribute size"] != "1 1, " || len(got) != 2 {
		t.Errorf("facets: %q", got)
	}
	page = ask(t, x, catalog.Query{Attributes: map[string]string{"size": "1"}, FacetAttributes: []string{"colour"}})
	if len(page.Facets) != 1 || len(page.Facets[0].Values) != 1 || page.Facets[0].Values[0] != (catalog.FacetValue{Value: "black", Count: 1}) {
		t.Errorf("of one size the facets are %+v", page.Facets)
	}
	refused(t, x, catalog.Query{Limit: 1, FacetAttributes: make([]string, catalog.MaxFilters+1)}, "facet")
	refused(t, x, catalog.Query{Limit: 1, FacetAttributes: []string{"colour", "size", "colour"}}, "facet")
}

// marked is a highlight as text, with what matches in brackets.
func marked(all []catalog.Highlight) string {
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
	put(t, x, append(furniture(), item("Kitchen", "Rooms", long, 1), item("Chef's 椅子 knife", "Knives", "", 2))...)
	for text, want := range map[string]string{
		"oak table":    "name: [Oak] [table]; sku: SKU-[Oak] [table]; category: Furniture/[Tables]; ",
		"foldig":       "name: [Folding] chair; sku: SKU-[Folding] chair; ",
		"RASK":         "name: [RÅSKOG]; sku: SKU-[RÅSKOG]; ",
		"beech":        "",
		"sku-desk lam": "name: [Desk] [lamp]; sku: [SKU]-[Desk] [lamp]; ",
		"sku-räskog":   "name: [RÅSKOG]; sku: [SKU-RÅSKOG]; ",
		"chefs":        "name: [Chef's] 椅子 knife; sku: SKU-[Chef's] 椅子 knife; ",
		"椅 knifes":     "name: Chef's [椅]子 [knife]; sku: SKU-Chef's [椅]子 [knife]; category: [Knives]; ",
		"tabletop":     "description: …and of more wood. It is made of wood and of more wood. The <b>[tabletop]</b> is of oak. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so on. And so…; ",
	} {
		page := ask(t, x, catalog.Query{Text: text, Highlight: true})
		if len(page.Highlights) != len(page.Items) {
			t.Fatalf("%q finds %d products and shows %d", text, len(page.Items), len(page.Highlights))
		}
		if want == "" && len(page.Items) == 0 {
			continue
		}
		if got := marked(page.Highlights[0]); got != want {
			t.Errorf("%q is shown in\n%s, want\n%s", text, got, want)
		}
	}
	if page := ask(t, x, catalog.Query{Text: "oak"}); page.Highlights != nil {
		t.Error("highlights that nobody asked for")
	}
	for _, h := range ask(t, x, catalog.Query{Highlight: true}).Highlights {
		if h != nil {
			t.Errorf("without text %s", marked(h))
		}
	}
}

func indexSuggestions(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	put(t, x, tombstone("Desk lamp", 2))
	suggest := func(text string, limit int) catalog.Suggestions {
		t.Helper()
		s, err := x.Suggest(t.Context(), text, limit)
		if err != nil {
			t.Fatalf("Suggest(%q): %v", text, err)
		}
		return s
	}
	for text, want := range map[string]string{
		"tab": "table", "oak ta": "oak table", "OAK TA": "oak table", "tabel": "table", "rask": "råskog", "cha": "chair", "c": "chair, coffee, café", "fold cha": "fold chair",
		"oak table": "", "lamp": "", "xyz": "", "": "", "  ": "", "***": "", "table oa": "table oak", "cofee": "coffee", "[tab": "[table",
	} {
		s := suggest(text, 5)
		if got := strings.Join(s.Texts, ", "); got != want {
			t.Errorf("%q may become %q, want %q", text, got, want)
		}
		for _, text := range s.Texts {
			if ask(t, x, catalog.Query{Text: text}).Total == 0 {
				t.Errorf("%q is suggested and finds nothing", text)
			}
		}
	}
	if s := suggest("cha", 1); len(s.Products) != 1 || len(s.Texts) != 1 || len(s.Categories) != 1 || s.Categories[0] != (catalog.FacetValue{Value: "Furniture/Chairs", Count: 2}) {
		t.Errorf("cha may become %+v", s)
	}
	for _, text := range []string{strings.Repeat("a ", 100), strings.Repeat("é", 200), "\xff\xfe", "((((", "💺"} {
		suggest(text, 5)
	}
	for _, limit := range []int{0, -1, catalog.MaxSuggestions + 1} {
		var r *catalog.Refusal
		if _, err := x.Suggest(t.Context(), "oak", limit); !errors.As(err, &r) || r.Fields[0].Field != "limit" {
			t.Errorf("a limit of %d is answered %v", limit, err)
		}
	}
	var r *catalog.Refusal
	if _, err := x.Suggest(t.Context(), strings.Repeat("x", catalog.MaxText+1), 5); !errors.As(err, &r) || r.Fields[0].Field != "q" {
		t.Errorf("a text that is too long is answered %v", err)
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
		catalog.ByName:          func(a, b catalog.Product) int { return cmp.Or(strings.Compare(a.Name, b.Name), byID(a, b)) },
		catalog.PriceAscending:  func(a, b catalog.Product) int { return cmp.Or(a.Price.Cmp(b.Price.Decimal), byID(a, b)) },
		catalog.PriceDescending: func(a, b catalog.Product) int { return cmp.Or(b.Price.Cmp(a.Price.Decimal), byID(a, b)) },
		catalog.Newest:          func(a, b catalog.Product) int { return cmp.Or(b.CreatedAt.Compare(a.CreatedAt), byID(b, a)) },
		catalog.Relevance:       nil,
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
	put(t, x, tombstone("Oak table", 2), tombstone("never there", 1))
	if page := ask(t, x, catalog.Query{Text: "oak"}); names(page.Items) != "Coffee table" {
		t.Errorf("after a deletion oak finds %s", names(page.Items))
	}
	put(t, x, at("Oak table", 3, catalog.ProductData{Name: "Oak desk", Price: price(1, 0, "EUR")}))
	if page := ask(t, x, catalog.Query{Text: "oak desk"}); len(page.Items) != 1 || page.Items[0].Version != 3 {
		t.Errorf("made again it is found as %+v", page.Items)
	}
}

func indexCorrection(t *testing.T, x reader.Index) {
	versions := func() string {
		var all []string
		for _, p := range ask(t, x, catalog.Query{Text: "shelf"}).Items {
			all = append(all, fmt.Sprint(p.Name, " ", p.Version))
		}
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	shelf := func(name string, version int64) catalog.Product {
		return at(name, version, catalog.ProductData{Name: name + " shelf", Price: price(1, 0, "EUR")})
	}
	put(t, x, shelf("ahead", 9), shelf("behind", 1), shelf("same", 2), shelf("extra", 3))
	right := shelf("same", 2)
	right.Name = "other shelf"
	if err := x.Overwrite(t.Context(), []catalog.Product{shelf("ahead", 3), shelf("behind", 2), right, {ID: product("extra")}, shelf("missing", 4)}); err != nil {
		t.Fatal(err)
	}
	if got := versions(); got != "ahead shelf 3, behind shelf 2, missing shelf 4, other shelf 2" {
		t.Errorf("there are now %s", got)
	}
	put(t, x, shelf("ahead", 4), shelf("extra", 1)) // and what comes next is taken
	if got := versions(); got != "ahead shelf 4, behind shelf 2, extra shelf 1, missing shelf 4, other shelf 2" {
		t.Errorf("in the end there are %s", got)
	}
}

func indexProgress(t *testing.T, x reader.Index) {
	if all, err := x.Checkpoints(t.Context()); err != nil || len(all) != 0 {
		t.Fatalf("an empty index is at %v, %v", all, err)
	}
	want := []eventlog.Checkpoint{{Position: catalog.Position{Shard: 0, Seq: 7}, Offset: 9}, {Position: catalog.Position{Shard: 63, Seq: 1 << 40}, Offset: 1 << 41}}
	if err := x.Apply(t.Context(), furniture(), want); err != nil {
		t.Fatal(err)
	}
	got, err := x.Checkpoints(t.Context())
	slices.SortFunc(got, func(a, b eventlog.Checkpoint) int { return cmp.Compare(a.Shard, b.Shard) })
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

func indexGone(t *testing.T, x reader.Index) {
	put(t, x, furniture()...)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, found := x.Search(ctx, catalog.Query{Text: "oak", Limit: 1})
	_, suggested := x.Suggest(ctx, "oak", 1)
	if !errors.Is(found, context.Canceled) || !errors.Is(suggested, context.Canceled) {
		t.Errorf("whose caller has gone is answered %v and %v", found, suggested)
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
	put(t, x, tombstone("7", 2))
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
	if err := x.Scan(t.Context(), func([]catalog.Product) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Each = %v; want what handle answered", err)
	}
}
