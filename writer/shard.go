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
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/telemetry"
	"catalog/internal/wire"
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
	unsent map[int32]sent // of shards in which a publish failed

	looking sync.Mutex
	looked  time.Time             // when states was begun to be read
	states  []eventlog.ShardState // as the store had them
}

// sent is up to which event and dead letter the topics are known to have all.
type sent struct{ seq, dead int64 }

// shard is one that this writer owns. Only one goroutine works on it; what
// publishing tells comes from others.
type shard struct {
	state        eventlog.ShardState
	events, dead atomic.Int64 // all up to these numbers are in their topics
	failed       atomic.Pointer[error]
	moved        time.Time // when the state was last changed here
}

func (s *shard) sent() sent { return sent{s.events.Load(), s.dead.Load()} }

// Deps are the parts that a Writer works with. All of them are required.
type Deps struct {
	Store    Store
	Log      Log
	Logger   *slog.Logger
	Now      func() time.Time      // time.Now, except in tests
	Registry prometheus.Registerer // receives the metrics of the writer
}

// New returns a writer on the parts in d. Call [Writer.Run] to start it.
func New(d Deps) *Writer {
	return &Writer{
		store: d.Store, log: d.Log, logger: d.Logger, now: d.Now, metrics: newMetrics(d.Registry),
		shards: map[int32]*shard{}, unsent: map[int32]sent{},
	}
}

// Run works on commands until ctx ends. What was taken by then is settled, and
// published here or by whoever owns the shard next.
func (w *Writer) Run(ctx context.Context) error { return w.log.ConsumeCommands(ctx, w) }

// replayed is how many events are read from the journal at once, and
// letters how many dead letters, which may be large.
const (
	replayed = 500
	letters  = 10
)

// Begin claims the shard and publishes what was settled before and may not have
// been published.
func (w *Writer) Begin(ctx context.Context, number int32) (offset int64, err error) {
	if err := w.checkTopics(ctx, number); err != nil {
		return 0, err
	}
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
		return 0, fmt.Errorf("%w: shard %d of the events topic is at seq %d and the store only at %d, with offset %d of the commands topic: the store was set back; run catalog repair",
			catalog.ErrInconsistent, number, last, state.NextSeq-1, state.Offset)
	}
	var dead int64
	if state.NextDeadLetter > 1 {
		if dead, err = w.log.LastDeadLetter(ctx, number); err != nil {
			return 0, err
		}
	}
	s := &shard{state: state, moved: time.Now()}
	// The topic may have forgotten its last records; the store remembers how
	// far it was. And where a publish has failed here, those behind it may be
	// there all the same: then the last one tells nothing.
	s.events.Store(max(last, state.Published))
	s.dead.Store(dead)
	w.mu.Lock()
	if sent, ok := w.unsent[number]; ok {
		s.events.Store(sent.seq)
		s.dead.Store(sent.dead)
	}
	w.mu.Unlock()
	if err := w.catchUp(ctx, s); err != nil {
		w.mu.Lock()
		w.unsent[number] = s.sent()
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

// checkTopics says whether the log still has the topics that the offsets and seqs
// in the store are of.
func (w *Writer) checkTopics(ctx context.Context, number int32) error {
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
	return fmt.Errorf("%w: the %s topic was made anew, and the store is at offset %d of commands and seq %d of events in shard %d of the one before; run catalog repair",
		catalog.ErrInconsistent, name, state.Offset, state.NextSeq-1, number)
}

// recent is how old what is known of the store may be when a shard is checked.
const recent = 2 * time.Second

// Check says whether the shard is still this writer's and all that was settled
// could be published. It is asked every few seconds while there is nothing to
// settle: then nothing else would tell.
func (w *Writer) Check(ctx context.Context, number int32) error {
	w.mu.Lock()
	s := w.shards[number]
	w.mu.Unlock()
	if err := s.failed.Load(); err != nil {
		return fmt.Errorf("%w: %w", catalog.ErrFenced, *err)
	}
	w.looking.Lock()
	defer w.looking.Unlock()
	if now := time.Now(); now.Sub(w.looked) > recent || w.looked.Before(s.moved) {
		states, err := w.store.States(ctx)
		if err != nil {
			return nil // a store that is away comes back; readiness tells
		}
		w.looked, w.states = now, states
	}
	if int(number) < len(w.states) {
		if st := w.states[number]; st.Epoch != s.state.Epoch || st.Offset != s.state.Offset || st.NextSeq != s.state.NextSeq {
			return fmt.Errorf("%w: the store has it at epoch %d and offset %d, and here it is at %d and %d", catalog.ErrFenced, st.Epoch, st.Offset, s.state.Epoch, s.state.Offset)
		}
	}
	return nil
}

// catchUp publishes the events and dead letters that are in the store and not
// yet known to be in their topics.
func (w *Writer) catchUp(ctx context.Context, s *shard) error {
	number := s.state.Shard
	for from := s.events.Load() + 1; from < s.state.NextSeq; from = s.events.Load() + 1 {
		events, err := w.store.Journal(ctx, number, from, s.state.NextSeq-1, replayed)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return fmt.Errorf("shard %d: the journal has no event %d", number, from)
		}
		if err := wait(ctx, func(done func(error)) { w.log.PublishEvents(ctx, events, done) }); err != nil {
			return err
		}
		failpoint.Here(failpoint.WriterRepublished)
		s.events.Store(events[len(events)-1].Seq)
		w.metrics.republished.Add(float64(len(events)))
	}
	for from := s.dead.Load() + 1; from < s.state.NextDeadLetter; from = s.dead.Load() + 1 {
		dead, err := w.store.DeadLetters(ctx, number, from, letters)
		if err != nil {
			return err
		}
		if len(dead) == 0 {
			return fmt.Errorf("shard %d: there is no dead letter %d", number, from)
		}
		if err := wait(ctx, func(done func(error)) { w.log.PublishDeadLetters(ctx, dead, done) }); err != nil {
			return err
		}
		s.dead.Store(dead[len(dead)-1].Seq)
	}
	return nil
}

