// Package reader is the read side of the catalogue: it serves queries over
// gRPC, products from the cache and the view, lists and searches from the index.
// Its subpackages keep these stores up to date: projection (view and cache),
// indexer (index) and audit (verification, repair, rebuild). DESIGN.md describes
// how they work together.
//
// Promises: a product is never older than the position that the caller names,
// never goes back in version, and never reappears after its deletion by the
// delivery of old events. The package knows no engine.
package reader

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/changefeed"
	"catalog/internal/memory"
	"catalog/internal/metrics"
	"catalog/reader/audit"
	"catalog/reader/indexer"
	"catalog/reader/projection"
)

// Index is the search index: package indexer writes it, package audit compares
// and repairs it, and this package searches it. Each reader has its own (package
// bleve), or all readers share one and each of them writes it (package
// opensearch). enginetest.TestIndex holds what an implementation must do.
type Index interface {
	indexer.Index
	audit.Index

	// Search returns a page of the products that match the query, or a
	// *catalog.Refusal that names the invalid field.
	Search(ctx context.Context, q catalog.Query) (catalog.Page, error)

	// Suggest returns completions of the text, at most limit of each kind, or a
	// *catalog.Refusal. A search for a completion finds at least one product.
	Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error)

	// Size returns the number of products that the index holds, and its space on disk
	// in bytes, for metrics.
	Size(ctx context.Context) (products, bytes int64, err error)
}

// Log is where events come from. Package kafka implements it.
type Log interface {
	projection.Log
	indexer.Log
}

// Deps holds what New needs.
type Deps struct {
	View    projection.View
	Cache   Cache // nil for none
	Index   Index
	Log     Log
	Journal projection.Journal

	Logger   *slog.Logger
	Now      func() time.Time      // the clock for the delay of events
	Registry prometheus.Registerer // for metrics
	Memory   *memory.Budget        // nil means the same limits, without metrics
}

// Reader serves queries. Its Projector, Indexer and Auditor have a Run method
// each, which keeps the stores up to date while the process runs.
type Reader struct {
	Projector *projection.Projector
	Indexer   *indexer.Indexer
	Auditor   *audit.Auditor

	view      *viewClient
	cache     *cacheClient
	index     Index
	results   *memory.Share // pages and suggestions that are not sent yet
	metrics   *queryMetrics
	loader    *coalescingLoader
	positions *positions
	readiness *readiness
	changes   *changefeed.Feed // feed for clients that watch changes
	logger    *slog.Logger
}

// New returns a reader. It does no I/O.
func New(deps Deps) *Reader {
	viewApplied, indexApplied := projection.NewWatermarks(), projection.NewWatermarks()
	consumers := projection.NewConsumerMetrics(deps.Registry, deps.Now)
	cache := newCacheClient(deps.Cache, deps.Logger, deps.Registry)
	changes := changefeed.New(maxWatchers, deps.Journal, encodeEvent, prometheus.WrapRegistererWith(prometheus.Labels{"service": "reader"}, deps.Registry))
	projector := projection.New(projection.Deps{
		View: deps.View, Cache: deps.Cache, Log: deps.Log, Journal: deps.Journal,
		Watermarks: viewApplied, Metrics: consumers, Logger: deps.Logger, OnCacheError: cache.onError,
	})
	indexer := indexer.New(indexer.Deps{
		Index: deps.Index, Log: deps.Log, Journal: deps.Journal, Feed: changes,
		Watermarks: indexApplied, Metrics: consumers, Logger: deps.Logger, Memory: deps.Memory,
	})
	view := newViewClient(deps.View, projector, deps.Registry)
	positions := &positions{view: viewApplied, index: indexApplied, pollView: view.poll}
	r := &Reader{
		Projector: projector, Indexer: indexer,
		Auditor: audit.New(audit.Deps{
			View: deps.View, Cache: deps.Cache, Index: deps.Index, Journal: deps.Journal, Log: deps.Log,
			Projector: projector, Indexer: indexer, Positions: positions,
			Logger: deps.Logger, Registry: deps.Registry,
		}),
		view: view, cache: cache, index: deps.Index, results: deps.Memory.Share("reader.queries", queryBytes), metrics: newQueryMetrics(deps.Registry), positions: positions, changes: changes, logger: deps.Logger,
		readiness: &readiness{log: deps.Log, projector: projector, positions: positions},
	}
	r.loader = newCoalescingLoader(r.load)
	return r
}

// RunMetrics updates the metrics of the index's size until ctx ends.
func (r *Reader) RunMetrics(ctx context.Context) error {
	metrics.Refresh(ctx, func(ctx context.Context) error {
		products, bytes, err := r.index.Size(ctx)
		if err == nil {
			r.metrics.products.Set(float64(products))
			r.metrics.bytes.Set(float64(bytes))
		}
		return err
	})
	return nil
}

// Ping returns an error until view and index have applied the events that the
// log had at the first call.
func (r *Reader) Ping(ctx context.Context) error {
	return errors.Join(r.readiness.checkView(ctx), r.readiness.checkIndex(ctx))
}

// PingIndex returns an error until the index has applied the events that the log
// had at the first call. Until then lists and searches would miss products.
func (r *Reader) PingIndex(ctx context.Context) error { return r.readiness.checkIndex(ctx) }

// EndChanges ends all WatchChanges calls.
func (r *Reader) EndChanges() { r.changes.Close() }
