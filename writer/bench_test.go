package writer_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/embedded"
	"catalog/engine/kafka"
	"catalog/internal/wire"
	"catalog/writer"
)

// newBench starts the write path of `catalog up`: the log with synced writes,
// SQLite, a writer, and a consumer of the events.
func newBench(b *testing.B) (*kafka.Log, *events) {
	b.Helper()
	dir, err := embedded.Open(b.TempDir())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(dir.Close)
	addr, err := dir.Kafka()
	if err != nil {
		b.Fatal(err)
	}
	l, err := kafka.Open(b.Context(), kafka.Config{Brokers: addr, Replicas: 1}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(l.Close)
	if err := l.CreateTopics(b.Context(), shards); err != nil {
		b.Fatal(err)
	}
	w := writer.New(writer.Deps{
		Store: openStore(b, filepath.Join(b.TempDir(), "catalog.db")), Log: l, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Registry: prometheus.NewRegistry(),
	})
	seen := &events{changed: make(chan struct{}), shards: map[int32][]catalog.Event{}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 2)
	go func() { done <- w.Run(ctx) }()
	go func() { done <- l.ConsumeAllShards(ctx, "bench", seen) }()
	b.Cleanup(func() { cancel(); <-done; <-done })
	return l, seen
}

func product(i int) catalog.Command {
	return catalog.Command{
		ID: id("command", i), Product: id("product", i), AcceptedAt: wire.TruncateTime(time.Now()),
		Op: catalog.CreateProduct{Data: catalog.ProductData{
			SKU: fmt.Sprint("SKU-", i), Name: fmt.Sprint("Chair ", i), Description: "Oak, oiled, with a seat of woven paper cord.",
			Category: "Furniture/Chairs", Price: catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
		}},
	}
}

// BenchmarkOneCommand measures one command at a time, from SendCommands to its
// event.
func BenchmarkOneCommand(b *testing.B) {
	l, seen := newBench(b)
	one := func(i int) time.Duration {
		since := time.Now()
		if err := l.SendCommands(b.Context(), product(i)); err != nil {
			b.Fatal(err)
		}
		seen.wait(b, i+1)
		return time.Since(since)
	}
	one(0) // the first command waits until all shards have begun
	var took []time.Duration
	for b.Loop() {
		took = append(took, one(len(took)+1))
	}
	slices.Sort(took)
	b.ReportMetric(took[len(took)/2].Seconds()*1000, "p50-ms")
	b.ReportMetric(took[len(took)*99/100].Seconds()*1000, "p99-ms")
}

// BenchmarkManyCommands measures 20,000 commands, 500 at a time, from the first
// SendCommands to the last event.
func BenchmarkManyCommands(b *testing.B) {
	const n = 20_000
	l, seen := newBench(b)
	sent := 0
	for b.Loop() {
		for range n / 500 {
			batch := make([]catalog.Command, 500)
			for i := range batch {
				batch[i] = product(sent + i)
			}
			if err := l.SendCommands(b.Context(), batch...); err != nil {
				b.Fatal(err)
			}
			sent += len(batch)
		}
		seen.wait(b, sent)
	}
	b.ReportMetric(float64(sent)/b.Elapsed().Seconds(), "commands/s")
}
