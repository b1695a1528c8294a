package kafka

import (
	"context"
	"errors"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/metrics/metricstest"
)

func TestTopicCheck(t *testing.T) { runBrokerTests(t, fakeBroker(t), topicCheckTests) }

var topicCheckTests = []brokerTest{
	{"an offset that the log does not have stops the shard with one error", missingOffset},
}

func missingOffset(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	c := newRecorder[catalog.Command]()
	c.begin = func(_ context.Context, shard int32) (int64, error) {
		if shard == 1 {
			return 1_000, nil
		}
		return 0, nil
	}
	start(t, c, l.ConsumeCommands)
	c.wait(t, "End of shard 1", func() bool { return c.count("end 1") > 0 })
	want := 0
	for i := range 30 {
		send(t, l, command(i, i))
		if l.shard(id(i)) != 1 {
			want++
		}
	}
	c.wait(t, "the commands of the other shards", func() bool { return c.total() == want })
	for name, want := range map[string]float64{"catalog_shards_stopped": 1, "catalog_shard_stopped": 1} {
		if v := metricstest.Value(t, l.registry, name, "consumer", "writer"); v != want {
			t.Errorf("%s = %v, want %v", name, v, want)
		}
	}
	if v := metricstest.Value(t, l.registry, "catalog_shard_stopped", "topic", "commands", "partition", "1"); v != 1 {
		t.Errorf("catalog_shard_stopped of shard 1 = %v, want 1", v)
	}
	if err := l.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "offset is 1000") {
		t.Errorf("Ping = %v, want the error of the stopped shard", err)
	}
	c.wait(t, "a retry of shard 1", func() bool { return c.count("end 1") > 1 })
	if lines := l.logs.lines("level=ERROR"); len(lines) != 1 || !strings.Contains(lines[0], "the next offset is 1000 and the topic ends at") || !strings.Contains(lines[0], "catalog repair") {
		t.Errorf("errors logged: %v; want one that names the offset and catalog repair", lines)
	}
}

func TestStoppedShards(t *testing.T) {
	t.Run("an error is logged once for a stopped shard and once for its text", func(t *testing.T) {
		var s stoppedShards
		lost, other := &unrecoverableError{error: errors.New("offset 7 is missing")}, &unrecoverableError{error: errors.New("offset 8 is missing")}
		a, b := shardKey{"writer", 1}, shardKey{"writer", 2}
		if !s.add(a, lost) || s.add(a, other) || s.add(b, other) || s.add(a, lost) {
			t.Error("add reported a repeated error as new, or a new one as repeated")
		}
		if !s.remove(a) || s.remove(a) || s.any() == nil {
			t.Error("remove of one shard did not remove that shard alone")
		}
		if !s.remove(b) || s.any() != nil || !s.add(a, lost) {
			t.Error("an error was not forgotten with the last shard")
		}
	})
}
