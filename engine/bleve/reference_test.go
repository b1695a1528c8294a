package bleve_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/engine/bleve"
	"catalog/internal/textsearch"
)

// reference is a slow index: it compares a query with the terms of each product in turn. It
// determines which products an index has to return, in which order and with which counts.
type reference []referenceProduct

type referenceProduct struct {
	catalog.Product
	terms map[string][]string // terms by field
}

func newReference(products map[catalog.ID]catalog.Product) (all reference) {
	for _, p := range products {
		r := referenceProduct{p, map[string][]string{textsearch.ID: {p.ID.String()}}}
		for _, f := range textsearch.FieldsOf(p) {
			r.terms[f.Name] = slices.Compact(slices.Sorted(slices.Values(f.Terms)))
		}
		all = append(all, r)
	}
	return all
}

// matches reports whether a product has a term that q matches.
func (p referenceProduct) matches(q textsearch.TermQuery) bool {
	terms := p.terms[q.Field]
	switch {
	case q.All != nil:
		return !slices.ContainsFunc(q.All, func(t string) bool { return !slices.Contains(terms, t) })
	case q.Prefix:
		return slices.ContainsFunc(terms, func(t string) bool { return strings.HasPrefix(t, q.Term) })
	case q.MaxEdits > 0:
		return slices.ContainsFunc(terms, func(t string) bool { return textsearch.WithinEdits(q.Term, t, q.MaxEdits) })
	}
	return slices.Contains(terms, q.Term)
}

// score returns the sum of the boosts of the clauses that match.
func (p referenceProduct) score(clauses []textsearch.Clause) (sum int) {
	for _, c := range clauses {
		if p.matches(c.TermQuery) {
			sum += c.Boost
		}
	}
	return sum
}

// match reports whether a product matches a plan, and its score.
func (p referenceProduct) match(plan textsearch.Plan) (score int, ok bool) {
	for _, f := range plan.Filters {
		if !p.matches(f) {
			return 0, false
		}
	}
	if price := textsearch.PriceKey(p.Price.Decimal); plan.MinPrice != "" && (price < plan.MinPrice || price > plan.MaxPrice) {
		return 0, false
	}
	if !plan.HasText {
		return 0, true
	}
	matched, required := 0, 0
	for _, w := range plan.Words {
		n := p.score(w.Clauses)
		if n > 0 {
			n += w.Weight
		}
		score += n
		if !w.Optional {
			required++
			matched += min(n, 1)
		}
	}
	exact := p.score(plan.ExactMatches)
	return score + exact, required > 0 && matched >= cmp.Or(plan.AtLeast, required) || exact > 0
}

// Count returns how many products that pass the filters match each word.
func (all reference) Count(_ context.Context, req textsearch.Request) ([]int64, error) {
	counts := make([]int64, len(req.Plan.Words))
	filters := req.Plan
	filters.HasText = false
	for _, p := range all {
		if _, ok := p.match(filters); !ok {
			continue
		}
		for i, w := range req.Plan.Words {
			counts[i] += int64(min(p.score(w.Clauses), 1))
		}
	}
	return counts, nil
}

// search returns the page of q.
func (all reference) search(t *testing.T, q catalog.Query) catalog.Page {
	t.Helper()
	req, err := textsearch.DefaultRules().NewRequest(q)
	if err != nil {
		t.Fatal(err)
	}
	page, _, err := textsearch.Search(t.Context(), req, all)
	if err != nil {
		t.Fatal(err)
	}
	return page
}

