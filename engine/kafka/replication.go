package kafka

import (
	"context"
	"fmt"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"

	"catalog"
)

// minInSyncConfig is the topic setting that says how many replicas must have a
// record before it is acknowledged.
const minInSyncConfig = "min.insync.replicas"

// loadReplication reads how many in-sync replicas a write to the commands topic
// needs. It logs a warning for each topic that keeps acknowledged records on
// fewer brokers than the configuration asks for.
func (l *Log) loadReplication(ctx context.Context, topics kadm.TopicDetails) {
	l.minInSync, l.replicas = 1, 1
	configs, err := l.admin.DescribeTopicConfigs(ctx, topics.Names()...)
	if err != nil {
		l.logger.Warn("replication of the topics not checked", "err", err)
		return
	}
	for _, c := range configs {
		if c.Err != nil {
			l.logger.Warn("replication of the topic not checked", "topic", c.Name, "err", c.Err)
			continue
		}
		minInSync := 1
		for _, entry := range c.Configs {
			if entry.Key == minInSyncConfig {
				minInSync, _ = strconv.Atoi(entry.MaybeValue())
			}
		}
		replicas := topics[c.Name].Partitions.NumReplicas()
		switch {
		case replicas < l.cfg.Replicas:
			l.logger.Warn("topic has fewer replicas than -kafka.replicas; add replicas with kafka-reassign-partitions, or set the flag to what is intended",
				"topic", c.Name, "replicas", replicas, "wanted", l.cfg.Replicas)
		case replicas > 2 && minInSync < 2:
			l.logger.Warn("one broker alone acknowledges records, and its disk may lose them; set min.insync.replicas of the topic to 2",
				"topic", c.Name, "replicas", replicas, "min_insync_replicas", minInSync)
		}
		if c.Name == l.topic("commands") {
			l.minInSync, l.replicas = minInSync, replicas
		}
	}
}

// Writable returns ErrUnavailable unless each partition of the commands topic
// has a leader that responds and the in-sync replicas that a write needs. It
// sends no record.
func (l *Log) Writable(ctx context.Context) error {
	topic := l.topic("commands")
	topics, err := l.admin.ListTopics(ctx, topic)
	if err == nil {
		err = topics[topic].Err
	}
	if err == nil {
		_, _, err = l.offsets(ctx, topic) // offsets asks the leader of each partition
	}
	if err != nil {
		return fmt.Errorf("%w: %w", catalog.ErrUnavailable, err)
	}
	for _, p := range topics[topic].Partitions {
		if len(p.ISR) < l.minInSync {
			return fmt.Errorf("%w: partition %d of %s has %d in-sync replicas; a write needs %d", catalog.ErrUnavailable, p.Partition, topic, len(p.ISR), l.minInSync)
		}
	}
	return nil
}
