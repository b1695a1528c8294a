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
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/semaphore"

	"catalog"
)

// Config says where the log is.
type Config struct {
	Brokers        string        // host:port, comma separated
	TopicPrefix    string        // of the topics' names and of the groups'; "" for catalog
	Partitions     int           // of commands and events, when they are made; fixed for life
	Replicas       int           // of a topic, when it is made; 0 for the brokers' default
	SessionTimeout time.Duration // after which the shards of a process that is not heard of go to others; 0 for 10 s
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Brokers, "kafka.brokers", c.Brokers, "`addresses` of Kafka brokers, host:port, comma separated")
	fs.StringVar(&c.TopicPrefix, "kafka.topic-prefix", "catalog", "first part of the `name` of topics and groups")
	fs.IntVar(&c.Partitions, "kafka.partitions", 64, "`number` of partitions of the commands and the events topic; used only when they are made, and fixed for life")
	fs.IntVar(&c.Replicas, "kafka.replicas", 3, "`number` of copies of each topic; used only when they are made, 0 for the brokers' default")
	fs.DurationVar(&c.SessionTimeout, "kafka.session-timeout", 10*time.Second, "`time` after which the shards of a process that is not heard of go to others; Kafka allows 6s and more")
}

// Log is an open log.
type Log struct {
	cfg     Config
	log     *slog.Logger
	metrics *metrics
	admin   *kadm.Client
	// Commands and events have a client each: a command that cannot be sent is
	// given up after a while, an event never.
	commands, events *kgo.Client
	unsent           *semaphore.Weighted // places for events on their way
	shards           int
	ids              map[string]kadm.TopicID // of the topics that were joined

	mu     sync.Mutex
	halted map[haltKey]error // why shards have stopped
}

// Limits of what is buffered on its way to the brokers, by each client.
const (
	unsentRecords = 20_000
	unsentBytes   = 64 << 20
)

// Open connects to the brokers, or says in one line why not. Call [Log.Prepare]
// or [Log.Join] before anything else.
func Open(ctx context.Context, cfg Config, log *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	if cfg.TopicPrefix == "" {
		cfg.TopicPrefix = "catalog"
	}
	if cfg.SessionTimeout == 0 {
		cfg.SessionTimeout = 10 * time.Second
	}
	l := &Log{cfg: cfg, log: log, halted: map[haltKey]error{}, unsent: semaphore.NewWeighted(unsentRecords)}
	producer := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), // the client's default of 10 ms would be the largest part of an answer
	}
	var err error
	if l.commands, err = l.client(append(producer,
		kgo.MaxBufferedRecords(unsentRecords), kgo.MaxBufferedBytes(unsentBytes),
		kgo.RecordDeliveryTimeout(10*time.Second),
	)...); err != nil {
		return nil, err
	}
	// Publish keeps the number of events in bounds, so that it can give up
	// waiting; the client could not.
	if l.events, err = l.client(append(producer, kgo.MaxBufferedRecords(2*unsentRecords))...); err != nil {
		l.commands.Close()
		return nil, err
	}
	l.admin = kadm.NewClient(l.events)
	if err := l.Ping(ctx); err != nil {
		l.Close()
		return nil, err
	}
	l.metrics = newMetrics(reg)
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
		kgo.WithLogger(clientLog{l.log}),
		kgo.DisableClientMetrics(), // what the brokers ask clients to push
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

// clientLog passes on what the client has to tell people who look after it. Its
// errors are warnings here: it tries again by itself.
type clientLog struct{ *slog.Logger }

func (clientLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (l clientLog) Log(level kgo.LogLevel, msg string, attrs ...any) {
	to := slog.LevelInfo
	if level == kgo.LogLevelError {
		to = slog.LevelWarn
	}
	l.Logger.Log(context.Background(), to, "kafka: "+msg, attrs...)
}

// Ping says whether a broker answers, and no shard has stopped.
func (l *Log) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	if err := l.events.Ping(ctx); err != nil {
		return fmt.Errorf("no Kafka broker answers at %s (%w); start one there, or set -kafka.brokers", l.cfg.Brokers, err)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, err := range l.halted {
		return err // one is enough; the log has all
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
		if err := c.Flush(ctx); err != nil {
			l.log.Warn("records were not sent before the end", "err", err)
		}
		c.Close()
	}
}

func (l *Log) topic(name string) string { return l.cfg.TopicPrefix + "." + name }

// shard is the partition of all records of the product.
func (l *Log) shard(product catalog.ID) int32 { return catalog.Shard(product, l.shards) }
