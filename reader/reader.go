// Package reader keeps the read side from the events and answers queries from
// it: products from the cache and then the view, lists and searches from the
// index.
//
// It knows no engine. What it promises: a product is never older than the
// position that the caller names, never goes back in version, and never comes
// back from the dead; no event is skipped.
package reader

import (
	"context"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/singleflight"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/breaker"
	"catalog/internal/changefeed"
)

// Reader keeps the read side and answers queries from it.
type Reader struct {
	view    View
	engine  *breaker.Breaker // in front of the view where somebody waits for it
	cache   Cache            // nil for none
	index   Index
	log     Log
	journal Journal
	logger  *slog.Logger
	now     func() time.Time
	metrics *metrics

	projection, feed *follower
	guard            *guarded         // of the projection's shards in the cache; nil without a cache
	turns            turns            // of those who change the view
	rebuilding       sync.Mutex       // held by a rebuild
	indexing         sync.Mutex       // held while the index is changed
	pending          *pending         // between the feed and the index
	changes          *changefeed.Feed // for those who follow what becomes of products
	viewed, found    *marks           // how far view and index are, as far as this process knows
	resting          atomic.Int64     // until when the cache is left alone, in nanoseconds since 1970
	ready            readiness
	loads            *loads
	looks            singleflight.Group // at the progress of shards
}

// New makes a reader. cache may be nil. Metrics go to reg.
func New(view View, cache Cache, index Index, log Log, journal Journal, logger *slog.Logger, now func() time.Time, reg prometheus.Registerer) *Reader {
	r := &Reader{
		view: view, engine: breaker.New("view", reg), cache: cache, index: index, log: log, journal: journal, logger: logger, now: now,
		pending: newPending(), viewed: newMarks(), found: newMarks(),
	}
	r.changes = changefeed.New(maxWatchers, journal, eventData, prometheus.WrapRegistererWith(prometheus.Labels{"service": "reader"}, reg))
	r.loads = newLoads(r.load)
	r.metrics = newMetrics(reg)
	follow := func(name string) *follower {
		return &follower{name: name, log: log, journal: journal, logger: logger, metrics: r.metrics, at: map[int32]eventlog.Checkpoint{}}
	}
	r.projection, r.feed = follow("view"), follow("index")
	r.projection.load, r.projection.apply = r.projected, r.project
	if cache != nil {
		r.guard = &guarded{Consumer: r.projection, Reader: r, goals: map[int32]int64{}}
	}
	r.feed.load, r.feed.apply, r.feed.alone = r.indexed, r.pending.add, true
	return r
}

// View keeps the products as they are, by id. It is shared by all readers.
// Packages mongo and sqlite implement it; catalogtest.TestView says what an
// implementation must do.
type View interface {
	// Apply stores each product whose version is higher than the stored one,
	// tombstones too. The same or an older version changes nothing and is no
	// error.
	Apply(ctx context.Context, products []catalog.Product) error

	// Product answers the product, which may be a tombstone, or ErrNotFound when
	// none was ever stored.
	Product(ctx context.Context, id catalog.ID) (catalog.Product, error)

	// Progress answers the progress saved for the shard, or the zero one of
	// that shard.
	Checkpoint(ctx context.Context, shard int32) (eventlog.Checkpoint, error)

	// Each calls handle with all products, tombstones too, in any order. What is
	// written meanwhile may be shown or not.
	Scan(ctx context.Context, handle func([]catalog.Product) error) error

	// Correct puts p in the place of a product that is wrong: of the version was,
	// which may be higher than it should be, or 0 where there should be one. With
	// another version stored it changes nothing. A p of version 0 removes it.
	Overwrite(ctx context.Context, was int64, p catalog.Product) error

	// Save stores the progress of a shard, unless a higher seq is stored. The
	// same seq with another offset is stored.
	SaveCheckpoint(ctx context.Context, p eventlog.Checkpoint) error
}

// Index finds products, fed from all shards. Each reader has one of its own in
// package search, or all have one in package opensearch, which each of them feeds.
// catalogtest.TestIndex says what an implementation must do.
type Index interface {
	// Apply stores products (and removes those that are tombstones) and the
	// progress that they make, never that without all of them. When it returns
	// they can be found. Of one product, versions come in order, or one that is
	// older changes nothing.
	Apply(ctx context.Context, products []catalog.Product, progress []eventlog.Checkpoint) error

	// Correct puts products in the place of those that are wrong, whatever their
	// version. One of version 0 or deleted is removed.
	Overwrite(ctx context.Context, products []catalog.Product) error

	// Progress answers the progress of each shard of which something has been
	// applied.
	Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error)

	// Product answers the product, or ErrNotFound, which tombstones are too.
	Product(ctx context.Context, id catalog.ID) (catalog.Product, error)

	// Each calls handle with all products, in any order.
	Scan(ctx context.Context, handle func([]catalog.Product) error) error

	// Search answers a page of the products that match the query, or a
	// *catalog.Refusal that names what is wrong with the query.
	Search(ctx context.Context, q catalog.Query) (catalog.Page, error)

	// Suggest answers what the text may become, at most limit of each kind, or a
	// *catalog.Refusal. Whatever it suggests finds something.
	Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error)
}

// Log is where events come from. Package kafka implements it.
type Log interface {
	// Events joins the group of readers and works on the shards it is given
	// until ctx ends.
	ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error

	// Follow works on all shards, in no group, until ctx ends. The name is the
	// consumer's, for its metrics.
	ConsumeAllShards(ctx context.Context, name string, c eventlog.Consumer[catalog.Event]) error

	// EventBounds answers, by shard, the offset of the first event that the log
	// still has and the offset that the next one will have.
	EventOffsets(ctx context.Context) (starts, ends []int64, err error)
}

// Journal answers what the log no longer has, and what is true. It is the
// writer, over gRPC.
type Journal interface {
	// Next answers the seq that the next event of the shard will have.
	Next(ctx context.Context, shard int32) (int64, error)

	// Replay calls handle with the events of the shard with from ≤ seq ≤ to, in
	// order.
	Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error

	// Snapshot calls handle with the products of the shard, tombstones too, or
	// only with those that are named, unless there are none. It answers the seq
	// that the next event will have. All of that is what one moment was.
	Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (nextSeq int64, err error)
}
