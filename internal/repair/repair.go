// Package repair makes the store and the topics of the log consistent again when one of
// them was restored or recreated: [Examine] compares them and returns a [Plan], and
// [Plan.Apply] changes the store. Topics are never changed.
//
// It handles topics that were recreated, a commands topic that lost records, and a store
// that was restored from a backup. Every step may be repeated, so a repair that was
// interrupted is run again.
package repair

import (
	"context"
	"fmt"

	"catalog"
	"catalog/eventlog"
)

// Store is a store that can be repaired.
type Store interface {
	// States returns the state of each shard, in order.
	States(ctx context.Context) ([]eventlog.ShardState, error)
	// BindTopics returns the topics that the store belongs to. A store that belongs to
	// none is bound to topics.
	BindTopics(ctx context.Context, topics eventlog.Topics) (eventlog.Topics, error)
	// ResetShards binds the store to topics and moves the shards in offsets to these
	// offsets of the commands topic. It fences off the writers that own a shard.
	ResetShards(ctx context.Context, topics eventlog.Topics, offsets map[int32]int64) error
	// AppendEvents adds events, and the product versions in them, to the store.
	AppendEvents(ctx context.Context, events []catalog.Event) error
}

// Log is the log that the store belongs to.
type Log interface {
	// Shards returns the number of partitions.
	Shards() int
	// Topics returns the ids of the topics; a recreated topic has a new id.
	Topics() eventlog.Topics
	// CommandOffsets returns, by shard, the offset of the first command in the topic and
	// the offset that the next command gets.
	CommandOffsets(ctx context.Context) (starts, ends []int64, err error)
	// LastSeq returns the seq of the last event of the shard, or 0 if there is none.
	LastSeq(ctx context.Context, shard int32) (int64, error)
	// ReadEvents returns the events of the shard from seq on, up to the first one that
	// is missing.
	ReadEvents(ctx context.Context, shard int32, seq int64) ([]catalog.Event, error)
}

// Finding is an inconsistency between store and log.
type Finding struct {
	Where   string // topic, and the shard if it concerns one shard
	Problem string
	Remedy  string // what Apply does about it
}

// Plan holds the inconsistencies found and the changes that remove them.
type Plan struct {
	// Findings lists the inconsistencies. If there are none, nothing needs to be done.
	Findings []Finding

	topics  eventlog.Topics
	offsets map[int32]int64 // new offset in the commands topic, by shard
	events  []catalog.Event // events of the topic that the store lacks
}

func (p *Plan) add(where, problem, remedy string) {
	p.Findings = append(p.Findings, Finding{where, problem, remedy})
}

// Examine compares the store with the log. It changes neither, except that it binds an
// unbound store to the topics. It returns an error for an inconsistency that cannot be
// repaired.
func Examine(ctx context.Context, store Store, log Log) (*Plan, error) {
	p := &Plan{topics: log.Topics(), offsets: map[int32]int64{}}
	states, err := store.States(ctx)
	if err != nil {
		return nil, err
	}
	if len(states) != log.Shards() {
		return nil, fmt.Errorf("the topics have %d partitions and the store has %d shards, and neither number can be changed: export all products, create new topics with -kafka.topic-prefix and an empty database, and import", log.Shards(), len(states))
	}
	bound, err := store.BindTopics(ctx, p.topics)
	if err != nil {
		return nil, err
	}
	recreated := bound.Commands != p.topics.Commands
	if recreated {
		p.add("commands", "the topic was recreated", "read the new topic from its start; commands that are settled are not settled again")
	}
	if bound.Events != p.topics.Events {
		p.add("events", "the topic was recreated", "publish to the new topic; readers take the events it lacks from the journal")
	}
	starts, ends, err := log.CommandOffsets(ctx)
	if err != nil {
		return nil, err
	}
	for i, st := range states {
		if recreated {
			p.offsets[st.Shard] = starts[i]
		} else {
			p.checkOffset(st, starts[i], ends[i])
		}
		if err := p.checkEvents(ctx, log, st); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// checkOffset checks that the store's offset is within the commands topic.
func (p *Plan) checkOffset(st eventlog.ShardState, start, end int64) {
	where := fmt.Sprintf("commands, shard %d", st.Shard)
	switch {
	case st.Offset < start:
		p.offsets[st.Shard] = start
		p.add(where, fmt.Sprintf("the store is at offset %d and the topic begins at %d", st.Offset, start), fmt.Sprintf("continue at %d; %d records are lost", start, start-st.Offset))
	case st.Offset > end:
		p.offsets[st.Shard] = start
		p.add(where, fmt.Sprintf("the store is at offset %d and the topic ends at %d", st.Offset, end), fmt.Sprintf("continue at %d; commands that are settled are not settled again", start))
	}
}

// checkEvents checks that the store has all events of the topic: the writer appends an
// event to the store before it publishes it.
func (p *Plan) checkEvents(ctx context.Context, log Log, st eventlog.ShardState) error {
	last, err := log.LastSeq(ctx, st.Shard)
	if err != nil {
		return err
	}
	if last < st.NextSeq {
		return nil
	}
	events, err := log.ReadEvents(ctx, st.Shard, st.NextSeq)
	if err != nil {
		return err
	}
	if got := st.NextSeq - 1 + int64(len(events)); got < last {
		return fmt.Errorf("shard %d: the store was restored to seq %d, and the events topic no longer has seq %d: restore a newer backup", st.Shard, st.NextSeq-1, got+1)
	}
	p.events = append(p.events, events...)
	p.add(fmt.Sprintf("events, shard %d", st.Shard), fmt.Sprintf("the store is at seq %d and the topic at %d: the store was restored from a backup", st.NextSeq-1, last), fmt.Sprintf("copy %d events from the topic to the store", len(events)))
	return nil
}

// Apply changes the store as planned. If it fails, Examine and Apply may be run again.
func (p *Plan) Apply(ctx context.Context, store Store) error {
	if len(p.events) > 0 {
		if err := store.AppendEvents(ctx, p.events); err != nil {
			return err
		}
	}
	return store.ResetShards(ctx, p.topics, p.offsets)
}
