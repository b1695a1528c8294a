// Package kafka implements the log on Apache Kafka or any broker that speaks
// its protocol: a topic of commands, a topic of events and a topic of dead
// letters. No other package imports franz-go, the Kafka client.
//
// Promises:
//   - A record goes to the partition that [catalog.Shard] computes for its
//     product, never to another.
//   - An acknowledged record is stored on all in-sync replicas.
//   - A consumer gets the records of a shard in order and without a gap, from
//     the offset that it asked for. An offset that the log no longer has stops
//     the shard; no record is skipped.
//
// DESIGN.md follows a record through the package.
package kafka

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/internal/memory"
)

// Config holds the settings of a Log.
type Config struct {
	// Brokers lists the addresses of the Kafka brokers as host:port, separated
	// by commas. It is required. One reachable broker is enough to find the
	// others; name several so that one may be down.
	Brokers string

	// TopicPrefix is the first part of the names of topics and consumer groups.
	// Change it to run several catalogues on one cluster. "" means "catalog".
	TopicPrefix string

	// Partitions is the number of partitions of the commands and the events
	// topic. It is read only when the topics are created and cannot change
	// afterwards. It limits how many writers and readers can share the work.
	Partitions int

	// Replicas is the replication factor of a topic that is created. 0 means
	// the default of the brokers.
	Replicas int

	// Memory bounds the records that the process buffers. Nil means the same limits,
	// without metrics.
	Memory *memory.Budget

	// HMACSecret is a list of secrets of at least 16 characters, separated by commas, that
	// sign the records of the commands and the events topic: the first one signs, all
	// verify. Records without a valid signature are refused, so that a program that may
	// write to the topics cannot forge any. While the keys are introduced, process by
	// process, end the list with a comma: records without a signature are then
	// accepted. "" means no signatures.
	HMACSecret string

	// SessionTimeout is the time after which the group assigns the shards of a
	// process without heartbeats to other processes. A shorter time makes a
	// takeover faster, a longer one tolerates longer pauses. 0 means 10 s.
	SessionTimeout time.Duration
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Brokers, "kafka.brokers", c.Brokers, "`addresses` of the Kafka brokers, host:port, comma separated")
	fs.StringVar(&c.TopicPrefix, "kafka.topic-prefix", defaultPrefix, "first part of the `name` of topics and consumer groups")
	fs.IntVar(&c.Partitions, "kafka.partitions", 16, "`number` of partitions of the commands and the events topic; used only to create them, cannot change afterwards")
	fs.IntVar(&c.Replicas, "kafka.replicas", 3, "replication `factor` of each topic; used only to create it, 0 for the default of the brokers")
	fs.StringVar(&c.HMACSecret, "kafka.hmac-secret", c.HMACSecret, "`secrets` that sign the records of commands and events, comma separated: the first one signs, all verify; a comma at the end also accepts records without a signature")
	fs.DurationVar(&c.SessionTimeout, "kafka.session-timeout", defaultSession, "`time` without heartbeats after which the shards of a process go to others; Kafka allows 6s and more")
}

const (
	defaultPrefix  = "catalog"
	defaultSession = 10 * time.Second

	dialTimeout  = 3 * time.Second // timeout of a connection to one broker
	pingTimeout  = 5 * time.Second // timeout of Ping, so that a readiness check ends in time
	flushTimeout = 3 * time.Second // time in which Close sends buffered records

	// metadataMinAge is the shortest time between two metadata requests. It is
	// below the client's default so that a topic created a moment ago is found
	// on the next attempt.
	metadataMinAge = 100 * time.Millisecond
)

// Log is an open connection to the three topics.
type Log struct {
	cfg     Config
	logger  *slog.Logger
	metrics *logMetrics
	signer  signer
	admin   *kadm.Client
	// Commands and events have a client each, because a command that cannot be
	// sent fails after deliveryTimeout and an event is retried forever.
	commands, events *kgo.Client
	toCommands       *rounds              // rounds of the client commands
	toEvents         *rounds              // rounds of the client events
	sending          func() *memory.Share // memory of commands on their way to the brokers
	publishing       func() *memory.Share // memory of events and dead letters on their way to the brokers
	shards           int
	topicIDs         map[string]kadm.TopicID // topic ids by name, as of LoadTopics
	minInSync        int                     // in-sync replicas that a command needs, as of LoadTopics
	replicas         int                     // replicas of the commands topic, as of LoadTopics
	refuses          atomic.Bool             // a topic refuses large records, as of LoadTopics and later calls of Ping
	eventEnds        partitionEnds           // end offsets of the events topic
	eventsCheck      *topicChecker           // checker of the events topic, for EventsLost
	searches         searches                // unfinished searches of lastRecord
	stopped          stoppedShards
	stuck            stuckShards
	stuckLimit       time.Duration // stuckLimit, except in tests
}

