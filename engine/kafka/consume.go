package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/eventlog"
)

// Limits of what is fetched, which bound latency and memory.
const (
	fetchWait  = 250 * time.Millisecond // a shard that begins waits at most this long for the fetch in hand; records wait for none
	fetchBytes = 8 << 20                // an answer of one broker
	shardBytes = 1 << 20                // of one partition in it
	rebalance  = 10 * time.Second       // for all of a group to give away what others get
	grace      = 4 * time.Second        // for the Handle in hand when its shard is taken away
)

// Commands joins the group of writers and works on the shards it is given until
// ctx ends. A record that cannot be decoded is handed over as a dead letter.
func (l *Log) ConsumeCommands(ctx context.Context, c eventlog.Consumer[catalog.Command]) error {
	s, err := newConsumption(l, "writer", "commands", decodeCommand, deadLetter, c)
	if err != nil {
		return err
	}
	return s.share(ctx)
}

// Events joins the group of readers and works on the shards it is given until
// ctx ends. A record that cannot be decoded stops its shard: events are ours.
func (l *Log) ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
	s, err := newConsumption(l, "reader", "events", decodeEvent, refuse, c)
	if err != nil {
		return err
	}
	return s.share(ctx)
}

// Follow works on all shards of the events topic, in no group, until ctx ends.
// The name is the consumer's, for its metrics.
func (l *Log) ConsumeAllShards(ctx context.Context, name string, c eventlog.Consumer[catalog.Event]) error {
	s, err := newConsumption(l, name, "events", decodeEvent, refuse, c)
	if err != nil {
		return err
	}
	all := make([]int32, l.shards)
	for i := range all {
		all[i] = int32(i)
	}
	s.give(all)
	s.fetch(ctx)
	return nil
}

// consumption is one run of Commands, Events or Follow. Which shards it works
// on is told by give and take; each has a goroutine of its own.
//
// The client that fetches is in no group. A group's client couples what it
// fetches to the life of the group: while shards change hands it can neither
// seek nor stop. Here a second client is in the group and fetches nothing.
type consumption[T any] struct {
	*Log
	name, topic string
	decode      func(r *kgo.Record, shards int) (T, error)
	poison      func(r *kgo.Record, cause error) (eventlog.DeadLetter, error) // what becomes of a record that cannot be decoded
	consumer    eventlog.Consumer[T]
	client      *kgo.Client
	watch       watch

	inboxes map[int32]*inbox // where fetched records go; only fetch touches it

	mu      sync.Mutex
	shards  map[int32]*shard[T]
	handled map[int32]kgo.EpochOffset // not yet told to the group
	changes []func()                  // of what is fetched, to be made between two polls
	wake    context.CancelFunc        // ends the poll in hand
}

func newConsumption[T any](
	l *Log, name, topic string,
	decode func(*kgo.Record, int) (T, error), poison func(*kgo.Record, error) (eventlog.DeadLetter, error),
	c eventlog.Consumer[T],
) (*consumption[T], error) {
	s := &consumption[T]{
		Log: l, name: name, topic: l.topic(topic), decode: decode, poison: poison, consumer: c,
		inboxes: map[int32]*inbox{}, shards: map[int32]*shard[T]{}, handled: map[int32]kgo.EpochOffset{},
		wake: func() {},
	}
	var err error
	s.client, err = l.client(
		// An offset that is gone is an error. The client's default would go on
		// somewhere else, which is to lose records in silence.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		// A session saves some bytes a fetch; to end it, the client writes to what
		// a fetch that begins may be reading.
		kgo.DisableFetchSessions(),
		kgo.FetchMinBytes(1), kgo.FetchMaxWait(fetchWait),
		kgo.FetchMaxBytes(fetchBytes), kgo.FetchMaxPartitionBytes(shardBytes),
	)
	return s, err
}

// refusal ends the membership of a group that does not take this process, and
// never will. It is called after each error, of which most pass.
type refusal struct {
	end     context.CancelCauseFunc
	session time.Duration
}

// OnGroupManageError is called by the client.
func (r refusal) OnGroupManageError(err error) {
	if errors.Is(err, kerr.InvalidSessionTimeout) {
		r.end(fmt.Errorf("-kafka.session-timeout %v is not what the brokers allow: from their group.min.session.timeout.ms, 6s by default, to group.max.session.timeout.ms", r.session))
	}
}

