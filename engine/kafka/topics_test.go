package kafka

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"catalog"
	"catalog/eventlog"
)

func TestTopics(t *testing.T) { runBrokerTests(t, fakeBroker(t), topicTests) }

var topicTests = []brokerTest{
	{"LastSeq, EventOffsets and ReadEvents read the events topic", eventsAreRead},
	{"topics are created once and keep their number of partitions", topicsAreCreatedOnce},
	{"topics get settings with which brokers refuse no event, and are not ready without", topicSettingsAreChecked},
}

func eventsAreRead(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	if seq, err := l.LastSeq(t.Context(), 1, 0); seq != 0 || err != nil {
		t.Errorf("LastSeq of an empty shard = %d, %v; want 0", seq, err)
	}
	publish(t, l, event(1, 5), event(1, 6))
	publish(t, l, event(1, 7), event(1, 6), event(1, 8), event(1, 9))
	if seq, err := l.LastSeq(t.Context(), 1, 0); seq != 9 || err != nil {
		t.Errorf("LastSeq = %d, %v; want 9", seq, err)
	}
	starts, ends, err := l.EventOffsets(t.Context())
	if err != nil || !slices.Equal(starts, []int64{0, 0, 0, 0}) || !slices.Equal(ends, []int64{0, 6, 0, 0}) {
		t.Errorf("EventOffsets = %v, %v, %v; want 0 to 6 for shard 1", starts, ends, err)
	}
	var seqs []int64
	err = l.ReadEvents(t.Context(), 1, 2, func(e catalog.Event) error {
		seqs = append(seqs, e.Seq)
		return nil
	})
	if err != nil || !slices.Equal(seqs, []int64{7, 6, 8, 9}) {
		t.Errorf("ReadEvents from offset 2 = %v, %v; want 7, 6, 8, 9", seqs, err)
	}
	if seq, err := l.LastSeq(t.Context(), 1, 6); seq != 0 || err != nil {
		t.Errorf("LastSeq from the end of the shard = %d, %v; want 0", seq, err)
	}
	for i := range 200 {
		produce(t, l, "events", 1, nil, fmt.Appendf(nil, "junk %d", i))
	}
	if seq, err := l.LastSeq(t.Context(), 1, 0); seq != 9 || err != nil {
		t.Errorf("LastSeq before 200 records that are no events = %d, %v; want 9", seq, err)
	}
	if seq, err := l.LastSeq(t.Context(), 1, 6); seq != 0 || err != nil {
		t.Errorf("LastSeq of records that are no events = %d, %v; want 0", seq, err)
	}
}

// incompressible returns a text of n bytes that stays above 300 kB when it is compressed.
func incompressible(n int) string {
	b := make([]byte, n)
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range b {
		b[i] = byte(' ' + rng.IntN(90))
	}
	return string(b)
}

func TestEventsLost(t *testing.T) {
	cluster := newCluster(t)
	l := openLog(t, testConfig(t, cluster.ListenAddrs()[0]))
	publish(t, l, event(1, 1), event(1, 2), event(1, 3))
	lost := func(shard int32) bool {
		t.Helper()
		lost, err := l.EventsLost(t.Context(), shard)
		if err != nil {
			t.Fatal(err)
		}
		return lost
	}
	next, err := Open(t.Context(), l.cfg, l.logger, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer next.Close()
	if err := next.LoadTopics(t.Context()); err != nil {
		t.Fatal(err)
	}
	if seq, err := next.LastSeq(t.Context(), 1, 0); err != nil || seq != 3 {
		t.Fatalf("LastSeq = %d, %v; want 3", seq, err)
	}
	if lost(0) || lost(1) {
		t.Errorf("EventsLost of a whole topic = %v, %v; want false", lost(0), lost(1))
	}
	cluster.ControlKey(int16(kmsg.ListOffsets), func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		request := r.(*kmsg.ListOffsetsRequest)
		response := request.ResponseKind().(*kmsg.ListOffsetsResponse)
		for _, topic := range request.Topics {
			topicOffsets := kmsg.NewListOffsetsResponseTopic()
			topicOffsets.Topic = topic.Topic
			for _, p := range topic.Partitions {
				partition := kmsg.NewListOffsetsResponseTopicPartition()
				if partition.Partition, partition.Offset = p.Partition, 0; p.Partition == 1 && p.Timestamp == -1 {
					partition.Offset = 2 // the last event is lost
				}
				topicOffsets.Partitions = append(topicOffsets.Partitions, partition)
			}
			response.Topics = append(response.Topics, topicOffsets)
		}
		return response, nil, true
	})
	for name, l := range map[string]*Log{"published": l.Log, "found": next} {
		l.eventsCheck.readAt = time.Time{} // the state that was read before is older than checkInterval
		zero, err0 := l.EventsLost(t.Context(), 0)
		one, err1 := l.EventsLost(t.Context(), 1)
		if zero || !one || err0 != nil || err1 != nil {
			t.Errorf("EventsLost of a topic that lost an event that this process has %s = %v, %v for shards 0 and 1 (%v, %v); want false, true", name, zero, one, err0, err1)
		}
	}
}

