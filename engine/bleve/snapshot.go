package bleve

import (
	"errors"

	"github.com/RoaringBitmap/roaring/v2"
	"github.com/blevesearch/bleve/v2/index/scorch"
	segment "github.com/blevesearch/scorch_segment_api/v2"
)

// snapshot is the index at one moment, for one goroutine.
type snapshot struct {
	*scorch.IndexSnapshot
	segments []segmentSnapshot
}

func newSnapshot(r *scorch.IndexSnapshot) snapshot {
	s := snapshot{IndexSnapshot: r}
	for _, seg := range r.Segments() {
		s.segments = append(s.segments, segmentSnapshot{seg, map[string]*dictionary{}})
	}
	return s
}

// segmentSnapshot is a segment of the index: products that were written or merged together, numbered
// from 0. It keeps the dictionaries of fields, because a search looks up many terms in each.
type segmentSnapshot struct {
	*scorch.SegmentSnapshot
	dictionaries map[string]*dictionary
}

// dictionary returns the terms of a field.
func (s segmentSnapshot) dictionary(field string) (*dictionary, error) {
	d, ok := s.dictionaries[field]
	if !ok {
		terms, err := s.Segment().Dictionary(field)
		if err != nil {
			return nil, err
		}
		d = &dictionary{TermDictionary: terms}
		s.dictionaries[field] = d
	}
	return d, nil
}

// values returns a function that reads the values of fields. It must be called with products in
// ascending order.
func (s segmentSnapshot) values(fields ...string) func(product uint32, visit func(field string, value []byte)) error {
	var state segment.DocVisitState
	return func(product uint32, visit func(string, []byte)) (err error) {
		if v, ok := s.Segment().(segment.DocValueVisitable); ok {
			state, err = v.VisitDocValues(uint64(product), fields, visit, state)
		}
		return err
	}
}

// dictionary has the terms of one field of a segment.
type dictionary struct {
	segment.TermDictionary
	iterator segment.PostingsIterator // of the last term; reused
}

// noProducts is the empty set. It is not modified.
var noProducts = roaring.New()

// products returns the products that have the term. The caller must not modify the result.
func (d *dictionary) products(term string) (*roaring.Bitmap, error) {
	list, err := d.PostingsList([]byte(term), nil, nil)
	if err != nil {
		return nil, err
	}
	if list.Count() == 0 { // most terms of a query are in few segments
		return noProducts, nil
	}
	d.iterator = list.Iterator(false, false, false, d.iterator)
	it, ok := d.iterator.(segment.OptimizablePostingsIterator)
	if !ok {
		return nil, errors.New("the segment does not expose its bitmaps")
	}
	if product, ok := it.DocNum1Hit(); ok {
		return roaring.BitmapOf(uint32(product)), nil
	}
	return it.ActualBitmap(), nil
}

// between iterates over the terms of a dictionary in the range [from, to) that the automaton
// accepts. A nil from or to means no bound, a nil automaton accepts every term.
func (d *dictionary) between(a segment.Automaton, from, to []byte) segment.DictionaryIterator {
	if fast, ok := d.TermDictionary.(interface {
		AutomatonIteratorOmitCount(a segment.Automaton, from, to []byte) segment.DictionaryIterator
	}); ok {
		return fast.AutomatonIteratorOmitCount(a, from, to)
	}
	return d.AutomatonIterator(a, from, to)
}
