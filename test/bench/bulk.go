package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"catalog"
	"catalog/engine/kafka"
	"catalog/engine/postgres"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// bulk sends commands to the log of running services and follows their events.
type bulk struct {
	log    *kafka.Log
	events *eventCounter
	store  *postgres.Store // another store, with its own tables
	view   *mongo.Collection
	close  func()
	next   int // number of the next product
}

func newBulk(ctx context.Context, e *engines) (*bulk, error) {
	b := &bulk{events: &eventCounter{last: map[int32]int64{}, changed: make(chan struct{}, 1)}}
	quiet := slog.New(slog.DiscardHandler)
	var err error
	if b.log, err = kafka.Open(ctx, kafka.Config{Brokers: e.kafka, TopicPrefix: e.own}, quiet, prometheus.NewRegistry()); err != nil {
		return nil, err
	}
	if err := b.log.LoadTopics(ctx); err != nil {
		return nil, err
	}
	url, err := e.schema(ctx, e.own+"_alone")
	if err != nil {
		return nil, err
	}
	if err := postgres.Migrate(ctx, url, nil); err != nil {
		return nil, err
	}
	if b.store, err = postgres.Open(ctx, postgres.Config{URL: url}); err != nil {
		return nil, err
	}
	if err := b.store.InitShards(ctx, aloneShards); err != nil {
		return nil, err
	}
	client, err := mongo.Connect(options.Client().ApplyURI(e.mongo))
	if err != nil {
		return nil, err
	}
	b.view = client.Database(e.own).Collection("alone")
	running, stop := context.WithCancel(ctx)
	var consumer sync.WaitGroup
	consumer.Go(func() { _ = b.log.ConsumeAllShards(running, "bench", b.events) })
	b.close = func() {
		stop()
		consumer.Wait()
		b.log.Close()
		b.store.Close()
		_ = client.Disconnect(ctx)
	}
	return b, nil
}

// eventCounter is a consumer that counts events.
type eventCounter struct {
	mu      sync.Mutex
	n       int
	last    map[int32]int64 // seq of the last event, by shard
	changed chan struct{}   // has an element after a change
}

func (c *eventCounter) Begin(context.Context, int32) (int64, error) { return 0, nil }
func (c *eventCounter) End(int32)                                   {}
func (c *eventCounter) Handle(_ context.Context, r eventlog.Records[catalog.Event]) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range r.Items {
		c.n++
		c.last[e.Position.Shard] = e.Position.Seq
	}
	select {
	case c.changed <- struct{}{}:
	default:
	}
	return nil
}

// wait waits until the number of events is at least n, and returns the last seqs.
func (c *eventCounter) wait(n int) (last map[int32]int64, err error) {
	limit := time.After(readableLimit)
	for {
		c.mu.Lock()
		if c.n >= n {
			last = make(map[int32]int64, len(c.last))
			for shard, seq := range c.last {
				last[shard] = seq
			}
		}
		c.mu.Unlock()
		if last != nil {
			return last, nil
		}
		select {
		case <-c.changed:
		case <-limit:
			return nil, fmt.Errorf("%d events were not published within %v", n, readableLimit)
		}
	}
}

// count returns the number of events when no more arrive for a while.
func (c *eventCounter) count() int {
	for {
		select {
		case <-c.changed:
		case <-time.After(500 * time.Millisecond):
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.n
		}
	}
}

// creates returns commands that create n products, and the products.
func (b *bulk) creates(n int) (commands []catalog.Command, products []catalog.Product) {
	for range n {
		b.next++
		p := product(b.next)
		p.SKU, p.ID = "BULK-"+p.SKU, catalog.DerivedID("bulk", fmt.Sprint(b.next))
		p.GTIN = ""
		products = append(products, p)
		commands = append(commands, catalog.Command{ID: catalog.ID(uuid.New()), Product: p.ID, AcceptedAt: wire.TruncateTime(time.Now()), Op: catalog.CreateProduct{Data: p.ProductData}})
	}
	return commands, products
}