// wait calls publish and waits until it is done.
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
		w.unsent[number] = s.sent()
	}
	delete(w.shards, number)
}

// Handle settles the commands in one transaction and has their events
// published, while the next ones are being settled.
func (w *Writer) Handle(ctx context.Context, r eventlog.Records[catalog.Command]) error {
	w.mu.Lock()
	s := w.shards[r.Shard]
	w.mu.Unlock()
	if err := s.failed.Load(); err != nil {
		// What could not be published is in the journal. To begin again is to
		// find and publish it.
		return fmt.Errorf("%w: %w", catalog.ErrFenced, *err)
	}
	failpoint.Here(failpoint.WriterPolled)
	since, now := time.Now(), wire.TruncateTime(w.now())
	for i := range r.DeadLetters {
		r.DeadLetters[i].Seq, r.DeadLetters[i].At = s.state.NextDeadLetter+int64(i), now
	}
	b := eventlog.Batch{
		Shard: r.Shard, Epoch: s.state.Epoch, From: r.From, To: r.To,
		NextSeq: s.state.NextSeq, NextDeadLetter: s.state.NextDeadLetter, Published: s.events.Load(),
		Commands: r.Items, DeadLetters: r.DeadLetters,
	}
	events, err := w.settle(ctx, b, now)
	if err != nil {
		return err
	}
	failpoint.Here(failpoint.WriterCommitted)
	s.moved = time.Now()
	s.state.Offset = r.To
	s.state.NextSeq += int64(len(events))
	s.state.NextDeadLetter += int64(len(r.DeadLetters))
	w.metrics.settled(events, time.Since(since))
	telemetry.RecordEventSpans(ctx, "settle", events, since)
	if len(events) > 0 { // and not only repeats
		w.log.PublishEvents(ctx, events, s.published(&s.events, events[len(events)-1].Seq, func() {
			failpoint.Here(failpoint.WriterPublished)
			w.metrics.published.Add(float64(len(events)))
		}))
	}
	w.bury(ctx, s, r.DeadLetters)
	return nil
}

// bury publishes dead letters, and tells people of them. After PostgreSQL was
// set back some can be in the topic already.
func (w *Writer) bury(ctx context.Context, s *shard, dead []eventlog.DeadLetter) {
	if len(dead) == 0 {
		return
	}
	w.metrics.dead.Add(float64(len(dead)))
	w.logger.ErrorContext(ctx, "records cannot be decoded and are among the dead letters; see: catalog dead-letters show",
		"first", dead[0].Position.String(), "count", len(dead), "offset", dead[0].Offset, "err", dead[0].Cause)
	for len(dead) > 0 && dead[0].Seq <= s.dead.Load() {
		dead = dead[1:]
	}
	if len(dead) > 0 {
		w.log.PublishDeadLetters(ctx, dead, s.published(&s.dead, dead[len(dead)-1].Seq, func() {}))
	}
}

// published is what is to be done when a publish has ended with which the topic
// has all up to last. Publishes to a topic end in order, so mark grows, and stays
// where the first one failed.
func (s *shard) published(mark *atomic.Int64, last int64, then func()) func(error) {
	return func(err error) {
		if err != nil {
			s.failed.CompareAndSwap(nil, &err)
		}
		if s.failed.Load() == nil {
			then()
			mark.Store(last)
		}
	}
}

// settle settles the batch, and finds out what became of a transaction whose
// end was not heard of.
func (w *Writer) settle(ctx context.Context, b eventlog.Batch, now time.Time) ([]catalog.Event, error) {
	events, err := w.store.Settle(ctx, b, now)
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
