package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/client"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/eventlog"
	"catalog/internal/wire"
	"catalog/writer"
)

// writes creates n products one after the other. For each, it measures the time
// until it is settled, and from then until another client can read and find it.
func (s *server) writes(n int) (settled, readable, findable []time.Duration, err error) {
	ctx := context.Background()
	other := client.New(s.url) // sends no positions, since it writes nothing
	for i := range n {
		name := fmt.Sprintf("benchmark%dx", i)
		since := time.Now()
		w, err := s.client.Create(ctx, catalog.ProductData{Name: name, Price: catalog.Money{Decimal: catalog.Decimal{Units: 10}, Currency: "EUR"}})
		if err != nil {
			return nil, nil, nil, err
		}
		written := time.Now()
		settled = append(settled, written.Sub(since))
		for {
			_, err := other.Product(ctx, w.Product.ID)
			if err == nil {
				break
			}
			if !errors.Is(err, catalog.ErrNotFound) {
				return nil, nil, nil, err
			}
		}
		readable = append(readable, time.Since(written))
		for {
			page, err := other.Search(ctx, catalog.Query{Text: name})
			if err != nil {
				return nil, nil, nil, err
			}
			if page.Total > 0 {
				break
			}
		}
		findable = append(findable, time.Since(written))
	}
	return settled, readable, findable, nil
}

// commandShards is the number of shards in measureCommands.
const commandShards = 8

// countingStore counts settled commands and transactions.
type countingStore struct {
	*postgres.Store
	transactions, commands atomic.Int64
}

func (c *countingStore) Settle(ctx context.Context, g eventlog.Group, now time.Time) ([]eventlog.Settled, error) {
	settled, err := c.Store.Settle(ctx, g, now)
	if err == nil {
		c.transactions.Add(1)
		for i, s := range settled {
			c.commands.Add(int64(len(g[i].UpTo(s.To).Commands)))
		}
	}
	return settled, err
}

// eventCounter is a consumer that closes done after want events.
type eventCounter struct {
	n    atomic.Int64
	want int64
	done chan struct{}
}

func (s *eventCounter) Begin(context.Context, int32) (int64, error) { return 0, nil }
func (s *eventCounter) End(int32)                                   {}
func (s *eventCounter) Handle(_ context.Context, r eventlog.Records[catalog.Event]) error {
	if n := s.n.Add(int64(len(r.Items))); n >= s.want && n-int64(len(r.Items)) < s.want {
		close(s.done)
	}
	return nil
}

// measureCommands returns how many commands a second go from the log through a
// writer and PostgreSQL until their events are in the log, and how many PostgreSQL
// alone settles in transactions of the same size.
func measureCommands(ctx context.Context, brokers, url string) (through, alone float64, err error) {
	const n = 40_000
	made := make([]catalog.Command, 2*n)
	for i := range made {
		p := product(i)
		p.SKU += fmt.Sprint("-", time.Now().UnixNano()) // unique in each run
		id := catalog.DerivedID(p.SKU)
		made[i] = catalog.Command{ID: id, Product: id, AcceptedAt: wire.TruncateTime(time.Now()), Op: catalog.CreateProduct{Data: p.ProductData}}
	}
	if err := postgres.Migrate(ctx, url, nil); err != nil {
		return 0, 0, err
	}
	store, err := postgres.Open(ctx, postgres.Config{URL: url})
	if err != nil {
		return 0, 0, err
	}
	defer store.Close()
	log, err := kafka.Open(ctx, kafka.Config{Brokers: brokers, TopicPrefix: fmt.Sprint("bench-", time.Now().UnixNano()), Replicas: 1}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return 0, 0, err
	}
	defer log.Close()
	if err := errors.Join(log.CreateTopics(ctx, commandShards), store.InitShards(ctx, commandShards)); err != nil {
		return 0, 0, err
	}
	counted := &countingStore{Store: store}
	events := &eventCounter{want: n, done: make(chan struct{})}
	w := writer.New(writer.Deps{Store: counted, Log: log, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Registry: prometheus.NewRegistry()})
	running, stop := context.WithCancel(ctx)
	defer stop()
	var parts sync.WaitGroup
	defer parts.Wait()
	parts.Go(func() { _ = w.Run(running) })
	parts.Go(func() { _ = log.ConsumeAllShards(running, "bench", events) })
	since := time.Now()
	for i := 0; i < n; i += 1000 {
		if err := log.SendCommands(ctx, made[i:i+1000]...); err != nil {
			return 0, 0, err
		}
	}
	select {
	case <-events.done:
	case <-time.After(2 * time.Minute):
		return 0, 0, errors.New("the events were not published within two minutes")
	}
	through = n / time.Since(since).Seconds()
	stop()
	parts.Wait()
	size := max(1, int(counted.commands.Load()/counted.transactions.Load()))
	alone, err = storeRate(ctx, store, made[n:], size)
	return through, alone, err
}

// storeRate returns how many commands a second the store settles, all shards
// concurrently, in transactions of the given size.
func storeRate(ctx context.Context, store *postgres.Store, all []catalog.Command, size int) (float64, error) {
	var shards [commandShards][]catalog.Command
	for _, c := range all {
		s := catalog.Shard(c.Product, commandShards)
		shards[s] = append(shards[s], c)
	}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		errs []error
	)
	since := time.Now()
	for s, mine := range shards {
		wg.Go(func() {
			err := settleShard(ctx, store, int32(s), mine, size)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return float64(len(all)) / time.Since(since).Seconds(), errors.Join(errs...)
}

func settleShard(ctx context.Context, store *postgres.Store, shard int32, all []catalog.Command, size int) error {
	at, err := store.Claim(ctx, shard)
	if err != nil {
		return err
	}
	for len(all) > 0 {
		b := eventlog.Batch{Shard: shard, Epoch: at.Epoch, From: at.Offset, NextSeq: at.NextSeq, Commands: all[:min(size, len(all))]}
		b.To = b.From + int64(len(b.Commands))
		for offset := b.From; offset < b.To; offset++ {
			b.Offsets = append(b.Offsets, offset)
		}
		settled, err := store.Settle(ctx, eventlog.Group{b}, time.Now())
		if err != nil {
			return err
		}
		s := settled[0]
		if s.Err != nil {
			return s.Err
		}
		at.Offset, at.NextSeq = s.To, at.NextSeq+int64(len(s.Events))
		all = all[s.To-b.From:]
	}
	return nil
}