// Open connects to the brokers. Its error is one line. Call [Log.CreateTopics]
// or [Log.LoadTopics] before any other method, and [Log.Close] at the end.
func Open(ctx context.Context, cfg Config, logger *slog.Logger, reg prometheus.Registerer) (*Log, error) {
	if cfg.TopicPrefix == "" {
		cfg.TopicPrefix = defaultPrefix
	}
	if cfg.SessionTimeout == 0 {
		cfg.SessionTimeout = defaultSession
	}
	signer, err := newSigner(cfg.HMACSecret)
	if err != nil {
		return nil, err
	}
	l := &Log{
		cfg: cfg, logger: logger, signer: signer, stuckLimit: stuckLimit,
		// Only a process that sends takes a share for it.
		sending:    sync.OnceValue(func() *memory.Share { return cfg.Memory.Share("kafka.send", sendShare) }),
		publishing: sync.OnceValue(func() *memory.Share { return cfg.Memory.Share("kafka.publish", publishShare) }),
	}
	l.eventsCheck = &topicChecker{log: l, topic: l.topic("events")}
	producer := []kgo.Opt{
		kgo.RecordPartitioner(kgo.ManualPartitioner()),
		kgo.ProducerLinger(0), // the client's default of 10 ms would be most of the response time
		kgo.MaxBufferedRecords(maxBufferedRecords),
	}
	if l.commands, err = l.newClient(append(producer, kgo.RecordDeliveryTimeout(deliveryTimeout))...); err != nil {
		return nil, err
	}
	if l.events, err = l.newClient(producer...); err != nil {
		l.commands.Close()
		return nil, err
	}
	l.toCommands, l.toEvents = newRounds(l.commands), newRounds(l.events)
	l.admin = kadm.NewClient(l.events)
	if err := l.Ping(ctx); err != nil {
		l.Close()
		return nil, err
	}
	l.metrics = newMetrics(reg)
	return l, nil
}

// newClient returns a client with the settings that all clients share, and
// opts.
func (l *Log) newClient(opts ...kgo.Opt) (*kgo.Client, error) {
	brokers := strings.FieldsFunc(l.cfg.Brokers, func(r rune) bool { return r == ',' || r == ' ' })
	if len(brokers) == 0 {
		return nil, errors.New("no Kafka brokers given; set -kafka.brokers host:port")
	}
	if strings.ContainsAny(l.cfg.Brokers, "@/?=") {
		return nil, errors.New("-kafka.brokers: must be host:port, comma separated, without user and password") // not the value: it contains the password
	}
	c, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(brokers...),
		kgo.ClientID("catalog"),
		kgo.WithLogger(clientLog{l.logger}),
		kgo.DisableClientMetrics(), // brokers would otherwise ask the client to push metrics to them
		kgo.DialTimeout(dialTimeout),
		kgo.RetryBackoffFn(backoff),
		kgo.MetadataMinAge(metadataMinAge),
		kgo.ProducerBatchMaxBytes(maxSentBytes),
	}, opts...)...)
	if err != nil {
		return nil, fmt.Errorf("kafka: %w", err)
	}
	return c, nil
}

// clientLog writes the warnings and errors of the client to the logger. It logs
// errors as warnings, because the client retries.
type clientLog struct{ *slog.Logger }

func (clientLog) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (l clientLog) Log(level kgo.LogLevel, msg string, attrs ...any) {
	to := slog.LevelInfo
	if level == kgo.LogLevelError {
		to = slog.LevelWarn
	}
	l.Logger.Log(context.Background(), to, "kafka: "+msg, attrs...)
}

// Ping returns an error when no broker responds, when a topic refuses large records,
// or when a shard of this process is stopped or has work and does not move.
func (l *Log) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	if err := l.events.Ping(ctx); err != nil {
		return fmt.Errorf("no Kafka broker responds at %s: %w (%w); start one there, or set -kafka.brokers", l.cfg.Brokers, catalog.ErrUnavailable, err)
	}
	if err := l.settingsError(ctx); err != nil {
		return err
	}
	if err := l.stopped.any(); err != nil {
		return err
	}
	return l.stuck.err()
}

// Shards returns the number of partitions of the commands and the events topic.
func (l *Log) Shards() int { return l.shards }

// Close sends the buffered records, for at most three seconds, and disconnects.
func (l *Log) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), flushTimeout)
	defer cancel()
	l.toCommands.close()
	l.toEvents.close()
	for _, c := range []*kgo.Client{l.commands, l.events} {
		if err := c.Flush(ctx); err != nil {
			l.logger.Warn("buffered records not sent before close", "err", err)
		}
		c.Close()
	}
}

// topic returns the full name of a topic.
func (l *Log) topic(name string) string { return l.cfg.TopicPrefix + "." + name }

// shard returns the partition of all records of the product.
func (l *Log) shard(product catalog.ID) int32 { return catalog.Shard(product, l.shards) }
