package kafka

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
)

// Prepare makes the topics that are not there, with the number of partitions
// given, and joins.
func (l *Log) CreateTopics(ctx context.Context, partitions int) error {
	week := "604800000" // ms; who falls further behind takes the journal
	for _, t := range []struct {
		name       string
		partitions int
		config     map[string]*string
	}{
		{"commands", partitions, map[string]*string{"retention.ms": &week}},
		{"events", partitions, map[string]*string{"retention.ms": &week}},
		{"dead-letters", partitions, map[string]*string{"retention.ms": kadm.StringPtr("-1")}},
	} {
		replicas := int16(l.cfg.Replicas)
		if replicas == 0 {
			replicas = -1
		}
		if replicas > 2 { // else acknowledged by all in sync can mean by one
			t.config["min.insync.replicas"] = kadm.StringPtr("2")
		}
		r, err := l.admin.CreateTopic(ctx, int32(t.partitions), replicas, t.config, l.topic(t.name))
		if err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
			return fmt.Errorf("make topic %s: %w %s", l.topic(t.name), err, r.ErrMessage)
		}
	}
	// A topic that was made is there, but not every broker knows it at once.
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	for try := 0; ; try++ {
		err := l.LoadTopics(ctx)
		if err == nil || !errors.Is(err, kerr.UnknownTopicOrPartition) || !pause(ctx, backoff(try)) {
			return err
		}
	}
}

// Join reads how many shards there are from the topics.
func (l *Log) LoadTopics(ctx context.Context) error {
	names := []string{l.topic("commands"), l.topic("events"), l.topic("dead-letters")}
	topics, err := l.admin.ListTopics(ctx, names...)
	if err != nil {
		return fmt.Errorf("read topics at %s: %w", l.cfg.Brokers, err)
	}
	for _, n := range names {
		if err := topics[n].Err; err != nil {
			return fmt.Errorf("topic %s: %w; make the topics with: catalog migrate", n, err)
		}
	}
	commands, events := len(topics[names[0]].Partitions), len(topics[names[1]].Partitions)
	if commands != events {
		return fmt.Errorf("topic %s has %d partitions and %s has %d; they must have the same number, fixed for life", names[0], commands, names[1], events)
	}
	if dead := len(topics[names[2]].Partitions); dead < commands {
		return fmt.Errorf("topic %s has %d partitions and %s has %d; add those that are missing", names[2], dead, names[0], commands)
	}
	l.shards, l.ids = commands, map[string]kadm.TopicID{}
	for _, n := range names {
		l.ids[n] = topics[n].ID
	}
	return nil
}

// EventBounds answers, by shard, the offset of the first event that the log
// still has and the offset that the next one will have.
func (l *Log) EventOffsets(ctx context.Context) (starts, ends []int64, err error) {
	return l.bounds(ctx, l.topic("events"))
}

func (l *Log) bounds(ctx context.Context, topic string) (starts, ends []int64, err error) {
	first, err := l.admin.ListStartOffsets(ctx, topic)
	if err == nil {
		err = first.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the starts of %s: %w", topic, err)
	}
	last, err := l.admin.ListEndOffsets(ctx, topic)
	if err == nil {
		err = last.Error()
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read the ends of %s: %w", topic, err)
	}
	starts, ends = make([]int64, l.shards), make([]int64, l.shards)
	for i := range int32(l.shards) {
		s, _ := first.Lookup(topic, i)
		e, ok := last.Lookup(topic, i)
		if !ok {
			return nil, nil, fmt.Errorf("read the ends of %s: partition %d is missing", topic, i)
		}
		starts[i], ends[i] = s.Offset, e.Offset
	}
	return starts, ends, nil
}

// CommandBounds answers, by shard, the offset of the first command that the log
// still has and the offset that the next one will have.
func (l *Log) CommandOffsets(ctx context.Context) (starts, ends []int64, err error) {
	return l.bounds(ctx, l.topic("commands"))
}

// EventsFrom reads the shard's events from seq on, up to the first that is
// missing or the end of their topic.
func (l *Log) ReadEvents(ctx context.Context, shard int32, seq int64) ([]catalog.Event, error) {
	topic := l.topic("events")
	starts, ends, err := l.bounds(ctx, topic)
	if err != nil || starts[shard] >= ends[shard] {
		return nil, err
	}
	c, err := l.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {shard: kgo.NoResetOffset().At(starts[shard])}}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	var events []catalog.Event
	for next := starts[shard]; next < ends[shard]; {
		fetches := c.PollFetches(ctx)
		if err := errors.Join(fetches.Err(), ctx.Err()); err != nil {
			return nil, fmt.Errorf("read the events of shard %d: %w", shard, err)
		}
		for _, r := range fetches.Records() {
			next = r.Offset + 1
			e, err := decodeEvent(r, l.shards)
			if err != nil {
				return nil, fmt.Errorf("read the events of shard %d: offset %d: %w", shard, r.Offset, err)
			}
			if e.Seq == seq+int64(len(events)) { // some are there more than once
				events = append(events, e)
			}
		}
	}
	return events, nil
}

// LastSeq answers the seq of the last event in the shard's partition of the
// events topic, or 0 when the partition holds no record.
func (l *Log) LastSeq(ctx context.Context, shard int32) (int64, error) {
	r, err := l.last(ctx, "events", shard)
	if err != nil || r == nil {
		return 0, err
	}
	e, err := decodeEvent(r, l.shards)
	if err != nil {
		return 0, fmt.Errorf("read the last event of shard %d: %w", shard, err)
	}
	return e.Seq, nil
}

// last reads the last record of a partition, or answers nil when it has none.
func (l *Log) last(ctx context.Context, name string, partition int32) (*kgo.Record, error) {
	topic := l.topic(name)
	starts, ends, err := l.bounds(ctx, topic)
	if err != nil || starts[partition] >= ends[partition] {
		return nil, err
	}
	offset := ends[partition] - 1
	c, err := l.client(kgo.ConsumePartitions(map[string]map[int32]kgo.Offset{topic: {partition: kgo.NoResetOffset().At(offset)}}))
	if err != nil {
		return nil, err
	}
	defer c.Close()
	fetches := c.PollRecords(ctx, 1)
	if err := fetches.Err(); err != nil {
		return nil, fmt.Errorf("read the last record of %s, partition %d: %w", topic, partition, err)
	}
	records := fetches.Records()
	if len(records) == 0 {
		return nil, fmt.Errorf("read the last record of %s, partition %d: nothing at offset %d", topic, partition, offset)
	}
	return records[0], nil
}
