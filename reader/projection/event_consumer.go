package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"catalog"
	"catalog/eventlog"
)

// snapshotThreshold is the lag, in events, above which a shard that has no
// checkpoint, or lost events of the log, starts from a snapshot of the products
// instead of replaying events from the journal.
const snapshotThreshold = 10_000

// recentEvents is the number of events of a shard with which repeated ones are
// compared. A true event follows a forged one of its seq by the next write.
const recentEvents = 64

// recentEvent is an event that was applied.
type recentEvent struct {
	seq     int64
	command catalog.ID
}

// Journal reads events and products from the writer, over gRPC. Package journal
// implements it.
type Journal interface {
	// Replay calls handle with the events of the shard with from ≤ seq ≤ to, in
	// order. A to of 0 means all events from from on.
	Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error

	// Snapshot calls handle with the products of the shard, tombstones included,
	// page by page. A non-empty only limits the products to those ids. It returns
	// the seq that the next event had before the first page: a product is at least
	// as new as the events before it, and may be newer.
	Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (nextSeq int64, err error)

	// Next returns the seq that the next event of the shard will get.
	Next(ctx context.Context, shard int32) (int64, error)
}

// Offsets is the part of the log that reports which events it has.
type Offsets interface {
	// EventOffsets returns, by shard, the offset of the first event that the log
	// still has and the offset that the next event will get.
	EventOffsets(ctx context.Context) (starts, ends []int64, err error)
}

// Target is where an EventConsumer applies events.
type Target interface {
	// Checkpoints returns the saved checkpoint of each shard that has one.
	Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error)

	// Apply applies a change. Changes of one shard come in order.
	Apply(ctx context.Context, c Change) error
}

// Change is the effect of consecutive events on the products of one shard.
type Change struct {
	// Products holds the last version of each product that the events changed,
	// or a part of a snapshot.
	Products []catalog.Product

	// Events is empty for a snapshot, and where all records were duplicates.
	Events []catalog.Event

	// Snapshot says that Products is a part of a snapshot, or, without Products,
	// that the snapshot is complete.
	Snapshot bool

	// To is the checkpoint of the shard after the change.
	To eventlog.Checkpoint
}

// Settled returns when each of the events was accepted and settled, and its trace.
func (c Change) Settled() []Settled { return c.settledAfter(0) }

// settledAfter returns what Settled returns, of the events after the seq.
func (c Change) settledAfter(seq int64) []Settled {
	settled := make([]Settled, 0, len(c.Events))
	for _, e := range c.Events {
		if e.Seq > seq {
			settled = append(settled, Settled{Accepted: e.AcceptedAt, At: e.SettledAt, Trace: e.Trace})
		}
	}
	return settled
}

// split divides the products into those that the view probably lacks and those that
// it probably has. A product is created by the event of its version 1. A snapshot
// is loaded where most products are missing.
func (c Change) split() (created, changed []catalog.Product) {
	if c.Snapshot {
		return c.Products, nil
	}
	isNew := map[catalog.ID]bool{}
	for _, e := range c.Events {
		if e.Product.Version == 1 {
			isNew[e.Product.ID] = true
		}
	}
	for _, p := range c.Products {
		if isNew[p.ID] {
			created = append(created, p)
		} else {
			changed = append(changed, p)
		}
	}
	return created, changed
}

func (c Change) productIDs() []catalog.ID {
	ids := make([]catalog.ID, len(c.Products))
	for i, p := range c.Products {
		ids[i] = p.ID
	}
	return ids
}

// EventConsumerDeps holds what NewEventConsumer needs.
type EventConsumerDeps struct {
	Name    string // name in logs and metrics
	Target  Target
	Log     Offsets
	Journal Journal
	Metrics *ConsumerMetrics
	Logger  *slog.Logger

	// Size returns the size of a product, if changes are limited to MaxSize. A change that
	// is larger is applied in parts, of which each has one product at least.
	Size    func(*catalog.Product) int
	MaxSize int

	// Exclusive says that no other process applies events to the target. Then the
	// checkpoint in memory stays valid after End, and may be ahead of the saved one.
	Exclusive bool
}

// EventConsumer reads the events of shards without a gap and applies each event
// once: it drops duplicates and fetches missing events from the journal. The
// projection and the indexer share it. It implements eventlog.Consumer.
type EventConsumer struct {
	deps EventConsumerDeps

	mu       sync.Mutex
	applied  map[int32]eventlog.Checkpoint // what this process has applied, by shard
	progress map[int32]int64               // number of applied changes, by shard

	// recent holds, by shard, the commands of the last events applied, at index seq
	// modulo their number.
	recent map[int32]*[recentEvents]recentEvent

	// snapshots holds the snapshots whose end the events have not reached, by shard.
	snapshots map[int32]*snapshot
}

