package writer

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/failpoint"
	"catalog/telemetry"
	"catalog/wire"
)

// Writer works on the shards that the log gives it.
type Writer struct {
	store   Store
	log     Log
	logger  *slog.Logger
	now     func() time.Time
	metrics *metrics

	mu     sync.Mutex
	shards map[int32]*shard
	unsent map[int32]published // of shards in which a publish failed
}

// published is what is known to be in the topics, of one shard: all up to here.
type published struct {
	seq  int64 // of events
	dead int64 // offset of dead letters
}

// shard is one that this writer owns. Only one goroutine works on it; what
// publishing tells comes from others.
type shard struct {
	state  catalog.ShardState
	seq    atomic.Int64 // all events up to this one are in their topic
	dead   atomic.Int64 // all dead letters up to this offset are in theirs
	failed atomic.Pointer[error]
}

func (s *shard) published() published { return published{s.seq.Load(), s.dead.Load()} }

// New makes a writer. Metrics go to reg.
func New(store Store, log Log, logger *slog.Logger, now func() time.Time, reg prometheus.Registerer) *Writer {
	return &Writer{store: store, log: log, logger: logger, now: now, metrics: newMetrics(reg), shards: map[int32]*shard{}, unsent: map[int32]published{}}
}

// Run works on commands until ctx ends. What was taken by then is settled, and
// published here or by whoever owns the shard next.
func (w *Writer) Run(ctx context.Context) error { return w.log.Commands(ctx, w) }

// replayed is how many events or dead letters are read from the store at once.
const replayed = 500

// Begin claims the shard and publishes what was settled before and may not have
// been published.
func (w *Writer) Begin(ctx context.Context, number int32) (offset int64, err error) {
	state, err := w.store.Claim(ctx, number)
	if err != nil {
		return 0, err
	}
	failpoint.Here(failpoint.WriterClaimed)
	s := &shard{state: state}
	w.mu.Lock()
	before, failed := w.unsent[number]
	w.mu.Unlock()
	if !failed {
		if before, err = w.inTopics(ctx, state); err != nil {
			return 0, err
		}
	}
	s.seq.Store(before.seq)
	s.dead.Store(before.dead)
	if err := errors.Join(w.republish(ctx, s), w.republishDead(ctx, s)); err != nil {
		w.mu.Lock()
		w.unsent[number] = s.published()
		w.mu.Unlock()
		return 0, err
	}
	w.mu.Lock()
	w.shards[number] = s
	delete(w.unsent, number)
	w.mu.Unlock()
	w.logger.InfoContext(ctx, "shard taken over", "shard", number, "epoch", state.Epoch, "offset", state.Offset, "seq", state.NextSeq-1)
	return state.Offset, nil
}

// inTopics asks the topics for their last records. Where a publish has failed
// here this tells nothing: those behind it may be there all the same.
func (w *Writer) inTopics(ctx context.Context, state catalog.ShardState) (p published, err error) {
	if p.seq, err = w.log.LastSeq(ctx, state.Shard); err != nil {
		return p, err
	}
	if p.seq >= state.NextSeq {
		return p, fmt.Errorf("shard %d: the events topic is at seq %d and the store only at %d: the store was set back, or the topic is another's", state.Shard, p.seq, state.NextSeq-1)
	}
	// The topic may have forgotten its last records; the store remembers how
	// far it was.
	p.seq = max(p.seq, state.Published)
	p.dead, err = w.log.LastDead(ctx, state.Shard)
	return p, err
}

// republish publishes the events of the journal that are not in their topic.
func (w *Writer) republish(ctx context.Context, s *shard) error {
	number := s.state.Shard
	for from := s.seq.Load() + 1; from < s.state.NextSeq; from = s.seq.Load() + 1 {
		events, err := w.store.Journal(ctx, number, from, s.state.NextSeq-1, replayed)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return fmt.Errorf("shard %d: the journal has no event %d", number, from)
		}
		if err := wait(ctx, func(done func(error)) { w.log.Publish(ctx, events, done) }); err != nil {
			return err
		}
		failpoint.Here(failpoint.WriterRepublished)
		s.seq.Store(events[len(events)-1].Seq)
		w.metrics.republished.Add(float64(len(events)))
	}
	return nil
}

