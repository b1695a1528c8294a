package bleve

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"catalog"
	"catalog/internal/textsearch"
)

// collector keeps the best hits of a page, and one more to tell whether there is a next page.
//
// It is offered groups of products with equal keys. Where the best group of a segment is known, it
// comes first, and the collector stops when the page is full. So the cost of a page depends on its
// size and little on how many products match.
type collector struct {
	textsearch.SortOrder
	after              *hit // end of the previous page; nil for the first page
	limit              int
	minPrice, maxPrice string // the price range of the query; "" for any price
	scores             *scoreBuffers
	columns            *columns
	total              int64
	best               []*hit // at most limit+1, best first
}

func newCollector(req textsearch.Request, x *Index) *collector {
	c := &collector{SortOrder: req.Order, limit: req.Query.Limit, minPrice: req.Plan.MinPrice, maxPrice: req.Plan.MaxPrice, scores: &x.scores, columns: x.columns}
	if req.After != nil {
		c.after = &hit{id: docID(req.After.ID), key: req.After.Key}
	}
	return c
}

// collect adds the best products of a segment.
func (c *collector) collect(ctx context.Context, s segmentSnapshot, m matches) error {
	c.total += int64(m.products.GetCardinality())
	if c.Field == "" {
		return c.byScore(ctx, s, m)
	}
	rest, err := c.byTerm(ctx, s, m.products)
	if err != nil {
		return err
	}
	return c.byProduct(ctx, s, rest)
}

// byScore offers the products whose scores are high enough for the page.
func (c *collector) byScore(ctx context.Context, s segmentSnapshot, m matches) error {
	scores := c.scores.get(int(s.FullSize()))
	onlyMatching := m.addScores(scores)
	products := m.products.ToArray()
	defer func() {
		if onlyMatching {
			for _, product := range products {
				scores[product] = 0
			}
		} else {
			clear(scores)
		}
		c.scores.put(scores)
	}()
	var top uint32
	for _, product := range products {
		top = max(top, scores[product])
	}
	counts := make([]int, top+1) // number of products by score
	for _, product := range products {
		counts[scores[product]]++
	}
	highest := top
	if c.after != nil {
		var score [4]byte
		copy(score[:], c.after.key)
		highest = min(top, binary.BigEndian.Uint32(score[:]))
	}
	// The page consists of products with scores from highest down to lowest. A counting sort puts them
	// in the order of their scores.
	lowest, size := highest+1, 0
	positions := counts // by score: the place of the next product with the score
	for enough := 0; lowest > 0 && enough <= c.limit; {
		lowest--
		n := counts[lowest]
		if lowest < highest || c.after == nil { // those at highest may have been on the previous page
			enough += n
		}
		positions[lowest] = size
		size += n
	}
	ordered := make([]uint32, size)
	for _, product := range products {
		if score := scores[product]; score >= lowest && score <= highest {
			ordered[positions[score]] = product
			positions[score]++
		}
	}
	for from := 0; from < size; {
		score := scores[ordered[from]]
		to := positions[score]
		if more, err := c.offer(ctx, s, binary.BigEndian.AppendUint32(nil, score), ordered[from:to]); err != nil || !more {
			return err
		}
		from = to
	}
	return nil
}

// minSortTerms is how many terms of a segment byTerm reads in any case.
const minSortTerms = 1_000

// byTerm offers products in the order of the terms of the sort field, as long as that is likely to
// be faster than reading the key of each product. It returns the products that it did not reach.
func (c *collector) byTerm(ctx context.Context, s segmentSnapshot, products *roaring.Bitmap) (rest *roaring.Bitmap, err error) {
	field := c.Field
	if c.Descending {
		field = descendingField(field)
	}
	dict, err := s.dictionary(field)
	if err != nil {
		return nil, err
	}
	var offered []*roaring.Bitmap
	terms := dict.between(nil, c.firstTerm(), nil)
	for n := range minSortTerms + int(products.GetCardinality()) {
		if n%1_000 == 0 && ctx.Err() != nil {
			return nil, ctx.Err()
		}
		e, err := terms.Next()
		if err != nil {
			return nil, err
		}
		if e == nil {
			return roaring.New(), nil // every product has a term in a sort field, so none is left
		}
		set, err := dict.products(e.Term)
		if err != nil {
			return nil, err
		}
		if set = roaring.And(set, products); set.IsEmpty() {
			continue
		}
		if more, err := c.offer(ctx, s, c.invertIfDescending([]byte(e.Term)), set.ToArray()); err != nil || !more {
			return roaring.New(), err
		}
		offered = append(offered, set)
	}
	return roaring.AndNot(products, roaring.FastOr(offered...)), nil
}

// firstTerm returns the first term that byTerm has to read; nil for the first of the field.
func (c *collector) firstTerm() []byte {
	switch {
	case c.after != nil:
		return c.invertIfDescending(c.after.key)
	case c.Field == textsearch.Price && c.Descending:
		return c.invertIfDescending([]byte(c.maxPrice))
	case c.Field == textsearch.Price:
		return c.invertIfDescending([]byte(c.minPrice))
	}
	return nil
}

// invertIfDescending converts a key to a term of the field that byTerm reads, and back.
func (c *collector) invertIfDescending(term []byte) []byte {
	if c.Descending {
		return invert(term)
	}
	return term
}

