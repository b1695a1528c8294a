package writer

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
)

// published is the state of a shard that is published for certain: all events
// up to seq and all dead letters up to deadLetter are in their topics.
type published struct{ seq, deadLetter int64 }

// publisher tracks the publishes of one owned shard. The callbacks of the log
// update it from other goroutines.
type publisher struct {
	seq, deadLetter atomic.Int64
	err             atomic.Pointer[error] // error of the first publish that failed
}

func (p *publisher) published() published { return published{p.seq.Load(), p.deadLetter.Load()} }

func (p *publisher) set(to published) {
	p.seq.Store(to.seq)
	p.deadLetter.Store(to.deadLetter)
}

// failure returns the error of the first publish that failed, or nil.
func (p *publisher) failure() error {
	if err := p.err.Load(); err != nil {
		return *err
	}
	return nil
}

// interruption returns nil, or the error with which a session ends after a failed
// publish. The events are in the journal, and Begin publishes them: ErrFenced. Events
// that the log refuses for good stop the shard: ErrInconsistent.
func (p *publisher) interruption() error {
	err := p.failure()
	if err == nil || errors.Is(err, catalog.ErrInconsistent) {
		return err
	}
	return fmt.Errorf("%w: %w", catalog.ErrFenced, err)
}

// onPublished returns the callback of a publish that ends at last. It calls
// success and moves mark to last. Publishes complete in order, so mark stops at
// the first failure.
func (p *publisher) onPublished(mark *atomic.Int64, last int64, success func()) func(error) {
	return func(err error) {
		if err != nil {
			p.err.CompareAndSwap(nil, &err)
		}
		if p.failure() == nil {
			success()
			mark.Store(last)
		}
	}
}

// publishEvents starts to publish the events of a settled batch.
func (w *Writer) publishEvents(ctx context.Context, s *ownedShard, events []catalog.Event) {
	if len(events) == 0 { // the batch had repeated commands only
		return
	}
	start, n := time.Now(), len(events)
	w.log.PublishEvents(ctx, events, s.publisher.onPublished(&s.publisher.seq, events[n-1].Seq, func() { // the callback keeps no event in memory
		failpoint.Here(failpoint.WriterPublished)
		w.metrics.publish.Observe(time.Since(start).Seconds())
		w.metrics.published.Add(float64(n))
	}))
}

// publishDeadLetters logs the dead letters of a settled batch and starts to
// publish those that are not in the topic. Some can be there already after
// PostgreSQL was restored to an older state.
func (w *Writer) publishDeadLetters(ctx context.Context, s *ownedShard, letters []eventlog.DeadLetter) {
	if len(letters) == 0 {
		return
	}
	w.metrics.deadLetters.Add(float64(len(letters)))
	w.logger.ErrorContext(ctx, "undecodable records stored as dead letters; see: catalog dead-letters show",
		"first", letters[0].Position.String(), "count", len(letters), "offset", letters[0].Offset, "err", letters[0].Cause)
	for len(letters) > 0 && letters[0].Seq <= s.publisher.deadLetter.Load() {
		letters = letters[1:]
	}
	if len(letters) > 0 {
		w.log.PublishDeadLetters(ctx, letters, s.publisher.onPublished(&s.publisher.deadLetter, letters[len(letters)-1].Seq, func() {}))
	}
}

// publishMissing publishes the stored events and dead letters that are not
// known to be in their topics, and waits until they are.
func (w *Writer) publishMissing(ctx context.Context, s *ownedShard) error {
	number, p := s.state.Shard, &s.publisher
	if p.seq.Load()+1 >= s.state.NextSeq && p.deadLetter.Load()+1 >= s.state.NextDeadLetter {
		return nil
	}
	if err := w.republishing.Acquire(ctx, pageBytes); err != nil {
		return err
	}
	defer w.republishing.Release(pageBytes)
	for from := p.seq.Load() + 1; from < s.state.NextSeq; from = p.seq.Load() + 1 {
		events, err := within(ctx, storeTimeout, func(ctx context.Context) ([]catalog.Event, error) {
			return w.store.Journal(ctx, number, from, s.state.NextSeq-1, replayBatch)
		})
		if err != nil {
			return err
		}
		if len(events) == 0 {
			return fmt.Errorf("shard %d: event %d is missing in the journal", number, from)
		}
		if err := await(ctx, func(done func(error)) { w.log.PublishEvents(ctx, events, done) }); err != nil {
			return err
		}
		failpoint.Here(failpoint.WriterRepublished)
		p.seq.Store(events[len(events)-1].Seq)
		w.metrics.republished.Add(float64(len(events)))
		w.advance(number)
	}
	for from := p.deadLetter.Load() + 1; from < s.state.NextDeadLetter; from = p.deadLetter.Load() + 1 {
		letters, err := within(ctx, storeTimeout, func(ctx context.Context) ([]eventlog.DeadLetter, error) {
			return w.store.DeadLetters(ctx, number, from, deadLetterBatch)
		})
		if err != nil {
			return err
		}
		if len(letters) == 0 {
			return fmt.Errorf("shard %d: dead letter %d is missing in the store", number, from)
		}
		if err := await(ctx, func(done func(error)) { w.log.PublishDeadLetters(ctx, letters, done) }); err != nil {
			return err
		}
		p.deadLetter.Store(letters[len(letters)-1].Seq)
		w.advance(number)
	}
	return nil
}

// advance records progress of Begin or Handle.
func (w *Writer) advance(number int32) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.progress[number]++
}

// await calls publish and waits until it calls done or ctx ends.
func await(ctx context.Context, publish func(done func(error))) error {
	done := make(chan error, 1)
	publish(func(err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}