// Find returns the page of req.
func (all reference) Find(_ context.Context, req textsearch.Request) (page catalog.Page, _ error) {
	type hit struct {
		referenceProduct
		key []byte
	}
	compare := func(a, b hit) int {
		order, ids := bytes.Compare(a.key, b.key), bytes.Compare(a.ID[:], b.ID[:])
		if req.Order.Descending {
			order = -order
		}
		if req.Order.IDDescending {
			ids = -ids
		}
		return cmp.Or(order, ids)
	}
	var hits []hit
	counts := make([]map[string]map[string]int64, len(req.Facets)) // counts by key and term
	for _, p := range all {
		score, ok := p.match(req.Plan)
		if !ok {
			continue
		}
		page.Total++
		for i, f := range req.Facets {
			if counts[i] == nil {
				counts[i] = map[string]map[string]int64{}
			}
			for _, term := range p.terms[f.IndexField] {
				if key, _, ok := f.Value(term); ok {
					if counts[i][key] == nil {
						counts[i][key] = map[string]int64{}
					}
					counts[i][key][term]++
				}
			}
		}
		h := hit{p, fmt.Appendf(nil, "%09d", score)}
		if req.Order.Field != "" {
			h.key = []byte(p.terms[req.Order.Field][0])
		}
		hits = append(hits, h)
	}
	slices.SortFunc(hits, compare)
	if req.After != nil {
		last := slices.IndexFunc(hits, func(h hit) bool { return h.ID == req.After.ID })
		hits = hits[last+1:]
	}
	for _, h := range hits[:min(len(hits), req.Query.Limit)] {
		page.Items = append(page.Items, h.Product)
	}
	if len(hits) > req.Query.Limit {
		page.NextCursor = "there are more"
	}
	for i, f := range req.Facets {
		facet := f.Facet
		for _, key := range slices.Sorted(maps.Keys(counts[i])) {
			var v catalog.FacetValue
			for _, n := range counts[i][key] {
				v.Count += n
			}
			_, v.Value, _ = f.Value(slices.MaxFunc(slices.Sorted(maps.Keys(counts[i][key])), func(a, b string) int {
				return cmp.Compare(counts[i][key][a], counts[i][key][b])
			}))
			facet.Values = append(facet.Values, v)
		}
		slices.SortStableFunc(facet.Values, func(a, b catalog.FacetValue) int { return cmp.Compare(b.Count, a.Count) })
		facet.Values = facet.Values[:min(len(facet.Values), textsearch.MaxFacetValues)]
		page.Facets = append(page.Facets, facet)
	}
	return page, nil
}

// wantSamePages compares up to three pages of q with those of the reference.
func (all reference) wantSamePages(t *testing.T, x *bleve.Index, q catalog.Query) {
	t.Helper()
	for range 3 {
		got, err := x.Search(t.Context(), q)
		if err != nil {
			t.Fatalf("%+v: %v", q, err)
		}
		want := all.search(t, q)
		ids := func(p catalog.Page) (ids []string) {
			for _, p := range p.Items {
				ids = append(ids, fmt.Sprintf("%s version %d (%s)", p.ID, p.Version, p.Name))
			}
			return ids
		}
		switch {
		case got.Total != want.Total:
			t.Errorf("%+v: total %d, want %d", q, got.Total, want.Total)
		case !slices.Equal(ids(got), ids(want)):
			t.Errorf("%+v:\n\tgot  %q\n\twant %q", q, ids(got), ids(want))
		case !reflect.DeepEqual(got.Facets, want.Facets):
			t.Errorf("%+v:\n\tgot  facets %v\n\twant facets %v", q, got.Facets, want.Facets)
		case (got.NextCursor == "") != (want.NextCursor == ""):
			t.Errorf("%+v: next cursor %q, want %q", q, got.NextCursor, want.NextCursor)
		case got.NextCursor != "":
			q.Cursor = got.NextCursor
			continue
		}
		return
	}
}

// questions generates queries about some products.
type questions struct {
	*rand.Rand
	products []catalog.Product
}

func (r questions) product() catalog.Product { return r.products[r.IntN(len(r.products))] }

// word returns a word of a product: whole, cut off or misspelt.
func (r questions) word() string {
	p := r.product()
	words := textsearch.Tokenize(strings.Join([]string{p.Name, p.Name, p.Category, p.Brand, p.SKU, p.Description}, " "))
	if len(words) == 0 {
		return "x"
	}
	word := []rune(words[r.IntN(len(words))])
	at := r.IntN(len(word))
	switch r.IntN(8) {
	case 0:
		return string(word[:at+1])
	case 1:
		word[at] = 'e'
	case 2:
		word = slices.Insert(word, at, 'a')
	case 3:
		word = slices.Delete(word, at, min(at+1, len(word)-1))
	case 4:
		if at > 0 {
			word[at], word[at-1] = word[at-1], word[at]
		}
	}
	return string(word)
}

