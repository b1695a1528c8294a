// Package catalog holds what the system is about: products, the commands that
// wish to change them, the events that say what became of each command, and
// the rules between them ([Decide], [Settle]).
//
// Everything here is a pure function or a plain value: no clock, no I/O and no
// import outside the standard library. Every other package depends on this
// one; it depends on none.
package catalog

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/fnv"
	"strconv"
	"strings"
)

// ID names a product or a command. It is a UUID; the zero value is no id.
// A product carries the id of the command that created it, unless the client
// chose one with PUT.
type ID [16]byte

// ParseID reads the 36-character form of a UUID, in either case. The nil UUID
// is refused.
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

// String is the lower-case, 36-character form.
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

// DerivedID is the id that always belongs to the same parts: a UUID of version
// 8 (RFC 9562) made of their SHA-256. It turns an idempotency key into a
// command id, so that a repeated request is the same command.
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

// Shard is the number, from 0 to shards-1, of the Kafka partition and of the
// shard row that all commands and events of the product belong to. It is the
// only place where that is decided: every producer names the partition itself.
func Shard(product ID, shards int) int32 {
	h := fnv.New64a()
	h.Write(product[:])
	return int32(h.Sum64() % uint64(shards))
}

// Position is a place in the history of one shard: what a reader has applied,
// or what a client wants to see applied. The zero value is the beginning.
type Position struct {
	Shard int32
	Seq   int64 // number of the event in its shard: 1, 2, 3 …
}

// ParsePosition reads the form that String writes. "" is the zero Position.
func ParsePosition(s string) (Position, error) {
	if s == "" {
		return Position{}, nil
	}
	shard, seq, ok := strings.Cut(s, ".")
	n, err1 := strconv.ParseUint(shard, 10, 31)
	m, err2 := strconv.ParseUint(seq, 10, 63)
	if !ok || err1 != nil || err2 != nil {
		return Position{}, fmt.Errorf("%q is not a position such as 5.1207, as an earlier answer gave it", s)
	}
	return Position{Shard: int32(n), Seq: int64(m)}, nil
}

// MaxPositions is how many positions one read may carry: clients need not know
// how many shards there are.
const MaxPositions = 64

// ParsePositions reads positions with commas between them.
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
			return nil, fmt.Errorf("%d positions are the most that a read may carry", MaxPositions)
		}
	}
	return all, nil
}

// String is "shard.seq", as in the Catalog-Position header.
func (p Position) String() string {
	return strconv.FormatInt(int64(p.Shard), 10) + "." + strconv.FormatInt(p.Seq, 10)
}
