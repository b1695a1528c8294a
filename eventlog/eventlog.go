// Package eventlog is the contract between the log, the writer's store and the
// views: records of a topic, consumers of its shards, batches of commands, dead
// letters and checkpoints. [Settle] is the rule that turns a batch into events.
//
// The package has no I/O. Engines implement the transport, services the work.
package eventlog

import (
	"context"
	"fmt"
	"time"

	"catalog"
)

// Records is a range of one partition of a topic: the decoded records at offsets
// From to To-1. It can hold fewer than To-From items, because gaps are normal in a
// Kafka log.
type Records[T any] struct {
	Shard       int32
	From, To    int64
	Items       []T
	Offsets     []int64      // offsets of the Items
	DeadLetters []DeadLetter // records that cannot be decoded, without numbers
	IDs         []RecordID   // identities of the records of both, by offset; only for a consumer that keeps them
	Delivery
}

// RecordID identifies a record of a partition. Its offset alone does not: a topic that
// was cut gives the offsets of the lost records to the records that come next.
type RecordID struct {
	Offset int64
	Epoch  int32    // epoch of the partition's leader that wrote the record; -1 if unknown
	Digest [16]byte // digest of key and value; zero if the record is unknown
}

// Known reports whether the record is known.
func (r RecordID) Known() bool { return r.Digest != [16]byte{} }

// Delivery describes how records reached this process, for their traces.
type Delivery struct {
	Topic     string // full name of the topic
	Partition int32
	Consumer  string    // name of the consumer group, or of the consumer without a group
	SentAt    time.Time // when the first record was sent
	PolledAt  time.Time // when the records were taken from the buffer
	Attempt   int       // number of calls of Handle with these records before this one
	Traces    []Trace   // traces of the records whose trace is sampled
}

// Trace is a sampled trace and its records in a batch.
type Trace struct {
	Traceparent string    // W3C trace context of the span that sent the first of the records
	SentAt      time.Time // when the first of the records was sent
	Item        int       // index of the first of the records in Items
	Records     int       // number of records in the batch
}

// Topics identifies the topics of a log. A topic that was deleted and created
// again has another id.
type Topics struct{ Commands, Events catalog.ID }

// TopicSetting is a setting of a topic that differs from what the topic needs.
type TopicSetting struct {
	Topic, Name, Value, Want string
}

func (s TopicSetting) String() string {
	return fmt.Sprintf("%s of topic %s is %s instead of %s", s.Name, s.Topic, s.Value, s.Want)
}

// Consumer handles the shards of a topic that a consumer group assigns to this
// process. Within a process the log never handles a shard concurrently. Two
// processes can handle the same shard for a moment, until the first one learns
// that it has lost the shard: Handle must be safe against that.
type Consumer[T any] interface {
	// Begin is called when the shard is assigned to this process. It returns the
	// offset to start from.
	Begin(ctx context.Context, shard int32) (offset int64, err error)

	// Handle processes the next records of the shard; each call begins at the offset
	// at which the last one ended. A nil error means that they are processed. On
	// ErrFenced the log calls Begin again, if the shard is still assigned to this
	// process. On ErrInconsistent, from Begin too, the log stops the shard until
	// Begin succeeds. On any other error the log calls Handle again with the same
	// records after a pause.
	Handle(ctx context.Context, r Records[T]) error

	// End is called after the last Handle of the shard has returned: when the shard
	// is revoked, and before Begin is called again after ErrFenced.
	End(shard int32)
}
