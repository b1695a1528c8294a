package indexer

import (
	"context"
	"maps"
	"slices"
	"sync"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/memory"
	"catalog/internal/telemetry"
	"catalog/reader/projection"
)

const (
	// maxQueuedChanges is the number of changes that may wait in the queue. While it
	// is full, add blocks, and with it the consumer of the shard.
	maxQueuedChanges = 1_000
	// maxQueuedBytes is the indexSize of the products of those changes.
	maxQueuedBytes = 4 << 20
	// maxChangeSize is the indexSize of the products of one change, if they are several.
	maxChangeSize = 1 << 20
	// maxBatchProducts is the number of products at which a batch takes no more
	// changes, and maxBatchBytes their size. A larger batch makes searches wait
	// longer for new products, and saves little time for each product.
	maxBatchProducts, maxBatchBytes = 1_000, 2 << 20
	// wordBytes is what a word adds to the indexSize of a product. An index that is written
	// needs about 1.5 KB for each word of a batch that occurs in no other product of it: 100 MB
	// for a batch of maxBatchBytes.
	wordBytes = 32
)

// indexSize returns the size of p in the limits of the queue: its bytes, and more for each
// word, because the words of a product, and not its bytes, need memory and time.
func indexSize(p *catalog.Product) int { return p.Size() + wordBytes*p.WordCount() }

// indexQueue holds the changes of all shards that are not yet in the index.
type indexQueue struct {
	changes chan queuedChange
	room    *memory.Share // sizes of the queued changes and of the batch that is written

	mu       sync.Mutex
	waiting  map[int32]bool // shards for which add waits
	released int64          // batches that were released
}

// queuedChange is a change of one shard with its estimated size.
type queuedChange struct {
	products []catalog.Product
	snapshot bool // a part of a snapshot, or its end
	to       eventlog.Checkpoint
	settled  []projection.Settled // events of the change
	size     int64                // size of the products; see indexSize
	trace    *telemetry.Batch     // held until the change is in the index
}

// indexBatch is several changes to be written together.
type indexBatch struct {
	products    []catalog.Product     // last version of each product
	checkpoints []eventlog.Checkpoint // last checkpoint of each shard
	snapshot    bool                  // a part of a snapshot, or its end, is among the changes
	settled     []projection.Settled  // all events
	size        int64                 // size of all changes
	traces      []*telemetry.Batch    // held until release
}

func newIndexQueue(room *memory.Share) *indexQueue {
	return &indexQueue{changes: make(chan queuedChange, maxQueuedChanges), room: room, waiting: map[int32]bool{}}
}

// progress returns a number that grows with each batch that is written while the shard
// waits for room. Changes of other shards get room first, and each can take seconds to
// write.
func (q *indexQueue) progress(shard int32) int64 {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.waiting[shard] {
		return 0
	}
	return q.released
}

func (q *indexQueue) setWaiting(shard int32, waits bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.waiting[shard] = waits
}

// add queues a change, and waits while the queue is full.
func (q *indexQueue) add(ctx context.Context, change projection.Change) error {
	q.setWaiting(change.To.Shard, true)
	defer q.setWaiting(change.To.Shard, false)
	c := queuedChange{products: change.Products, snapshot: change.Snapshot, to: change.To, settled: change.Settled()}
	for i := range c.products {
		c.size += int64(indexSize(&c.products[i]))
	}
	c.size = min(c.size, maxQueuedBytes) // a change larger than the queue waits until the queue is empty
	if err := q.room.Acquire(ctx, c.size); err != nil {
		return err
	}
	c.trace = telemetry.Hold(ctx)
	select {
	case q.changes <- c:
		return nil
	case <-ctx.Done():
		c.trace.Release()
		q.room.Release(c.size)
		return ctx.Err()
	}
}

// next waits for a change and returns it together with all others that are
// queued, up to maxBatchProducts or maxBatchBytes. Its only error is that of ctx.
func (q *indexQueue) next(ctx context.Context) (indexBatch, error) {
	var changes []queuedChange
	select {
	case c := <-q.changes:
		changes = append(changes, c)
	case <-ctx.Done():
		return indexBatch{}, ctx.Err()
	}
	for n, size := len(changes[0].products), changes[0].size; n < maxBatchProducts && size < maxBatchBytes; {
		select {
		case c := <-q.changes:
			changes = append(changes, c)
			n, size = n+len(c.products), size+c.size
			continue
		default:
		}
		break
	}
	return merge(changes), nil
}

// release makes room for as much as the batch held, and ends its traces.
func (q *indexQueue) release(b indexBatch) {
	q.mu.Lock()
	q.released++
	q.mu.Unlock()
	q.room.Release(b.size)
	for _, t := range b.traces {
		t.Release()
	}
}

// full reports whether shards wait for room.
func (q *indexQueue) full() bool {
	if !q.room.TryAcquire(1) {
		return true
	}
	q.room.Release(1)
	return len(q.changes) == maxQueuedChanges
}

// merge makes a batch of changes. Those of one shard come in order.
func merge(changes []queuedChange) indexBatch {
	var b indexBatch
	var products []catalog.Product
	checkpoints := map[int32]eventlog.Checkpoint{}
	for _, c := range changes {
		products = append(products, c.products...)
		checkpoints[c.to.Shard] = c.to
		b.snapshot = b.snapshot || c.snapshot
		b.settled = append(b.settled, c.settled...)
		b.size += c.size
		b.traces = append(b.traces, c.trace)
	}
	b.products = lastVersions(products)
	b.checkpoints = slices.Collect(maps.Values(checkpoints))
	return b
}

// lastVersions keeps the last version of each product, in place.
func lastVersions(products []catalog.Product) []catalog.Product {
	at := make(map[catalog.ID]int, len(products))
	kept := products[:0]
	for _, p := range products {
		i, ok := at[p.ID]
		switch {
		case !ok:
			at[p.ID] = len(kept)
			kept = append(kept, p)
		case p.Version > kept[i].Version:
			kept[i] = p
		}
	}
	return kept
}
