package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"catalog"
	"catalog/eventlog"
)

const (
	// retention is how long the commands and the events topic keep a record, in
	// milliseconds: one week. A consumer that falls further behind reads from the
	// journal. Dead letters are kept forever.
	retention        = "604800000"
	retentionForever = "-1"

	// metadataTimeout is how long CreateTopics waits until all brokers know a
	// topic that was just created, and for a broker that is starting.
	metadataTimeout = 30 * time.Second

	// readTimeout limits the reads of single records at a takeover. It is shorter
	// than the session timeout: a broker that hangs delays a shard, and no more.
	readTimeout = 5 * time.Second
)

// CreateTopics creates the topics that do not exist, with the given number of
// partitions, corrects the settings of those that exist, and then does what
// [Log.LoadTopics] does.
func (l *Log) CreateTopics(ctx context.Context, partitions int) error {
	ctx, cancel := context.WithTimeout(ctx, metadataTimeout)
	defer cancel()
	for _, t := range []struct{ name, retention string }{
		{"commands", retention}, {"events", retention}, {"dead-letters", retentionForever},
	} {
		config := maps.Clone(topicSettings)
		config["retention.ms"] = kadm.StringPtr(t.retention)
		replicas := int16(l.cfg.Replicas)
		if replicas == 0 {
			replicas = -1
		}
		if replicas > 2 { // by default, one replica alone can be "all in-sync replicas"
			config[minInSyncConfig] = kadm.StringPtr("2")
		}
		r, err := l.admin.CreateTopic(ctx, int32(partitions), replicas, config, l.topic(t.name))
		// Every cluster has one broker, but while it registers with its controller it does not count.
		for try := 0; errors.Is(err, kerr.InvalidReplicationFactor) && replicas == 1 && sleep(ctx, backoff(try)); try++ {
			r, err = l.admin.CreateTopic(ctx, int32(partitions), replicas, config, l.topic(t.name))
		}
		if errors.Is(err, kerr.InvalidReplicationFactor) {
			return fmt.Errorf("create topic %s: the cluster has too few brokers for -kafka.replicas %d; start that many brokers, or set -kafka.replicas 1 where losing the disk of one broker may lose data", l.topic(t.name), l.cfg.Replicas)
		}
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("create topic %s: %w %s", l.topic(t.name), err, r.ErrMessage)
		}
	}
	for try := 0; ; try++ {
		wrong, err := l.WrongSettings(ctx)
		if err == nil {
			err = l.SetTopics(ctx, wrong)
		}
		if err == nil {
			err = l.LoadTopics(ctx)
		}
		if err == nil {
			err = l.checkBrokersKnow(ctx, l.topic("commands"), l.topic("events"), l.topic("dead-letters"))
		}
		if err == nil || !errors.Is(err, kerr.UnknownTopicOrPartition) || !sleep(ctx, backoff(try)) {
			return err
		}
	}
}

// checkBrokersKnow returns an error unless every broker that responds knows the
// topics. A process that starts a moment later may ask any of them.
func (l *Log) checkBrokersKnow(ctx context.Context, topics ...string) error {
	request := kmsg.NewPtrMetadataRequest()
	for _, t := range topics {
		topic := kmsg.NewMetadataRequestTopic()
		topic.Topic = kmsg.StringPtr(t)
		request.Topics = append(request.Topics, topic)
	}
	return l.askBrokers(ctx, request, func(broker int32, r kmsg.Response) error {
		for _, t := range r.(*kmsg.MetadataResponse).Topics {
			if err := kerr.ErrorForCode(t.ErrorCode); err != nil {
				return fmt.Errorf("topic %s at broker %d: %w", *t.Topic, broker, err)
			}
		}
		return nil
	})
}

// askBrokers sends a request to every broker and calls check with each response. It
// ignores brokers that are down: they read topics and settings when they start.
func (l *Log) askBrokers(ctx context.Context, request kmsg.Request, check func(broker int32, r kmsg.Response) error) error {
	brokers, err := l.admin.ListBrokers(ctx)
	if err != nil {
		return fmt.Errorf("list brokers at %s: %w", l.cfg.Brokers, err)
	}
	for _, b := range brokers {
		response, err := l.events.Broker(int(b.NodeID)).Request(ctx, request)
		if err != nil {
			continue
		}
		if err := check(b.NodeID, response); err != nil {
			return err
		}
	}
	return nil
}