// byProduct offers products one by one.
func (c *collector) byProduct(ctx context.Context, s segmentSnapshot, products *roaring.Bitmap) error {
	values := s.values(c.Field)
	var key []byte
	for i, n := products.Iterator(), 0; i.HasNext(); n++ {
		if n%1_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		product := i.Next()
		key = key[:0]
		if err := values(product, func(_ string, value []byte) { key = append(key, value...) }); err != nil {
			return err
		}
		if c.full() && compareKeys(c.SortOrder, key, c.worst().key) > 0 {
			continue
		}
		if err := c.insert(&hit{key: slices.Clone(key), segment: s, product: product}); err != nil {
			return err
		}
	}
	return nil
}

func (c *collector) full() bool  { return len(c.best) > c.limit }
func (c *collector) worst() *hit { return c.best[len(c.best)-1] }

// offer inserts the best products of a group with equal keys. It reports whether products with a
// worse key may be among the best too.
func (c *collector) offer(ctx context.Context, s segmentSnapshot, key []byte, group []uint32) (more bool, err error) {
	if c.full() && compareKeys(c.SortOrder, key, c.worst().key) > 0 {
		return false, nil
	}
	if c.after != nil && compareKeys(c.SortOrder, key, c.after.key) < 0 {
		return true, nil
	}
	if len(group) > minRankedGroup {
		if group, err = c.firstByID(ctx, s, key, group); err != nil {
			return false, err
		}
	}
	for _, product := range group {
		if err := c.insert(&hit{key: key, segment: s, product: product}); err != nil {
			return false, err
		}
	}
	return true, nil
}

// minRankedGroup is the smallest group of products with equal keys for which firstByID is used. In
// a smaller one, comparing the ids themselves is as fast.
const minRankedGroup = 200

// firstByID returns the products of a group with equal keys that come first by id, as many as fit on the
// page, and others whose ids begin alike.
func (c *collector) firstByID(ctx context.Context, s segmentSnapshot, key []byte, group []uint32) ([]uint32, error) {
	ids, err := c.columns.ids(ctx, s)
	if err != nil {
		return nil, err
	}
	rank := func(product uint32) uint64 { return ids[product] }
	if c.IDDescending {
		rank = func(product uint32) uint64 { return ^ids[product] }
	}
	lowest := uint64(0)
	if c.after != nil && compareKeys(c.SortOrder, key, c.after.key) == 0 {
		if lowest = idPrefix([]byte(c.after.id)); c.IDDescending { // the previous page ended in this group
			lowest = ^lowest
		}
	}
	first := make([]uint64, 0, c.limit+2) // the lowest ranks after lowest, in order
	for _, product := range group {
		r := rank(product)
		if r <= lowest || len(first) > c.limit && r >= first[c.limit] {
			continue // products at lowest may be on the previous page, so they do not count
		}
		at, _ := slices.BinarySearch(first, r)
		first = slices.Insert(first, at, r)
		first = first[:min(len(first), c.limit+1)]
	}
	highest := lowest
	if len(first) > 0 {
		highest = first[len(first)-1]
	}
	return slices.DeleteFunc(group, func(product uint32) bool { r := rank(product); return r < lowest || r > highest }), nil
}

// insert adds h to the best hits, unless it belongs to a previous page or is worse than all of them.
func (c *collector) insert(h *hit) error {
	if c.after != nil {
		if order, err := compare(c.SortOrder, h, c.after); err != nil || order <= 0 {
			return err
		}
	}
	at := len(c.best)
	for low := 0; low < at; { // binary search
		mid := (low + at - 1) / 2
		if at == len(c.best) && c.full() {
			mid = at - 1 // most hits are worse than the worst, so compare with that first
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

// page reads the products of the best hits, until they reach the limit of the query or
// catalog.MaxPageBytes.
func (c *collector) page(req textsearch.Request, facets facetCounters) (catalog.Page, error) {
	p := catalog.Page{Total: c.total}
	var err error
	if p.Facets, err = facets.facets(); err != nil {
		return catalog.Page{}, err
	}
	bytes := 0
	for i, h := range c.best {
		if i == c.limit || bytes >= catalog.MaxPageBytes {
			last := c.best[i-1]
			p.NextCursor = textsearch.EncodeCursor(req.Query, textsearch.CursorKey{ID: catalog.ID([]byte(last.id)), Key: last.key, Widened: req.Plan.Widened})
			break
		}
		product, size, err := h.segment.product(h.product)
		if err != nil {
			return catalog.Page{}, err
		}
		bytes += size
		if err := h.loadID(); err != nil {
			return catalog.Page{}, err
		}
		p.Items = append(p.Items, product)
	}
	return p, nil
}

// scoreBuffers is a pool of buffers for the scores of the products of a segment. Allocating a buffer
// for each search would take longer than computing the scores.
type scoreBuffers struct{ sync.Pool }

// get returns n zeros. The caller returns the buffer with put, and sets it to zeros before.
func (b *scoreBuffers) get(n int) []uint32 {
	if buffer, ok := b.Get().(*[]uint32); ok && cap(*buffer) >= n {
		return (*buffer)[:n]
	}
	return make([]uint32, n)
}

func (b *scoreBuffers) put(buffer []uint32) { b.Put(&buffer) }