// share joins the group of the consumption's name and works on what the group
// gives it until ctx ends.
func (s *consumption[T]) share(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	commit := func(ctx context.Context, group *kgo.Client) {
		ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
		defer cancel()
		s.commit(ctx, group)
	}
	taken := func(ctx context.Context, group *kgo.Client, shards map[string][]int32) {
		s.take(shards[s.topic])
		commit(ctx, group)
	}
	group, err := s.Log.client(
		kgo.ConsumerGroup(s.cfg.TopicPrefix+"."+s.name), kgo.ConsumeTopics(s.topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(s.cfg.SessionTimeout), kgo.HeartbeatInterval(s.cfg.SessionTimeout/10), kgo.RebalanceTimeout(rebalance),
		kgo.DisableAutoCommit(), kgo.WithHooks(refusal{end, s.cfg.SessionTimeout}),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, shards map[string][]int32) { s.give(shards[s.topic]) }),
		kgo.OnPartitionsRevoked(taken),
		kgo.OnPartitionsLost(taken),
	)
	if err != nil {
		s.client.Close()
		return err
	}
	group.PauseFetchTopics(s.topic)

	var committer sync.WaitGroup
	committer.Go(func() {
		every := time.NewTicker(5 * time.Second)
		defer every.Stop()
		for {
			select {
			case <-every.C:
				commit(ctx, group)
			case <-ctx.Done():
				return
			}
		}
	})
	s.fetch(ctx)
	committer.Wait()

	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*time.Second)
	defer cancel()
	s.commit(leaving, group)
	if err := group.LeaveGroupContext(leaving); err != nil {
		s.log.Warn("the group was not left; its shards rest until the session has timed out", "consumer", s.name, "err", err)
	}
	group.Close()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// commit tells the group what was handled. It serves people who watch the lag:
// where a shard begins, its consumer knows.
func (s *consumption[T]) commit(ctx context.Context, group *kgo.Client) {
	s.mu.Lock()
	offsets := s.handled
	s.handled = map[int32]kgo.EpochOffset{}
	s.mu.Unlock()
	if len(offsets) > 0 {
		group.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{s.topic: offsets}, nil)
	}
}

// give starts to work on shards.
func (s *consumption[T]) give(shards []int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, i := range shards {
		s.shards[i] = startShard(s, i)
	}
}

// take stops to work on shards, and returns when it has stopped.
func (s *consumption[T]) take(shards []int32) {
	var stopped sync.WaitGroup
	s.mu.Lock()
	for _, i := range shards {
		if sh := s.shards[i]; sh != nil {
			delete(s.shards, i)
			stopped.Go(sh.stop)
		}
	}
	s.mu.Unlock()
	stopped.Wait()
}

// fetch fetches what the shards want to read until ctx ends, and then stops
// the shards.
func (s *consumption[T]) fetch(ctx context.Context) {
	defer s.client.Close()
	for ctx.Err() == nil {
		fetches := s.client.PollFetches(s.change(ctx))
		fetches.EachError(func(_ string, partition int32, err error) {
			switch in := s.inboxes[partition]; {
			case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrClientClosed):
			case in != nil:
				s.unread(partition) // else the client tries again at once, for ever
				in.fail(err)
			default:
				s.log.Warn("fetch", "consumer", s.name, "topic", s.topic, "partition", partition, "err", err)
			}
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if in := s.inboxes[p.Partition]; in != nil && len(p.Records) > 0 {
				in.put(p.Records, p.HighWatermark)
			}
		})
	}
	s.mu.Lock()
	all := slices.Collect(maps.Keys(s.shards))
	s.mu.Unlock()
	s.take(all)
}

// change makes the changes that shards have asked for, and answers a context
// for the next poll, which ends when there are more.
func (s *consumption[T]) change(ctx context.Context) context.Context {
	s.mu.Lock()
	changes := s.changes
	s.changes = nil
	s.wake()
	ctx, s.wake = context.WithCancel(ctx)
	s.mu.Unlock()
	for _, change := range changes {
		change()
	}
	return ctx
}

// between has a change made between two polls, so that no record that was
// polled before it is delivered after it.
func (s *consumption[T]) between(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changes = append(s.changes, change)
	s.wake()
}

// read fetches the shard from the offset on, into a new inbox.
func (s *consumption[T]) read(shard int32, offset int64) *inbox {
	partition := map[string][]int32{s.topic: {shard}}
	in := newInbox(
		func() { s.client.PauseFetchPartitions(partition) },
		func() { s.client.ResumeFetchPartitions(partition) },
	)
	s.between(func() {
		s.inboxes[shard] = in
		s.client.ResumeFetchPartitions(partition)
		s.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{s.topic: {shard: kgo.NoResetOffset().At(offset)}})
	})
	return in
}

// unread ends what read began. Only fetch calls it.
func (s *consumption[T]) unread(shard int32) {
	delete(s.inboxes, shard)
	s.client.RemoveConsumePartitions(map[string][]int32{s.topic: {shard}})
}

// refuse is the answer to an event that cannot be decoded.
func refuse(r *kgo.Record, cause error) (eventlog.DeadLetter, error) {
	return eventlog.DeadLetter{}, &lostError{fmt.Errorf("record at offset %d: %w", r.Offset, cause)}
}
