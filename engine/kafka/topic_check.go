package kafka

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// checkInterval is how often an idle shard checks its topic, and how often a
// stopped shard is retried.
const checkInterval = 2 * time.Second

// idleChecker is an optional interface of an eventlog.Consumer. Check is called
// every checkInterval while a shard has no records. Its error has the meaning of
// an error of Handle, and ends the session.
type idleChecker interface {
	Check(ctx context.Context, shard int32) error
}

// topicChecker checks that shards can continue at their next offset. All shards
// of a consumer share one read of the topic's state.
type topicChecker struct {
	log   *Log
	topic string

	mu     sync.Mutex
	readAt time.Time // when the read of state began
	state  topicState
}

// topicState is the state of a topic at one moment.
type topicState struct {
	starts, ends []int64 // offsets by shard: of the first record, and after the last one
	err          error   // why no shard can continue; starts and ends are then unknown
}

// check returns the offsets of the first record of the shard and after its last one,
// or an unrecoverableError when the shard cannot continue at the offset next. since is
// when the shard reached next; check uses no older state.
func (c *topicChecker) check(ctx context.Context, shard int32, next int64, since time.Time) (first, end int64, err error) {
	state, err := c.stateAfter(ctx, since)
	switch {
	case err != nil:
		return 0, 0, fmt.Errorf("check topic %s: %w", c.topic, err)
	case state.err != nil:
		return 0, 0, &unrecoverableError{error: state.err}
	case next < state.starts[shard]:
		start := state.starts[shard]
		return 0, 0, recordsLost("shard %d of %s: the next offset is %d and the topic starts at %d: %d records were deleted before they were read", shard, c.topic, next, start, start-next)
	case next > state.ends[shard]:
		return 0, 0, recordsLost("shard %d of %s: the next offset is %d and the topic ends at %d: the topic was truncated or recreated", shard, c.topic, next, state.ends[shard])
	}
	return state.starts[shard], state.ends[shard], nil
}

// stateAfter returns a state of the topic that was read after since.
func (c *topicChecker) stateAfter(ctx context.Context, since time.Time) (topicState, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.readAt.After(since) {
		return c.state, nil
	}
	readAt := time.Now()
	topics, err := c.log.admin.ListTopics(ctx, c.topic)
	if err != nil {
		return topicState{}, err
	}
	state := topicState{err: c.log.diff(topics[c.topic])}
	if state.err == nil {
		if state.starts, state.ends, err = c.log.offsets(ctx, c.topic); err != nil {
			return topicState{}, err
		}
	}
	c.readAt, c.state = readAt, state
	return state, nil
}

// diff returns an error that describes how t differs from the topic that
// LoadTopics found.
func (l *Log) diff(t kadm.TopicDetail) error {
	switch {
	case t.Err != nil:
		return fmt.Errorf("topic %s: %w; it was deleted after the start: run catalog migrate and catalog repair, then restart", t.Topic, t.Err)
	case t.ID != l.topicIDs[t.Topic]:
		return fmt.Errorf("topic %s was recreated; run catalog repair and restart", t.Topic)
	case len(t.Partitions) != l.shards:
		return fmt.Errorf("topic %s has %d partitions instead of %d, which cannot change; for another number export all products, create new topics with -kafka.topic-prefix and an empty database, and import", t.Topic, len(t.Partitions), l.shards)
	}
	return nil
}

// stoppedShards holds the errors of the stopped shards of this process.
type stoppedShards struct {
	mu   sync.Mutex
	errs map[shardKey]error
}

// shardKey identifies a shard of a consumer.
type shardKey struct {
	consumer string
	shard    int32
}

// add records that a shard is stopped. It reports whether to log err: the shard
// was running and no stopped shard has an error of the same text.
func (s *stoppedShards) add(key shardKey, err error) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, stopped := s.errs[key]
	isNew := !stopped
	for _, other := range s.errs {
		isNew = isNew && other.Error() != err.Error()
	}
	if s.errs == nil {
		s.errs = map[shardKey]error{}
	}
	s.errs[key] = err
	return isNew
}

// remove records that a shard is running, and reports whether it was stopped.
func (s *stoppedShards) remove(key shardKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, was := s.errs[key]
	delete(s.errs, key)
	return was
}

// has reports whether a shard is stopped.
func (s *stoppedShards) has(key shardKey) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, stopped := s.errs[key]
	return stopped
}

// count returns how many shards of the consumer are stopped.
func (s *stoppedShards) count(consumer string) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key := range s.errs {
		if key.consumer == consumer {
			n++
		}
	}
	return n
}

// any returns the error of one stopped shard, or nil when none is stopped. The
// process log has the others.
func (s *stoppedShards) any() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, err := range s.errs {
		return err
	}
	return nil
}
