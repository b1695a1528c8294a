package kafka

import (
	"strings"
	"testing"
	"time"

	"catalog"
)

func TestConsumer(t *testing.T) { runBrokerTests(t, fakeBroker(t), consumerTests) }

var consumerTests = []brokerTest{
	{"members of a group share the shards, and take over those of a member that leaves", shardsAreShared},
	{"the offsets of handled records are committed to the group", offsetsAreCommitted},
	{"a writer learns which of its events the readers have applied", viewOffsets},
}

func shardsAreShared(t *testing.T, brokers string) {
	cfg := testConfig(t, brokers)
	l1, l2 := openLog(t, cfg), openLog(t, cfg)
	c1, c2 := newRecorder[catalog.Command](), newRecorder[catalog.Command]()
	stop1 := start(t, c1, l1.ConsumeCommands)
	c1.wait(t, "all shards at the first member", func() bool { return c1.activeShards() == shards })
	start(t, c2, l2.ConsumeCommands)
	c2.wait(t, "half of the shards at the second member", func() bool { return c2.activeShards() == shards/2 })
	c1.wait(t, "half of the shards at the first member", func() bool { return c1.activeShards() == shards/2 })
	stop1()
	c2.wait(t, "all shards at the second member", func() bool { return c2.activeShards() == shards })
	send(t, l1, command(1, 1))
	c2.wait(t, "a command", func() bool { return c2.total() == 1 })
}

func offsetsAreCommitted(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	c := newRecorder[catalog.Command]()
	stop := start(t, c, l.ConsumeCommands)
	cmd := command(1, 1)
	send(t, l, cmd, command(2, 1))
	c.wait(t, "2 commands", func() bool { return c.total() == 2 })
	stop()
	offsets, err := l.admin.FetchOffsets(t.Context(), l.cfg.TopicPrefix+".writer")
	if err != nil {
		t.Fatal(err)
	}
	if o, ok := offsets.Lookup(l.topic("commands"), l.shard(cmd.Product)); !ok || o.At != 2 {
		t.Errorf("committed offset = %v, want 2", o.At)
	}
}

func TestConsumer_sessionTimeout(t *testing.T) {
	t.Run("a timeout that the brokers reject is an error that names the flag", func(t *testing.T) {
		cfg := testConfig(t, fakeBroker(t)) // the broker allows 6 s and more, as Kafka does
		cfg.SessionTimeout = time.Second
		l := openLog(t, cfg)
		err := l.ConsumeCommands(t.Context(), newRecorder[catalog.Command]())
		if err == nil || !strings.Contains(err.Error(), "-kafka.session-timeout 1s") {
			t.Errorf("ConsumeCommands = %v; want an error with -kafka.session-timeout 1s", err)
		}
	})
}

func viewOffsets(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	published, applied, err := l.ViewOffsets(t.Context())
	if err != nil || published[0] != 0 || applied[0] != -1 {
		t.Fatalf("ViewOffsets without events and readers = %v, %v, %v; want 0 and -1", published, applied, err)
	}
	publish(t, l, event(0, 1), event(0, 2))
	start(t, newRecorder[catalog.Event](), l.ConsumeEvents)
	wait(t, "the offsets of two events", func() bool {
		published, applied, err = l.ViewOffsets(t.Context())
		return err == nil && published[0] == 2 && applied[0] == 2 && applied[1] == -1
	})
}
