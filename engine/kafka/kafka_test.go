package kafka

import (
	"bytes"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.uber.org/goleak"

	"catalog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	shards = 4

	// waitLimit ends a wait that would never end. It is far above what a busy
	// machine needs.
	waitLimit = time.Minute
)

// brokerTest is a test that runs on the fake broker and, with the tag real, on
// Kafka.
type brokerTest struct {
	name string
	run  func(t *testing.T, brokers string)
}

func runBrokerTests(t *testing.T, brokers string, tests []brokerTest) {
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			test.run(t, brokers)
		})
	}
}

// fakeBroker starts a broker that lives as long as the test, and returns its
// address.
func fakeBroker(t *testing.T) string { return newCluster(t).ListenAddrs()[0] }

func newCluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// testConfig returns a config with topics and groups that no other test uses.
func testConfig(t *testing.T, brokers string) Config {
	name := strings.NewReplacer("/", ".", "_", "-", ",", "", "'", "").Replace(t.Name())
	return Config{Brokers: brokers, TopicPrefix: fmt.Sprintf("%.150s-%d", name, time.Now().UnixNano()), Replicas: 1, SessionTimeout: 6 * time.Second}
}

// testLog is a log whose topics exist, with the lines that it logs and its metrics.
type testLog struct {
	*Log
	logs     *logCapture
	registry *prometheus.Registry
}

func openLog(t *testing.T, cfg Config) testLog {
	t.Helper()
	return openLogWith(t, cfg, shards)
}

// openShardLog returns a log of one shard.
func openShardLog(t *testing.T, brokers string) testLog {
	t.Helper()
	return openLogWith(t, testConfig(t, brokers), 1)
}

func openLogWith(t *testing.T, cfg Config, shards int) testLog {
	t.Helper()
	logs, registry := &logCapture{}, prometheus.NewRegistry()
	l, err := Open(t.Context(), cfg, slog.New(slog.NewTextHandler(logs, nil)), registry)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(l.Close)
	if err := l.CreateTopics(t.Context(), shards); err != nil {
		t.Fatal(err)
	}
	return testLog{l, logs, registry}
}

// logCapture keeps log lines.
type logCapture struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (c *logCapture) Write(p []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.b.Write(p)
}

// lines returns the lines that contain all words.
func (c *logCapture) lines(words ...string) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(strings.Split(c.b.String(), "\n"), func(line string) bool {
		return slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(line, w) })
	})
}

func id(i int) catalog.ID { return catalog.DerivedID("test", fmt.Sprint(i)) }

func command(i, product int) catalog.Command {
	return catalog.Command{
		ID: id(i), Product: id(product), Op: catalog.DeleteProduct{},
		Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", AcceptedAt: time.Date(2026, 11, 23, 12, 0, 0, 1000, time.UTC),
	}
}

func event(shard int32, seq int64) catalog.Event {
	product := id(int(seq))
	for i := 0; catalog.Shard(product, shards) != shard; i++ {
		product = catalog.DerivedID("test", fmt.Sprint(seq, " ", i))
	}
	return catalog.Event{
		Position: catalog.Position{Shard: shard, Seq: seq}, Outcome: catalog.Deleted,
		Product: catalog.Product{ID: product, Version: 2, Deleted: true},
		Command: id(int(seq)), AcceptedAt: time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC), SettledAt: time.Date(2026, 11, 23, 12, 0, 1, 0, time.UTC),
	}
}

func send(t *testing.T, l testLog, commands ...catalog.Command) {
	t.Helper()
	if err := l.SendCommands(t.Context(), commands...); err != nil {
		t.Fatal(err)
	}
}

func publish(t *testing.T, l testLog, events ...catalog.Event) {
	t.Helper()
	if err := tryPublish(t, l, events...); err != nil {
		t.Fatal(err)
	}
}

func tryPublish(t *testing.T, l testLog, events ...catalog.Event) error {
	done := make(chan error, 1)
	l.PublishEvents(t.Context(), events, func(err error) { done <- err })
	return <-done
}

// produce appends a record with the given bytes.
func produce(t *testing.T, l testLog, topic string, partition int32, key, value []byte, h ...kgo.RecordHeader) {
	t.Helper()
	r := &kgo.Record{Topic: l.topic(topic), Partition: partition, Key: key, Value: value, Headers: h}
	if err := l.events.ProduceSync(t.Context(), r).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func TestOpen(t *testing.T) {
	t.Run("an error names in one line what is missing", func(t *testing.T) {
		for brokers, want := range map[string]string{"": "-kafka.brokers", "127.0.0.1:1": "127.0.0.1:1"} {
			_, err := Open(t.Context(), Config{Brokers: brokers}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
			if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open(%q) = %v; want one line with %q", brokers, err, want)
			}
		}
	})
}
