package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/eventlog"
)

// shard works on one partition, in a goroutine of its own, from the moment it
// is given to this process until it is taken away.
type shard[T any] struct {
	*consumption[T]
	number int32
	stop   func() // returns when the goroutine has ended
}

func startShard[T any](c *consumption[T], number int32) *shard[T] {
	// What is in hand when the shard is taken away may take its time: work
	// outlives given.
	given, take := context.WithCancel(context.Background())
	work, abandon := context.WithCancel(context.Background())
	done := make(chan struct{})
	s := &shard[T]{consumption: c, number: number}
	s.stop = func() {
		take()
		late := time.AfterFunc(grace, abandon)
		<-done
		late.Stop()
		abandon()
	}
	go func() {
		defer close(done)
		s.run(given, work)
	}()
	return s
}

// lostError says that a shard cannot go on: what comes next is not there, or
// is not what it must be. Only people can mend that.
type lostError struct{ error }

func (e *lostError) Unwrap() error { return e.error }

// lost says whether a shard cannot go on with err.
func lost(err error) bool {
	var l *lostError
	return errors.As(err, &l) || errors.Is(err, catalog.ErrInconsistent)
}

// run begins the shard, again and again where that helps, until it is taken
// away.
func (s *shard[T]) run(given, work context.Context) {
	labels := []string{s.name, s.topic, partitionLabel(s.number)}
	defer s.metrics.lag.DeleteLabelValues(labels...)
	defer s.metrics.stopped.DeleteLabelValues(labels...)
	defer s.forget()
	log := s.log.With("consumer", s.name, "topic", s.topic, "shard", s.number)
	for try := 0; ; try++ {
		handled, err := s.live(given, work)
		if given.Err() != nil {
			return
		}
		if handled {
			try = 0
		}
		switch {
		case lost(err):
			s.halt(given, err)
			if !pause(given, watchEvery) {
				return
			}
			continue
		case errors.Is(err, catalog.ErrFenced):
			log.InfoContext(given, "the shard begins again", "err", err)
		case try == 0: // and not at each try, of which there may be many
			log.WarnContext(given, "the shard cannot begin or go on, and is tried again", "err", err)
		}
		s.metrics.retries.WithLabelValues(s.name).Inc()
		if !pause(given, backoff(try)) {
			return
		}
	}
}

// live is the shard's life from one Begin to its End. It says whether anything
// was handled, and why it ended.
func (s *shard[T]) live(given, work context.Context) (handled bool, err error) {
	next, err := s.consumer.Begin(given, s.number)
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	defer s.consumer.End(s.number)
	if err := s.check(given, next, time.Now()); err != nil {
		return false, err
	}
	in := s.read(s.number, next)
	defer s.between(func() {
		if s.inboxes[s.number] == in {
			s.unread(s.number)
		}
	})
	due := time.NewTicker(watchEvery)
	defer due.Stop()
	for moved := time.Now(); ; {
		records, err := in.take(given, due.C)
		if err != nil {
			return handled, cause(err, next)
		}
		if len(records) == 0 {
			if err := s.idle(given, next, moved); err != nil {
				return handled, err
			}
			s.goesOn()
			continue
		}
		r, err := s.decodeAll(records, next)
		if err != nil {
			return handled, err
		}
		if err := s.handle(given, work, r); err != nil {
			return handled, err
		}
		handled, next, moved = true, r.To, time.Now()
		s.goesOn()
		s.metrics.batch.WithLabelValues(s.name).Observe(float64(len(records)))
		s.metrics.lag.WithLabelValues(s.name, s.topic, partitionLabel(s.number)).Set(float64(in.lag(next)))
		s.mu.Lock()
		s.handled[s.number] = kgo.EpochOffset{Epoch: -1, Offset: next}
		s.mu.Unlock()
	}
}

// cause tells the errors of a fetch that no other try can mend from the rest.
func cause(err error, offset int64) error {
	var loss *kgo.ErrDataLoss
	if errors.Is(err, kerr.OffsetOutOfRange) || errors.As(err, &loss) {
		return &lostError{fmt.Errorf("the log does not have offset %d, which comes next: records were removed before they were read, or the topic was made anew; run catalog repair: %w", offset, err)}
	}
	return err
}

// decodeAll decodes records, and puts those that cannot be among the dead
// letters, or stops.
func (s *shard[T]) decodeAll(records []*kgo.Record, from int64) (eventlog.Records[T], error) {
	r := eventlog.Records[T]{Shard: s.number, From: from, To: records[len(records)-1].Offset + 1, Items: make([]T, 0, len(records))}
	for _, record := range records {
		item, err := s.decode(record, s.Log.shards)
		if err == nil {
			r.Items = append(r.Items, item)
			continue
		}
		letter, err := s.poison(record, err)
		if err != nil {
			return r, err
		}
		r.DeadLetters = append(r.DeadLetters, letter)
	}
	return r, nil
}

// handle has the records handled. It gives up when the shard was taken away or
// is fenced.
func (s *shard[T]) handle(given, work context.Context, r eventlog.Records[T]) error {
	for try := 0; ; try++ {
		err := s.consumer.Handle(work, r)
		if err == nil || errors.Is(err, catalog.ErrFenced) || lost(err) {
			return err
		}
		if try == 0 && given.Err() == nil { // and not at each try, of which there may be many
			s.log.WarnContext(given, "records cannot be handled, and are tried again", "consumer", s.name, "topic", s.topic, "shard", s.number, "offset", r.From, "err", err)
		}
		s.metrics.retries.WithLabelValues(s.name).Inc()
		if !pause(given, backoff(try)) {
			return err
		}
	}
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
