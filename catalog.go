// Package catalog is the domain: products, the commands that change them, the
// events that record the outcome of each command, and the rule that turns a
// command into an event ([Decide]).
//
// Everything here is a pure function or a plain value: no clock, no I/O and no
// import outside the standard library. Every other package depends on this one;
// it depends on none.
package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// ID identifies a product or a command. It is a UUID; the zero value means none.
// A product has the id of the command that created it, unless the client chose
// an id with PUT.
type ID [16]byte

// ParseID parses the 36-character form of a UUID, in upper or lower case. It
// returns an error for the nil UUID.
func ParseID(s string) (ID, error) {
	var id ID
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return ID{}, fmt.Errorf("%q is not a UUID such as 0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b", s)
	}
	digits := s[0:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	if _, err := hex.Decode(id[:], []byte(digits)); err != nil || id == (ID{}) {
		return ID{}, fmt.Errorf("%q is not a UUID such as 0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b", s)
	}
	return id, nil
}

// String returns the lower-case, 36-character form.
func (id ID) String() string {
	var b [36]byte
	hex.Encode(b[0:8], id[0:4])
	hex.Encode(b[9:13], id[4:6])
	hex.Encode(b[14:18], id[6:8])
	hex.Encode(b[19:23], id[8:10])
	hex.Encode(b[24:36], id[10:16])
	b[8], b[13], b[18], b[23] = '-', '-', '-', '-'
	return string(b[:])
}

// DerivedID returns the same id for the same parts: a UUID of version 8 (RFC
// 9562) from their SHA-256. The gateway derives a command id from an idempotency
// key, so that a repeated request is the same command.
func DerivedID(parts ...string) ID {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	id := ID(h.Sum(nil)[:16])
	id[6] = id[6]&0x0f | 0x80
	id[8] = id[8]&0x3f | 0x80
	return id
}

// Shard returns the number, from 0 to shards-1, of the Kafka partition and of the
// shard row that hold all commands and events of the product. Every producer
// takes the partition from this function; Kafka's own partitioner is never used.
func Shard(product ID, shards int) int32 {
	h := fnv.New64a()
	h.Write(product[:])
	return int32(h.Sum64() % uint64(shards))
}

// Position is a place in the event sequence of one shard. A reader states with it
// which events it has applied, and a client which events a read must include. The
// zero value is before the first event.
type Position struct {
	Shard int32
	Seq   int64 // sequence number of the event in its shard: 1, 2, 3 …
}

// ParsePosition parses the result of [Position.String]. It returns the zero
// Position for "".
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	shard, seq, ok := strings.Cut(s, ".")
	n, err1 := strconv.ParseUint(shard, 10, 31)
	m, err2 := strconv.ParseUint(seq, 10, 63)
	if !ok || err1 != nil || err2 != nil {
		return Position{}, fmt.Errorf("%q is not a position such as 5.1207; send the Catalog-Position of an earlier response", s)
	}
	return Position{Shard: int32(n), Seq: int64(m)}, nil
}

// MaxPositions limits the positions of one read. It is a fixed number, so that a
// client need not know the number of shards.
const MaxPositions = 64

// ParsePositions parses positions that are separated by commas.
func ParsePositions(s string) ([]Position, error) {
	if s == "" {
		return nil, nil
	}
	var all []Position
	for text := range strings.SplitSeq(s, ",") {
		p, err := ParsePosition(strings.TrimSpace(text))
		if err != nil {
			return nil, err
		}
		if all = append(all, p); len(all) > MaxPositions {
			return nil, fmt.Errorf("has more than %d positions; send only the latest of each shard", MaxPositions)
		}
	}
	return all, nil
}

// String returns "shard.seq", as in the Catalog-Position header.
func (p Position) String() string {
	return strconv.FormatInt(int64(p.Shard), 10) + "." + strconv.FormatInt(p.Seq, 10)
}
