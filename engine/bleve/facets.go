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
type facetCounters []*facetCounter

type facetCounter struct {
	textsearch.Facet
	segments []*segmentCounts
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
		var next func() (string, uint32, error)
		if column != nil {
			next = column.count(products)
		} else if next, err = countTerms(ctx, s, f.Facet, products); err != nil {
			return err
		}
		f.segments = append(f.segments, &segmentCounts{next: next})
	}
	return nil
}

// facets returns the counted values, the most frequent first.
func (all facetCounters) facets() (facets []catalog.Facet, err error) {
	for _, f := range all {
		facet := f.Facet.Facet
		if facet.Values, err = f.mostFrequent(); err != nil {
			return nil, err
		}
		facets = append(facets, facet)
	}
	return facets, nil
}

// mostFrequent returns the values with the highest counts, each in its most frequent spelling. It merges
// the terms of the segments, which are in order, so that its memory does not grow with the number of values.
func (f *facetCounter) mostFrequent() (best []catalog.FacetValue, err error) {
	for _, s := range f.segments {
		if err := s.advance(); err != nil {
			return nil, err
		}
	}
	var (
		key     string             // key of the terms that were read last
		current catalog.FacetValue // the value with this key
		most    int64              // the products that have the spelling current.Value
	)
	end := func() { // all terms of current were read
		at, _ := slices.BinarySearchFunc(best, current.Count, func(v catalog.FacetValue, n int64) int {
			return cmp.Or(cmp.Compare(n, v.Count), -1) // after the values with the same count
		})
		if current.Count == 0 || at == textsearch.MaxFacetValues {
			return
		}
		current.Value = strings.Clone(current.Value) // the terms of a column share memory
		best = slices.Insert(best, at, current)
		best = best[:min(len(best), textsearch.MaxFacetValues)]
	}
	for {
		term, n, err := f.nextTerm()
		if err != nil {
			return nil, err
		}
		if n == 0 {
			end()
			return best, nil
		}
		k, value, ok := f.Value(term)
		if !ok {
			continue
		}
		if k != key {
			end()
			key, current, most = k, catalog.FacetValue{}, 0
		}
		current.Count += n
		if n > most {
			current.Value, most = value, n
		}
	}
}

// nextTerm returns the next term of all segments and the number of products that have it; 0 after
// the last term.
func (f *facetCounter) nextTerm() (term string, n int64, err error) {
	var lowest *segmentCounts
	for _, s := range f.segments {
		if s.n > 0 && (lowest == nil || s.term < lowest.term) {
			lowest = s
		}
	}
	if lowest == nil {
		return "", 0, nil
	}
	term = lowest.term
	for _, s := range f.segments {
		if s.n > 0 && s.term == term {
			n += int64(s.n)
			if err := s.advance(); err != nil {
				return "", 0, err
			}
		}
	}
	return term, n, nil
}

// segmentCounts iterates over the terms that products of a segment have, in order.
type segmentCounts struct {
	next func() (term string, n uint32, err error) // n is 0 after the last term
	term string                                    // the present term
	n    uint32                                    // number of products with the term; 0 after the last term
}

func (s *segmentCounts) advance() (err error) {
	s.term, s.n, err = s.next()
	return err
}

// countTerms iterates over the terms of a facet and counts the products of each, without a column.
func countTerms(ctx context.Context, s segmentSnapshot, f textsearch.Facet, products *roaring.Bitmap) (next func() (string, uint32, error), err error) {
	dict, terms, err := facetTerms(s, f)
	if err != nil {
		return nil, err
	}
	read := 0
	return func() (string, uint32, error) {
		for {
			if read++; read%1_000 == 0 && ctx.Err() != nil {
				return "", 0, ctx.Err()
			}
			e, err := terms.Next()
			if e == nil || err != nil {
				return "", 0, err
			}
			set, err := dict.products(e.Term)
			if err != nil {
				return "", 0, err
			}
			if n := set.AndCardinality(products); n > 0 {
				return e.Term, uint32(n), nil
			}
		}
	}, nil
}

// facetTerms returns the dictionary of a facet's field and an iterator over the terms of the facet.
func facetTerms(s segmentSnapshot, f textsearch.Facet) (*dictionary, segment.DictionaryIterator, error) {
	dict, err := s.dictionary(f.IndexField)
	if err != nil {
		return nil, nil, err
	}
	var from, to []byte
	if f.Prefix != "" {
		from, to = []byte(f.Prefix), endOfPrefix(f.Prefix)
	}
	return dict, dict.between(nil, from, to), nil
}

// facetColumn holds the values of a facet by product. A value is the number of its term, from 1.
type facetColumn struct {
	terms  termList
	values numbers  // the value of each product, 0 for none; with starts, the values of one product after the other
	starts []uint32 // by product: index of its first value, and at last len(values); nil if no product has several
}

// termList is a list of terms in one piece of memory.
type termList struct {
	text string
	ends []uint32 // end of each term in text
}

