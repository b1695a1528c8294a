package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/kafka"
	"catalog/eventlog"
	"catalog/internal/rpc"
	"catalog/internal/wire"
)

// Observer reads all stores of the system from outside.
type Observer struct {
	load    *Load
	writer  catalogv1.WriterServiceClient
	journal map[int32][]catalog.Event
	conn    *grpc.ClientConn

	truncated *[]Truncation // records that Kafka has lost so far; nil for none
}

const (
	equalWithin = 30 * time.Second // after the last response, all stores must be equal within this time
	shards      = 8                // number of shards of the system
)

// newObserver returns an Observer that uses the gateways of the load and the
// writers' gRPC.
func newObserver(l *Load, writers string) (*Observer, error) {
	conn, err := rpc.Dial(writers, prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	return &Observer{load: l, writer: catalogv1.NewWriterServiceClient(conn), journal: map[int32][]catalog.Event{}, conn: conn}, nil
}

// Close closes the connection.
func (w *Observer) Close() error { return w.conn.Close() }

// WaitUntilEqual waits until no promise is broken, as far as that can be seen
// without the topic, or until equalWithin is over. It returns the time since the
// last response to a client.
func (w *Observer) WaitUntilEqual(ctx context.Context) (Found, []Breach, time.Duration) {
	commands := w.load.history.all()
	if len(commands) == 0 {
		return Found{}, nil, 0
	}
	last := slices.MaxFunc(commands, func(a, b Command) int { return a.RespondedAt.Compare(b.RespondedAt) }).RespondedAt
	for {
		found, err := w.readStores(ctx, commands)
		took := time.Since(last)
		breaches := Check(commands, found)
		if err != nil {
			breaches = append(breaches, Breach{Promise: Unequal, Round: commands[len(commands)-1].Round, What: err.Error()})
		}
		if len(breaches) == 0 || took > equalWithin || ctx.Err() != nil {
			return found, breaches, took
		}
		select {
		case <-time.After(50 * time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// readStores reads journal, products, view, cache and index.
func (w *Observer) readStores(ctx context.Context, commands []Command) (Found, error) {
	found := Found{Journal: w.journal, Stores: map[string]map[catalog.ID]catalog.Product{}}
	if w.truncated != nil {
		found.Truncated = *w.truncated
	}
	products := map[catalog.ID]catalog.Product{}
	for s := range int32(shards) {
		if err := errors.Join(w.replay(ctx, s), w.snapshot(ctx, s, products)); err != nil {
			return found, err
		}
	}
	found.Stores["writer's store"] = products
	positions := map[string]string{} // position of the last event, by product
	for _, events := range w.journal {
		for _, e := range events {
			positions[e.Product.ID.String()] = e.Position.String()
		}
	}
	for _, c := range commands {
		if _, ok := positions[c.Product]; !ok {
			positions[c.Product] = ""
		}
	}
	for i, store := range []string{"view", "cache", "cache, second read", "cache, other gateway"} {
		products, err := w.products(ctx, w.load.APIs[i%len(w.load.APIs)], positions, i > 0)
		if err != nil {
			return found, err
		}
		found.Stores[store] = products
	}
	for i := range 2 { // two readers, which the gateway calls in turn
		index, err := w.list(ctx, w.load.APIs[i%len(w.load.APIs)])
		if err != nil {
			return found, err
		}
		found.Stores[fmt.Sprint("index ", i+1)] = index
	}
	return found, nil
}

// replay reads the new events of the shard's journal.
func (w *Observer) replay(ctx context.Context, shard int32) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := w.writer.Replay(ctx, &catalogv1.ReplayRequest{Shard: shard, FromSeq: int64(len(w.journal[shard])) + 1})
	for err == nil {
		var r *catalogv1.ReplayResponse
		r, err = stream.Recv()
		for _, m := range r.GetEvents() {
			e, bad := wire.EventFromProto(m)
			if bad != nil {
				return bad
			}
			w.journal[shard] = append(w.journal[shard], e)
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("read the journal of shard %d: %w", shard, err)
}

// snapshot reads the products of the shard from the writer's store.
func (w *Observer) snapshot(ctx context.Context, shard int32, into map[catalog.ID]catalog.Product) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	stream, err := w.writer.Snapshot(ctx, &catalogv1.SnapshotRequest{Shard: shard})
	for err == nil {
		var r *catalogv1.SnapshotResponse
		r, err = stream.Recv()
		for _, m := range r.GetProducts() {
			p, bad := wire.ProductFromProto(m)
			if bad != nil {
				return bad
			}
			if p.Exists() {
				into[p.ID] = p
			}
		}
	}
	if errors.Is(err, io.EOF) {
		return nil
	}
	return fmt.Errorf("read the products of shard %d: %w", shard, err)
}

// products reads the products, 16 at a time: at their positions from the view, or
// from the cache.
func (w *Observer) products(ctx context.Context, base string, positions map[string]string, cached bool) (map[catalog.ID]catalog.Product, error) {
	var (
		mu       sync.Mutex
		products = map[catalog.ID]catalog.Product{}
		ids      = slices.Collect(maps.Keys(positions))
		errs     = make([]error, 16)
		wg       sync.WaitGroup
	)
	for i := range errs {
		wg.Go(func() {
			for n := i; n < len(ids); n += len(errs) {
				at := positions[ids[n]]
				if cached {
					at = ""
				}
				p, exists, ok := w.load.getProduct(ctx, base, ids[n], at)
				if !ok {
					errs[i] = fmt.Errorf("product %s cannot be read at position %q", ids[n], at)
					return
				}
				if exists {
					mu.Lock()
					products[p.ID] = p
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	return products, errors.Join(errs...)
}

// list reads all products of the index, page by page.
func (w *Observer) list(ctx context.Context, base string) (map[catalog.ID]catalog.Product, error) {
	products := map[catalog.ID]catalog.Product{}
	for cursor := ""; ; {
		var page api.Page
		if status := w.load.read(ctx, base+"/api/v1/products?limit=100&sort=name&cursor="+url.QueryEscape(cursor), "", &page); status != 200 {
			return nil, fmt.Errorf("list products: status %d", status)
		}
		for _, item := range page.Items {
			p, err := wire.ProductFromJSON(item)
			if err != nil {
				return nil, err
			}
			products[p.ID] = p
		}
		if cursor = page.NextCursor; cursor == "" {
			return products, nil
		}
	}
}

// Topic reads the events topic from its beginning to the end of the journal.
func (w *Observer) Topic(ctx context.Context, brokers, prefix string) (map[int32][]catalog.Event, error) {
	l, err := kafka.Open(ctx, kafka.Config{Brokers: brokers, TopicPrefix: prefix, Replicas: 1}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return nil, err
	}
	defer l.Close()
	if err := l.LoadTopics(ctx); err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, equalWithin)
	defer cancel()
	t := &topicReader{events: map[int32][]catalog.Event{}, missing: map[int32]int64{}, done: cancel}
	for shard, events := range w.journal {
		if len(events) > 0 {
			t.missing[shard] = int64(len(events))
		}
	}
	err = l.ConsumeAllShards(ctx, "chaos", t)
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.events, err
}

// topicReader collects events until it has the last of each shard. It implements
// eventlog.Consumer.
type topicReader struct {
	mu      sync.Mutex
	events  map[int32][]catalog.Event
	missing map[int32]int64 // seq of the last event, by shard that is not read to its end
	done    func()
}

func (t *topicReader) Begin(context.Context, int32) (int64, error) { return 0, nil }
func (t *topicReader) End(int32)                                   {}

func (t *topicReader) Handle(_ context.Context, r eventlog.Records[catalog.Event]) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.events[r.Shard] = append(t.events[r.Shard], r.Items...)
	if n := len(r.Items); n > 0 && r.Items[n-1].Seq >= t.missing[r.Shard] {
		delete(t.missing, r.Shard)
	}
	if len(t.missing) == 0 {
		t.done()
	}
	return nil
}
