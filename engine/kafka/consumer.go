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

const (
	// rebalanceTimeout is how long the group waits in a rebalance for its members
	// to give up the shards that others get. It is longer than revokeGrace.
	rebalanceTimeout = 10 * time.Second

	commitInterval = 500 * time.Millisecond // pause between commits of offsets, by which monitoring and the throttle of the writer measure the lag
	commitTimeout  = 2 * time.Second        // timeout of one commit
	leaveTimeout   = 2 * time.Second        // timeout of the last commit, and of leaving the group
)

// ConsumeCommands joins the consumer group of the writers and passes the
// records of its assigned shards to c until ctx ends. A record that cannot be
// decoded is passed as a dead letter.
func (l *Log) ConsumeCommands(ctx context.Context, c eventlog.Consumer[catalog.Command]) error {
	g, err := newGroupConsumer(l, "writer", "writer", c, codec[catalog.Command]{topic: "commands", decode: l.decodeCommand})
	if err != nil {
		return err
	}
	return g.runGroup(ctx)
}

// viewGroup is the last part of the name of the group of the readers.
const viewGroup = "reader"

// ConsumeEvents joins the consumer group of the readers and passes the records
// of its assigned shards to c until ctx ends. A record that cannot be decoded is
// passed as a dead letter.
func (l *Log) ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
	g, err := newGroupConsumer(l, "view", viewGroup, c, l.eventCodec())
	if err != nil {
		return err
	}
	return g.runGroup(ctx)
}

// ConsumeAllShards passes the records of every shard of the events topic to c,
// outside any group, until ctx ends. Metrics and logs name the consumer by name.
func (l *Log) ConsumeAllShards(ctx context.Context, name string, c eventlog.Consumer[catalog.Event]) error {
	g, err := newGroupConsumer(l, name, "", c, l.eventCodec())
	if err != nil {
		return err
	}
	all := make([]int32, l.shards)
	for i := range all {
		all[i] = int32(i)
	}
	g.assign(all)
	g.run(ctx)
	return nil
}

// codec says how the records of a topic become items.
type codec[T any] struct {
	topic  string // name of the topic without the prefix
	decode func(r *kgo.Record) (T, error)
}

func (l *Log) eventCodec() codec[catalog.Event] {
	return codec[catalog.Event]{topic: "events", decode: l.decodeEvent}
}

// groupConsumer is one running call of ConsumeCommands, ConsumeEvents or
// ConsumeAllShards. It has a worker for each assigned shard, and one fetcher
// that feeds all of them.
//
// Two clients share the work: the client of the group learns which shards are
// assigned and fetches nothing; the client of the fetcher fetches and is in no
// group. A client that does both can neither seek nor stop while shards are
// being reassigned.
type groupConsumer[T any] struct {
	log      *Log
	name     string // name of the consumer, in logs and metrics
	group    string // last part of the group's name; "" outside of a group
	topic    string
	codec    codec[T]
	consumer eventlog.Consumer[T]
	fetcher  *fetcher
	checker  *topicChecker
	metrics  consumerMetrics

	mu          sync.Mutex
	workers     map[int32]*partitionWorker[T] // workers by shard
	uncommitted map[int32]kgo.EpochOffset     // handled offsets that are not yet committed, by shard
}

func newGroupConsumer[T any](l *Log, name, group string, c eventlog.Consumer[T], codec codec[T]) (*groupConsumer[T], error) {
	topic := l.topic(codec.topic)
	f, err := newFetcher(l, name, topic)
	if err != nil {
		return nil, err
	}
	return &groupConsumer[T]{
		log: l, name: name, group: group, topic: topic, codec: codec, consumer: c, fetcher: f,
		checker: &topicChecker{log: l, topic: topic}, metrics: l.metrics.consumer(name, codec.topic),
		workers: map[int32]*partitionWorker[T]{}, uncommitted: map[int32]kgo.EpochOffset{},
	}, nil
}

