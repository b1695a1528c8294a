package projection

import (
	"context"
	"errors"
	"sync"
	"time"

	"catalog"
	"catalog/internal/telemetry"
)

// cacheLeases holds the cache leases of the shards that this process projects,
// and decides when the cache may be filled.
type cacheLeases struct {
	cache   Cache
	onError func(ctx context.Context, err error)

	mu       sync.Mutex
	fillFrom map[int32]int64 // by shard, the offset from which on fills are allowed
}

// acquire takes the lease of the shard. The process that held it may be frozen in
// the middle of a change and continue later. It has invalidated that change in
// the cache before this process took the lease, so the change belongs to an event
// that is already in the log. Therefore fills stay blocked until all events that
// the log has now are applied here: from then on a late write of the other
// process changes nothing in the view.
func (l *cacheLeases) acquire(ctx context.Context, shard int32) {
	if err := l.cache.Acquire(ctx, shard); err != nil {
		l.onError(ctx, err)
	}
}

// blockFillsBefore blocks fills of the shard until the offset is applied.
func (l *cacheLeases) blockFillsBefore(shard int32, offset int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fillFrom[shard] = offset
}

// allowFill allows fills of the shard, which is applied up to the offset,
// unless events from before the lease are still missing.
func (l *cacheLeases) allowFill(ctx context.Context, shard int32, offset int64) {
	l.mu.Lock()
	caughtUp := offset >= l.fillFrom[shard]
	l.mu.Unlock()
	if !caughtUp {
		return
	}
	ctx, span := telemetry.StartStep(ctx, "allow cache fills")
	// ErrFenced is left to the next Invalidate, which stops the shard.
	err := l.cache.AllowFill(ctx, shard)
	span.End(err)
	if err != nil && !errors.Is(err, catalog.ErrFenced) {
		l.onError(ctx, err)
	}
}

// release gives up the lease of the shard.
func (l *cacheLeases) release(shard int32) { l.cache.Release(shard) }

// resetCacheAfterSwitch empties the cache of this process's shards whenever another generation of
// the view becomes the live one, until ctx ends. It polls often enough that writes after a quiet
// moment need not read which generations are in use.
func (p *Projector) resetCacheAfterSwitch(ctx context.Context, view *GenerationalView) {
	last := int64(-1) // the generation that the cache is filled from
	for first := true; ; first = false {
		if g, err := view.current(ctx); err == nil && !g.ReadBoth && g.Live != last {
			if !first {
				p.resetCache(ctx)
			}
			last = g.Live
		}
		select {
		case <-time.After(leaseTTL):
		case <-ctx.Done():
			return
		}
	}
}

// resetCache drops the cached products of all shards of this process.
func (p *Projector) resetCache(ctx context.Context) {
	for _, shard := range p.events.shards() {
		func() {
			defer p.locks.lock(shard)()
			at, ok := p.events.checkpoint(shard)
			if !ok {
				return
			}
			p.leases.acquire(ctx, shard)
			p.leases.allowFill(ctx, shard, at.Offset)
		}()
	}
}
