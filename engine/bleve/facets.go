package bleve

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"

	"catalog"
	"catalog/internal/textsearch"
)

// facetCounters count products for the facets of a query.
type facetCounters []*facetCounter

type facetCounter struct {
	textsearch.Facet
	counts []segmentCounts
}

// segmentCounts are the counts of one segment.
type segmentCounts struct {
	terms  []string // in order
	counts []uint32 // by term
}

func newFacetCounters(facets []textsearch.Facet) (all facetCounters) {
	for _, f := range facets {
		all = append(all, &facetCounter{Facet: f})
	}
	return all
}

// count adds the products of a segment.
func (all facetCounters) count(ctx context.Context, columns *columns, s segmentSnapshot, products *roaring.Bitmap) error {
	for _, f := range all {
		column, err := columns.facet(ctx, s, f.Facet)
		if err != nil {
			return err
		}
		f.counts = append(f.counts, segmentCounts{column.terms, column.count(products)})
	}
	return nil
}

// facets returns the counted values, the most frequent first.
func (all facetCounters) facets() (facets []catalog.Facet) {
	for _, f := range all {
		facet := f.Facet.Facet
		facet.Values = f.mostFrequent()
		facets = append(facets, facet)
	}
	return facets
}

// mostFrequent returns the values with the highest counts. It merges the terms of the segments, which
// are in order, so that its memory does not grow with the number of values.
func (f *facetCounter) mostFrequent() (best []catalog.FacetValue) {
	compare := func(a, b catalog.FacetValue) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
	}
	for {
		term, found := "", false
		for i := range f.counts {
			c := &f.counts[i]
			for len(c.counts) > 0 && c.counts[0] == 0 {
				c.next()
			}
			if len(c.counts) > 0 && (!found || c.terms[0] < term) {
				term, found = c.terms[0], true
			}
		}
		if !found {
			return best
		}
		var v catalog.FacetValue
		for i := range f.counts {
			if c := &f.counts[i]; len(c.counts) > 0 && c.terms[0] == term {
				v.Count += int64(c.counts[0])
				c.next()
			}
		}
		var ok bool
		if v.Value, ok = f.Value(term); !ok || len(best) == textsearch.MaxFacetValues && compare(best[len(best)-1], v) < 0 {
			continue
		}
		at, _ := slices.BinarySearchFunc(best, v, compare)
		best = slices.Insert(best, at, v)
		best = best[:min(len(best), textsearch.MaxFacetValues)]
	}
}

func (c *segmentCounts) next() { c.terms, c.counts = c.terms[1:], c.counts[1:] }

// facetColumn holds the values of a facet by product. A value is the number of its term, from 1.
type facetColumn struct {
	terms  []string // in order
	values []uint32 // by product, 0 for none; with starts, those of all products in turn
	starts []uint32 // by product: where its values start in values, and at last their end; nil if none has several
}

// count returns how many of the products have each term.
func (c *facetColumn) count(products *roaring.Bitmap) []uint32 {
	counts := make([]uint32, len(c.terms)+1)
	var buffer [256]uint32
	i := products.ManyIterator()
	for n := i.NextMany(buffer[:]); n > 0; n = i.NextMany(buffer[:]) {
		if c.starts == nil {
			for _, product := range buffer[:n] {
				counts[c.values[product]]++
			}
			continue
		}
		for _, product := range buffer[:n] {
			for _, value := range c.values[c.starts[product]:c.starts[product+1]] {
				counts[value]++
			}
		}
	}
	return counts[1:]
}

// size returns the space of a column in bytes.
func (c *facetColumn) size() (n int64) {
	n = int64(4 * (len(c.values) + len(c.starts)))
	for _, t := range c.terms {
		n += int64(len(t)) + 16
	}
	return n
}

// facet returns the column of a facet.
func (c *columns) facet(ctx context.Context, s segmentSnapshot, f textsearch.Facet) (*facetColumn, error) {
	column, err := c.get(columnKey{segment: s.Id(), field: f.IndexField, prefix: f.Prefix}, func() (any, int64, error) {
		column, err := newFacetColumn(ctx, s, f)
		if err != nil {
			return nil, 0, err
		}
		return column, column.size(), nil
	})
	if err != nil {
		return nil, err
	}
	return column.(*facetColumn), nil
}

func newFacetColumn(ctx context.Context, s segmentSnapshot, f textsearch.Facet) (*facetColumn, error) {
	dict, err := s.Segment().Dictionary(f.IndexField)
	if err != nil {
		return nil, err
	}
	var from, to []byte
	if f.Prefix != "" {
		from, to = []byte(f.Prefix), endOfPrefix(f.Prefix)
	}
	c := &facetColumn{}
	var sets []*roaring.Bitmap // by term
	for terms := termsBetween(dict, nil, from, to); ; {
		if len(sets)%1_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e, err := terms.Next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			break
		}
		set, err := postings(dict, e.Term)
		if err != nil {
			return nil, err
		}
		c.terms, sets = append(c.terms, e.Term), append(sets, set)
	}
	// starts has two elements more than there are products. While the number of values of a product n is
	// counted it is in starts[n+2], and while they are filled in, starts[n+1] is where the next one goes.
	starts := make([]uint32, s.FullSize()+2)
	several := false
	for _, set := range sets {
		for i := set.Iterator(); i.HasNext(); {
			n := &starts[i.Next()+2]
			*n++
			several = several || *n > 1
		}
	}
	if !several {
		c.values = make([]uint32, s.FullSize())
		for i, set := range sets {
			for p := set.Iterator(); p.HasNext(); {
				c.values[p.Next()] = uint32(i + 1)
			}
		}
		return c, nil
	}
	for i := range starts[1:] {
		starts[i+1] += starts[i]
	}
	c.values = make([]uint32, starts[len(starts)-1])
	for i, set := range sets {
		for p := set.Iterator(); p.HasNext(); {
			next := &starts[p.Next()+1]
			c.values[*next] = uint32(i + 1)
			*next++
		}
	}
	c.starts = starts[:len(starts)-1]
	return c, nil
}
