package kafka

import (
	"context"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/metrics/metricstest"
)

func TestMetrics(t *testing.T) { runBrokerTests(t, fakeBroker(t), metricsTests) }

var metricsTests = []brokerTest{
	{"the lag of a consumer that is stuck grows, and ends when it continues", stuckConsumer},
	{"shards, takeovers, retries and handled batches are counted", countedShards},
}

func stuckConsumer(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	proceed := make(chan struct{})
	c := newRecorder[catalog.Command]()
	c.handle = func(context.Context, eventlog.Records[catalog.Command]) error { <-proceed; return nil }
	start(t, c, l.ConsumeCommands)
	shard := partitionLabel(l.shard(id(1)))
	lag := func(name string) float64 {
		return metricstest.Value(t, l.registry, name, "consumer", "writer", "topic", "commands", "partition", shard)
	}
	for i := range 3 {
		send(t, l, command(i, 1))
	}
	wait(t, "a lag of 3 records", func() bool { return lag("catalog_kafka_lag_records") == 3 })
	age := lag("catalog_kafka_lag_seconds")
	wait(t, "an older lag", func() bool { return lag("catalog_kafka_lag_seconds") > age })
	close(proceed)
	wait(t, "no lag", func() bool { return lag("catalog_kafka_lag_records") == 0 && lag("catalog_kafka_lag_seconds") == 0 })
}

func countedShards(t *testing.T, brokers string) {
	l := openLog(t, testConfig(t, brokers))
	failures := 1
	c := newRecorder[catalog.Command]()
	c.handle = func(context.Context, eventlog.Records[catalog.Command]) error {
		if failures--; failures >= 0 {
			return catalog.ErrUnavailable
		}
		return nil
	}
	start(t, c, l.ConsumeCommands)
	value := func(name string) float64 { return metricstest.Value(t, l.registry, name, "consumer", "writer") }
	c.wait(t, "all shards", func() bool { return c.activeShards() == shards })
	wait(t, "4 owned shards", func() bool { return value("catalog_shards_owned") == shards })
	if n := value("catalog_shard_takeovers_total"); n != shards {
		t.Errorf("%v takeovers, want %d", n, shards)
	}
	send(t, l, command(1, 1))
	wait(t, "a handled batch", func() bool {
		return metricstest.Value(t, l.registry, "messaging_process_duration_seconds", "messaging_destination_name", "commands", "consumer", "writer") == 1
	})
	if n := value("catalog_kafka_retries_total"); n != 1 {
		t.Errorf("%v retries, want 1", n)
	}
}

// wait waits until the condition holds.
func wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !condition(); {
		if time.Now().After(end) {
			t.Fatalf("waited %v for: %s", waitLimit, what)
		}
		time.Sleep(time.Millisecond)
	}
}
