package writer

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/telemetry"
	"catalog/internal/wire"
)

// ownedShard is a shard that this writer has claimed. One goroutine at a time
// uses state and changedAt; publisher is safe for concurrent use.
type ownedShard struct {
	state     eventlog.ShardState // state of the shard as of the claim, and then of each commit
	changedAt time.Time           // when state was last changed
	publisher publisher

	// batchLimit is the number of commands of the next transaction. After a
	// transaction that could not take all commands of its batch, the next batch has
	// twice as many as it took, because the store reads the products of all of them.
	// After a transaction that failed, the next one has half as many.
	batchLimit int
}

// Begin claims the shard and publishes the settled events and dead letters that
// may be missing in their topics. It returns the offset of the next command.
func (w *Writer) Begin(ctx context.Context, number int32) (offset int64, err error) {
	began := time.Now()
	if err := w.checkTopics(ctx, number); err != nil {
		return 0, err
	}
	state, err := within(ctx, storeTimeout, func(ctx context.Context) (eventlog.ShardState, error) { return w.store.Claim(ctx, number) })
	if err != nil {
		return 0, err
	}
	failpoint.Here(failpoint.WriterClaimed)
	if state.Stopped != "" {
		return 0, fmt.Errorf("%w: shard %d is stopped until it is repaired: %s", catalog.ErrInconsistent, number, state.Stopped)
	}
	last, err := w.log.LastSeq(ctx, number, state.EventsFrom)
	if err != nil {
		return 0, err
	}
	if last >= state.NextSeq {
		return 0, fmt.Errorf("%w: shard %d: the events topic is at seq %d and the store at seq %d (commands offset %d): the store was restored to an older state; run catalog repair",
			catalog.ErrInconsistent, number, last, state.NextSeq-1, state.Offset)
	}
	var lastDeadLetter int64
	if state.NextDeadLetter > 1 {
		if lastDeadLetter, err = w.log.LastDeadLetter(ctx, number); err != nil {
			return 0, err
		}
	}
	s := &ownedShard{state: state, changedAt: time.Now(), batchLimit: maxBatchCommands}
	// The store has a lower bound of what was published, for a topic whose last records are
	// deleted by its retention. A topic that ends below that bound has lost its tail, which
	// is published again. An empty topic may have lost all of it: its last event is
	// published again, and readers replay those before from the journal.
	if last == 0 {
		last = min(state.Published, state.NextSeq-2)
	}
	last = max(last, state.Archived) // archived events are published
	s.publisher.set(published{seq: last, deadLetter: lastDeadLetter})
	// After a failed publish the last record of the topic says nothing: events
	// after the failed one may be stored.
	w.mu.Lock()
	if p, ok := w.resume[number]; ok {
		s.publisher.set(p)
	}
	w.mu.Unlock()
	if err := w.publishMissing(ctx, s); err != nil {
		w.mu.Lock()
		w.resume[number] = s.publisher.published()
		w.mu.Unlock()
		return 0, err
	}
	w.mu.Lock()
	w.shards[number] = s
	delete(w.resume, number)
	w.mu.Unlock()
	w.takeovers.Add(number, began)
	w.logger.DebugContext(ctx, "shard taken over", "shard", number, "epoch", state.Epoch, "offset", state.Offset, "seq", state.NextSeq-1)
	return state.Offset, nil
}

// checkTopics returns an error when the topics of the log are not those that
// the offsets and seqs in the store refer to.
func (w *Writer) checkTopics(ctx context.Context, number int32) error {
	ctx, cancel := context.WithTimeout(ctx, storeTimeout)
	defer cancel()
	have := w.log.Topics()
	want, err := w.store.BindTopics(ctx, have)
	if err != nil || have == want {
		return err
	}
	state, err := w.store.State(ctx, number)
	if err != nil {
		return err
	}
	name := "commands"
	if have.Commands == want.Commands {
		name = "events"
	}
	return fmt.Errorf("%w: the %s topic was recreated; shard %d of the store is at commands offset %d and event seq %d of the previous topics; run catalog repair",
		catalog.ErrInconsistent, name, number, state.Offset, state.NextSeq-1)
}

// Handle settles the commands and starts to publish their events. It does not wait for a publish,
// so that the next commands are settled meanwhile. Large products make it take several
// transactions; after an error it continues after those that are committed.
func (w *Writer) Handle(ctx context.Context, r eventlog.Records[catalog.Command]) (err error) {
	ctx, batch := telemetry.StartCommands(ctx, r)
	defer func() { batch.End(err) }()
	s := w.shard(r.Shard)
	failpoint.Here(failpoint.WriterPolled)
	for s.state.Offset < r.To {
		if err := s.publisher.interruption(); err != nil {
			return err
		}
		if err := w.throttled(ctx, s, r); err != nil {
			return err
		}
		events, err := w.settleNext(ctx, s, r)
		if err != nil {
			return err
		}
		batch.SetEvents(events)
		w.publishEvents(ctx, s, events)
	}
	return nil
}