// runGroup joins the group and works on the assigned shards until ctx ends. It
// returns an error only when the brokers will never accept this member.
func (g *groupConsumer[T]) runGroup(ctx context.Context) error {
	ctx, end := context.WithCancelCause(ctx)
	defer end(nil)
	revoked := func(ctx context.Context, group *kgo.Client, shards map[string][]int32) {
		g.revoke(shards[g.topic])
		g.commit(ctx, group)
	}
	session := g.log.cfg.SessionTimeout
	group, err := g.log.newClient(
		kgo.ConsumerGroup(g.log.cfg.TopicPrefix+"."+g.group), kgo.ConsumeTopics(g.topic),
		kgo.Balancers(kgo.CooperativeStickyBalancer()),
		kgo.SessionTimeout(session), kgo.HeartbeatInterval(session/10), kgo.RebalanceTimeout(rebalanceTimeout),
		kgo.DisableAutoCommit(), kgo.WithHooks(sessionTimeoutHook{end, session}),
		kgo.OnPartitionsAssigned(func(_ context.Context, _ *kgo.Client, shards map[string][]int32) { g.assign(shards[g.topic]) }),
		kgo.OnPartitionsRevoked(revoked),
		kgo.OnPartitionsLost(revoked),
	)
	if err != nil {
		g.fetcher.close()
		return err
	}
	group.PauseFetchTopics(g.topic)

	var committer sync.WaitGroup
	committer.Go(func() { g.commitRegularly(ctx, group) })
	g.run(ctx)
	committer.Wait()

	leaving, cancel := context.WithTimeout(context.WithoutCancel(ctx), leaveTimeout)
	defer cancel()
	g.commit(leaving, group)
	if err := group.LeaveGroupContext(leaving); err != nil {
		g.log.logger.Warn("group not left; its shards are reassigned after the session timeout", "consumer", g.name, "err", err)
	}
	group.Close()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}

// sessionTimeoutHook ends runGroup when the brokers reject the session timeout,
// which no retry changes. The client calls it for every error of the group.
type sessionTimeoutHook struct {
	end     context.CancelCauseFunc
	session time.Duration
}

// OnGroupManageError implements kgo.HookGroupManageError.
func (h sessionTimeoutHook) OnGroupManageError(err error) {
	if errors.Is(err, kerr.InvalidSessionTimeout) {
		h.end(fmt.Errorf("the brokers reject -kafka.session-timeout %v; set it between their group.min.session.timeout.ms (6s by default) and group.max.session.timeout.ms", h.session))
	}
}

// commitRegularly commits until ctx ends.
func (g *groupConsumer[T]) commitRegularly(ctx context.Context, group *kgo.Client) {
	interval := time.NewTicker(commitInterval)
	defer interval.Stop()
	for {
		select {
		case <-interval.C:
			g.commit(ctx, group)
		case <-ctx.Done():
			return
		}
	}
}

// commit commits the offsets of the handled records to the group. They only show
// how far the group is: a shard starts at the offset that Begin
// returns.
func (g *groupConsumer[T]) commit(ctx context.Context, group *kgo.Client) {
	ctx, cancel := context.WithTimeout(ctx, commitTimeout)
	defer cancel()
	g.mu.Lock()
	offsets := g.uncommitted
	g.uncommitted = map[int32]kgo.EpochOffset{}
	g.mu.Unlock()
	if len(offsets) > 0 {
		group.CommitOffsetsSync(ctx, map[string]map[int32]kgo.EpochOffset{g.topic: offsets}, nil)
	}
}

// assign starts a worker for each of the shards.
func (g *groupConsumer[T]) assign(shards []int32) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for _, i := range shards {
		g.workers[i] = startWorker(g, i)
	}
}

// revoke stops the workers of the shards and returns when they have stopped.
func (g *groupConsumer[T]) revoke(shards []int32) {
	var stopped sync.WaitGroup
	g.mu.Lock()
	for _, i := range shards {
		if w := g.workers[i]; w != nil {
			delete(g.workers, i)
			stopped.Go(w.stop)
		}
	}
	g.mu.Unlock()
	stopped.Wait()
}

// run fetches for the workers until ctx ends, and then stops all workers.
func (g *groupConsumer[T]) run(ctx context.Context) {
	defer g.fetcher.close()
	var watch sync.WaitGroup
	watch.Go(func() { g.watchStuck(ctx) })
	defer watch.Wait()
	g.fetcher.run(ctx)
	g.mu.Lock()
	all := slices.Collect(maps.Keys(g.workers))
	g.mu.Unlock()
	g.revoke(all)
}

// handled records that the shard is handled up to next.
func (g *groupConsumer[T]) handled(shard int32, next int64) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.uncommitted[shard] = kgo.EpochOffset{Epoch: -1, Offset: next}
}
