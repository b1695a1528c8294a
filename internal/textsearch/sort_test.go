package textsearch_test

import (
	"testing"

	"catalog"
	"catalog/internal/textsearch"
)

func TestNewRequest_order(t *testing.T) {
	relevance := textsearch.SortOrder{Descending: true}
	newest := textsearch.SortOrder{Field: textsearch.Created, Descending: true, IDDescending: true}
	for name, c := range map[string]struct {
		q    catalog.Query
		want textsearch.SortOrder
	}{
		"without text, newest":             {catalog.Query{}, newest},
		"with text, relevance":             {catalog.Query{Text: "oak"}, relevance},
		"relevance without text is newest": {catalog.Query{Sort: catalog.Relevance}, newest},
		"relevance":                        {catalog.Query{Sort: catalog.Relevance, Text: "oak"}, relevance},
		"name":                             {catalog.Query{Sort: catalog.ByName, Text: "oak"}, textsearch.SortOrder{Field: textsearch.Title}},
		"price":                            {catalog.Query{Sort: catalog.PriceAscending}, textsearch.SortOrder{Field: textsearch.Price}},
		"-price":                           {catalog.Query{Sort: catalog.PriceDescending}, textsearch.SortOrder{Field: textsearch.Price, Descending: true}},
		"newest with text":                 {catalog.Query{Sort: catalog.Newest, Text: "oak"}, newest},
	} {
		c.q.Limit = 1
		if r, err := textsearch.DefaultRules().NewRequest(c.q); err != nil || r.Order != c.want {
			t.Errorf("%s: order %+v, %v; want %+v", name, r.Order, err, c.want)
		}
	}
}