// LoadTopics reads the ids of the topics and the number of shards from the
// brokers. It returns an error when a topic is missing or when the commands and
// the events topic differ in their number of partitions.
func (l *Log) LoadTopics(ctx context.Context) error {
	names := []string{l.topic("commands"), l.topic("events"), l.topic("dead-letters")}
	topics, err := l.admin.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("list topics at %s: %w: %w", l.cfg.Brokers, catalog.ErrUnavailable, err)
	}
	for _, n := range names {
		switch err := topics[n].Err; {
		case kerr.IsRetriable(err) && !errors.Is(err, kerr.UnknownTopicOrPartition): // a broker is starting
			return fmt.Errorf("topic %s: %w: %w", n, catalog.ErrUnavailable, err)
		case err != nil:
			return fmt.Errorf("topic %s: %w; create the topics with: catalog migrate", n, err)
		}
	}
	commands, events := len(topics[names[0]].Partitions), len(topics[names[1]].Partitions)
	if commands != events {
		return fmt.Errorf("topic %s has %d partitions and topic %s has %d; both must have the same number, which cannot change", names[0], commands, names[1], events)
	}
	if dead := len(topics[names[2]].Partitions); dead < commands {
		return fmt.Errorf("topic %s has %d partitions and topic %s has %d; add the missing partitions to %s", names[2], dead, names[0], commands, names[2])
	}
	l.shards, l.topicIDs = commands, map[string]kadm.TopicID{}
	for _, n := range names {
		l.topicIDs[n] = topics[n].ID
	}
	l.loadReplication(ctx, topics)
	l.checkSettings(ctx)
	return nil
}

// Topics returns the ids of the topics, as of [Log.LoadTopics].
func (l *Log) Topics() eventlog.Topics {
	return eventlog.Topics{Commands: catalog.ID(l.topicIDs[l.topic("commands")]), Events: catalog.ID(l.topicIDs[l.topic("events")])}
}

// EventOffsets returns, by shard, the offset of the first event that the log
// still has (starts) and the offset that the next event will get (ends).
func (l *Log) EventOffsets(ctx context.Context) (starts, ends []int64, err error) {
	return l.offsets(ctx, l.topic("events"))
}

// ViewOffsets returns, by shard, the end of the events that this process has
// published, and the offset that the group of the readers has committed, or -1.
func (l *Log) ViewOffsets(ctx context.Context) (published, applied []int64, err error) {
	group, topic := l.cfg.TopicPrefix+"."+viewGroup, l.topic("events")
	committed, err := l.admin.FetchOffsets(ctx, group)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // no reader has ever run
		return nil, nil, fmt.Errorf("offsets of the group %s: %w", group, err)
	}
	published, applied = make([]int64, l.shards), make([]int64, l.shards)
	for i := range applied {
		published[i], _ = l.eventEnds.get(int32(i))
		applied[i] = -1
		if o, ok := committed.Lookup(topic, int32(i)); ok && o.Err == nil {
			applied[i] = o.At
		}
	}
	return published, applied, nil
}

// CommandOffsets returns, by shard, the offset of the first command that the
// log still has (starts) and the offset that the next command will get (ends).
func (l *Log) CommandOffsets(ctx context.Context) (starts, ends []int64, err error) {
	return l.offsets(ctx, l.topic("commands"))
}

// CommandEnds returns, by shard, the offset that the next command will get.
func (l *Log) CommandEnds(ctx context.Context) ([]int64, error) {
	_, ends, err := l.CommandOffsets(ctx)
	return ends, err
}

func (l *Log) offsetsWithin(ctx context.Context, topic string, d time.Duration) (starts, ends []int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, d)
	defer cancel()
	return l.offsets(ctx, topic)
}

func (l *Log) offsets(ctx context.Context, topic string) (starts, ends []int64, err error) {
	first, err := l.admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = first.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list start offsets of %s: %w", topic, err)
	}
	last, err := l.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = last.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("list end offsets of %s: %w", topic, err)
	}
	starts, ends = make([]int64, l.shards), make([]int64, l.shards)
	for i := range int32(l.shards) {
		s, _ := first.Lookup(topic, i)
		e, ok := last.Lookup(topic, i)
		if !ok {
			return nil, nil, fmt.Errorf("list end offsets of %s: partition %d is missing", topic, i)
		}
		starts[i], ends[i] = s.Offset, e.Offset
	}
	return starts, ends, nil
}

