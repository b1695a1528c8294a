package changefeed

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"catalog"
)

// Cursor is the progress of a subscriber: the seq of the last event of each shard.
// It is valid in every process, without a time limit.
type Cursor []int64

// String returns the cursor in the form that ParseCursor parses: letters, digits,
// - and _.
func (c Cursor) String() string {
	b := make([]byte, 0, 3*len(c))
	for _, seq := range c {
		b = binary.AppendUvarint(b, uint64(seq))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor parses a cursor of the given number of shards in the form that
// String returns. "0" is before the first event of every shard.
func ParseCursor(s string, shards int) (Cursor, error) {
	c := make(Cursor, shards)
	if s == "0" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	for i := range c {
		seq, n := binary.Uvarint(b)
		if err != nil || n <= 0 || seq > math.MaxInt64 {
			return nil, fmt.Errorf("%.40q is not an event id of this catalogue", s)
		}
		c[i], b = int64(seq), b[n:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%.40q is not an event id of this catalogue", s)
	}
	return c, nil
}

// Advance moves the cursor to the position. It reports false, and does nothing,
// when the cursor is at or after the position already.
func (c Cursor) Advance(p catalog.Position) bool {
	if p.Seq <= c[p.Shard] {
		return false
	}
	c[p.Shard] = p.Seq
	return true
}
