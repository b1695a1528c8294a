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
	unsent map[int32]int64 // last seq known to be in the topic, of shards in which a publish failed
}

// shard is one that this writer owns. Only one goroutine works on it; what
// publishing tells comes from others.
type shard struct {
	state     catalog.ShardState
	published atomic.Int64 // all events up to this seq are in the events topic
	failed    atomic.Pointer[error]
}

// New makes a writer. Metrics go to reg.
func New(store Store, log Log, logger *slog.Logger, now func() time.Time, reg prometheus.Registerer) *Writer {
	return &Writer{store: store, log: log, logger: logger, now: now, metrics: newMetrics(reg), shards: map[int32]*shard{}, unsent: map[int32]int64{}}
}

// Run works on commands until ctx ends. What was taken by then is settled, and
// published here or by whoever owns the shard next.
func (w *Writer) Run(ctx context.Context) error { return w.log.Commands(ctx, w) }

// replayed is how many events are read from the journal at once.
const replayed = 500

// Begin claims the shard and publishes what was settled before and may not have
// been published.
func (w *Writer) Begin(ctx context.Context, number int32) (offset int64, err error) {
	state, err := w.store.Claim(ctx, number)
	if err != nil {
		return 0, err
	}
	failpoint.Here(failpoint.WriterClaimed)
	last, err := w.log.LastSeq(ctx, number)
	if err != nil {
		return 0, err
	}
	if last >= state.NextSeq {
		return 0, fmt.Errorf("shard %d: the events topic is at seq %d and the store only at %d: the store was set back, or the topic is another's", number, last, state.NextSeq-1)
	}
	s := &shard{state: state}
	// The topic may have forgotten its last records; the store remembers how
	// far it was. And where a publish has failed here, those behind it may be
	// there all the same: then the last one tells nothing.
	s.published.Store(max(last, state.Published))
	w.mu.Lock()
	if seq, ok := w.unsent[number]; ok {
		s.published.Store(seq)
	}
	w.mu.Unlock()
	for from := s.published.Load() + 1; from < state.NextSeq; {
		events, err := w.store.Journal(ctx, number, from, state.NextSeq-1, replayed)
		if err != nil {
			return 0, err
		}
		if len(events) == 0 {
			return 0, fmt.Errorf("shard %d: the journal has no event %d", number, from)
		}
		if err := w.publishNow(ctx, events); err != nil {
			w.mu.Lock()
			w.unsent[number] = s.published.Load()
			w.mu.Unlock()
			return 0, err
		}
		failpoint.Here(failpoint.WriterRepublished)
		from = events[len(events)-1].Seq + 1
		s.published.Store(from - 1)
		w.metrics.republished.Add(float64(len(events)))
	}
	w.mu.Lock()
	w.shards[number] = s
	delete(w.unsent, number)
	w.mu.Unlock()
	w.logger.InfoContext(ctx, "shard taken over", "shard", number, "epoch", state.Epoch, "offset", state.Offset, "seq", state.NextSeq-1)
	return state.Offset, nil
}

func (w *Writer) publishNow(ctx context.Context, events []catalog.Event) error {
	done := make(chan error, 1)
	w.log.Publish(ctx, events, func(err error) { done <- err })
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
		w.unsent[number] = s.published.Load()
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
		NextSeq: s.state.NextSeq, Published: s.published.Load(), Commands: r.Items,
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
	if len(events) == 0 {
		return nil // nothing but repeats
	}
	last := events[len(events)-1].Seq
	w.log.Publish(ctx, events, func(err error) {
		if err != nil {
			s.failed.CompareAndSwap(nil, &err)
		}
		// Publishes of a shard end in order, so this grows, and stays where the
		// first one failed.
		if s.failed.Load() == nil {
			failpoint.Here(failpoint.WriterPublished)
			s.published.Store(last)
			w.metrics.published.Add(float64(len(events)))
		}
	})
	return nil
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
