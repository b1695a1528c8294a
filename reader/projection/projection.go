// Package projection builds the view from events. For each shard that the log
// assigns to this process it reads the events without a gap, invalidates the
// changed products in the cache, writes them to the view and saves the
// checkpoint, in this order.
//
// It also holds what the other packages of the reader share with it: the
// [EventConsumer], which the indexer uses too, the [Watermarks] that queries
// wait for, and the [GenerationalView] that a rebuild switches.
//
// Promises: no event is skipped, a product never goes back in version, and a
// checkpoint is visible only after the products that it covers. The package
// knows no engine and no gRPC.
package projection

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/telemetry"
)

// View stores the latest version of every product, by id. All readers share it.
// Packages mongo and sqlite implement it; enginetest.TestView holds what an
// implementation must do.
type View interface {
	// Apply stores each product whose version is higher than the stored one,
	// tombstones included. The same or an older version changes nothing and is
	// not an error. The result does not depend on whether a product is in created
	// or in changed. Apply is fast when the view lacks those in created and has
	// those in changed.
	Apply(ctx context.Context, created, changed []catalog.Product) error

	// Product returns the product, which may be a tombstone, or ErrNotFound when
	// no version was ever stored.
	Product(ctx context.Context, id catalog.ID) (catalog.Product, error)

	// Checkpoints returns the saved checkpoint of each shard that has one.
	Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error)

	// Scan calls handle with all products, tombstones included, in any order.
	// Products written during the scan may be missing.
	Scan(ctx context.Context, handle func([]catalog.Product) error) error

	// Overwrite replaces a wrong product with p, whatever the version of p. It
	// changes nothing unless version was is stored; was is 0 for a product that
	// is missing. A p of version 0 removes the product.
	Overwrite(ctx context.Context, was int64, p catalog.Product) error

	// SaveCheckpoints stores checkpoints of different shards, except where one with a
	// higher seq is stored. A checkpoint with the same seq and another offset is
	// stored.
	SaveCheckpoints(ctx context.Context, all []eventlog.Checkpoint) error
}

// Cache is the writing side of the cache. A process holds the lease of a shard
// while it projects the shard, and announces every change before it makes it, so
// that the cache holds either what the view holds, or nothing. Package redis
// implements it; enginetest.TestCache holds what an implementation must do.
type Cache interface {
	// Acquire takes the lease of the shard from the process that holds it, drops
	// the cached products of the shard, and blocks fills until the first
	// AllowFill. After an error the cache retries in the background; the shard
	// can be projected all the same.
	Acquire(ctx context.Context, shard int32) error

	// Invalidate removes the products from the cache and blocks their fills
	// until AllowFill. When it returns, no reader gets them from the cache. It
	// returns ErrFenced when another process holds the lease of the shard.
	Invalidate(ctx context.Context, shard int32, products []catalog.ID) error

	// AllowFill lets the products of the shard be filled again. After an error
	// they stay blocked for a while.
	AllowFill(ctx context.Context, shard int32) error

	// Release gives up the lease of the shard.
	Release(shard int32)

	// RenewLeases renews the leases that this process holds until ctx ends.
	RenewLeases(ctx context.Context)
}

// Log assigns the shards of the events topic. Package kafka implements it.
type Log interface {
	// ConsumeEvents joins the group of readers and calls c for the shards that the
	// group assigns to this process, until ctx ends.
	ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error

	Offsets
}

// Deps holds what New needs.
type Deps struct {
	View    View
	Cache   Cache // nil for none
	Log     Log
	Journal Journal

	Watermarks *Watermarks      // watermarks that advance when the view has applied events
	Metrics    *ConsumerMetrics // metrics shared with the indexer
	Logger     *slog.Logger

	// OnCacheError is called when a lease cannot be acquired or a shard cannot be
	// opened for fills. The reader then bypasses the cache for a moment.
	OnCacheError func(ctx context.Context, err error)
}

// Projector projects the events of its shards into the view. It implements
// eventlog.Consumer.
type Projector struct {
	view       View
	writer     *viewWriter
	log        Log
	watermarks *Watermarks
	events     *EventConsumer
	leases     *cacheLeases // nil without a cache
	locks      shardLocks   // serialize events, repairs and cache resets of a shard
	invalidate prometheus.Observer
}

// New returns a projector. Run starts it.
func New(deps Deps) *Projector {
	p := &Projector{
		view: deps.View, writer: newViewWriter(deps.View, deps.Watermarks, deps.Metrics, deps.Logger), log: deps.Log, watermarks: deps.Watermarks,
		invalidate: deps.Metrics.Step("view", "invalidate"),
	}
	p.events = NewEventConsumer(EventConsumerDeps{
		Name: "view", Target: viewTarget{p}, Log: deps.Log, Journal: deps.Journal, Metrics: deps.Metrics, Logger: deps.Logger,
	})
	if deps.Cache != nil {
		p.leases = &cacheLeases{cache: deps.Cache, onError: deps.OnCacheError, fillFrom: map[int32]int64{}}
	}
	return p
}

