package catalog

import (
	"fmt"
	"strconv"
	"time"
)

// DeadLetter is a record of the commands topic that cannot be decoded: what
// there is to find out who sent it, and to send it again when it can be.
type DeadLetter struct {
	DeadLetterID
	Cause   string    // why it cannot be decoded
	At      time.Time // when it was sent
	Key     []byte
	Value   []byte
	Headers []Header
}

// DeadLetterID is where a dead letter stood in the commands topic.
type DeadLetterID struct {
	Shard  int32
	Offset int64
}

// String is "shard.offset".
func (id DeadLetterID) String() string {
	return strconv.FormatInt(int64(id.Shard), 10) + "." + strconv.FormatInt(id.Offset, 10)
}

// ParseDeadLetterID reads what String writes.
func ParseDeadLetterID(s string) (DeadLetterID, error) {
	p, err := ParsePosition(s)
	if err != nil || s == "" {
		return DeadLetterID{}, fmt.Errorf("%q is not the id of a dead letter; give shard and offset, such as 3.1207", s)
	}
	return DeadLetterID{Shard: p.Shard, Offset: p.Seq}, nil
}

// Header is one of a record.
type Header struct {
	Key   string
	Value []byte
}