// NewEventConsumer returns a consumer without shards.
func NewEventConsumer(deps EventConsumerDeps) *EventConsumer {
	return &EventConsumer{deps: deps, applied: map[int32]eventlog.Checkpoint{}, progress: map[int32]int64{}, recent: map[int32]*[recentEvents]recentEvent{}, snapshots: map[int32]*snapshot{}}
}

// Progress returns a number that grows with each applied change of the shard, so that a long Begin
// does not count as one that hangs.
func (c *EventConsumer) Progress(shard int32) int64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.progress[shard]
}

// Begin returns the offset at which the applied events of the shard end. It
// first applies what the log no longer has, from the journal or a snapshot.
func (c *EventConsumer) Begin(ctx context.Context, shard int32) (offset int64, err error) {
	at, ok := c.checkpoint(shard)
	if !ok || !c.deps.Exclusive {
		all, err := c.deps.Target.Checkpoints(ctx)
		if err != nil {
			return 0, err
		}
		at = eventlog.Checkpoint{Position: catalog.Position{Shard: shard}}
		if i := slices.IndexFunc(all, func(p eventlog.Checkpoint) bool { return p.Shard == shard }); i >= 0 {
			at = all[i]
		}
	}
	starts, ends, err := c.deps.Log.EventOffsets(ctx)
	if err != nil {
		return 0, err
	}
	c.setCheckpoint(at)
	if at, err = c.catchUp(ctx, at, starts[shard], ends[shard]); err != nil {
		c.End(shard)
		return 0, err
	}
	return at.Offset, nil
}

// catchUp applies the events after at that the log no longer has. The log of the
// shard spans the offsets from start to end.
func (c *EventConsumer) catchUp(ctx context.Context, at eventlog.Checkpoint, start, end int64) (eventlog.Checkpoint, error) {
	lostEvents := at.Offset < start
	recreated := at.Offset > end // a new topic: seqs continue, offsets begin at 0
	switch {
	case end-at.Offset > snapshotThreshold && (at.Seq == 0 || lostEvents):
		c.deps.Logger.InfoContext(ctx, "shard starts from a snapshot", "consumer", c.deps.Name, "shard", at.Shard, "seq", at.Seq+1, "offset", end)
		return c.loadSnapshot(ctx, at, end)
	case lostEvents || recreated:
		c.deps.Logger.WarnContext(ctx, "events removed from the log; replaying them from the journal", "consumer", c.deps.Name, "shard", at.Shard, "seq", at.Seq+1, "offset", start)
		at, err := c.replay(ctx, at, 0)
		if err != nil {
			return at, err
		}
		// The offset changes only now: a process that dies during the replay must
		// take this branch again.
		at.Offset = start
		return c.apply(ctx, nil, at)
	}
	return at, nil
}

