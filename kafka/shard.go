package kafka

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
)

// shard works on one partition, in a goroutine of its own. While it is busy the
// records that come are gathered, so that batches grow with the load and a
// single record never waits.
type shard[T any] struct {
	*consumption[T]
	number int32
	cancel context.CancelFunc // ends the Handle in hand
	wake   chan struct{}      // there is something new to see
	begun  chan struct{}      // closed when next is known
	done   chan struct{}      // closed when run has returned

	mu       sync.Mutex
	queue    []*kgo.Record
	next     int64 // offset that the next Handle begins at
	high     int64 // the partition's end, as far as we have heard
	seeking  bool  // what is queued is from before a seek
	paused   bool
	stopping bool
}

func (s *shard[T]) run(ctx context.Context) {
	defer close(s.done)
	if !s.start(ctx) {
		return
	}
	close(s.begun)
	defer s.consumer.End(s.number)
	for {
		records, from, ok := s.take(ctx)
		if !ok {
			return
		}
		err := s.handle(ctx, records, from)
		switch {
		case errors.Is(err, catalog.ErrFenced) && ctx.Err() == nil:
			s.log.InfoContext(ctx, "shard begins again", "consumer", s.name, "shard", s.number, "err", err)
			s.consumer.End(s.number)
			if !s.start(ctx) || !s.seek() {
				return
			}
		case err != nil: // only when ctx has ended
			return
		}
	}
}

// start calls Begin until it answers an offset, or ctx ends.
func (s *shard[T]) start(ctx context.Context) bool {
	for try := 0; ; try++ {
		offset, err := s.consumer.Begin(ctx, s.number)
		if err == nil {
			s.mu.Lock()
			s.next = offset
			s.mu.Unlock()
			return true
		}
		if ctx.Err() != nil {
			return false
		}
		s.log.ErrorContext(ctx, "shard cannot begin; trying again", "consumer", s.name, "shard", s.number, "err", err)
		if !pause(ctx, backoff(try)) {
			return false
		}
	}
}

// take waits for records and takes what is there, at most maxBatch. It answers
// false when the shard is to stop.
func (s *shard[T]) take(ctx context.Context) (records []*kgo.Record, from int64, ok bool) {
	for {
		s.mu.Lock()
		if s.stopping || ctx.Err() != nil {
			s.mu.Unlock()
			return nil, 0, false
		}
		if n := min(len(s.queue), maxBatch); n > 0 && !s.seeking {
			records, from = s.queue[:n:n], s.next
			if s.queue = s.queue[n:]; len(s.queue) == 0 {
				s.queue = nil
			}
			resume := s.paused && len(s.queue) < maxQueued/2
			if resume {
				s.paused = false
			}
			s.mu.Unlock()
			if resume {
				s.client.ResumeFetchPartitions(map[string][]int32{s.topic: {s.number}})
			}
			return records, from, true
		}
		s.mu.Unlock()
		select {
		case <-s.wake:
		case <-ctx.Done():
		}
	}
}

// handle decodes the records and has them handled, again and again until it is
// done, until another has taken over, or until ctx ends.
func (s *shard[T]) handle(ctx context.Context, records []*kgo.Record, from int64) error {
	r := catalog.Records[T]{Shard: s.number, From: from, To: records[len(records)-1].Offset + 1, Items: make([]T, 0, len(records))}
	var buried int64 = -1 // last offset that is in the dead letters
	for try := 0; ; try++ {
		err := func() error {
			r.Items = r.Items[:0]
			for _, record := range records {
				item, err := s.decode(record, s.Log.shards)
				switch {
				case err == nil:
					r.Items = append(r.Items, item)
				case record.Offset > buried:
					if err := s.poison(ctx, record, err); err != nil {
						return err
					}
					buried = record.Offset
				}
			}
			return s.consumer.Handle(ctx, r)
		}()
		labels := []string{s.name, s.topic, partitionLabel(s.number)}
		if err == nil {
			s.mu.Lock()
			s.next = r.To
			lag := max(s.high-r.To, 0)
			s.mu.Unlock()
			s.metrics.batch.WithLabelValues(s.topic).Observe(float64(len(records)))
			s.metrics.lag.WithLabelValues(labels...).Set(float64(lag))
			s.metrics.stopped.WithLabelValues(labels...).Set(0)
			if s.group {
				s.client.MarkCommitOffsets(map[string]map[int32]kgo.EpochOffset{s.topic: {s.number: {Epoch: -1, Offset: r.To}}})
			}
			return nil
		}
		if ctx.Err() != nil || errors.Is(err, catalog.ErrFenced) {
			return err
		}
		s.metrics.stopped.WithLabelValues(labels...).Set(1)
		s.log.ErrorContext(ctx, "records cannot be handled; trying again",
			"consumer", s.name, "shard", s.number, "offset", from, "records", len(records), "try", try+1, "err", err)
		if !pause(ctx, backoff(try)) {
			return ctx.Err()
		}
	}
}

// seek has the client fetch from next on, and drops what came from elsewhere.
func (s *shard[T]) seek() bool {
	s.mu.Lock()
	s.seeking, s.queue = true, nil
	next, stopping := s.next, s.stopping
	s.mu.Unlock()
	if stopping {
		return false
	}
	s.consumption.mu.Lock()
	s.seeks[s.number] = next
	s.poll()
	s.consumption.mu.Unlock()
	return true
}

// restart is called when the client fetches from next on.
func (s *shard[T]) restart() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue, s.seeking = nil, false
}

// add queues records.
func (s *shard[T]) add(records []*kgo.Record, high int64) {
	s.mu.Lock()
	if !s.seeking {
		s.queue = append(s.queue, records...)
	}
	s.high = high
	pause := len(s.queue) > maxQueued && !s.paused
	if pause {
		s.paused = true
	}
	s.mu.Unlock()
	if pause {
		s.client.PauseFetchPartitions(map[string][]int32{s.topic: {s.number}})
	}
	s.signal()
}

func (s *shard[T]) signal() {
	select {
	case s.wake <- struct{}{}:
	default:
	}
}

// stop ends the shard: at once when it waits, else when the Handle in hand has
// returned, or its context has been ended after five seconds.
func (s *shard[T]) stop() {
	defer s.cancel()
	s.mu.Lock()
	s.stopping = true
	s.mu.Unlock()
	s.signal()
	select {
	case <-s.begun:
	default:
		s.cancel() // it has not begun, so nothing is in hand
	}
	select {
	case <-s.done:
		return
	case <-time.After(5 * time.Second):
	}
	s.cancel()
	<-s.done
}

// pause waits, and answers false when ctx ends first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
