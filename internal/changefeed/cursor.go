package changefeed

import (
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"math"

	"catalog"
)

// Cursor says how far a consumer has come: the seq of the last event of each
// shard. It means the same to every process, and for ever.
type Cursor []int64

// String is the form that ParseCursor reads: letters, digits, - and _.
func (c Cursor) String() string {
	b := make([]byte, 0, 3*len(c))
	for _, seq := range c {
		b = binary.AppendUvarint(b, uint64(seq))
	}
	return base64.RawURLEncoding.EncodeToString(b)
}

// ParseCursor reads the form that String writes, of so many shards. "0" is the
// beginning of everything.
func ParseCursor(s string, shards int) (Cursor, error) {
	c := make(Cursor, shards)
	if s == "0" {
		return c, nil
	}
	b, err := base64.RawURLEncoding.DecodeString(s)
	for i := range c {
		seq, n := binary.Uvarint(b)
		if err != nil || n <= 0 || seq > math.MaxInt64 {
			return nil, fmt.Errorf("%.40q is not one that this catalogue gave", s)
		}
		c[i], b = int64(seq), b[n:]
	}
	if len(b) > 0 {
		return nil, fmt.Errorf("%.40q is not one that this catalogue gave", s)
	}
	return c, nil
}

// Pass moves the cursor behind the position. It answers false where it was
// there already.
func (c Cursor) Advance(p catalog.Position) bool {
	if p.Seq <= c[p.Shard] {
		return false
	}
	c[p.Shard] = p.Seq
	return true
}