// Handle applies the next records of a shard. It drops duplicates and fetches
// missing events from the journal. It skips records that are not events and
// events that the journal does not have: the writer commits an event before it
// publishes it, so nothing is lost.
func (c *EventConsumer) Handle(ctx context.Context, r eventlog.Records[catalog.Event]) (err error) {
	at, _ := c.checkpoint(r.Shard)
	repeated := func(d eventlog.DeadLetter) bool { return d.Offset < at.Offset }
	r.DeadLetters = slices.DeleteFunc(r.DeadLetters, repeated)
	next := make([]catalog.Event, 0, len(r.Items)) // consecutive events after at

	// The journal was read to its end after these records were in the log. So it has all
	// of them that are events.
	ended := false
	invalid, firstInvalid := 0, catalog.Position{}
	for _, e := range r.Items {
		want := at.Seq + int64(len(next)) + 1
		if e.Seq < want {
			c.deps.Metrics.dropped.WithLabelValues(c.deps.Name).Inc()
			waiting := e.Seq - at.Seq - 1 // its index in next, if it is not applied yet
			if waiting >= 0 && next[waiting].Command != e.Command || waiting < 0 && c.conflicts(r.Shard, e) {
				c.deps.Metrics.rejected.WithLabelValues(c.deps.Name).Inc()
				c.deps.Logger.ErrorContext(ctx, "two events have the same seq, and one of them is forged; run catalog verify -repair",
					"consumer", c.deps.Name, "shard", r.Shard, "seq", e.Seq, "product", e.Product.ID.String())
			}
			continue
		}
		if ended && e.Seq >= want {
			invalid++
			continue
		}
		if e.Seq > want {
			c.deps.Metrics.gaps.WithLabelValues(c.deps.Name).Inc()
			c.deps.Logger.ErrorContext(ctx, "events missing from the log; replaying them from the journal",
				"consumer", c.deps.Name, "shard", r.Shard, "from", want, "to", e.Seq-1)
			if len(next) > 0 {
				at.Seq = want - 1
				if at, err = c.apply(ctx, next, at); err != nil {
					return err
				}
				next = next[:0:0]
			}
			// The journal also says whether e is an event: its seq may be forged.
			if at, err = c.replay(ctx, at, e.Seq); err != nil && !errors.Is(err, errNotInJournal) {
				return err
			}
			if ended = at.Seq < e.Seq; ended {
				firstInvalid = e.Position
				invalid++
			}
			continue
		}
		next = append(next, e)
	}
	if invalid > 0 {
		c.reject(ctx, r.Shard, invalid, fmt.Errorf("event %s: the journal ends at seq %d", firstInvalid, at.Seq))
	}
	if len(next) == 0 && len(r.DeadLetters) == 0 && r.To <= at.Offset {
		return nil // a repeat of the last record
	}
	at.Seq += int64(len(next))
	if n := len(r.DeadLetters); n > 0 {
		// A damaged record can have been the last event.
		if at, err = c.apply(ctx, next, at); err != nil {
			return err
		}
		next = nil
		c.reject(ctx, r.Shard, n, fmt.Errorf("record at offset %d: %s", r.DeadLetters[0].Offset, r.DeadLetters[0].Cause))
		if at, err = c.replay(ctx, at, 0); err != nil {
			return err
		}
	}
	at.Offset = r.To
	_, err = c.apply(ctx, next, at)
	return err
}

// conflicts reports whether another event with the seq of e was applied.
func (c *EventConsumer) conflicts(shard int32, e catalog.Event) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	recent := c.recent[shard]
	if recent == nil {
		return false
	}
	r := recent[e.Seq%recentEvents]
	return r.seq == e.Seq && r.command != e.Command
}

