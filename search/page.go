package search

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"slices"

	segment "github.com/blevesearch/scorch_segment_api/v2"

	"catalog"
	"catalog/term"
)

// hit is a product that matches.
type hit struct {
	key  []byte // what it is sorted by: the value of the field, or the score
	id   string
	part part
	doc  uint32
}

// compare is negative when a comes before b. Ids are compared only when they
// have to be: they are read from the disk.
func compare(o term.Order, a, b *hit) (int, error) {
	order := bytes.Compare(a.key, b.key)
	if o.Descending {
		order = -order
	}
	if order != 0 {
		return order, nil
	}
	if err := errors.Join(a.identify(), b.identify()); err != nil {
		return 0, err
	}
	order = cmp.Compare(a.id, b.id)
	if o.ByID {
		order = -order
	}
	return order, nil
}

func (h *hit) identify() error {
	if h.id != "" {
		return nil
	}
	id, err := h.part.DocID(uint64(h.doc))
	h.id = string(id)
	return err
}

// collector keeps the best hits, and one more that tells whether there is a
// next page.
type collector struct {
	term.Order
	after *hit
	limit int
	most  int // products of a segment to look at, of those in the best sets; 0 for all
	total int64
	best  []*hit
}

// collect looks at each of the products of a segment.
func (c *collector) collect(ctx context.Context, s part, m matches) error {
	c.total += int64(m.products.GetCardinality())
	next := &hit{part: s}
	values := s.values(c.Field)
	var scores []uint32
	if c.Field == "" {
		scores = m.scores(int(s.FullSize()))
	}
	for i, n := m.products.Iterator(), 0; i.HasNext(); n++ {
		if n%1_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		next.doc, next.id, next.key = i.Next(), "", next.key[:0]
		if c.Field == "" {
			next.key = binary.BigEndian.AppendUint32(next.key, scores[next.doc])
		} else if err := values(next.doc, func(_ string, value []byte) { next.key = append(next.key, value...) }); err != nil {
			return err
		}
		if c.after != nil {
			if order, err := compare(c.Order, next, c.after); err != nil || order <= 0 {
				if err != nil {
					return err
				}
				continue
			}
		}
		kept, err := c.keep(next)
		if err != nil {
			return err
		}
		if kept {
			next = &hit{part: s}
		}
	}
	return nil
}

// keep keeps h if it is among the best.
func (c *collector) keep(h *hit) (bool, error) {
	at := len(c.best)
	for low := 0; low < at; {
		mid := (low + at - 1) / 2
		if at == len(c.best) && at > c.limit {
			mid = at - 1 // most are worse than the worst
		}
		order, err := compare(c.Order, h, c.best[mid])
		if err != nil {
			return false, err
		}
		if order < 0 {
			at = mid
		} else {
			low = mid + 1
		}
	}
	if at > c.limit {
		return false, nil
	}
	c.best = slices.Insert(c.best, at, h)
	c.best = c.best[:min(len(c.best), c.limit+1)]
	return true, nil
}

// page reads the products that were kept.
func (c *collector) page(q catalog.Query, counts counts) (catalog.Page, error) {
	p := catalog.Page{Total: c.total, Facets: counts.facets()}
	for i, h := range c.best {
		if i == c.limit {
			p.NextCursor = term.Cursor(q, term.Last{ID: catalog.ID([]byte(c.best[i-1].id)), Key: c.best[i-1].key})
			break
		}
		product, err := h.part.product(h.doc)
		if err != nil {
			return catalog.Page{}, err
		}
		if err := h.identify(); err != nil {
			return catalog.Page{}, err
		}
		p.Items = append(p.Items, product)
	}
	return p, nil
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