// republishDead publishes the dead letters that are not in their topic.
func (w *Writer) republishDead(ctx context.Context, s *shard) error {
	number := s.state.Shard
	for {
		letters, err := w.store.DeadLetters(ctx, catalog.DeadLetterID{Shard: number, Offset: s.dead.Load()}, replayed)
		if err != nil {
			return err
		}
		for i, d := range letters {
			if d.Shard != number {
				letters = letters[:i]
				break
			}
		}
		if len(letters) == 0 {
			return nil
		}
		if err := wait(ctx, func(done func(error)) { w.log.PublishDead(ctx, letters, done) }); err != nil {
			return err
		}
		s.dead.Store(letters[len(letters)-1].Offset)
	}
}

// wait waits until what publish has begun is done.
func wait(ctx context.Context, publish func(done func(error))) error {
	done := make(chan error, 1)
	publish(func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// End gives the shard up.
func (w *Writer) End(number int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if s := w.shards[number]; s.failed.Load() != nil {
		w.unsent[number] = s.published()
	}
	delete(w.shards, number)
}

// Handle settles the commands in one transaction and has their events
// published, while the next ones are being settled.
func (w *Writer) Handle(ctx context.Context, r catalog.Records[catalog.Command]) error {
	w.mu.Lock()
	s := w.shards[r.Shard]
	w.mu.Unlock()
	if err := s.failed.Load(); err != nil {
		// What could not be published is in the journal. To begin again is to
		// find and publish it.
		return fmt.Errorf("%w: %w", catalog.ErrFenced, *err)
	}
	failpoint.Here(failpoint.WriterPolled)
	since := time.Now()
	b := catalog.Batch{
		Shard: r.Shard, Epoch: s.state.Epoch, From: r.From, To: r.To,
		NextSeq: s.state.NextSeq, Published: s.seq.Load(), Commands: r.Items, Dead: r.Dead,
	}
	events, err := w.settle(ctx, b)
	if err != nil {
		return err
	}
	failpoint.Here(failpoint.WriterCommitted)
	s.state.Offset = r.To
	s.state.NextSeq += int64(len(events))
	w.metrics.settled(events, time.Since(since))
	telemetry.Trail(ctx, "settle", events, since)
	if len(events) > 0 { // else they were nothing but repeats
		last := events[len(events)-1].Seq
		w.log.Publish(ctx, events, func(err error) {
			if s.reach(err, &s.seq, last) {
				w.metrics.published.Add(float64(len(events)))
			}
		})
	}
	if len(r.Dead) > 0 {
		last := r.Dead[len(r.Dead)-1].Offset
		w.log.PublishDead(ctx, r.Dead, func(err error) { s.reach(err, &s.dead, last) })
	}
	return nil
}

// reach notes that a publish has ended, and says whether all before it ended
// well. Publishes of a shard to a topic end in order, so a mark grows, and
// stays where the first one failed.
func (s *shard) reach(err error, mark *atomic.Int64, to int64) bool {
	if err != nil {
		s.failed.CompareAndSwap(nil, &err)
	}
	if s.failed.Load() != nil {
		return false
	}
	failpoint.Here(failpoint.WriterPublished)
	mark.Store(to)
	return true
}

// settle settles the batch, and finds out what became of a transaction whose
// end was not heard of.
func (w *Writer) settle(ctx context.Context, b catalog.Batch) ([]catalog.Event, error) {
	events, err := w.store.Settle(ctx, b, wire.Time(w.now()))
	if err == nil || errors.Is(err, catalog.ErrFenced) {
		return events, err
	}
	state, e := w.store.State(ctx, b.Shard)
	switch {
	case e != nil:
		return nil, errors.Join(err, e)
	case state.Epoch != b.Epoch:
		return nil, fmt.Errorf("%w: %w", catalog.ErrFenced, err)
	case state.Offset != b.To:
		return nil, err // not committed
	}
	w.logger.WarnContext(ctx, "a commit was not answered but had happened", "shard", b.Shard, "offset", b.From, "err", err)
	if state.NextSeq == b.NextSeq {
		return nil, nil // nothing but repeats
	}
	return w.store.Journal(ctx, b.Shard, b.NextSeq, state.NextSeq-1, len(b.Commands))
}
