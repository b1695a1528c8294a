package textsearch

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"fmt"

	"catalog"
)

// CursorKey is the position of the last product of a page in its order.
type CursorKey struct {
	ID  catalog.ID
	Key []byte // the value of the field that the page is sorted by, or the score
	// Widened is that of the plan, so that the next page has the same matches.
	Widened Widening
}

// A cursor is a checksum, a widening, an id and a key, in base64. The checksum covers the query too, so that a
// cursor cannot continue another query.
const checksumSize, widenedSize, idSize = 9, 2, len(catalog.ID{})

// EncodeCursor returns the cursor of the page of q that begins after last.
func EncodeCursor(q catalog.Query, last CursorKey) string {
	position := append(binary.BigEndian.AppendUint16(nil, uint16(last.Widened)), last.ID[:]...)
	position = append(position, last.Key...)
	return base64.RawURLEncoding.EncodeToString(append(cursorChecksum(q, position), position...))
}

// decodeCursor returns the position in q.Cursor, nil when there is no cursor, or a *catalog.Refusal
// when the cursor is damaged or was made for another query.
func decodeCursor(q catalog.Query) (*CursorKey, error) {
	if q.Cursor == "" {
		return nil, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(q.Cursor)
	if err != nil || len(b) < checksumSize+widenedSize+idSize {
		return nil, catalog.Invalid("cursor", "is damaged; send nextCursor of the previous page unchanged, or start without a cursor")
	}
	position := b[checksumSize:]
	if !bytes.Equal(b[:checksumSize], cursorChecksum(q, position)) {
		return nil, catalog.Invalid("cursor", "belongs to another query; repeat the query of the previous page, or start without a cursor")
	}
	widened, position := Widening(binary.BigEndian.Uint16(position)), position[widenedSize:]
	return &CursorKey{ID: catalog.ID(position[:idSize]), Key: position[idSize:], Widened: widened}, nil
}

// cursorChecksum covers the parts of q that decide which products match and their order. The limit,
// facets and highlights may change from page to page.
func cursorChecksum(q catalog.Query, position []byte) []byte {
	q.Cursor, q.Limit, q.Facets, q.FacetAttributes, q.Highlight = "", 0, nil, nil, false
	b, _ := json.Marshal(q) // a Query has only strings, numbers and maps of them
	sum := sha256.Sum256(fmt.Appendf(b, "%x", position))
	return sum[:checksumSize]
}