// remember keeps the events that were applied for conflicts.
func (c *EventConsumer) remember(shard int32, events []catalog.Event) {
	if len(events) == 0 {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	recent := c.recent[shard]
	if recent == nil {
		recent = &[recentEvents]recentEvent{}
		c.recent[shard] = recent
	}
	for _, e := range events[max(0, len(events)-recentEvents):] {
		recent[e.Seq%recentEvents] = recentEvent{e.Seq, e.Command}
	}
}

// reject reports n records that are skipped because they are not events.
func (c *EventConsumer) reject(ctx context.Context, shard int32, n int, cause error) {
	c.deps.Metrics.rejected.WithLabelValues(c.deps.Name).Add(float64(n))
	c.deps.Logger.ErrorContext(ctx, "invalid events skipped, and the journal read instead; find out which program wrote them, then run catalog repair",
		"consumer", c.deps.Name, "shard", shard, "count", n, "err", cause)
}

// errNotInJournal is the error of a replay that ends before the events that were
// asked for.
var errNotInJournal = errors.New("the journal does not have the events")

// End forgets the shard, unless the consumer is exclusive.
func (c *EventConsumer) End(shard int32) {
	if c.deps.Exclusive {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.applied, shard)
	delete(c.snapshots, shard)
}

// apply applies consecutive events, which bring the shard to the checkpoint. The
// contents in to are those before the events; the returned checkpoint has those
// after them.
func (c *EventConsumer) apply(ctx context.Context, events []catalog.Event, to eventlog.Checkpoint) (eventlog.Checkpoint, error) {
	for {
		n := c.fitting(len(events), func(i int) *catalog.Product { return &events[i].Product })
		if n == len(events) {
			return c.applyAtOnce(ctx, events, to)
		}
		// After a restart the record is needed again for its next part, so the offset
		// stays.
		before, _ := c.checkpoint(to.Shard)
		part := to
		part.Seq, part.Offset = to.Seq-int64(len(events)-n), before.Offset
		part, err := c.applyAtOnce(ctx, events[:n], part)
		if err != nil {
			return to, err
		}
		events, to.Contents = events[n:], part.Contents
	}
}

// fitting returns how many of n products fit into one change.
func (c *EventConsumer) fitting(n int, product func(i int) *catalog.Product) int {
	if c.deps.Size == nil {
		return n
	}
	size := 0
	for i := range n {
		if size += c.deps.Size(product(i)); size > c.deps.MaxSize && i > 0 {
			return i
		}
	}
	return n
}

// applyAtOnce is apply for events that fit into one change.
func (c *EventConsumer) applyAtOnce(ctx context.Context, events []catalog.Event, to eventlog.Checkpoint) (eventlog.Checkpoint, error) {
	change := c.newChange(events, to)
	if err := c.change(ctx, change); err != nil {
		return to, err
	}
	c.deps.Metrics.applied.WithLabelValues(c.deps.Name).Add(float64(len(events)))
	c.setCheckpoint(change.To)
	c.remember(to.Shard, events)
	return change.To, nil
}

// change applies a change to the target.
func (c *EventConsumer) change(ctx context.Context, change Change) error {
	err := c.deps.Target.Apply(ctx, change)
	c.mu.Lock()
	defer c.mu.Unlock()
	if err == nil {
		c.progress[change.To.Shard]++
	}
	return err
}

// loadSnapshot applies the current products of the shard and returns the new
// checkpoint. Reading continues at the offset, which was the end of the log
// before the snapshot: every earlier event is part of the snapshot. Some later
// events may be, too; older versions of its products are dropped.
func (c *EventConsumer) loadSnapshot(ctx context.Context, at eventlog.Checkpoint, offset int64) (eventlog.Checkpoint, error) {
	at.Contents = eventlog.UnknownContents
	c.setCheckpoint(at)
	loaded := &snapshot{products: map[catalog.ID]productVersion{}}
	next, err := c.deps.Journal.Snapshot(ctx, at.Shard, nil, func(products []catalog.Product) error {
		if c.deps.Exclusive {
			products = loaded.newer(products)
		}
		for len(products) > 0 {
			n := c.fitting(len(products), func(i int) *catalog.Product { return &products[i] })
			if err := c.change(ctx, Change{Products: products[:n:n], Snapshot: true, To: at}); err != nil {
				return err
			}
			products = products[n:]
		}
		return nil
	})
	if err == nil && c.deps.Exclusive { // without Exclusive, other processes write to the target too, and it drops older versions itself
		loaded.next, err = c.deps.Journal.Next(ctx, at.Shard)
		c.setSnapshot(at.Shard, loaded)
	}
	if err != nil {
		return at, fmt.Errorf("load a snapshot of shard %d: %w", at.Shard, err)
	}
	at.Seq, at.Offset = next-1, offset
	end := c.newChange(nil, at)
	end.Snapshot = true
	if err := c.change(ctx, end); err != nil {
		return at, err
	}
	c.setCheckpoint(end.To)
	return end.To, nil
}

// replay applies the events after at up to seq to from the journal; a to of 0
// means all. It returns the new checkpoint, which keeps the offset of at. When the
// events are archived it loads a snapshot, which has all events up to a later seq.
func (c *EventConsumer) replay(ctx context.Context, at eventlog.Checkpoint, to int64) (eventlog.Checkpoint, error) {
	from := at.Seq + 1
	err := c.deps.Journal.Replay(ctx, at.Shard, from, to, func(events []catalog.Event) (err error) {
		for _, e := range events {
			if e.Seq != at.Seq+1 {
				return fmt.Errorf("the journal returned event %d; want %d", e.Seq, at.Seq+1)
			}
			at.Seq++
		}
		at, err = c.apply(ctx, events, at)
		return err
	})
	if errors.Is(err, catalog.ErrArchived) {
		c.deps.Logger.WarnContext(ctx, "events are archived; loading a snapshot instead", "consumer", c.deps.Name, "shard", at.Shard, "from", from)
		return c.loadSnapshot(ctx, at, at.Offset)
	}
	if err == nil && at.Seq < to {
		err = fmt.Errorf("%w %d to %d", errNotInJournal, at.Seq+1, to)
	}
	if err != nil {
		return at, fmt.Errorf("replay shard %d from seq %d: %w", at.Shard, from, err)
	}
	return at, nil
}

// checkpoint returns what this process has applied of the shard, and whether the
// shard is assigned to it. For an exclusive consumer that includes shards that
// were assigned earlier.
func (c *EventConsumer) checkpoint(shard int32) (eventlog.Checkpoint, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at, ok := c.applied[shard]
	return at, ok
}

// shards returns the shards that checkpoint knows.
func (c *EventConsumer) shards() []int32 {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Collect(maps.Keys(c.applied))
}

func (c *EventConsumer) setCheckpoint(at eventlog.Checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.applied[at.Shard] = at
	if s := c.snapshots[at.Shard]; s != nil && at.Seq+1 >= s.next {
		delete(c.snapshots, at.Shard)
	}
}

func (c *EventConsumer) setSnapshot(shard int32, s *snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.snapshots[shard] = s
}
