package kafka

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
)

const (
	maxBatch  = 1_000 // records a Handle
	maxQueued = 4_000 // records of a shard that wait; more are not fetched
)

// Commands joins the group of writers and works on the shards it is given until
// ctx ends. A record that cannot be decoded goes to the dead letters.
func (l *Log) Commands(ctx context.Context, c catalog.Consumer[catalog.Command]) error {
	return consume(ctx, l, "writer", "commands", true, decodeCommand, l.bury, c)
}

// Events joins the group of readers and works on the shards it is given until
// ctx ends. A record that cannot be decoded stops its shard: events are ours.
func (l *Log) Events(ctx context.Context, c catalog.Consumer[catalog.Event]) error {
	return consume(ctx, l, "reader", "events", true, decodeEvent, l.stopAt, c)
}

// Follow works on all shards of the events topic, in no group, until ctx ends.
// The name is the consumer's, for its metrics.
func (l *Log) Follow(ctx context.Context, name string, c catalog.Consumer[catalog.Event]) error {
	return consume(ctx, l, name, "events", false, decodeEvent, l.stopAt, c)
}

func (l *Log) stopAt(_ context.Context, r *kgo.Record, cause error) error {
	return fmt.Errorf("record at offset %d of %s partition %d: %w", r.Offset, r.Topic, r.Partition, cause)
}

// consumption is one run of Commands, Events or Follow.
type consumption[T any] struct {
	*Log
	name, topic string
	group       bool
	decode      func(*kgo.Record, int) (T, error)
	poison      func(context.Context, *kgo.Record, error) error
	consumer    catalog.Consumer[T]
	client      *kgo.Client

	mu     sync.Mutex
	shards map[int32]*shard[T]
	seeks  map[int32]int64    // asked for by shards, done by the one that polls
	poll   context.CancelFunc // ends the poll in hand, so that seeks are done
}

func consume[T any](
	ctx context.Context, l *Log, name, topic string, group bool,
	decode func(*kgo.Record, int) (T, error), poison func(context.Context, *kgo.Record, error) error,
	c catalog.Consumer[T],
) error {
	s := &consumption[T]{
		Log: l, name: name, topic: l.topic(topic), group: group, decode: decode, poison: poison, consumer: c,
		shards: map[int32]*shard[T]{}, seeks: map[int32]int64{}, poll: func() {},
	}
	opts := []kgo.Opt{
		// An offset that is gone is an error. The client's default would go on
		// somewhere else, which is to lose records in silence.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMaxWait(5 * time.Second), // answers come at once when there is something
		kgo.FetchMinBytes(1),
		kgo.FetchMaxBytes(8 << 20),
		kgo.FetchMaxPartitionBytes(1 << 20),
	}
	if group {
		opts = append(opts,
			kgo.ConsumerGroup(l.cfg.Prefix+"."+name),
			kgo.ConsumeTopics(s.topic),
			kgo.Balancers(kgo.CooperativeStickyBalancer()),
			kgo.SessionTimeout(10*time.Second),
			kgo.HeartbeatInterval(time.Second),
			kgo.BlockRebalanceOnPoll(),
			kgo.OnPartitionsAssigned(func(ctx context.Context, _ *kgo.Client, given map[string][]int32) { s.begin(ctx, given[s.topic]) }),
			kgo.OnPartitionsRevoked(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { s.end(lost[s.topic]) }),
			kgo.OnPartitionsLost(func(_ context.Context, _ *kgo.Client, lost map[string][]int32) { s.end(lost[s.topic]) }),
			kgo.AdjustFetchOffsetsFn(s.adjust),
			// The offsets of the group are for people who watch the lag. Where to
			// start is known elsewhere.
			kgo.AutoCommitMarks(), kgo.AutoCommitInterval(5*time.Second),
		)
	} else {
		all := make([]int32, l.shards)
		for i := range all {
			all[i] = int32(i)
		}
		s.begin(ctx, all)
		offsets := map[int32]kgo.Offset{}
		for i, sh := range s.shards {
			offsets[i] = kgo.NoResetOffset().At(sh.next)
		}
		opts = append(opts, kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: offsets}))
	}
	var err error
	if s.client, err = l.client(opts...); err != nil {
		return err
	}
	s.run(ctx)
	return nil
}