// ReadEvents calls handle with the events of the shard from the offset from on. It ignores records
// that are not events.
func (l *Log) ReadEvents(ctx context.Context, shard int32, from int64, handle func(catalog.Event) error) error {
	topic := l.topic("events")
	starts, ends, err := l.offsets(ctx, topic)
	if err != nil {
		return err
	}
	return l.readRecords(ctx, topic, shard, max(from, starts[shard]), ends[shard], func(r *kgo.Record) error {
		e, err := l.decodeEvent(r)
		if err != nil {
			return nil
		}
		return handle(e)
	})
}

// FindCut reports whether last, a record of the shard's partition of the commands
// topic, is no longer there, although its offset is not before the first record. It
// returns the offset up to which the topic is unchanged, or 0 if that is unknown.
func (l *Log) FindCut(ctx context.Context, shard int32, last eventlog.RecordID) (offset int64, cut bool, err error) {
	topic := l.topic("commands")
	if last.Epoch >= 0 {
		var r kadm.OffsetForLeaderEpochRequest
		r.Add(topic, shard, last.Epoch)
		found, err := l.admin.OffsetForLeaderEpoch(ctx, r)
		if err != nil {
			return 0, false, fmt.Errorf("find the end of epoch %d of %s, partition %d: %w", last.Epoch, topic, shard, err)
		}
		if end := found[topic][shard]; end.Err == nil && end.EndOffset >= 0 && end.EndOffset <= last.Offset {
			return end.EndOffset, true, nil
		}
	}
	_, ends, err := l.offsets(ctx, topic)
	if err != nil || last.Offset >= ends[shard] {
		return 0, err == nil, err
	}
	cut = true
	err = l.readRecords(ctx, topic, shard, last.Offset, last.Offset+1, func(r *kgo.Record) error {
		cut = recordID(r).Digest != last.Digest
		return nil
	})
	return 0, cut, err
}

// LastSeq returns the seq of the last event at or after the offset from in the shard's partition of
// the events topic, or 0 if there is none. It ignores records that are not events.
func (l *Log) LastSeq(ctx context.Context, shard int32, from int64) (int64, error) {
	e, _, end, err := lastRecord(ctx, l, "events", shard, from, l.decodeEvent)
	if err == nil {
		l.eventEnds.set(shard, end)
	}
	return e.Seq, err
}

// EventsLost reports whether the shard's partition of the events topic has lost its last
// records: it ends before one that LastSeq has found, or PublishEvents has stored, in this
// process. It returns an error that wraps ErrInconsistent when the topic was recreated.
func (l *Log) EventsLost(ctx context.Context, shard int32) (bool, error) {
	want, since := l.eventEnds.get(shard)
	if recent := time.Now().Add(-checkInterval); since.Before(recent) {
		since = recent
	}
	state, err := l.eventsCheck.stateAfter(ctx, since)
	switch {
	case err != nil:
		return false, fmt.Errorf("check topic %s: %w: %w", l.topic("events"), catalog.ErrUnavailable, err)
	case state.err != nil:
		return false, fmt.Errorf("%w: %w", catalog.ErrInconsistent, state.err)
	}
	return state.ends[shard] < want, nil
}

// partitionEnds holds, by partition of a topic, the offset after the last record that this
// process has found or stored there.
type partitionEnds struct {
	mu   sync.Mutex
	ends map[int32]partitionEnd
}

type partitionEnd struct {
	offset int64
	at     time.Time // time at which the end was known
}

func (p *partitionEnds) set(partition int32, offset int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ends == nil {
		p.ends = map[int32]partitionEnd{}
	}
	p.ends[partition] = partitionEnd{offset, time.Now()}
}

func (p *partitionEnds) get(partition int32) (offset int64, at time.Time) {
	p.mu.Lock()
	defer p.mu.Unlock()
	end := p.ends[partition]
	return end.offset, end.at
}