// within calls f with a context that ends after d.
func within[T any](ctx context.Context, d time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

// settleNext settles the next part of the records.
func (w *Writer) settleNext(ctx context.Context, s *ownedShard, r eventlog.Records[catalog.Command]) ([]catalog.Event, error) {
	b := s.nextBatch(r, wire.TruncateTime(w.now()))
	settled, err := w.settle(ctx, b, r.Attempt)
	if err != nil {
		s.batchLimit = max(len(b.Commands)/2, 1) // a smaller transaction may end in time
		return nil, err
	}
	failpoint.Here(failpoint.WriterCommitted)
	part := b.UpTo(settled.To)
	s.batchLimit = min(2*s.batchLimit, maxBatchCommands)
	if settled.To < b.To {
		s.batchLimit = 2 * max(len(part.Commands), 1)
	}
	s.changedAt = time.Now()
	s.state.Offset, s.state.Last = settled.To, b.RecordBefore(settled.To)
	s.state.NextSeq += int64(len(settled.Events))
	s.state.NextDeadLetter += int64(len(part.DeadLetters))
	w.metrics.settled(settled.Events)
	w.advance(s.state.Shard) // Handle may have many parts
	w.publishDeadLetters(ctx, s, part.DeadLetters)
	return settled.Events, nil
}

// nextBatch returns the records of r that are not settled yet, at most
// s.batchLimit commands.
func (s *ownedShard) nextBatch(r eventlog.Records[catalog.Command], now time.Time) eventlog.Batch {
	first, _ := slices.BinarySearch(r.Offsets, s.state.Offset)
	letters := r.DeadLetters
	for len(letters) > 0 && letters[0].Offset < s.state.Offset {
		letters = letters[1:]
	}
	for i := range letters {
		letters[i].Seq, letters[i].At = s.state.NextDeadLetter+int64(i), now
	}
	b := eventlog.Batch{
		Shard: r.Shard, Epoch: s.state.Epoch, From: s.state.Offset, To: r.To,
		NextSeq: s.state.NextSeq, NextDeadLetter: s.state.NextDeadLetter, Published: s.publisher.published().seq,
		Commands: r.Items[first:], Offsets: r.Offsets[first:], DeadLetters: letters, Records: r.IDs,
	}
	if limit := s.batchLimit; limit < len(b.Commands) {
		b = b.UpTo(b.Offsets[limit])
	}
	return b
}

// settle settles the batch, or a part of it: with its group at the first attempt,
// alone at later ones. A batch with dead letters, which can be large, is alone, too.
//
// When the transaction of its group fails, another batch may be the cause. So a batch
// that was not committed is settled alone at once.
func (w *Writer) settle(ctx context.Context, b eventlog.Batch, attempt int) (settled eventlog.Settled, err error) {
	ctx, step := telemetry.StartStep(ctx, "settle")
	defer func() { step.End(err) }()
	timeout := storeTimeout << min(attempt, maxTimeoutDoublings)
	if attempt == 0 && len(b.DeadLetters) == 0 {
		settled, shared, err := w.groups.settle(ctx, b)
		settled, err = w.outcome(ctx, b, settled, err, timeout)
		if !shared || !errors.Is(err, errNotCommitted) && !errors.Is(err, eventlog.ErrLeftOut) {
			return settled, err
		}
	}
	settled, err = within(ctx, timeout, func(ctx context.Context) (eventlog.Settled, error) {
		all, err := w.commit(ctx, eventlog.Group{b})
		if err != nil {
			return eventlog.Settled{}, err
		}
		return all[0], nil
	})
	return w.outcome(ctx, b, settled, err, timeout)
}

// commit settles the group in one transaction.
func (w *Writer) commit(ctx context.Context, g eventlog.Group) ([]eventlog.Settled, error) {
	start := time.Now()
	settled, err := w.store.Settle(ctx, g, w.now())
	if err == nil {
		w.metrics.committed(settled, time.Since(start))
	}
	return settled, err
}

// errNotCommitted marks the error of a transaction that was certainly not committed.
var errNotCommitted = errors.New("not committed")

// outcome returns what was settled of the batch by a transaction that ended with err. When that is
// unknown, also because the transaction took longer than timeout, it reads the state of the shard,
// which shows whether and how far the batch was committed.
func (w *Writer) outcome(ctx context.Context, b eventlog.Batch, settled eventlog.Settled, err error, timeout time.Duration) (eventlog.Settled, error) {
	if err == nil {
		return settled, settled.Err
	}
	state, stateErr := within(ctx, storeTimeout, func(ctx context.Context) (eventlog.ShardState, error) { return w.store.State(ctx, b.Shard) })
	switch {
	case stateErr != nil:
		return settled, errors.Join(err, stateErr)
	case state.Epoch != b.Epoch:
		return settled, fmt.Errorf("%w: %w", catalog.ErrFenced, err)
	case state.Offset == b.From:
		return settled, fmt.Errorf("%w: %w", errNotCommitted, err)
	}
	w.logger.WarnContext(ctx, "commit outcome recovered", "shard", b.Shard, "offset", b.From, "err", err)
	settled = eventlog.Settled{To: state.Offset}
	for next := b.NextSeq; next < state.NextSeq; next = settled.Events[len(settled.Events)-1].Seq + 1 { // no event if the batch had repeated commands only
		page, err := within(ctx, timeout, func(ctx context.Context) ([]catalog.Event, error) {
			return w.store.Journal(ctx, b.Shard, next, state.NextSeq-1, maxBatchCommands)
		})
		if err != nil {
			return settled, err
		}
		if len(page) == 0 {
			return settled, fmt.Errorf("shard %d: event %d is missing in the journal", b.Shard, next)
		}
		settled.Events = append(settled.Events, page...)
	}
	return settled, nil
}

// Check returns ErrFenced when another writer has claimed the shard, when a publish has
// failed, or when the events topic has lost its end; Begin then publishes what is missing.
// The log calls it every few seconds while the shard is idle, because without commands
// nothing else detects that.
func (w *Writer) Check(ctx context.Context, number int32) error {
	s := w.shard(number)
	if err := s.publisher.interruption(); err != nil {
		return err
	}
	state, ok := w.states.get(ctx, w.store, number, s.changedAt)
	if ok && (state.Epoch != s.state.Epoch || state.Offset != s.state.Offset || state.NextSeq != s.state.NextSeq) {
		return fmt.Errorf("%w: the store has epoch %d and offset %d, this writer has epoch %d and offset %d", catalog.ErrFenced, state.Epoch, state.Offset, s.state.Epoch, s.state.Offset)
	}
	switch lost, err := w.log.EventsLost(ctx, number); {
	case errors.Is(err, catalog.ErrInconsistent):
		return err
	case lost: // any other error is temporary
		w.logger.ErrorContext(ctx, "the events topic has lost its last records; publishing them again", "shard", number, "seq", s.state.NextSeq-1)
		return fmt.Errorf("%w: the events topic has lost its last records", catalog.ErrFenced)
	}
	return nil
}

// storedStates caches the states of all shards for Check.
type storedStates struct {
	mu     sync.Mutex
	readAt time.Time // when the read of states began
	states []eventlog.ShardState
}

// get returns the stored state of a shard, read after since and at most
// maxStatesAge ago. It reports false when the store cannot be read: that is
// temporary, and readiness reports it.
func (c *storedStates) get(ctx context.Context, store Store, number int32, since time.Time) (eventlog.ShardState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.readAt) > maxStatesAge || c.readAt.Before(since) {
		states, err := store.States(ctx)
		if err != nil {
			return eventlog.ShardState{}, false
		}
		c.readAt, c.states = now, states
	}
	if int(number) >= len(c.states) {
		return eventlog.ShardState{}, false
	}
	return c.states[number], true
}

// Progress returns a number that grows with each page that Begin publishes and each transaction of
// Handle, so that a long call does not count as one that hangs.
func (w *Writer) Progress(number int32) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.progress[number]
}

// LastRecord returns the identity of the last settled record of the shard, or the
// zero RecordID if it is unknown.
func (w *Writer) LastRecord(number int32) eventlog.RecordID { return w.shard(number).state.Last }

// RecordsLost stops the shard in the store, because the commands topic has lost
// records of it. No writer settles the shard until `catalog repair` has compared the
// store with the topic.
func (w *Writer) RecordsLost(ctx context.Context, number int32, cause error) error {
	return w.store.StopShard(ctx, number, w.shard(number).state.Epoch, cause.Error())
}

// End releases the shard.
func (w *Writer) End(number int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.shards[number]; s.publisher.failure() != nil {
		w.resume[number] = s.publisher.published()
	}
	delete(w.shards, number)
}

func (w *Writer) shard(number int32) *ownedShard {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.shards[number]
}