func (r questions) query() catalog.Query {
	q := catalog.Query{Limit: 1 + r.IntN(20)}
	if r.IntN(3) == 0 {
		q.Facets = catalog.FacetFields()[r.IntN(4):]
	}
	p := r.product()
	switch r.IntN(8) {
	case 0:
		q.Text = []string{p.SKU, p.Name, p.GTIN, p.ID.String(), p.Category}[r.IntN(5)]
	case 1:
	default:
		for range 1 + r.IntN(3) {
			q.Text += r.word() + " "
		}
	}
	if text := []rune(q.Text); len(text) > catalog.MaxText {
		q.Text = string(text[:catalog.MaxText])
	}
	switch r.IntN(9) {
	case 0:
		q.Category, _, _ = strings.Cut(p.Category, "/")
	case 1:
		q.Brand = strings.ToUpper(p.Brand)
	case 2:
		if len(p.Tags) > 0 {
			q.Tag = strings.ToTitle(p.Tags[0])
		}
	case 3:
		low, high := p.Price.Decimal, r.product().Price.Decimal
		if low.Cmp(high) > 0 {
			low, high = high, low
		}
		q.Currency, q.MinPrice, q.MaxPrice = p.Price.Currency, &low, &high
	case 4:
		q.Attributes = map[string]string{}
		for key, value := range p.Attributes {
			q.Attributes[key] = value
			break
		}
	}
	if r.IntN(3) == 0 {
		q.FacetAttributes = []string{"colour", "size", "none"}[:1+r.IntN(3)]
	}
	q.Sort = []catalog.Sort{"", "", catalog.ByName, catalog.PriceAscending, catalog.PriceDescending, catalog.Newest}[r.IntN(6)]
	return q
}

// gtin8 returns the GTIN of 8 digits that begins with the 7 digits of n.
func gtin8(n int) string {
	sum := 0
	for i, digit := range fmt.Sprint(n) {
		sum += int(digit-'0') * (3 - i%2*2)
	}
	return fmt.Sprint(n*10 + (10-sum%10)%10)
}

// TestSearch_reference compares results, order and counts with the slow reference: 10,000 queries with
// CATALOG_TEST_FULL=1, else some hundred. The index has several segments and deleted products.
func TestSearch_reference(t *testing.T) {
	queries := 400
	if os.Getenv("CATALOG_TEST_FULL") == "1" {
		queries = 10_000
	}
	listings := map[string]func() []catalog.Product{
		"made-up furniture": func() []catalog.Product { return furniture(t, "../../examples/furniture.csv") },
		"generated products": func() []catalog.Product {
			c := newCatalogue()
			all := c.products(300)
			for i := range all {
				p := &all[i]
				p.Price.Units %= 40 // many products have the same price
				p.CreatedAt = p.CreatedAt.Truncate(1 << 38)
				p.Brand = []string{"", "Acme", "Brand " + c.all[i%7]}[i%3]
				p.Attributes = map[string]string{"colour": c.all[i%5], "size": fmt.Sprint(i % 90), "note": strings.Repeat("n", i)}
				if i%4 == 0 {
					p.GTIN = gtin8(9_000_000 + i)
				}
			}
			return all
		},
	}
	if file := os.Getenv("CATALOG_TEST_FURNITURE"); file != "" {
		listings["real furniture"] = func() []catalog.Product { return furniture(t, file) }
	}
	for name, listing := range listings {
		t.Run(name, func(t *testing.T) {
			x := open(t, filepath.Join(t.TempDir(), "index"))
			r := rand.New(rand.NewPCG(7, uint64(len(name))))
			products := map[catalog.ID]catalog.Product{}
			write := func(p ...catalog.Product) {
				for _, p := range p {
					if products[p.ID] = p; !p.Exists() {
						delete(products, p.ID)
					}
				}
				if err := x.Apply(context.Background(), p, nil); err != nil {
					t.Fatal(err)
				}
			}
			all := listing()
			for batch := range slices.Chunk(all, 1+len(all)/5) {
				write(batch...)
			}
			for i := range len(all) / 20 { // some are changed and some deleted
				p := all[r.IntN(len(all))]
				p.Version++
				p.Name, p.Deleted = all[r.IntN(len(all))].Name, i%3 == 0
				write(p)
			}
			ref := newReference(products)
			ask := questions{r, slices.SortedFunc(maps.Values(products), func(a, b catalog.Product) int { return bytes.Compare(a.ID[:], b.ID[:]) })}
			for range queries / len(listings) {
				if ref.wantSamePages(t, x, ask.query()); t.Failed() {
					return
				}
			}
		})
	}
}
