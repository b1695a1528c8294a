package reader

import (
	"context"
	"maps"
	"math/rand/v2"
	"slices"
	"time"

	"catalog"
)

// RunIndex keeps the index of this reader, from all shards, until ctx ends.
func (r *Reader) RunIndex(ctx context.Context) error {
	applied := make(chan struct{})
	applying, stop := context.WithCancel(context.WithoutCancel(ctx))
	go func() {
		defer close(applied)
		r.applyPending(applying)
	}()
	err := r.log.Follow(ctx, "index", r.feed)
	stop()
	<-applied
	return err
}

// indexed answers how far the index is in the shard.
func (r *Reader) indexed(ctx context.Context, shard int32) (catalog.Progress, error) {
	all, err := r.index.Progress(ctx)
	if err != nil {
		return catalog.Progress{}, err
	}
	for _, p := range all {
		r.found.reach(p)
		if p.Shard == shard {
			return p, nil
		}
	}
	return catalog.Progress{Position: catalog.Position{Shard: shard}}, nil
}

// pending is what shards have brought for the index and what it has not yet
// taken.
type pending chan change

// change is what a stretch of events makes of the products of one shard.
type change struct {
	products []catalog.Product
	to       catalog.Progress
	last     time.Time // when the last of the events was settled; zero when there are none
}

const (
	maxChanges = 64    // that wait; a shard that brings more waits itself
	maxWrite   = 1_000 // products in one write to the index, about
)

func newPending() pending { return make(pending, maxChanges) }

// add hands a change over. It is applied later, together with its progress.
func (p pending) add(ctx context.Context, events []catalog.Event, to catalog.Progress) error {
	c := change{products: catalog.Latest(events), to: to}
	if len(events) > 0 {
		c.last = events[len(events)-1].SettledAt
	}
	select {
	case p <- c:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// applyPending writes to the index what the shards bring until ctx ends. While
// it writes, more comes together: a single change never waits for others, and
// many are written at once.
func (r *Reader) applyPending(ctx context.Context) {
	for {
		var changes []change
		select {
		case c := <-r.pending:
			changes = append(changes, c)
		case <-ctx.Done():
			return
		}
		for n := len(changes[0].products); n < maxWrite; {
			select {
			case c := <-r.pending:
				changes = append(changes, c)
				n += len(c.products)
				continue
			default:
			}
			break
		}
		since := time.Now()
		for try := 0; !r.write(ctx, changes); try++ {
			select {
			case <-time.After(min(time.Second, 10*time.Millisecond<<min(try, 7)) + rand.N(10*time.Millisecond)):
			case <-ctx.Done():
				return
			}
		}
		// Who is far behind has time. To index is the hardest work there is, and
		// half of a core or two is left to those who wait for an answer.
		if len(r.pending) == maxChanges {
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
	progress := map[int32]catalog.Progress{}
	for _, c := range changes {
		products = append(products, c.products...)
		progress[c.to.Shard] = c.to // those of one shard come in order
	}
	reached := slices.Collect(maps.Values(progress))
	// Progress without products is not worth a write: after a restart it is made
	// again from the log.
	if len(products) > 0 {
		if err := r.index.Apply(ctx, newest(products), reached); err != nil {
			if ctx.Err() == nil {
				r.logger.ErrorContext(ctx, "the index cannot be written; trying again", "products", len(products), "err", err)
			}
			return false
		}
	}
	r.found.reach(reached...)
	r.metrics.write.Observe(float64(len(products)))
	for _, c := range changes {
		if c.last.IsZero() {
			continue
		}
		r.metrics.delay.WithLabelValues("index").Observe(r.now().Sub(c.last).Seconds())
	}
	return true
}

// newest keeps the last state of each product.
func newest(products []catalog.Product) []catalog.Product {
	at := make(map[catalog.ID]int, len(products))
	kept := products[:0]
	for _, p := range products {
		if i, ok := at[p.ID]; ok {
			kept[i] = p
			continue
		}
		at[p.ID] = len(kept)
		kept = append(kept, p)
	}
	return kept
}
