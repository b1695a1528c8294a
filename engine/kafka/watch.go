package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"

	"catalog"
	"catalog/eventlog"
)

// watchEvery is how often a shard that has nothing to do looks whether all is
// still as it was. A shard that has stopped is tried again as often.
const watchEvery = 2 * time.Second

// watch keeps what a topic looked like a moment ago, for all shards that ask.
type watch struct {
	mu    sync.Mutex
	began time.Time // of the look
	picture
}

type picture struct {
	starts, ends []int64
	wrong        error // why no shard can go on
}

// look answers what the topic looked like at some moment after since.
func (s *consumption[T]) look(ctx context.Context, since time.Time) (picture, error) {
	s.watch.mu.Lock()
	defer s.watch.mu.Unlock()
	if s.watch.began.After(since) {
		return s.watch.picture, nil
	}
	began := time.Now()
	topics, err := s.admin.ListTopics(ctx, s.topic)
	if err != nil {
		return picture{}, err
	}
	p := picture{wrong: s.unlike(topics[s.topic])}
	if p.wrong == nil {
		if p.starts, p.ends, err = s.bounds(ctx, s.topic); err != nil {
			return picture{}, err
		}
	}
	s.watch.began, s.watch.picture = began, p
	return p, nil
}

// unlike says how the topic differs from the one that was joined.
func (l *Log) unlike(t kadm.TopicDetail) error {
	switch {
	case t.Err != nil:
		return fmt.Errorf("topic %s: %w; it was here and is gone. Make it anew with catalog migrate, run catalog repair and start again", t.Topic, t.Err)
	case t.ID != l.ids[t.Topic]:
		return fmt.Errorf("topic %s was made anew; run catalog repair and start again", t.Topic)
	case len(t.Partitions) != l.shards:
		return l.miscounted(t.Topic, len(t.Partitions), l.shards)
	}
	return nil
}

// miscounted is what is said of a topic with a wrong number of partitions.
func (l *Log) miscounted(topic string, n, want int) error {
	return fmt.Errorf("topic %s has %d partitions and must have %d, fixed for life; to have another number export all products, make new topics with -kafka.topic-prefix and an empty database, and import", topic, n, want)
}

// check says whether the shard can go on at the offset next, which it reached at
// the moment since.
func (s *shard[T]) check(ctx context.Context, next int64, since time.Time) error {
	p, err := s.look(ctx, since)
	switch {
	case err != nil:
		return fmt.Errorf("look at topic %s: %w", s.topic, err)
	case p.wrong != nil:
		return &lostError{p.wrong}
	case next < p.starts[s.number]:
		start := p.starts[s.number]
		return &lostError{fmt.Errorf("shard %d of %s: offset %d comes next and the topic begins at %d: %d records were removed before they were read; run catalog repair", s.number, s.topic, next, start, start-next)}
	case next > p.ends[s.number]:
		return &lostError{fmt.Errorf("shard %d of %s: offset %d comes next and the topic ends at %d: it was cut off, or made anew; run catalog repair", s.number, s.topic, next, p.ends[s.number])}
	}
	return nil
}

// watchful is a consumer that looks itself whether a shard can go on, every few
// seconds while there is nothing to handle. An error is like one of Handle, with
// which the shard begins again.
type watchful interface {
	Check(ctx context.Context, shard int32) error
}

// idle is what a shard does while there is nothing to handle.
func (s *shard[T]) idle(ctx context.Context, next int64, moved time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, watchEvery)
	defer cancel()
	if c, ok := s.consumer.(watchful); ok {
		if err := c.Check(ctx, s.number); err != nil {
			return err
		}
	}
	if recent := time.Now().Add(-watchEvery); moved.Before(recent) {
		moved = recent
	}
	err := s.check(ctx, next, moved)
	if lost(err) {
		return err
	}
	return nil // brokers that are away come back
}

// halt notes that the shard has stopped, and says why, once.
func (s *shard[T]) halt(ctx context.Context, err error) {
	s.metrics.stopped.WithLabelValues(s.name, s.topic, partitionLabel(s.number)).Set(1)
	key := haltKey{s.name, s.number}
	s.Log.mu.Lock()
	said := false
	for _, other := range s.Log.halted {
		said = said || other.Error() == err.Error()
	}
	s.Log.halted[key] = err
	s.Log.mu.Unlock()
	if !said {
		s.log.ErrorContext(ctx, "stopped, and nothing is skipped", "consumer", s.name, "topic", s.topic, "shard", s.number, "err", err)
	}
}

// goesOn notes that the shard has not stopped, or no longer.
func (s *shard[T]) goesOn() {
	if s.forget() {
		s.metrics.stopped.WithLabelValues(s.name, s.topic, partitionLabel(s.number)).Set(0)
		s.log.Info("the shard goes on", "consumer", s.name, "topic", s.topic, "shard", s.number)
	}
}

// forget says whether the shard had stopped.
func (s *shard[T]) forget() bool {
	s.Log.mu.Lock()
	defer s.Log.mu.Unlock()
	_, was := s.Log.halted[haltKey{s.name, s.number}]
	delete(s.Log.halted, haltKey{s.name, s.number})
	return was
}

// haltKey is a shard of a consumer.
type haltKey struct {
	name  string
	shard int32
}

// Topics answers which topics were joined.
func (l *Log) Topics() eventlog.Topics {
	return eventlog.Topics{Commands: catalog.ID(l.ids[l.topic("commands")]), Events: catalog.ID(l.ids[l.topic("events")])}
}
