package reader

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"golang.org/x/sync/semaphore"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
)

// RunIndex keeps the index of this reader, from all shards, until ctx ends. It
// is called once.
func (r *Reader) RunIndex(ctx context.Context) error {
	applied := make(chan struct{})
	applying, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(applied)
		r.applyPending(applying)
	}()
	err := r.log.ConsumeAllShards(ctx, "index", watched{r.feed, r.changes})
	stop()
	<-applied
	return err
}

// indexed answers how far the index is in the shard.
func (r *Reader) indexed(ctx context.Context, shard int32) (eventlog.Checkpoint, error) {
	all, err := r.index.Checkpoints(ctx)
	if err != nil {
		return eventlog.Checkpoint{}, err
	}
	for _, p := range all {
		r.found.reach(p)
		if p.Shard == shard {
			return p, nil
		}
	}
	return eventlog.Checkpoint{Position: catalog.Position{Shard: shard}}, nil
}

// pending is what shards have brought for the index and what it has not yet
// taken.
type pending struct {
	changes chan change
	room    *semaphore.Weighted // bytes, about, that may still wait
}

// change is what a stretch of events makes of the products of one shard.
type change struct {
	products []catalog.Product
	size     int64 // in bytes, about
	to       eventlog.Checkpoint
	settled  []time.Time // when each of the events was
}

const (
	maxChanges = 1_000   // that wait, and
	maxPending = 8 << 20 // bytes of them; a shard that brings more waits itself
	maxWrite   = 1_000   // products in one write to the index, about
)

func newPending() *pending {
	return &pending{changes: make(chan change, maxChanges), room: semaphore.NewWeighted(maxPending)}
}

// add hands a change over. It is applied later, together with its progress.
func (p *pending) add(ctx context.Context, products []catalog.Product, events []catalog.Event, to eventlog.Checkpoint) error {
	c := change{products: products, to: to, settled: make([]time.Time, len(events))}
	for i, e := range events {
		c.settled[i] = e.SettledAt
	}
	for _, product := range c.products {
		c.size += size(product)
	}
	c.size = min(c.size, maxPending) // one that is larger than all the room waits until it has it all
	if err := p.room.Acquire(ctx, c.size); err != nil {
		return err
	}
	select {
	case p.changes <- c:
		return nil
	case <-ctx.Done():
		p.room.Release(c.size)
		return ctx.Err()
	}
}

// full says whether shards wait until there is room.
func (p *pending) full() bool {
	if !p.room.TryAcquire(1) {
		return true
	}
	p.room.Release(1)
	return len(p.changes) == maxChanges
}

// size is about how many bytes a product takes.
func size(p catalog.Product) int64 {
	n := 300 + len(p.Name) + len(p.Description) + len(p.Category) + 40*len(p.Tags)
	for k, v := range p.Attributes {
		n += 50 + len(k) + len(v)
	}
	return int64(n)
}

// applyPending writes to the index what the shards bring until ctx ends. While
// it writes, more comes together: a single change never waits for others, and
// many are written at once.
func (r *Reader) applyPending(ctx context.Context) {
	for {
		var changes []change
		select {
		case c := <-r.pending.changes:
			changes = append(changes, c)
		case <-ctx.Done():
			return
		}
		for n := len(changes[0].products); n < maxWrite; {
			select {
			case c := <-r.pending.changes:
				changes = append(changes, c)
				n += len(c.products)
				continue
			default:
			}
			break
		}
		var since time.Time
		for try := 0; ; try++ {
			if since = time.Now(); r.write(ctx, changes) {
				break
			}
			select {
			case <-time.After(min(time.Second, 10*time.Millisecond<<min(try, 7)) + rand.N(10*time.Millisecond)):
			case <-ctx.Done():
				return
			}
		}
		busy := r.pending.full()
		for _, c := range changes {
			r.pending.room.Release(c.size)
		}
		// Who is far behind has time. To index is the hardest work there is, and
		// half of a core or two is left to those who wait for an answer.
		if busy {
			select {
			case <-time.After(time.Since(since)):
			case <-ctx.Done():
				return
			}
		}
	}
}

// write writes changes to the index and tells that they can be found.
func (r *Reader) write(ctx context.Context, changes []change) bool {
	var products []catalog.Product
	progress := map[int32]eventlog.Checkpoint{}
	for _, c := range changes {
		products = append(products, c.products...)
		progress[c.to.Shard] = c.to // those of one shard come in order
	}
	reached := slices.Collect(maps.Values(progress))
	// Progress without products is not worth a write: after a restart it is made
	// again from the log.
	if len(products) > 0 {
		r.indexing.Lock()
		err := r.index.Apply(ctx, newest(products), reached)
		r.indexing.Unlock()
		if err != nil {
			if ctx.Err() == nil {
				r.logger.ErrorContext(ctx, "the index cannot be written; trying again", "products", len(products), "err", err)
			}
			return false
		}
		r.metrics.write.Observe(float64(len(products)))
	}
	failpoint.Here(failpoint.ReaderIndexed)
	r.found.reach(reached...)
	for _, c := range changes {
		r.observe("index", c.settled)
	}
	return true
}

// newest keeps the newest version of each product.
func newest(products []catalog.Product) []catalog.Product {
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
