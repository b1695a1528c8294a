package bleve

import (
	"bytes"
	"cmp"
	"errors"

	"catalog/internal/textsearch"
)

// hit is a product that matches.
type hit struct {
	key     []byte // the value of the field that the page is sorted by, or the score
	id      string // docID; "" until loadID
	segment segmentSnapshot
	product uint32 // number of the product in the segment
}

// loadID reads the id of h unless it has one.
func (h *hit) loadID() error {
	if h.id != "" {
		return nil
	}
	id, err := h.segment.DocID(uint64(h.product))
	h.id = string(id)
	return err
}

// compare is negative when a comes before b. It reads ids, which are on disk, only to break a tie.
func compare(o textsearch.SortOrder, a, b *hit) (int, error) {
	if order := compareKeys(o, a.key, b.key); order != 0 {
		return order, nil
	}
	if err := errors.Join(a.loadID(), b.loadID()); err != nil {
		return 0, err
	}
	order := cmp.Compare(a.id, b.id)
	if o.IDDescending {
		order = -order
	}
	return order, nil
}

// compareKeys is negative when products with key a come before those with key b.
func compareKeys(o textsearch.SortOrder, a, b []byte) int {
	if o.Descending {
		a, b = b, a
	}
	return bytes.Compare(a, b)
}
