package bleve

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"catalog"
)

// find answers the page of a query from one state of the index. The index lies
// in segments, each with sets of its own.
func (x *Index) find(ctx context.Context, r *scorch.IndexSnapshot, q catalog.Query, p plan, c collector, counts counts) (catalog.Page, error) {
	c.zeros = &x.zeros
	for _, seg := range r.Segments() {
		if err := ctx.Err(); err != nil {
			return catalog.Page{}, err
		}
		m, err := p.match(part{seg})
		if err != nil {
			return catalog.Page{}, err
		}
		if m.products.IsEmpty() {
			continue
		}
		best := m
		if c.most > 0 {
			best = m.best(c.most)
		}
		if err := c.collect(ctx, part{seg}, best); err != nil {
			return catalog.Page{}, err
		}
		if err := counts.add(ctx, part{seg}, m.products); err != nil {
			return catalog.Page{}, err
		}
	}
	return c.page(q, counts)
}

// matches are the products of a segment that match a query.
type matches struct {
	products *roaring.Bitmap
	words    [][]worth
	whole    []worth
}

// worth is a set of products and what it is worth to be in it.
type worth struct {
	worth    int
	products *roaring.Bitmap
}

// match finds the products of a segment that match.
func (p plan) match(s part) (m matches, err error) {
	look := func(tiers []tier) (all []worth, _ error) {
		for _, t := range tiers {
			set, err := s.having(t.place)
			if err != nil {
				return nil, err
			}
			if !set.IsEmpty() {
				all = append(all, worth{t.worth, set})
			}
		}
		return all, nil
	}
	m.products = s.DocNumbersLive()
	if p.text {
		var byWords *roaring.Bitmap
		for _, w := range p.words {
			all, err := look(w.tiers)
			if err != nil {
				return m, err
			}
			m.words = append(m.words, all)
			either := union(all)
			if byWords == nil {
				byWords = either
			} else {
				byWords.And(either)
			}
			if byWords.IsEmpty() {
				break
			}
		}
		if m.whole, err = look(p.whole); err != nil {
			return m, err
		}
		either := union(m.whole)
		if byWords != nil {
			either.Or(byWords)
		}
		m.products.And(either)
	}
	for _, places := range p.filters {
		if m.products.IsEmpty() {
			break
		}
		either, err := s.having(places...)
		if err != nil {
			return m, err
		}
		m.products.And(either)
	}
	return m, nil
}

// union is the set of products that are in one of the sets.
func union(sets []worth) *roaring.Bitmap {
	all := make([]*roaring.Bitmap, len(sets))
	for i, s := range sets {
		all[i] = s.products
	}
	return roaring.FastOr(all...)
}

// scores adds to all, product by product of a segment, how well they match: the
// sums of what it is worth to be in each set. They are added up set by set, which
// is many times faster than product by product.
func (m matches) scores(all []uint32) {
	var buffer [256]uint32
	for _, sets := range append(m.words, m.whole) {
		for _, s := range sets {
			i := s.products.ManyIterator()
			for n := i.NextMany(buffer[:]); n > 0; n = i.NextMany(buffer[:]) {
				for _, product := range buffer[:n] {
					all[product] += uint32(s.worth)
				}
			}
		}
	}
}

// best are at most n of the products: those in the sets of most worth, and where
// these have too many, the first of them.
func (m matches) best(n int) matches {
	if m.products.GetCardinality() <= uint64(n) {
		return m
	}
	var sets []worth
	for _, all := range append(m.words, m.whole) {
		sets = append(sets, all...)
	}
	slices.SortStableFunc(sets, func(a, b worth) int { return cmp.Compare(b.worth, a.worth) })
	best := matches{products: roaring.New()}
	for _, s := range sets {
		more := roaring.And(s.products, m.products)
		more.AndNot(best.products)
		if room := n - int(best.products.GetCardinality()); more.GetCardinality() > uint64(room) {
			behind, _ := more.Select(uint32(room)) // there are more than that
			more.RemoveRange(uint64(behind), math.MaxUint32+1)
		}
		best.products.Or(more)
	}
	for i, s := range sets {
		sets[i].products = roaring.And(s.products, best.products)
	}
	best.whole = sets
	return best
}

// part is one segment of the index: the products written or merged at one time,
// numbered from 0.
type part struct{ *scorch.SegmentSnapshot }

// having is the set of products that have one of the terms in its field, those
// that have since been replaced among them. It may not be changed.
func (s part) having(places ...place) (*roaring.Bitmap, error) {
	var sets []*roaring.Bitmap
	for _, p := range places {
		dict, err := s.Segment().Dictionary(p.field)
		if err != nil {
			return nil, err
		}
		for _, term := range p.terms {
			set, err := postings(dict, term)
			if err != nil {
				return nil, err
			}
			sets = append(sets, set)
		}
	}
	if len(sets) == 1 {
		return sets[0], nil
	}
	return roaring.FastOr(sets...), nil
}

// postings is the set of products that have the term. It may not be changed.
func postings(dict segment.TermDictionary, term string) (*roaring.Bitmap, error) {
	list, err := dict.PostingsList([]byte(term), nil, nil)
	if err != nil {
		return nil, err
	}
	it, ok := list.Iterator(false, false, false, nil).(segment.OptimizablePostingsIterator)
	if !ok {
		return nil, errors.New("the segment does not show its sets")
	}
	if product, ok := it.DocNum1Hit(); ok {
		return roaring.BitmapOf(uint32(product)), nil
	}
	if set := it.ActualBitmap(); set != nil {
		return set, nil
	}
	return roaring.New(), nil
}