// updates returns commands that change the price of the products, whose versions it
// increases.
func updates(products []catalog.Product) (commands []catalog.Command) {
	for i := range products {
		p := &products[i]
		p.Version++
		p.Price.Units += 1000
		commands = append(commands, catalog.Command{ID: catalog.ID(uuid.New()), Product: p.ID, AcceptedAt: wire.TruncateTime(time.Now()), Op: catalog.PatchProduct{Patch: catalog.Patch{Amount: &p.Price.Decimal}}})
	}
	return commands
}

// bulkRates are commands a second from the first one sent until all are settled and
// their events stored in the log, readable, and searchable.
type bulkRates struct{ settled, readable, searchable float64 }

// run sends the commands to the log and waits for their effects.
func (b *bulk) run(ctx context.Context, s *server, commands []catalog.Command) (rates bulkRates, err error) {
	const batch = 1000
	before := b.events.count()
	since := time.Now()
	rate := func() float64 { return float64(len(commands)) / time.Since(since).Seconds() }
	for some := range slices.Chunk(commands, batch) {
		if err := b.log.SendCommands(ctx, some...); err != nil {
			return rates, err
		}
	}
	last, err := b.events.wait(before + len(commands))
	if err != nil {
		return rates, err
	}
	rates.settled = rate()
	if err := s.waitReadable(last); err != nil {
		return rates, err
	}
	rates.readable = rate()
	if err := s.waitSearchable(last); err != nil {
		return rates, err
	}
	rates.searchable = rate()
	return rates, s.waitIdle()
}

// bulk measures commands from the log until they are settled, readable and
// searchable, beside what the stores do alone, in turn.
func (b *bench) bulk(ctx context.Context, s *server, e *engines) error {
	x, err := newBulk(ctx, e)
	if err != nil {
		return err
	}
	defer x.close()
	for range b.rounds {
		commands, products := x.creates(b.number(5000))
		inserts, err := x.insertAlone(ctx, products)
		if err != nil {
			return fmt.Errorf("insert into MongoDB: %w", err)
		}
		before, err := b.costs(s, e)
		if err != nil {
			return err
		}
		size, err := s.transactions(func() error { return b.noteBulk(ctx, "create", x, s, commands, inserts, 0.7) })
		if err != nil {
			return err
		}
		if err := b.noteCosts("create in bulk", before, s, e, len(commands)); err != nil {
			return err
		}
		alone, err := x.settleAlone(ctx, b.number(10_000), size)
		if err != nil {
			return fmt.Errorf("settle in PostgreSQL: %w", err)
		}
		b.note("create in bulk, commands of a transaction", float64(size), "commands")
		b.note("PostgreSQL alone, transactions of as many commands", alone, "commands/s")
		settled := b.last("create in bulk, until settled")
		b.atLeast("create in bulk, until settled, share of PostgreSQL alone", settled/alone, 0.85, "")

		products = products[:b.number(1000)]
		replaced := slices.Clone(products)
		replaces, err := x.replaceAlone(ctx, replaced)
		if err != nil {
			return fmt.Errorf("replace in MongoDB: %w", err)
		}
		if err := b.noteBulk(ctx, "update", x, s, updates(products), replaces, 0.8); err != nil {
			return err
		}
	}
	return nil
}

// noteBulk runs commands and notes their rates. alone is the rate of the store of the view alone,
// and goal the share of it that is to be reached.
func (b *bench) noteBulk(ctx context.Context, kind string, x *bulk, s *server, commands []catalog.Command, alone, goal float64) error {
	rates, err := x.run(ctx, s, commands)
	if err != nil {
		return fmt.Errorf("%s in bulk: %w", kind, err)
	}
	b.note(kind+" in bulk, until settled", rates.settled, "products/s")
	b.note(kind+" in bulk, until readable", rates.readable, "products/s")
	b.note(kind+" in bulk, until searchable", rates.searchable, "products/s")
	b.note(kind+" in MongoDB alone", alone, "products/s")
	b.atLeast(kind+" in bulk, until readable, share of MongoDB alone", rates.readable/alone, goal, "")
	return nil
}

