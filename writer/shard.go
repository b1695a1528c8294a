package writer

import (
	"context"
	"errors"
	"fmt"
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
	state     eventlog.ShardState // as of the claim, and then of each commit
	changedAt time.Time           // when state was last changed
	publisher publisher
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
	s := &ownedShard{state: state, changedAt: time.Now()}
	// The store has a lower bound of what was published, for a topic whose last
	// records are deleted by its retention. A topic that ends below that bound has
	// lost its tail, which is published again.
	if last == 0 {
		last = state.Published
	}
	s.publisher.set(published{seq: last, deadLetter: lastDeadLetter})
	// After a failed publish the last record of the topic says nothing: events
	// behind the failed one may be stored.
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

// Handle settles the commands in one transaction and starts to publish their
// events. It does not wait for the publish, so that the next batch is settled
// meanwhile.
func (w *Writer) Handle(ctx context.Context, r eventlog.Records[catalog.Command]) (err error) {
	ctx, batch := telemetry.StartCommands(ctx, r)
	defer func() { batch.End(err) }()
	s := w.shard(r.Shard)
	if err := s.publisher.interruption(); err != nil {
		return err
	}
	failpoint.Here(failpoint.WriterPolled)
	start, now := time.Now(), wire.TruncateTime(w.now())
	for i := range r.DeadLetters {
		r.DeadLetters[i].Seq, r.DeadLetters[i].At = s.state.NextDeadLetter+int64(i), now
	}
	b := eventlog.Batch{
		Shard: r.Shard, Epoch: s.state.Epoch, From: r.From, To: r.To,
		NextSeq: s.state.NextSeq, NextDeadLetter: s.state.NextDeadLetter, Published: s.publisher.published().seq,
		Commands: r.Items, DeadLetters: r.DeadLetters, Records: r.IDs,
	}
	events, err := w.settle(ctx, b, now, storeTimeout<<min(r.Attempt, maxTimeoutDoublings))
	if err != nil {
		return err
	}
	batch.SetEvents(events)
	failpoint.Here(failpoint.WriterCommitted)
	s.changedAt = time.Now()
	s.state.Offset, s.state.Last = r.To, b.RecordBefore(r.To)
	s.state.NextSeq += int64(len(events))
	s.state.NextDeadLetter += int64(len(r.DeadLetters))
	w.metrics.settled(events, time.Since(start))
	w.publishEvents(ctx, s, events)
	w.publishDeadLetters(ctx, s, r.DeadLetters)
	return nil
}

// within calls f with a context that ends after d.
func within[T any](ctx context.Context, d time.Duration, f func(context.Context) (T, error)) (T, error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return f(ctx)
}

// settle settles the batch. When the outcome of the transaction is unknown, also
// because it takes longer than timeout, it reads the state of the shard, which tells
// whether the batch was committed.
func (w *Writer) settle(ctx context.Context, b eventlog.Batch, now time.Time, timeout time.Duration) (events []catalog.Event, err error) {
	ctx, step := telemetry.StartStep(ctx, "settle")
	defer func() { step.End(err) }()
	events, err = within(ctx, timeout, func(ctx context.Context) ([]catalog.Event, error) { return w.store.Settle(ctx, b, now) })
	if err == nil || errors.Is(err, catalog.ErrFenced) {
		return events, err
	}
	state, stateErr := within(ctx, storeTimeout, func(ctx context.Context) (eventlog.ShardState, error) { return w.store.State(ctx, b.Shard) })
	switch {
	case stateErr != nil:
		return nil, errors.Join(err, stateErr)
	case state.Epoch != b.Epoch:
		return nil, fmt.Errorf("%w: %w", catalog.ErrFenced, err)
	case state.Offset != b.To:
		return nil, err // not committed
	}
	w.logger.WarnContext(ctx, "commit outcome recovered", "shard", b.Shard, "offset", b.From, "err", err)
	if state.NextSeq == b.NextSeq {
		return nil, nil // the batch had repeated commands only
	}
	return within(ctx, timeout, func(ctx context.Context) ([]catalog.Event, error) {
		return w.store.Journal(ctx, b.Shard, b.NextSeq, state.NextSeq-1, len(b.Commands))
	})
}

// Check returns ErrFenced when another writer has claimed the shard or when a
// publish has failed. The log calls it every few seconds while the shard is
// idle, because without commands nothing else detects that.
func (w *Writer) Check(ctx context.Context, number int32) error {
	s := w.shard(number)
	if err := s.publisher.interruption(); err != nil {
		return err
	}
	state, ok := w.states.get(ctx, w.store, number, s.changedAt)
	if ok && (state.Epoch != s.state.Epoch || state.Offset != s.state.Offset || state.NextSeq != s.state.NextSeq) {
		return fmt.Errorf("%w: the store has epoch %d and offset %d, this writer has epoch %d and offset %d", catalog.ErrFenced, state.Epoch, state.Offset, s.state.Epoch, s.state.Offset)
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

// Progress returns a number that grows with each page that Begin publishes, so that a
// long Begin is not taken for one that hangs.
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
