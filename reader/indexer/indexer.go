// Package indexer feeds the search index with the events of all shards. Each
// shard puts its changes into a queue; one goroutine takes everything that waits
// and writes it to the index in one batch, together with the checkpoints.
//
// Promises: the index never holds a checkpoint without the products that it
// covers, and when the watermark of a position advances, searches find its
// products. The package knows no engine.
package indexer

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/memory"
	"catalog/internal/telemetry"
	"catalog/reader/projection"
)

const (
	// maxRetryDelay is the longest pause before a failed write to the index is
	// tried again. The first pause is minRetryDelay; each next one is twice as long.
	maxRetryDelay = time.Second
	minRetryDelay = 10 * time.Millisecond

	// writeInterval is the time between two writes to the index, unless a caller
	// waits for a position or much has gathered. The cost of a write, and of the
	// merges that follow it, depends little on the number of products.
	writeInterval = 200 * time.Millisecond
	// manyProducts is the number of products of a batch after which the next one is
	// written without a pause.
	manyProducts = maxBatchProducts / 2
)

// Index is the writing side of the search index.
type Index interface {
	// Apply stores products, removes those that are tombstones, and stores the
	// checkpoints. It never stores checkpoints without all products. When it
	// returns, searches find the products. Versions of one product come in order,
	// or an older one changes nothing.
	Apply(ctx context.Context, products []catalog.Product, checkpoints []eventlog.Checkpoint) error

	// Checkpoints returns the checkpoint of each shard that has one.
	Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error)
}

// Log is where events come from.
type Log interface {
	// ConsumeAllShards calls c for all shards, without joining a group, until ctx
	// ends. The name labels the metrics of the consumer.
	ConsumeAllShards(ctx context.Context, name string, c eventlog.Consumer[catalog.Event]) error

	projection.Offsets
}

// Feed passes events on to the clients that watch changes.
type Feed interface {
	// Begin starts a shard, of a topic with that many shards.
	Begin(shard int32, shards int)
	Publish(shard int32, events []catalog.Event)
	End(shard int32)
}

// Deps holds what New needs.
type Deps struct {
	Index   Index
	Log     Log
	Journal projection.Journal
	Feed    Feed

	Watermarks *projection.Watermarks      // watermarks that advance when searches find the events
	Metrics    *projection.ConsumerMetrics // metrics shared with the projection
	Logger     *slog.Logger
	Memory     *memory.Budget // nil means the same limit, without metrics
}

// Indexer writes the events of all shards to the index. It implements
// eventlog.Consumer.
type Indexer struct {
	index      Index
	log        Log
	feed       Feed
	watermarks *projection.Watermarks
	metrics    *projection.ConsumerMetrics
	writeTime  prometheus.Observer
	logger     *slog.Logger

	events  *projection.EventConsumer
	queue   *indexQueue
	writing sync.Mutex // held while the index is written
	steps   []step
}

// step is one stage of the pipeline of a batch. A batch passes the steps in
// order; after an error it starts again from the first one.
type step struct {
	name string
	run  func(ctx context.Context, b indexBatch) error
}

// New returns an indexer. Run starts it.
func New(deps Deps) *Indexer {
	x := &Indexer{
		index: deps.Index, log: deps.Log, feed: deps.Feed, watermarks: deps.Watermarks, metrics: deps.Metrics, logger: deps.Logger,
		queue: newIndexQueue(deps.Memory.Share("reader.index", maxQueuedBytes)), writeTime: deps.Metrics.Step("index", "write"),
	}
	x.events = projection.NewEventConsumer(projection.EventConsumerDeps{
		Name: "index", Target: indexTarget{x}, Log: deps.Log, Journal: deps.Journal, Metrics: deps.Metrics, Logger: deps.Logger,
		Size: indexSize, MaxSize: maxChangeSize, Exclusive: true,
	})
	x.steps = []step{
		{"write the index", x.writeIndex},
		{"advance the watermarks", x.advanceWatermarks},
	}
	return x
}

// Run feeds the index until ctx ends. It is called once.
func (x *Indexer) Run(ctx context.Context) error {
	stopped := make(chan struct{})
	writing, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(stopped)
		x.runIndexer(writing)
	}()
	err := x.log.ConsumeAllShards(ctx, "index", x)
	stop()
	<-stopped
	return err
}

// Begin starts a shard. Clients that watch changes get its events from the
// returned offset on.
func (x *Indexer) Begin(ctx context.Context, shard int32) (offset int64, err error) {
	if offset, err = x.events.Begin(ctx, shard); err != nil {
		return 0, err
	}
	_, ends, err := x.log.EventOffsets(ctx)
	if err != nil {
		return 0, err
	}
	x.feed.Begin(shard, len(ends))
	return offset, nil
}

