// Package repair makes the store and the topics of the log consistent again when one of
// them was restored or recreated: [Examine] compares them and returns a [Plan], and
// [Plan.Apply] changes the store and the settings of topics. Records are never changed.
//
// It handles topics that were recreated, a commands topic that lost records, a store
// that was restored from a backup, and forged events. Every step may be repeated, so a
// repair that was interrupted is run again.
package repair

import (
	"context"
	"errors"
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
	// ResetShards binds the store to topics and changes the shards in resets. It fences
	// off the writers that own a shard, and lets stopped shards continue.
	ResetShards(ctx context.Context, topics eventlog.Topics, resets map[int32]eventlog.ShardReset) error
	// AppendEvents adds events, and the product versions in them, to the store.
	AppendEvents(ctx context.Context, events []catalog.Event) error
	// Product returns the product, which may be a tombstone, or ErrNotFound.
	Product(ctx context.Context, id catalog.ID) (catalog.Product, error)
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
	// FindCut reports whether last is no longer in the commands topic, although its
	// offset is not before the first record. It returns the offset up to which the topic
	// is unchanged, or 0 if that is unknown.
	FindCut(ctx context.Context, shard int32, last eventlog.RecordID) (offset int64, cut bool, err error)
	// EventOffsets is CommandOffsets of the events topic.
	EventOffsets(ctx context.Context) (starts, ends []int64, err error)
	// WrongSettings returns the settings of topics with which they can refuse or lose
	// records, and SetTopics corrects them.
	WrongSettings(ctx context.Context) ([]eventlog.TopicSetting, error)
	SetTopics(ctx context.Context, wrong []eventlog.TopicSetting) error
	// LastSeq returns the seq of the last event of the shard at or after the offset
	// from, or 0 if there is none.
	LastSeq(ctx context.Context, shard int32, from int64) (int64, error)
	// ReadEvents calls handle with the events of the shard from the offset from on.
	ReadEvents(ctx context.Context, shard int32, from int64, handle func(catalog.Event) error) error
}

// Options are choices of the operator.
type Options struct {
	// IgnoreEvents ignores events that cannot be told from those that a newer store
	// had published: they are forged, or there is no newer backup.
	IgnoreEvents bool
}

// Finding is an inconsistency between store and log.
type Finding struct {
	Where   string // topic, and the shard if it concerns one shard
	Problem string
	Remedy  string // what Apply does about it
	Lost    string // what is known to be lost; "" for nothing
}

// Plan holds the inconsistencies found and the changes that remove them.
type Plan struct {
	// Findings lists the inconsistencies. If there are none, nothing needs to be done.
	Findings []Finding

	settings []eventlog.TopicSetting // settings of topics that Apply corrects
	topics   eventlog.Topics
	resets   map[int32]eventlog.ShardReset
	events   []catalog.Event // events of the topic that the store lacks
}

func (p *Plan) add(where, problem, remedy, lost string) {
	p.Findings = append(p.Findings, Finding{where, problem, remedy, lost})
}

func (p *Plan) setOffset(shard int32, offset int64) {
	r := p.resets[shard]
	r.Offset = &offset
	p.resets[shard] = r
}

func (p *Plan) setEventsFrom(shard int32, offset int64) {
	r := p.resets[shard]
	r.EventsFrom = &offset
	p.resets[shard] = r
}

