package bleve

import (
	"bytes"
	"cmp"
	"errors"

	"catalog"
	"catalog/internal/textsearch"
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
func compare(o textsearch.SortOrder, a, b *hit) (int, error) {
	if order := compareKeys(o, a.key, b.key); order != 0 {
		return order, nil
	}
	if err := errors.Join(a.identify(), b.identify()); err != nil {
		return 0, err
	}
	order := cmp.Compare(a.id, b.id)
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

// compareKeys is negative when a product with the key a comes before one with b,
// whatever their ids.
func compareKeys(o textsearch.SortOrder, a, b []byte) int {
	if o.Descending {
		a, b = b, a
	}
	return bytes.Compare(a, b)
}

// page reads the products that were kept.
func (c *collector) page(q catalog.Query, counts counts) (catalog.Page, error) {
	p := catalog.Page{Total: c.total, Facets: counts.facets()}
	for i, h := range c.best {
		if i == c.limit {
			p.NextCursor = textsearch.EncodeCursor(q, textsearch.CursorKey{ID: catalog.ID([]byte(c.best[i-1].id)), Key: c.best[i-1].key})
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
