package bleve

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"catalog"
	"catalog/internal/textsearch"
)

// facetCounters count products for the facets of a query.
type facetCounters []facetCounter

type facetCounter struct {
	textsearch.Facet
	counts map[string]int64 // by value
}

func newFacetCounters(facets []textsearch.Facet) (all facetCounters) {
	for _, f := range facets {
		all = append(all, facetCounter{f, map[string]int64{}})
	}
	return all
}

// count adds the products of a segment. It iterates over the values of a field when these are few or
// only some of them belong to the facet, else over the products.
func (all facetCounters) count(ctx context.Context, s segmentSnapshot, products *roaring.Bitmap) error {
	for _, c := range all {
		dict, err := s.Segment().Dictionary(c.IndexField)
		if err != nil {
			return err
		}
		if c.Prefix == "" && uint64(dict.Cardinality())*8 >= products.GetCardinality() {
			err = c.countByProduct(ctx, s, products)
		} else {
			err = c.countByValue(ctx, dict, products)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c facetCounter) countByProduct(ctx context.Context, s segmentSnapshot, products *roaring.Bitmap) error {
	values := s.values(c.IndexField)
	for i, n := products.Iterator(), 0; i.HasNext(); n++ {
		if n%1_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := values(i.Next(), func(_ string, value []byte) { c.counts[string(value)]++ }); err != nil {
			return err
		}
	}
	return nil
}

func (c facetCounter) countByValue(ctx context.Context, dict segment.TermDictionary, products *roaring.Bitmap) error {
	var from, to []byte
	if c.Prefix != "" {
		from, to = []byte(c.Prefix), endOfPrefix(c.Prefix)
	}
	terms := termsBetween(dict, nil, from, to)
	for n := 0; ; n++ {
		e, err := terms.Next()
		if e == nil || err != nil {
			return err
		}
		if n%1_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		set, err := postings(dict, e.Term)
		if err != nil {
			return err
		}
		if n := set.AndCardinality(products); n > 0 {
			if value, ok := c.Value(e.Term); ok {
				c.counts[value] += int64(n)
			}
		}
	}
}

// facets returns the counted values, the most frequent first.
func (all facetCounters) facets() (facets []catalog.Facet) {
	for _, c := range all {
		f := c.Facet.Facet
		for value, n := range c.counts {
			f.Values = append(f.Values, catalog.FacetValue{Value: value, Count: n})
		}
		slices.SortFunc(f.Values, func(a, b catalog.FacetValue) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
		})
		f.Values = f.Values[:min(len(f.Values), textsearch.MaxFacetValues)]
		facets = append(facets, f)
	}
	return facets
}