func topicSettingsAreChecked(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	if wrong, err := l.WrongSettings(t.Context()); len(wrong) > 0 || err != nil {
		t.Errorf("WrongSettings of new topics = %v, %v; want none", wrong, err)
	}
	set := func(name, value string) {
		t.Helper()
		if err := l.SetTopics(t.Context(), []eventlog.TopicSetting{{Topic: l.topic("events"), Name: name, Want: value}}); err != nil {
			t.Fatal(err)
		}
	}
	set("max.message.bytes", "300000")
	set("message.timestamp.type", "CreateTime")
	if err := l.LoadTopics(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := l.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "max.message.bytes of topic "+l.topic("events")+" is 300000") || !strings.Contains(err.Error(), "catalog repair") {
		t.Errorf("Ping = %v; want an error that names the setting and catalog repair", err)
	}
	if lines := l.logs.lines("level=ERROR", "catalog repair"); len(lines) != 1 {
		t.Errorf("errors logged: %v; want one that names catalog repair", lines)
	}
	large := event(1, 1)
	large.Product.Deleted, large.Product.Name = false, incompressible(400_000)
	// A broker shows a new setting a moment before its partitions follow it.
	wait(t, "the brokers refuse a large event", func() bool { return tryPublish(t, l, large) != nil })
	if err := tryPublish(t, l, large); !errors.Is(err, catalog.ErrInconsistent) || !strings.Contains(err.Error(), "catalog repair") {
		t.Errorf("publish of a refused event = %v; want ErrInconsistent that names catalog repair", err)
	}
	wrong, err := l.WrongSettings(t.Context())
	if err != nil || len(wrong) != 2 {
		t.Fatalf("WrongSettings = %v, %v; want two", wrong, err)
	}
	if err := l.SetTopics(t.Context(), wrong); err != nil {
		t.Fatal(err)
	}
	if err := l.Ping(t.Context()); err != nil {
		t.Errorf("Ping after SetTopics = %v; want nil", err)
	}
	wait(t, "the brokers take a large event", func() bool { return tryPublish(t, l, large) == nil })
}

func topicsAreCreatedOnce(t *testing.T, brokers string) {
	cfg := testConfig(t, brokers)
	fresh, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.Close()
	if err := fresh.LoadTopics(t.Context()); err == nil || !strings.Contains(err.Error(), "catalog migrate") {
		t.Errorf("LoadTopics without topics = %v; want an error that names catalog migrate", err)
	}
	l := openLog(t, cfg)
	if err := l.CreateTopics(t.Context(), shards+1); err != nil || l.Shards() != shards {
		t.Errorf("second CreateTopics: %v, %d shards; want no error and %d", err, l.Shards(), shards)
	}
	if _, err := l.admin.CreatePartitions(t.Context(), 1, l.topic("events")); err != nil {
		t.Fatal(err)
	}
	wait(t, "LoadTopics reports different numbers of partitions", func() bool { // brokers need a moment to know the topic
		err := l.LoadTopics(t.Context())
		return err != nil && strings.Contains(err.Error(), "the same number")
	})
}

func TestTopics_replicas(t *testing.T) {
	t.Run("with three replicas two must have a record", func(t *testing.T) {
		c := newCluster(t, kfake.NumBrokers(3))
		cfg := testConfig(t, strings.Join(c.ListenAddrs(), ","))
		cfg.Replicas = 3
		l := openLog(t, cfg)
		for _, name := range []string{"commands", "events", "dead-letters"} {
			topics, err := l.admin.DescribeTopicConfigs(t.Context(), l.topic(name))
			if err != nil {
				t.Fatal(err)
			}
			if !slices.ContainsFunc(topics[0].Configs, func(c kadm.Config) bool { return c.Key == "min.insync.replicas" && c.MaybeValue() == "2" }) {
				t.Errorf("%s: min.insync.replicas is not 2", name)
			}
		}
		send(t, l, command(1, 1))

		if err := l.Writable(t.Context()); err != nil {
			t.Errorf("Writable with 3 in-sync replicas of 2 = %v; want nil", err)
		}
		l.minInSync = 4
		if err := l.Writable(t.Context()); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Writable with 3 in-sync replicas of 4 = %v; want ErrUnavailable", err)
		}
		if lines := l.logs.lines("level=WARN"); len(lines) > 0 {
			t.Errorf("logged %q; want no warning", lines)
		}
		for _, name := range []string{"commands", "events", "dead-letters"} {
			if _, err := l.admin.AlterTopicConfigs(t.Context(), []kadm.AlterConfig{{Name: minInSyncConfig, Value: kadm.StringPtr("1")}}, l.topic(name)); err != nil {
				t.Fatal(err)
			}
		}
		if err := l.LoadTopics(t.Context()); err != nil || len(l.logs.lines("set min.insync.replicas of the topic to 2")) != 3 {
			t.Errorf("LoadTopics = %v, logged %q; want a warning for each topic that names min.insync.replicas", err, l.logs.lines())
		}
	})
	t.Run("more replicas than brokers is an error that names the flag", func(t *testing.T) {
		cfg := testConfig(t, fakeBroker(t))
		cfg.Replicas = 3
		l, err := Open(t.Context(), cfg, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if err := l.CreateTopics(t.Context(), shards); err == nil || !strings.Contains(err.Error(), "-kafka.replicas 1") {
			t.Errorf("CreateTopics = %v; want an error that names -kafka.replicas 1", err)
		}
	})
	t.Run("a topic with fewer replicas than wanted is a warning", func(t *testing.T) {
		l := openLog(t, testConfig(t, fakeBroker(t)))
		l.cfg.Replicas = 3
		if err := l.LoadTopics(t.Context()); err != nil || len(l.logs.lines("fewer replicas than -kafka.replicas")) != 3 {
			t.Errorf("LoadTopics = %v, logged %q; want a warning for each topic", err, l.logs.lines())
		}
	})
}
