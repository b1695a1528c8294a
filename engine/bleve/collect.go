package bleve

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"catalog/internal/textsearch"
)

// collector keeps the best hits, and one more that tells whether there is a
// next page.
//
// Products are offered to it in groups that have the same key, the best group of
// a segment first where that is known: then it ends when the page is full. So
// what a page costs depends on the page, and little on how much is found.
type collector struct {
	textsearch.SortOrder
	after *hit
	limit int
	low   string // prices are at least this; "" where they may be any
	high  string // prices are at most this
	most  int    // products of a segment to look at, of those in the best sets; 0 for all
	zeros *zeros
	total int64
	best  []*hit
}

// collect looks for the best products of a segment.
func (c *collector) collect(ctx context.Context, s part, m matches) error {
	c.total += int64(m.products.GetCardinality())
	if c.Field == "" {
		return c.byScore(s, m)
	}
	rest, err := c.byTerm(ctx, s, m.products)
	if err != nil {
		return err
	}
	return c.byProduct(ctx, s, rest)
}

// byScore offers those products that may be among the best by their scores.
func (c *collector) byScore(s part, m matches) error {
	scores := c.zeros.take(int(s.FullSize()))
	defer c.zeros.give(scores)
	m.scores(scores)
	docs := m.products.ToArray()
	var top uint32
	for _, doc := range docs {
		top = max(top, scores[doc])
	}
	many := make([]int, top+1) // products by score
	for _, doc := range docs {
		many[scores[doc]]++
	}
	last, enough := top, many[top]
	if c.after != nil { // the page before ended among those with its score
		var score [4]byte
		copy(score[:], c.after.key)
		last, enough = min(top, binary.BigEndian.Uint32(score[:])), 0
	}
	least := last
	for least > 0 && enough <= c.limit {
		least--
		enough += many[least]
	}
	groups := map[uint32]*roaring.Bitmap{}
	for _, doc := range docs {
		score := scores[doc]
		if score < least || score > last {
			continue
		}
		if groups[score] == nil {
			groups[score] = roaring.New()
		}
		groups[score].Add(doc)
	}
	for score := int64(last); score >= int64(least); score-- {
		group := groups[uint32(score)]
		if group == nil {
			continue
		}
		if more, err := c.offer(s, binary.BigEndian.AppendUint32(nil, uint32(score)), group); err != nil || !more {
			return err
		}
	}
	return nil
}

// fewTerms is how many terms of a segment are looked at in any case to find the
// first of its products.
const fewTerms = 1_000

// byTerm offers products in the order of the terms that they are sorted by, as
// long as that is likely to take no longer than to look at each product. It
// answers those that are left.
func (c *collector) byTerm(ctx context.Context, s part, products *roaring.Bitmap) (rest *roaring.Bitmap, err error) {
	field := c.Field
	if c.Descending {
		field = descending(field)
	}
	dict, err := s.Segment().Dictionary(field)
	if err != nil {
		return nil, err
	}
	rest = products.Clone()
	terms := termsOf(dict, c.from(), nil)
	for n := range fewTerms + int(products.GetCardinality()) {
		if n%1_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e, err := terms.Next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			return roaring.New(), nil // each product has a term in the fields that are sorted by
		}
		set, err := postings(dict, e.Term)
		if err != nil {
			return nil, err
		}
		if set = roaring.And(set, products); set.IsEmpty() {
			continue
		}
		if more, err := c.offer(s, c.keyed([]byte(e.Term)), set); err != nil || !more {
			return roaring.New(), err
		}
		rest.AndNot(set)
	}
	return rest, nil
}

// from is the first term to look at.
func (c *collector) from() []byte {
	switch {
	case c.after != nil:
		return c.keyed(c.after.key)
	case c.Field == textsearch.Price && c.Descending:
		return c.keyed([]byte(c.high))
	case c.Field == textsearch.Price:
		return c.keyed([]byte(c.low))
	}
	return nil
}

// keyed is the key of a term in the field that is looked through, and the term
// of a key.
func (c *collector) keyed(term []byte) []byte {
	if c.Descending {
		return reversed(term)
	}
	return term
}