// transactions returns how many commands the writer has settled in a transaction, on
// average, while f ran.
func (s *server) transactions(f func() error) (commands int, err error) {
	var n [2][2]float64
	read := func(i int) (err error) {
		if n[i][0], err = s.metric("writer", "catalog_writer_batch_commands_sum"); err != nil {
			return err
		}
		n[i][1], err = s.metric("writer", "catalog_writer_batch_commands_count")
		return err
	}
	if err := errors.Join(read(0), f(), read(1)); err != nil {
		return 0, err
	}
	return max(1, int((n[1][0]-n[0][0])/max(1, n[1][1]-n[0][1]))), nil
}

// The store of the view alone writes as fast as it can: new documents with one command
// for insertBatch of them, later ones with a command for replaceBatch. More updates in
// a command stop FerretDB.
const insertBatch, replaceBatch = 100, 40

// insertAlone inserts the products and returns how many a second.
func (b *bulk) insertAlone(ctx context.Context, products []catalog.Product) (float64, error) {
	since := time.Now()
	for some := range slices.Chunk(products, insertBatch) {
		documents := make([]any, len(some))
		for i, p := range some {
			documents[i] = document(p)
		}
		if _, err := b.view.InsertMany(ctx, documents, options.InsertMany().SetOrdered(false)); err != nil {
			return 0, err
		}
	}
	return float64(len(products)) / time.Since(since).Seconds(), nil
}

// replaceAlone replaces the products by newer versions and returns how many a second.
func (b *bulk) replaceAlone(ctx context.Context, products []catalog.Product) (float64, error) {
	_ = updates(products)
	since := time.Now()
	for some := range slices.Chunk(products, replaceBatch) {
		models := make([]mongo.WriteModel, len(some))
		for i, p := range some {
			older := bson.D{{Key: "_id", Value: p.ID.String()}, {Key: "version", Value: bson.D{{Key: "$lt", Value: p.Version}}}}
			models[i] = mongo.NewReplaceOneModel().SetFilter(older).SetReplacement(document(p))
		}
		result, err := b.view.BulkWrite(ctx, models, options.BulkWrite().SetOrdered(false))
		if err != nil {
			return 0, err
		}
		if result.MatchedCount != int64(len(some)) {
			return 0, fmt.Errorf("%d of %d products were replaced", result.MatchedCount, len(some))
		}
	}
	return float64(len(products)) / time.Since(since).Seconds(), nil
}

// document returns a product as the view stores it.
func document(p catalog.Product) bson.D {
	attributes := bson.A{}
	for k, v := range p.Attributes {
		attributes = append(attributes, bson.D{{Key: "k", Value: k}, {Key: "v", Value: v}})
	}
	return bson.D{
		{Key: "_id", Value: p.ID.String()}, {Key: "version", Value: p.Version},
		{Key: "data", Value: bson.D{
			{Key: "sku", Value: p.SKU}, {Key: "name", Value: p.Name}, {Key: "brand", Value: p.Brand}, {Key: "description", Value: p.Description},
			{Key: "price", Value: bson.D{{Key: "units", Value: p.Price.Units}, {Key: "nanos", Value: p.Price.Nanos}, {Key: "currency", Value: p.Price.Currency}}},
			{Key: "category", Value: p.Category}, {Key: "tags", Value: p.Tags}, {Key: "attributes", Value: attributes},
		}},
		{Key: "createdAt", Value: int64(0)}, {Key: "updatedAt", Value: int64(0)},
	}
}

// aloneShards is the number of shards that the store settles concurrently alone.
const aloneShards = 8

// settleAlone returns how many commands a second the store settles without a log, in
// transactions of the given size.
func (b *bulk) settleAlone(ctx context.Context, n, size int) (float64, error) {
	commands, _ := b.creates(n)
	var shards [aloneShards][]catalog.Command
	for _, c := range commands {
		s := catalog.Shard(c.Product, aloneShards)
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
			err := settleShard(ctx, b.store, int32(s), mine, size)
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	wg.Wait()
	return float64(n) / time.Since(since).Seconds(), errors.Join(errs...)
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
		if err == nil {
			err = settled[0].Err
		}
		if err != nil {
			return err
		}
		at.Offset, at.NextSeq = settled[0].To, at.NextSeq+int64(len(settled[0].Events))
		all = all[settled[0].To-b.From:]
	}
	return nil
}
