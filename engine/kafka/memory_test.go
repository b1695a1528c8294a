package kafka

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/memory"
	"catalog/internal/metrics/metricstest"
)

// largeEvent returns an event with one of the largest products there can be. The
// broker stores the events of a shard compressed, twenty in the space of one.
func largeEvent(shard int32, seq int64) catalog.Event {
	e := event(shard, seq)
	e.Outcome, e.Product.Deleted = catalog.Changed, false
	e.Product.Name, e.Product.Attributes = "Chair", map[string]string{}
	e.Product.Price = catalog.Money{Decimal: catalog.Decimal{Units: 1}, Currency: "EUR"}
	for i := range catalog.MaxAttributes {
		e.Product.Attributes[fmt.Sprint("attribute ", i)] = strings.Repeat("😀", catalog.MaxAttributeValue)
	}
	return e
}

// Records are large when they are decompressed, and consumers can be slow: the
// bytes that their process buffers are limited over all shards.
func TestFetcher_memory(t *testing.T) {
	cfg := testConfig(t, fakeBroker(t))
	registry := prometheus.NewRegistry()
	cfg.Memory = memory.NewBudget(memory.ServiceBudget, registry)
	l := openLog(t, cfg)
	const n = 12 // events of each shard; together 38 MB
	for shard := range int32(shards) {
		for seq := range int64(n) {
			publish(t, l, largeEvent(shard, seq+1))
		}
	}
	held := cfg.Memory.Share("kafka.fetch.test", fetchShare)
	c := newRecorder[catalog.Event]()
	proceed := make(chan struct{})
	c.handle = func(context.Context, eventlog.Records[catalog.Event]) error {
		// One fetch of one broker can be added to the share: at most the compressed
		// bytes, each twenty times as large.
		if got := held.Held(); got > fetchShare+20*fetchMaxBytes {
			t.Errorf("%d MB are held", got>>20)
		}
		<-proceed
		return nil
	}
	start(t, c, func(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
		return l.ConsumeAllShards(ctx, "test", c)
	})
	wait(t, "records in every shard", func() bool { return held.Held() >= shards<<20 })
	close(proceed)
	c.wait(t, "all events", func() bool { return c.total() == shards*n })
	for shard, items := range c.items {
		for i, e := range items {
			if e.Seq != int64(i)+1 {
				t.Fatalf("event %d of shard %d has seq %d", i, shard, e.Seq)
			}
		}
	}
	wait(t, "the records are given back", func() bool {
		return metricstest.Value(t, registry, "catalog_memory_held_bytes", "share", "kafka.fetch.test") == 0
	})
}

func TestPublishEvents_memory(t *testing.T) {
	t.Run("events wait until those before them are stored", func(t *testing.T) {
		l := openLog(t, testConfig(t, fakeBroker(t)))
		share := l.publishing()
		share.Hold(publishShare - 1<<20) // other events leave room for one large event
		events := []catalog.Event{largeEvent(0, 1), largeEvent(0, 2), largeEvent(0, 3)}
		done, most := make(chan error, 1), int64(0)
		go l.PublishEvents(t.Context(), events, func(err error) { done <- err })
		for open := true; open; {
			most = max(most, share.Held())
			select {
			case err := <-done:
				if open = false; err != nil {
					t.Fatal(err)
				}
			default:
			}
		}
		if most > publishShare {
			t.Errorf("%d bytes were on their way; want at most %d", most, publishShare)
		}
		if share.Release(publishShare - 1<<20); share.Held() != 0 {
			t.Errorf("%d bytes are held after all is stored", share.Held())
		}
		if seq, err := l.LastSeq(t.Context(), 0, 0); err != nil || seq != 3 {
			t.Errorf("LastSeq = %d, %v; want 3", seq, err)
		}
	})
	t.Run("commands beyond the limit are not accepted", func(t *testing.T) {
		l := openLog(t, testConfig(t, fakeBroker(t)))
		l.sending().Hold(sendShare)
		if err := l.SendCommands(t.Context(), command(1, 1)); !errors.Is(err, catalog.ErrOverloaded) || errors.Is(err, catalog.ErrOutcomeUnknown) {
			t.Errorf("SendCommands = %v; want ErrOverloaded", err)
		}
		l.sending().Release(sendShare)
		send(t, l, command(1, 1))
		if got := l.sending().Held(); got != 0 {
			t.Errorf("%d bytes are held after all is stored", got)
		}
	})
}