// Examine compares the store with the log. It changes neither, except that it binds an
// unbound store to the topics. It returns an error for an inconsistency that cannot be
// repaired.
func Examine(ctx context.Context, store Store, log Log, options Options) (*Plan, error) {
	p := &Plan{topics: log.Topics(), resets: map[int32]eventlog.ShardReset{}}
	states, err := store.States(ctx)
	if err != nil {
		return nil, err
	}
	if len(states) != log.Shards() {
		return nil, fmt.Errorf("the topics have %d partitions and the store has %d shards, and neither number can be changed: export all products, create new topics with -kafka.topic-prefix and an empty database, and import", log.Shards(), len(states))
	}
	if p.settings, err = log.WrongSettings(ctx); err != nil {
		return nil, err
	}
	for _, w := range p.settings {
		p.add("topics", w.String(), "set it", "")
	}
	bound, err := store.BindTopics(ctx, p.topics)
	if err != nil {
		return nil, err
	}
	recreated, eventsRecreated := bound.Commands != p.topics.Commands, bound.Events != p.topics.Events
	if recreated {
		p.add("commands", "the topic was recreated", "read the new topic from its start; commands that are settled are not settled again", "commands that were accepted and not settled")
	}
	if eventsRecreated {
		p.add("events", "the topic was recreated", "publish to the new topic; readers take the events it lacks from the journal", "")
	}
	starts, ends, err := log.CommandOffsets(ctx)
	if err != nil {
		return nil, err
	}
	eventStarts, eventEnds, err := log.EventOffsets(ctx)
	if err != nil {
		return nil, err
	}
	for i, st := range states {
		if st.Stopped != "" {
			p.add(fmt.Sprintf("commands, shard %d", st.Shard), "a writer has stopped the shard: "+st.Stopped, "let writers settle the shard again", "")
		}
		if recreated {
			p.setOffset(st.Shard, starts[i])
		} else if err := p.checkOffset(ctx, log, st, starts[i], ends[i]); err != nil {
			return nil, err
		}
		if eventsRecreated && st.EventsFrom > 0 {
			st.EventsFrom = 0
			p.setEventsFrom(st.Shard, 0)
		}
		if err := p.checkEvents(ctx, store, log, st, eventStarts[i], eventEnds[i], options); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// checkOffset checks that the commands topic has what the store has settled before
// its offset.
func (p *Plan) checkOffset(ctx context.Context, log Log, st eventlog.ShardState, start, end int64) error {
	where := fmt.Sprintf("commands, shard %d", st.Shard)
	if st.Offset < start {
		p.setOffset(st.Shard, start)
		p.add(where, fmt.Sprintf("the store is at offset %d and the topic begins at %d", st.Offset, start), fmt.Sprintf("continue at %d", start), fmt.Sprintf("%d records", start-st.Offset))
		return nil
	}
	offset, cut, err := int64(0), st.Offset > end, error(nil)
	if st.Last.Known() && st.Last.Offset >= start {
		if offset, cut, err = log.FindCut(ctx, st.Shard, st.Last); err != nil {
			return err
		}
	}
	if !cut {
		return nil
	}
	offset = max(offset, start)
	p.setOffset(st.Shard, offset)
	p.add(where, fmt.Sprintf("the topic has lost the records before offset %d that the store has settled; it ends at %d", st.Offset, end),
		fmt.Sprintf("continue at %d; commands that are settled are not settled again", offset), "commands that were accepted and not settled before the topic lost its end")
	return nil
}

// checkEvents checks that the store has all events of the topic, whose partition has
// the offsets from start to end: the writer appends an event to the store before it
// publishes it.
func (p *Plan) checkEvents(ctx context.Context, store Store, log Log, st eventlog.ShardState, start, end int64, options Options) error {
	last, err := log.LastSeq(ctx, st.Shard, st.EventsFrom)
	if err != nil || last < st.NextSeq {
		return err
	}
	// Writers may run, and may have settled and published these events since the states
	// were read.
	now, err := store.States(ctx)
	if err != nil {
		return err
	}
	if st.NextSeq = now[st.Shard].NextSeq; last < st.NextSeq {
		return nil
	}
	where := fmt.Sprintf("events, shard %d", st.Shard)
	history := continuation{store: store, products: map[catalog.ID]int64{}, next: st.NextSeq}
	var first int64 // seq of the first event
	err = log.ReadEvents(ctx, st.Shard, st.EventsFrom, func(e catalog.Event) error {
		if first == 0 {
			first = e.Seq
		}
		return history.add(ctx, e)
	})
	if err != nil {
		return err
	}
	if n := len(history.events); n > 0 {
		p.events = append(p.events, history.events...)
		p.add(where, fmt.Sprintf("the store is at seq %d and the topic at %d: the store was restored from a backup", st.NextSeq-1, history.next-1), fmt.Sprintf("copy %d events from the topic to the store", n), "")
	}
	if history.next > last {
		return nil
	}
	// While the topic has its first records, or events that the store has, no event of this shard
	// can be missing in between: no writer has sent the last events.
	if start > 0 && first >= st.NextSeq && len(history.events) == 0 && !options.IgnoreEvents {
		return fmt.Errorf("shard %d: the store is at seq %d, and the events topic has events up to %d but no longer has seq %d: restore a newer backup, or, if there is none or the events are forged, run catalog repair -ignore-events",
			st.Shard, st.NextSeq-1, last, history.next)
	}
	p.setEventsFrom(st.Shard, end)
	p.add(where, fmt.Sprintf("the topic has events up to seq %d that do not continue the journal, which ends at %d: they are forged, or a newer store has published them", last, history.next-1),
		"ignore them; run catalog verify -repair when the services run", "")
	return nil
}

// continuation collects the events that continue the journal of a shard.
type continuation struct {
	store    Store
	products map[catalog.ID]int64 // versions of the products after the events
	next     int64                // seq of the next event
	events   []catalog.Event
}

// add adds e if it is the next event and makes the next version of its product. A
// forged event seldom does.
func (c *continuation) add(ctx context.Context, e catalog.Event) error {
	if e.Seq != c.next { // earlier ones are republished events
		return nil
	}
	version, ok := c.products[e.Product.ID]
	if !ok {
		p, err := c.store.Product(ctx, e.Product.ID)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		version = p.Version
	}
	if e.Applied() {
		version++
	}
	if e.Product.Version != version {
		return nil
	}
	c.products[e.Product.ID], c.events, c.next = version, append(c.events, e), c.next+1
	return nil
}

// Apply changes the settings of topics and the store as planned. If it fails, Examine
// and Apply may be run again.
func (p *Plan) Apply(ctx context.Context, store Store, log Log) error {
	if err := log.SetTopics(ctx, p.settings); err != nil {
		return err
	}
	if len(p.events) > 0 {
		if err := store.AppendEvents(ctx, p.events); err != nil {
			return err
		}
	}
	return store.ResetShards(ctx, p.topics, p.resets)
}
