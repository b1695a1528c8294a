package reader

import (
	"context"
	"errors"
	"sync"
	"time"

	"catalog"
	"catalog/eventlog"
)

// Cache answers what the view would, without asking it: of each product either
// what the view has at that moment, or nothing. For that it is told of each
// change before it is made, by the one process that guards the shard. It may
// forget anything at any time. Package redis implements it;
// catalogtest.TestCache says what an implementation must do.
type Cache interface {
	// Product answers a product, which may be a tombstone, and whether it is in
	// the cache. One of version 0 is not in the view. Where it is not in the
	// cache, the ticket is for Fill, unless it is "".
	Product(ctx context.Context, id catalog.ID) (p catalog.Product, found bool, ticket string, err error)

	// Products answers those of the products that are in the cache, by id, as
	// wire.EncodeProduct has them. One that is not in the view is empty.
	Products(ctx context.Context, ids []catalog.ID) (map[catalog.ID][]byte, error)

	// Fill stores a product that was read from the view after the ticket was
	// given, unless it may have changed since.
	Fill(ctx context.Context, ticket string, p catalog.Product) error

	// Guard takes the shard from whoever guards it. What is in the cache of it is
	// gone, and nothing is stored until the first Admit. On an error the cache
	// tries again by itself, and the shard can be worked on all the same.
	Acquire(ctx context.Context, shard int32) error

	// Forget returns when nobody is answered the products from the cache any
	// more, until Admit. It is ErrFenced when another process guards the shard.
	Invalidate(ctx context.Context, shard int32, products []catalog.ID) error

	// Admit lets the products of the shard be stored again. On an error they are
	// not, for a while.
	AllowFill(ctx context.Context, shard int32) error

	// Leave ends the guard of the shard.
	Release(shard int32)

	// Keep keeps the guards until ctx ends.
	RenewLeases(ctx context.Context)
}

const (
	cacheWait = 50 * time.Millisecond  // for the cache: slower than that, the view is quicker
	cacheRest = 100 * time.Millisecond // for which a cache that has failed is left alone, so that few wait for it
)

// cached answers what the cache has. A cache that is slow or gone has nothing.
func (r *Reader) cached(ctx context.Context, id catalog.ID) (p catalog.Product, found bool, ticket string) {
	if r.cache == nil {
		return p, false, ""
	}
	if time.Now().UnixNano() < r.resting.Load() {
		r.metrics.cache.WithLabelValues("passed").Inc()
		return p, false, ""
	}
	ctx, cancel := context.WithTimeout(ctx, cacheWait)
	defer cancel()
	p, found, ticket, err := r.cache.Product(ctx, id)
	switch {
	case err != nil:
		r.failed(ctx, err)
	case found:
		r.metrics.cache.WithLabelValues("hit").Inc()
	default:
		r.metrics.cache.WithLabelValues("miss").Inc()
	}
	return p, found, ticket
}

// cachedOf answers those of the products that the cache has, encoded.
func (r *Reader) cachedOf(ctx context.Context, ids []catalog.ID) map[catalog.ID][]byte {
	if r.cache == nil || time.Now().UnixNano() < r.resting.Load() {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, cacheWait)
	defer cancel()
	all, err := r.cache.Products(ctx, ids)
	if err != nil {
		r.failed(ctx, err)
	}
	r.metrics.cache.WithLabelValues("hit").Add(float64(len(all)))
	return all
}

// fill gives the cache a product that it did not have.
func (r *Reader) fill(ctx context.Context, ticket string, p catalog.Product) {
	if ticket == "" {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, cacheWait)
	defer cancel()
	if err := r.cache.Fill(ctx, ticket, p); err != nil {
		r.failed(ctx, err)
	}
}

// failed leaves the cache alone for a while.
func (r *Reader) failed(ctx context.Context, err error) {
	r.metrics.cache.WithLabelValues("error").Inc()
	r.resting.Store(time.Now().Add(cacheRest).UnixNano())
	r.logger.DebugContext(ctx, "cache passed by", "err", err)
}

// forget has the cache forget products that are about to change.
func (r *Reader) forget(ctx context.Context, shard int32, products []catalog.Product) error {
	if r.cache == nil {
		return nil
	}
	ids := make([]catalog.ID, len(products))
	for i, p := range products {
		ids[i] = p.ID
	}
	return r.cache.Invalidate(ctx, shard, ids)
}

// guarded is the projection of the view where there is a cache: it guards the
// shards that it works on.
type guarded struct {
	eventlog.Consumer[catalog.Event]
	*Reader

	mu    sync.Mutex
	goals map[int32]int64 // by shard, the offset from which on the cache may be filled
}

// Begin guards the shard and then begins it. A process that had the shard before
// may have been stopped in the middle of a change and go on with it now. It has
// told the cache of it before this process took the guard. So what it may still
// do is an event that the log has by now, and when all of those have been
// applied here, it changes nothing any more.
func (g *guarded) Begin(ctx context.Context, shard int32) (offset int64, err error) {
	if err := g.cache.Acquire(ctx, shard); err != nil {
		g.failed(ctx, err)
	}
	defer func() {
		if err != nil {
			g.cache.Release(shard)
		}
	}()
	_, ends, err := g.log.EventOffsets(ctx)
	if err != nil {
		return 0, err
	}
	g.mu.Lock()
	g.goals[shard] = ends[shard]
	g.mu.Unlock()
	if offset, err = g.Consumer.Begin(ctx, shard); err == nil {
		g.admit(ctx, shard, offset)
	}
	return offset, err
}

// Handle has the events applied, and lets the cache be filled again.
func (g *guarded) Handle(ctx context.Context, r eventlog.Records[catalog.Event]) error {
	err := g.Consumer.Handle(ctx, r)
	if err == nil {
		g.admit(ctx, r.Shard, r.To)
	}
	return err
}

// admit lets the cache be filled with products of the shard, which is at the
// offset.
func (g *guarded) admit(ctx context.Context, shard int32, offset int64) {
	g.mu.Lock()
	there := offset >= g.goals[shard]
	g.mu.Unlock()
	if !there {
		return
	}
	if err := g.cache.AllowFill(ctx, shard); err != nil && !errors.Is(err, catalog.ErrFenced) { // fenced is said by the next Forget
		g.failed(ctx, err)
	}
}

// End leaves the shard.
func (g *guarded) End(shard int32) {
	g.Consumer.End(shard)
	g.cache.Release(shard)
}
