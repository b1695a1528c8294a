package eventlog

import (
	"time"

	"catalog"
)

// DeadLetter is a record that cannot be decoded. The store of the writer keeps that
// of a command unchanged, in the transaction that moves the shard past the record. A
// reader skips that of an event and reads the journal instead.
type DeadLetter struct {
	// Position identifies the dead letter: the shard, and its number among the dead
	// letters of the shard (1, 2, 3 …). An offset cannot identify it, because a topic
	// that is created again starts at offset 0.
	catalog.Position
	Offset     int64     // offset in the partition of the commands topic
	Cause      string    // reason why the record cannot be decoded
	At         time.Time // time at which it was stored
	Key, Value []byte
	Headers    []RecordHeader
	Size       int // bytes of the value; set also in lists, which omit the value
}

// RecordHeader is a header of a Kafka record.
type RecordHeader struct {
	Key   string
	Value []byte
}