func (s *consumption[T]) run(ctx context.Context) {
	defer s.client.CloseAllowingRebalance()
	for ctx.Err() == nil {
		s.fetch(ctx)
	}
	s.mu.Lock()
	all := make([]int32, 0, len(s.shards))
	for i := range s.shards {
		all = append(all, i)
	}
	s.mu.Unlock()
	s.end(all)
	if s.group {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
		defer cancel()
		if err := s.client.CommitMarkedOffsets(ctx); err != nil {
			s.log.Warn("group offsets were not committed; only lag tools will notice", "topic", s.topic, "err", err)
		}
		_ = s.client.LeaveGroupContext(ctx) // else the broker notices by itself
	}
}

// fetch waits for records and gives them to their shards. No shard is given or
// taken away meanwhile, so that records of one life of a shard cannot get into
// its next.
func (s *consumption[T]) fetch(ctx context.Context) {
	s.mu.Lock()
	ctx, s.poll = context.WithCancel(ctx)
	if len(s.seeks) > 0 {
		s.poll()
	}
	s.mu.Unlock()
	fetches := s.client.PollFetches(ctx)
	defer s.client.AllowRebalance()
	defer s.seekAll()
	fetches.EachError(func(_ string, p int32, err error) {
		if errors.Is(err, context.Canceled) || errors.Is(err, kgo.ErrClientClosed) {
			return
		}
		if errors.Is(err, kerr.OffsetOutOfRange) {
			s.metrics.stopped.WithLabelValues(s.name, s.topic, partitionLabel(p)).Set(1)
			s.log.Error("the log does not have the offset that comes next: records were removed, or the topic was made anew; the shard has stopped",
				"consumer", s.name, "topic", s.topic, "partition", p, "err", err)
			return
		}
		s.log.Warn("fetch", "consumer", s.name, "topic", s.topic, "partition", p, "err", err)
	})
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		s.mu.Lock()
		sh := s.shards[p.Partition]
		s.mu.Unlock()
		if sh != nil && len(p.Records) > 0 {
			sh.add(p.Records, p.HighWatermark)
		}
	})
}

// seekAll does the seeks that shards have asked for. What was fetched before
// has been dropped, and what the client has buffered ends with SetOffsets.
func (s *consumption[T]) seekAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.poll()
	for i, offset := range s.seeks {
		delete(s.seeks, i)
		if sh := s.shards[i]; sh != nil {
			s.client.SetOffsets(map[string]map[int32]kgo.EpochOffset{s.topic: {i: {Epoch: -1, Offset: offset}}})
			sh.restart()
		}
	}
}

// begin starts to work on shards, and returns when each knows its offset.
func (s *consumption[T]) begin(ctx context.Context, shards []int32) {
	var wg sync.WaitGroup
	for _, i := range shards {
		// The shard lives until it is ended, not until this callback returns.
		shardCtx, cancel := context.WithCancel(context.WithoutCancel(ctx))
		sh := &shard[T]{consumption: s, number: i, cancel: cancel, wake: make(chan struct{}, 1), begun: make(chan struct{}), done: make(chan struct{})}
		s.mu.Lock()
		s.shards[i] = sh
		s.mu.Unlock()
		go sh.run(shardCtx)
		wg.Go(func() {
			select {
			case <-sh.begun:
			case <-ctx.Done():
			}
		})
	}
	wg.Wait()
}

// adjust answers the offsets that the shards begin at.
func (s *consumption[T]) adjust(_ context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range offsets[s.topic] {
		if sh := s.shards[i]; sh != nil {
			sh.mu.Lock()
			offsets[s.topic][i] = kgo.NoResetOffset().At(sh.next)
			sh.mu.Unlock()
		}
	}
	return offsets, nil
}

// end stops work on shards. A Handle in hand may take its time, up to five
// seconds; then its context ends.
func (s *consumption[T]) end(shards []int32) {
	var wg sync.WaitGroup
	for _, i := range shards {
		s.mu.Lock()
		sh := s.shards[i]
		delete(s.shards, i)
		delete(s.seeks, i)
		s.mu.Unlock()
		if sh != nil {
			wg.Go(sh.stop)
		}
	}
	wg.Wait()
}