// Run projects the shards that the log assigns to this process, until ctx ends.
func (p *Projector) Run(ctx context.Context) error {
	defer p.writer.saver.wait()
	if p.leases == nil {
		return p.log.ConsumeEvents(ctx, p)
	}
	var background sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer background.Wait()
	defer stop()
	background.Go(func() { p.leases.cache.RenewLeases(ctx) })
	if view, ok := p.view.(*GenerationalView); ok {
		background.Go(func() { p.resetCacheAfterSwitch(ctx, view) })
	}
	return p.log.ConsumeEvents(ctx, p)
}

// Begin acquires the cache lease of the shard, catches up with what the log no
// longer has, and returns the offset of the next event to read.
func (p *Projector) Begin(ctx context.Context, shard int32) (offset int64, err error) {
	defer p.locks.lock(shard)()
	if p.leases == nil {
		return p.events.Begin(ctx, shard)
	}
	p.leases.acquire(ctx, shard)
	defer func() {
		if err != nil {
			p.leases.release(shard)
		}
	}()
	_, ends, err := p.log.EventOffsets(ctx)
	if err != nil {
		return 0, err
	}
	p.leases.blockFillsBefore(shard, ends[shard])
	if offset, err = p.events.Begin(ctx, shard); err != nil {
		return 0, err
	}
	p.leases.allowFill(ctx, shard, offset)
	return offset, nil
}

// Handle applies records of a shard and then lets the cache be filled with them.
func (p *Projector) Handle(ctx context.Context, r eventlog.Records[catalog.Event]) (err error) {
	ctx, batch := telemetry.StartEvents(ctx, r)
	defer func() { batch.End(err) }()
	defer p.locks.lock(r.Shard)()
	if err := p.events.Handle(ctx, r); err != nil {
		return err
	}
	if p.leases != nil {
		p.leases.allowFill(ctx, r.Shard, r.To)
	}
	return nil
}

// End stops the shard and releases its cache lease.
func (p *Projector) End(shard int32) {
	p.events.End(shard)
	p.writer.saver.end(shard)
	if p.leases != nil {
		p.leases.release(shard)
	}
}

// DropsRepeats makes the log repeat the last record before the offset of Begin, there and
// after a lost connection. A later event in its place shows that the log has lost its end
// and has grown again.
func (p *Projector) DropsRepeats() {}

// Progress returns a number that grows with the work on the shard.
func (p *Projector) Progress(shard int32) int64 { return p.events.Progress(shard) }

// Owns reports whether this process projects the shard at the moment.
func (p *Projector) Owns(shard int32) bool {
	_, ok := p.events.checkpoint(shard)
	return ok
}

// Refresh reads the checkpoints from the view and advances the watermarks to them.
// Shards that another process projects advance only this way.
func (p *Projector) Refresh(ctx context.Context) error {
	_, err := viewTarget{p}.Checkpoints(ctx)
	return err
}

// Correct calls change, which corrects products of the shard in the view,
// between two batches of events of the shard. The products are invalidated in
// the cache first. It returns an error when this process does not project the
// shard.
func (p *Projector) Correct(ctx context.Context, shard int32, products []catalog.ID, change func() error) error {
	defer p.locks.lock(shard)()
	at, ok := p.events.checkpoint(shard)
	if !ok {
		return fmt.Errorf("shard %d is no longer assigned to this reader; run the command again", shard)
	}
	if p.leases == nil {
		return change()
	}
	if err := p.leases.cache.Invalidate(ctx, shard, products); err != nil {
		return err
	}
	if err := change(); err != nil {
		return err
	}
	p.leases.allowFill(ctx, shard, at.Offset)
	return nil
}

// viewTarget is the view as the target of the event consumer.
type viewTarget struct{ p *Projector }

// Checkpoints returns the saved checkpoints, which other processes may have saved, and
// advances the watermarks to them.
func (v viewTarget) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	all, err := v.p.view.Checkpoints(ctx)
	v.p.watermarks.Advance(all...)
	return all, err
}

// Apply invalidates the products of a change in the cache, and then writes it to the
// view, together with the changes of other shards that wait.
func (v viewTarget) Apply(ctx context.Context, c Change) error {
	failpoint.Here(failpoint.ReaderPolled)
	if err := v.p.invalidateCache(ctx, c); err != nil {
		return fmt.Errorf("project shard %d: invalidate the cache: %w", c.To.Shard, err)
	}
	if err := v.p.writer.write(ctx, c); err != nil {
		return fmt.Errorf("project shard %d: %w", c.To.Shard, err)
	}
	return nil
}

func (p *Projector) invalidateCache(ctx context.Context, c Change) error {
	if len(c.Products) == 0 {
		return nil
	}
	start := time.Now()
	if p.leases != nil {
		stepCtx, span := telemetry.StartStep(ctx, "invalidate cache")
		err := p.leases.cache.Invalidate(stepCtx, c.To.Shard, c.productIDs())
		span.End(err)
		if err != nil {
			return err
		}
	}
	p.invalidate.Observe(time.Since(start).Seconds())
	failpoint.Here(failpoint.ReaderInvalidated)
	return nil
}
