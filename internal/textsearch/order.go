package textsearch

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"catalog"
)

// Order is the order of a page: by a field or by score, then by id.
type SortOrder struct {
	Field            string // "" for the score
	Descending, ByID bool   // ByID: the ids descend too
}

// Last is where a page ended: the id and the key of its last product.
type CursorKey struct {
	ID  catalog.ID
	Key []byte // what it is sorted by: the value of the field, or the score
}

// OrderOf is the order that the query asks for, and where the page before ended,
// if there is one.
func ParseSort(q catalog.Query) (SortOrder, *CursorKey, error) {
	by := q.Sort
	if by == "" || by == catalog.Relevance && q.Text == "" {
		by = catalog.Newest
		if q.Text != "" {
			by = catalog.Relevance
		}
	}
	var o SortOrder
	switch by {
	case catalog.Relevance:
		o = SortOrder{Descending: true}
	case catalog.ByName:
		o = SortOrder{Field: Title}
	case catalog.PriceAscending:
		o = SortOrder{Field: Price}
	case catalog.PriceDescending:
		o = SortOrder{Field: Price, Descending: true}
	case catalog.Newest:
		o = SortOrder{Field: Created, Descending: true, ByID: true}
	default:
		return o, nil, catalog.Invalid("sort", "must be one of relevance, name, price, -price and newest")
	}
	if q.Cursor == "" {
		return o, nil, nil
	}
	last, err := decodeCursor(q)
	return o, last, err
}

// A cursor is a seal and where a page ended. The seal says that it was made for
// this query.
const sealSize, idSize = 9, len(catalog.ID{})

// Cursor is the cursor of the page of q behind the last product.
func EncodeCursor(q catalog.Query, last CursorKey) string {
	place := append(last.ID[:], last.Key...)
	return base64.RawURLEncoding.EncodeToString(append(seal(q, place), place...))
}

func decodeCursor(q catalog.Query) (*CursorKey, error) {
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || len(b) < sealSize+idSize {
		return nil, catalog.Invalid("cursor", "is broken; take nextCursor of the page before as it is, or begin without one")
	}
	place := b[sealSize:]
	if !bytes.Equal(b[:sealSize], seal(q, place)) {
		return nil, catalog.Invalid("cursor", "belongs to another query; repeat the query of the page before, or begin without one")
	}
	return &CursorKey{ID: catalog.ID(place[:idSize]), Key: place[idSize:]}, nil
}

// seal tells cursors apart by all of a query but how much of it is asked for.
func seal(q catalog.Query, place []byte) []byte {
	q.Cursor, q.Limit, q.Facets, q.FacetAttributes, q.Highlight = "", 0, false, nil, false
	b, _ := json.Marshal(q) // strings and numbers cannot fail
	sum := sha256.Sum256(fmt.Appendf(b, "%x", place))
	return sum[:sealSize]
}