func (l *termList) at(i int) string {
	start := uint32(0)
	if i > 0 {
		start = l.ends[i-1]
	}
	return l.text[start:l.ends[i]]
}

// numbers is an array of numbers in elements of 1, 2 or 4 bytes.
type numbers interface {
	set(i, n uint32)
	// count adds to counts the number of elements with each value: those of the products, or with starts
	// those from starts[product] to starts[product+1].
	count(products *roaring.Bitmap, starts, counts []uint32)
	bytes() int64
}

type array[T uint8 | uint16 | uint32] struct {
	elements    []T
	elementSize int64
}

// newNumbers returns n zeros, for numbers up to highest.
func newNumbers(n uint32, highest int) numbers {
	switch {
	case highest < 1<<8:
		return array[uint8]{make([]uint8, n), 1}
	case highest < 1<<16:
		return array[uint16]{make([]uint16, n), 2}
	}
	return array[uint32]{make([]uint32, n), 4}
}

func (a array[T]) set(i, n uint32) { a.elements[i] = T(n) }
func (a array[T]) bytes() int64    { return int64(len(a.elements)) * a.elementSize }

func (a array[T]) count(products *roaring.Bitmap, starts, counts []uint32) {
	var buffer [256]uint32
	i := products.ManyIterator()
	for n := i.NextMany(buffer[:]); n > 0; n = i.NextMany(buffer[:]) {
		if starts == nil {
			for _, product := range buffer[:n] {
				counts[a.elements[product]]++
			}
			continue
		}
		for _, product := range buffer[:n] {
			for _, value := range a.elements[starts[product]:starts[product+1]] {
				counts[value]++
			}
		}
	}
}

// count returns an iterator over the terms that the products have.
func (c *facetColumn) count(products *roaring.Bitmap) (next func() (string, uint32, error)) {
	counts := make([]uint32, len(c.terms.ends)+1)
	c.values.count(products, c.starts, counts)
	term := 0
	return func() (string, uint32, error) {
		for term++; term < len(counts); term++ {
			if counts[term] > 0 {
				return c.terms.at(term - 1), counts[term], nil
			}
		}
		return "", 0, nil
	}
}

// size returns the space of a column in bytes.
func (c *facetColumn) size() int64 {
	return int64(len(c.terms.text)+4*len(c.terms.ends)+4*len(c.starts)) + c.values.bytes()
}

// facet returns the column of a facet, or nil when it would be too large.
func (c *columns) facet(ctx context.Context, s segmentSnapshot, f textsearch.Facet) (*facetColumn, error) {
	column, err := c.get(ctx, columnKey{segment: s.Id(), field: f.IndexField, prefix: f.Prefix}, func() (any, int64, error) {
		column, err := newFacetColumn(ctx, s, f, c.maxBytes)
		if err != nil || column == nil {
			return column, 0, err
		}
		return column, column.size(), nil
	})
	if err != nil {
		return nil, err
	}
	return column.(*facetColumn), nil
}

// newFacetColumn returns the column of a facet, or nil when it, or the list of products that it is made of,
// would take more than maxBytes.
func newFacetColumn(ctx context.Context, s segmentSnapshot, f textsearch.Facet, maxBytes int64) (*facetColumn, error) {
	dict, terms, err := facetTerms(s, f)
	if err != nil {
		return nil, err
	}
	c := &facetColumn{}
	var text strings.Builder
	// starts has two elements more than there are products. While the number of values of a product n is
	// counted it is in starts[n+2], and while they are filled in, starts[n+1] is where the next one goes.
	starts := make([]uint32, s.FullSize()+2)
	var products []uint32 // products of the first term, then those of the second …
	var termEnds []uint32 // end of each term in products
	several := false
	for {
		if len(c.terms.ends)%1_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e, err := terms.Next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			break
		}
		set, err := dict.products(e.Term)
		if err != nil {
			return nil, err
		}
		for i := set.Iterator(); i.HasNext(); {
			product := i.Next()
			products = append(products, product)
			starts[product+2]++
			several = several || starts[product+2] > 1
		}
		text.WriteString(e.Term)
		c.terms.ends, termEnds = append(c.terms.ends, uint32(text.Len())), append(termEnds, uint32(len(products)))
		if int64(text.Len()+4*len(c.terms.ends)) > maxBytes || int64(4*len(products)) > maxBytes {
			return nil, nil
		}
	}
	c.terms.text = text.String()
	n := uint32(s.FullSize())
	if several {
		for i := range starts[1:] {
			starts[i+1] += starts[i]
		}
		c.starts, n = starts[:len(starts)-1], uint32(len(products))
	}
	c.values = newNumbers(n, len(termEnds))
	if c.size() > maxBytes {
		return nil, nil
	}
	first := uint32(0)
	for i, end := range termEnds {
		for _, product := range products[first:end] {
			at := product
			if several {
				at = starts[product+1]
				starts[product+1]++
			}
			c.values.set(at, uint32(i+1))
		}
		first = end
	}
	return c, nil
}