// byProduct offers products one by one.
func (c *collector) byProduct(ctx context.Context, s part, products *roaring.Bitmap) error {
	values := s.values(c.Field)
	var key []byte
	for i, n := products.Iterator(), 0; i.HasNext(); n++ {
		if n%1_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		doc := i.Next()
		key = key[:0]
		if err := values(doc, func(_ string, value []byte) { key = append(key, value...) }); err != nil {
			return err
		}
		if c.full() && compareKeys(c.SortOrder, key, c.worst().key) > 0 {
			continue
		}
		if err := c.keep(&hit{key: slices.Clone(key), part: s, doc: doc}); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) full() bool  { return len(c.best) > c.limit }
func (c *collector) worst() *hit { return c.best[len(c.best)-1] }

// offer keeps those products of a group with the same key that are among the
// best. It answers whether ones with a worse key may be too.
func (c *collector) offer(s part, key []byte, group *roaring.Bitmap) (more bool, err error) {
	if c.full() && compareKeys(c.SortOrder, key, c.worst().key) > 0 {
		return false, nil
	}
	if c.after != nil && compareKeys(c.SortOrder, key, c.after.key) < 0 {
		return true, nil
	}
	if group, err = c.first(s, key, group); err != nil {
		return false, err
	}
	for i := group.Iterator(); i.HasNext(); {
		if err := c.keep(&hit{key: key, part: s, doc: i.Next()}); err != nil {
			return false, err
		}
	}
	return true, nil
}

// first leaves of a large group of products with the same key those with the
// first ids, as many as there may be of it among the best.
func (c *collector) first(s part, key []byte, group *roaring.Bitmap) (*roaring.Bitmap, error) {
	many := int(group.GetCardinality())
	if expected := int(s.FullSize()) * (c.limit + 1) / many; c.ByID || many < 2*expected {
		return group, nil // to look at the id of each takes no longer
	}
	dict, err := s.Segment().Dictionary(textsearch.ID)
	if err != nil {
		return nil, err
	}
	var from []byte
	if c.after != nil && compareKeys(c.SortOrder, key, c.after.key) == 0 {
		from = []byte(c.after.id + "\x00") // behind it
	}
	first := roaring.New()
	ids := termsOf(dict, from, nil)
	for first.GetCardinality() <= uint64(c.limit) {
		e, err := ids.Next()
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
		first.Or(roaring.And(set, group))
	}
	return first, nil
}

// keep keeps h if it is among the best.
func (c *collector) keep(h *hit) error {
	if c.after != nil {
		if order, err := compare(c.SortOrder, h, c.after); err != nil || order <= 0 {
			return err
		}
	}
	at := len(c.best)
	for low := 0; low < at; {
		mid := (low + at - 1) / 2
		if at == len(c.best) && c.full() {
			mid = at - 1 // most are worse than the worst
		}
		order, err := compare(c.SortOrder, h, c.best[mid])
		if err != nil {
			return err
		}
		if order < 0 {
			at = mid
		} else {
			low = mid + 1
		}
	}
	if at <= c.limit {
		c.best = slices.Insert(c.best, at, h)
		c.best = c.best[:min(len(c.best), c.limit+1)]
	}
	return nil
}

// values reads the values of fields, product by product in ascending order.
func (s part) values(fields ...string) func(doc uint32, visit func(field string, value []byte)) error {
	var state segment.DocVisitState
	return func(doc uint32, visit func(string, []byte)) (err error) {
		if v, ok := s.Segment().(segment.DocValueVisitable); ok {
			state, err = v.VisitDocValues(uint64(doc), fields, visit, state)
		}
		return err
	}
}

// termsOf lists the terms of a dictionary from one, to another that is not listed.
func termsOf(dict segment.TermDictionary, from, to []byte) segment.DictionaryIterator {
	if d, ok := dict.(interface {
		AutomatonIteratorOmitCount(a segment.Automaton, from, to []byte) segment.DictionaryIterator
	}); ok {
		return d.AutomatonIteratorOmitCount(nil, from, to)
	}
	return dict.AutomatonIterator(nil, from, to)
}

// zeros are numbers to count with, one for each product of a segment. They are
// used again: to get memory for them takes longer than to count.
type zeros struct{ sync.Pool }

// take answers n zeros, to be given back.
func (z *zeros) take(n int) []uint32 {
	if all, ok := z.Get().(*[]uint32); ok && cap(*all) >= n {
		return (*all)[:n]
	}
	return make([]uint32, n)
}

func (z *zeros) give(all []uint32) {
	clear(all)
	z.Put(&all)
}
