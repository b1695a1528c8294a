// Package kafka is the log: commands in, events out, dead letters aside. It
// speaks to Apache Kafka, or to anything with its protocol, and is the only
// importer of franz-go.
//
// It promises: a record goes to the partition that [catalog.Shard] names and
// nowhere else; what was acknowledged is stored on all in-sync replicas; a
// consumer gets the records of a shard in order, from the offset it asked for,
// without a gap, and an offset that the log no longer has stops the shard
// instead of skipping.
package kafka

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
)

// Config says where the log is.
type Config struct {
	Brokers  string // host:port, comma separated
	Prefix   string // of the topics' names and of the groups'
	Replicas int    // of a topic that is made; 0 is the brokers' default
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Brokers, "kafka.brokers", c.Brokers, "`addresses` of Kafka brokers, host:port, comma separated")
	fs.StringVar(&c.Prefix, "kafka.prefix", "catalog", "first part of the `name` of topics and groups")
	fs.IntVar(&c.Replicas, "kafka.replicas", 0, "`number` of copies of topics that are made; 0 for the brokers' default")
}

// Log is an open log.
type Log struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	admin   *kadm.Client
	// Commands and events have a client each: a command may be given up after a
	// while, an event never.
	commands, events *kgo.Client
	shards           int
}

// Open connects to the brokers, or says in one line why not. Call [Log.Prepare]
// or [Log.Join] before anything else.
func Open(ctx context.Context, cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	l := &Log{cfg: cfg, log: log, metrics: newMetrics(reg)}
	producer := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), // the client's default of 10 ms would be the largest part of an answer
		kgo.MaxBufferedRecords(20_000),
		kgo.MaxBufferedBytes(64 << 20),
	}
	var err error
	if l.commands, err = l.client(append(producer, kgo.RecordDeliveryTimeout(10*time.Second))...); err != nil {
		return nil, err
	}
	if l.events, err = l.client(producer...); err != nil {
		return nil, err
	}
	l.admin = kadm.NewClient(l.events)
	if err := l.Ping(ctx); err != nil {
		l.Close()
		return nil, err
	}
	return l, nil
}

func (l *Log) client(opts ...kgo.Opt) (*kgo.Client, error) {
	brokers := strings.FieldsFunc(l.cfg.Brokers, func(r rune) bool { return r == ',' || r == ' ' })
	if len(brokers) == 0 {
		return nil, errors.New("no Kafka brokers are named; give -kafka.brokers host:port")
	}
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("catalog"),
		kgo.DialTimeout(3 * time.Second),
		kgo.RetryBackoffFn(backoff),
		// A topic that was made a moment ago is found at the next try.
		kgo.MetadataMinAge(100 * time.Millisecond),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return c, nil
}

// Ping says whether a broker answers.
func (l *Log) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := l.events.Ping(ctx); err != nil {
		return fmt.Errorf("no Kafka broker answers at %s (%w); start one there, or set -kafka.brokers", l.cfg.Brokers, err)
	}
	return nil
}

// Shards is the number of partitions of the commands and the events topic.
func (l *Log) Shards() int { return l.shards }

// Close sends what is buffered, for at most three seconds, and disconnects.
func (l *Log) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
	defer cancel()
	for _, c := range []*kgo.Client{l.commands, l.events} {
		if c != nil {
			if err := c.Flush(ctx); err != nil {
				l.log.Warn("records were not sent before the end", "err", err)
			}
			c.Close()
		}
	}
}

func (l *Log) topic(name string) string { return l.cfg.Prefix + "." + name }

// shard is the partition of all records of the product.
func (l *Log) shard(product catalog.ID) int32 { return catalog.Shard(product, l.shards) }
