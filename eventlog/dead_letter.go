package eventlog

import (
	"time"

	"catalog"
)

// DeadLetter is a record of the commands topic of which no command can be
// made. It is kept as it came, in the transaction that moves the shard past it.
type DeadLetter struct {
	// Position is the shard, and the letter's number among the dead letters of
	// the shard: 1, 2, 3 … Offsets cannot be its name: those of a topic that was
	// made anew begin again.
	catalog.Position
	Offset     int64 // in the partition of the commands topic
	Cause      string
	At         time.Time // when it was put aside
	Key, Value []byte
	Headers    []RecordHeader
	Size       int // of the value, in bytes; also where the value is left out
}

// Header is one of a record.
type RecordHeader struct {
	Key   string
	Value []byte
}