// lastRecord returns the last record of a partition, at or after the offset from,
// that decode accepts, and the offset at which the partition ends. It reports false if
// there is no such record. A call that fails keeps how far it came, so that the next one
// ends, however many other records follow that record.
func lastRecord[T any](ctx context.Context, l *Log, name string, partition int32, from int64, decode func(*kgo.Record) (T, error)) (last T, found bool, end int64, err error) {
	topic := l.topic(name)
	starts, ends, err := l.offsetsWithin(ctx, topic, readTimeout)
	if err != nil {
		return last, false, 0, err
	}
	from, end = max(from, starts[partition]), ends[partition]
	key, to := shardKey{name, partition}, end
	before := l.searches.get(key) // what earlier calls have read
	if before.to > end {
		before = offsetRange{}
	}
	// Nearly always the last record is accepted.
	for n := int64(1); from < to && !found; {
		if !before.empty() && to <= before.to {
			to, before = min(to, before.from), offsetRange{}
			continue
		}
		at, began := max(from, to-n), time.Now()
		if !before.empty() {
			at = max(at, before.to)
		}
		err := l.readRecords(ctx, topic, partition, at, to, func(r *kgo.Record) error {
			if v, err := decode(r); err == nil {
				last, found = v, true
			}
			return nil
		})
		if err != nil {
			return last, false, end, fmt.Errorf("%w (the last %d records are invalid)", err, end-to)
		}
		if !found {
			to = at
		}
		if before.empty() {
			l.searches.set(key, offsetRange{to, end})
		}
		if n *= 16; time.Since(began) > searchPause {
			n = max(n/256, 1)
		}
	}
	l.searches.set(key, offsetRange{})
	if n := end - to; n > reportedRecords {
		l.logger.ErrorContext(ctx, "invalid records at the end of a topic skipped; find out which program wrote them", "topic", topic, "shard", partition, "count", n)
	}
	return last, found, end, nil
}

const (
	// searchPause is about how long lastRecord reads between two times at which it keeps
	// how far it came.
	searchPause = time.Second

	// reportedRecords is how many invalid records at the end of a topic are logged.
	reportedRecords = 1_000
)

// offsetRange is the range of offsets [from, to).
type offsetRange struct{ from, to int64 }

func (r offsetRange) empty() bool { return r.from >= r.to }

// searches holds, by topic and partition, the records that an unfinished search of
// lastRecord has read.
type searches struct {
	mu   sync.Mutex
	read map[shardKey]offsetRange
}

func (s *searches) get(key shardKey) offsetRange {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.read[key]
}

func (s *searches) set(key shardKey, r offsetRange) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.read == nil {
		s.read = map[shardKey]offsetRange{}
	}
	s.read[key] = r
}

// readRecords calls handle with the records of a partition at the offsets from to
// end-1, except markers of transactions and producers' batches above maxBatchSize.
func (l *Log) readRecords(ctx context.Context, topic string, partition int32, from, end int64, handle func(*kgo.Record) error) error {
	if from >= end {
		return nil
	}
	c, err := l.clientAt(topic, partition, from)
	if err != nil {
		return err
	}
	defer c.Close()
	for from < end {
		poll, cancel := context.WithTimeout(ctx, readTimeout)
		fetches := c.PollFetches(poll)
		cancel()
		for _, r := range fetches.Records() {
			if from = r.Offset + 1; from > end {
				return nil
			}
			if r.Attrs.IsControl() {
				continue
			}
			if err := handle(r); err != nil {
				return err
			}
		}
		err := errors.Join(fetches.Err(), ctx.Err())
		if tooLarge := (*kgo.ErrDecompressTooLarge)(nil); errors.As(err, &tooLarge) {
			from = tooLarge.NextOffset
			c.SetOffsets(map[string]map[int32]kgo.EpochOffset{topic: {partition: {Epoch: tooLarge.Epoch, Offset: from}}})
		} else if err != nil {
			return fmt.Errorf("read %s, partition %d, from offset %d: %w", topic, partition, from, err)
		}
	}
	return nil
}

// clientAt returns a client that reads one partition from the offset on.
func (l *Log) clientAt(topic string, partition int32, offset int64) (*kgo.Client, error) {
	return l.newClient(
		kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NoResetOffset().At(offset)}}),
		kgo.FetchMaxBytes(fetchMaxBytes), kgo.FetchMaxPartitionBytes(partitionMaxBytes), kgo.MaxDecompressBatchBytes(maxBatchSize),
		kgo.KeepControlRecords(),   // one can be the last record
		kgo.DisableFetchSessions(), // a few fetches of one partition are not worth one
	)
}