// Handle publishes records of a shard to the clients that watch changes, and
// queues them for the index.
func (x *Indexer) Handle(ctx context.Context, r eventlog.Records[catalog.Event]) (err error) {
	ctx, batch := telemetry.StartEvents(ctx, r)
	defer func() { batch.End(err) }()
	x.feed.Publish(r.Shard, r.Items)
	return x.events.Handle(ctx, r)
}

// End stops a shard.
func (x *Indexer) End(shard int32) {
	x.feed.End(shard)
	x.events.End(shard)
}

// DropsRepeats makes the log repeat the last record before the offset of Begin, as for
// [projection.Projector].
func (x *Indexer) DropsRepeats() {}

// Progress returns a number that changes with the work on the shard, and, while the shard
// waits for room in the queue, with that on others.
func (x *Indexer) Progress(shard int32) int64 {
	return x.events.Progress(shard) + x.queue.progress(shard)
}

// Correct calls change, which corrects products of the index, between two
// batches of events.
func (x *Indexer) Correct(change func() error) error {
	x.writing.Lock()
	defer x.writing.Unlock()
	return change()
}

// indexTarget is the index as the target of the event consumer.
type indexTarget struct{ x *Indexer }

// Checkpoints returns the checkpoints of the index, and advances the watermarks to them.
func (t indexTarget) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	all, err := t.x.index.Checkpoints(ctx)
	t.x.watermarks.Advance(all...)
	return all, err
}

// Apply queues a change. It waits while the queue is full.
func (t indexTarget) Apply(ctx context.Context, c projection.Change) error {
	return t.x.queue.add(ctx, c)
}

// runIndexer writes queued changes to the index until ctx ends. During a write, and
// until the next one is due, more changes gather: a change after a quiet moment is
// written at once, and under load many are written together.
func (x *Indexer) runIndexer(ctx context.Context) {
	for {
		b, err := x.queue.next(ctx)
		if err != nil {
			return
		}
		took, err := x.writeUntilDone(ctx, b)
		if err != nil {
			return
		}
		catchingUp := x.queue.full()
		x.queue.release(b)
		// Indexing uses more CPU than anything else here. While the index catches
		// up, it rests as long as it writes, which leaves half of the CPU to
		// queries.
		if catchingUp && sleep(ctx, took) != nil {
			return
		}
		if !catchingUp && len(b.products) < manyProducts && x.watermarks.WaitForCaller(ctx, writeInterval-took) != nil {
			return
		}
	}
}

// writeUntilDone writes a batch, again after each error, and returns how long the
// successful attempt took. Its only error is that of ctx.
func (x *Indexer) writeUntilDone(ctx context.Context, b indexBatch) (time.Duration, error) {
	for attempt := 0; ; attempt++ {
		since := time.Now()
		if x.write(ctx, b) {
			return time.Since(since), nil
		}
		pause := min(maxRetryDelay, minRetryDelay<<min(attempt, 7))
		if err := sleep(ctx, pause+rand.N(minRetryDelay)); err != nil {
			return 0, err
		}
	}
}

// write runs the pipeline for a batch and reports whether all steps succeeded.
func (x *Indexer) write(ctx context.Context, b indexBatch) bool {
	for _, s := range x.steps {
		if err := s.run(ctx, b); err != nil {
			if ctx.Err() == nil {
				x.logger.ErrorContext(ctx, "index write failed; retrying", "step", s.name, "products", len(b.products), "err", err)
			}
			return false
		}
	}
	x.metrics.ObserveDelay("index", b.settled)
	return true
}

// writeIndex writes products and checkpoints. Checkpoints alone are not written,
// unless they complete a snapshot: after a restart the consumer reads the same
// events again.
func (x *Indexer) writeIndex(ctx context.Context, b indexBatch) error {
	if len(b.products) > 0 || b.snapshot {
		ctx, span := telemetry.StartStep(telemetry.WithBatches(ctx, b.traces...), "write index")
		x.writing.Lock()
		start := time.Now()
		err := x.index.Apply(ctx, b.products, b.checkpoints)
		x.writing.Unlock()
		span.End(err)
		if err != nil {
			return err
		}
		x.writeTime.Observe(time.Since(start).Seconds())
	}
	failpoint.Here(failpoint.ReaderIndexed)
	return nil
}

func (x *Indexer) advanceWatermarks(_ context.Context, b indexBatch) error {
	x.watermarks.Advance(b.checkpoints...)
	return nil
}

// sleep waits for d, or returns the error of ctx when that ends first.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
