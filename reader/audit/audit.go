// Package audit compares the replicas of a reader (view, cache and search index)
// with the journal, repairs single products, and rebuilds a whole view or index
// beside the live one.
//
// The journal is that of the writer, which reads it from its store. All of this
// works while events are applied and queries are served. A product is reported as
// different only after the replica has applied all events that the journal has: a
// delay is not a difference. The package knows no engine.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
)

// maxVerifications is the number of verifications that run at once: the periodic one
// and one for an operator. More would take the writers' time from readers that start.
// Others wait for verifyQueueTimeout and are then refused.
const maxVerifications, verifyQueueTimeout = 2, 10 * time.Second

// maxLogged is how many differences a periodic verification logs. The metric
// counts the rest.
const maxLogged = 10

// View is the view as a replica.
type View interface {
	// Apply stores each product whose version is higher than the stored one.
	// See projection.View.
	Apply(ctx context.Context, created, changed []catalog.Product) error
	// Product returns the product, which may be a tombstone, or ErrNotFound.
	Product(ctx context.Context, id catalog.ID) (catalog.Product, error)
	// Scan calls handle with all products, tombstones included, in any order.
	Scan(ctx context.Context, handle func([]catalog.Product) error) error
	// Overwrite replaces a wrong product, if version was is stored, with p.
	Overwrite(ctx context.Context, was int64, p catalog.Product) error
}

// Cache is the cache as a replica that holds some products.
type Cache interface {
	// Product returns the product and whether the cache holds it.
	Product(ctx context.Context, id catalog.ID) (p catalog.Product, found bool, ticket string, err error)
}

// Index is the search index as a replica.
type Index interface {
	// Product returns the product, or ErrNotFound, also for a tombstone.
	Product(ctx context.Context, id catalog.ID) (catalog.Product, error)
	// Scan calls handle with all products, in any order.
	Scan(ctx context.Context, handle func([]catalog.Product) error) error
	// Overwrite replaces wrong products, whatever their version. It removes those
	// that are deleted or of version 0.
	Overwrite(ctx context.Context, products []catalog.Product) error
}

// Journal reads the products from the writer, over gRPC.
type Journal interface {
	// Snapshot calls handle with the products of the shard, tombstones included,
	// page by page. A non-empty only limits the products to those ids. It returns
	// the seq that the next event had before the first page.
	Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (nextSeq int64, err error)

	// Next returns the seq that the next event of the shard will have.
	Next(ctx context.Context, shard int32) (int64, error)
}

// Log knows how many shards there are.
type Log interface {
	// EventOffsets returns one start and one end for each shard.
	EventOffsets(ctx context.Context) (starts, ends []int64, err error)
}

// Projector is the projection of events into the view.
type Projector interface {
	// Owns reports whether this process projects the shard.
	Owns(shard int32) bool
	// Correct invalidates the products in the cache and calls change, between two
	// batches of events of the shard.
	Correct(ctx context.Context, shard int32, products []catalog.ID, change func() error) error
}

// Indexer feeds the search index.
type Indexer interface {
	// Correct calls change between two batches of events.
	Correct(change func() error) error
}

// Positions waits until a replica has applied the events up to a position. The
// methods return ErrStale when that takes more than a moment.
type Positions interface {
	WaitForView(ctx context.Context, at catalog.Position) error
	WaitForIndex(ctx context.Context, at catalog.Position) error
}

// Deps holds what New needs.
type Deps struct {
	View    View
	Cache   Cache // nil for none
	Index   Index
	Journal Journal
	Log     Log

	Projector Projector
	Indexer   Indexer
	Positions Positions

	Logger   *slog.Logger
	Registry prometheus.Registerer
}

// Auditor verifies, repairs and rebuilds the replicas of one reader.
type Auditor struct {
	deps       Deps
	differing  *prometheus.GaugeVec // gauges by replica
	rebuilding sync.Mutex           // held during a rebuild
	verifying  chan struct{}        // has an element for each verification that runs
}

// New returns an auditor.
func New(deps Deps) *Auditor {
	a := &Auditor{deps: deps, verifying: make(chan struct{}, maxVerifications), differing: prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_products_differing", Help: "Products that differed from the journal in the last verification and were not repaired, by store: view, cache or index. Should be 0; catalog verify -repair repairs them.",
	}, []string{"store"})}
	deps.Registry.MustRegister(a.differing)
	return a
}

// Run verifies once every interval, slowly and without repair, until ctx ends.
// It reports differences by a metric and in the log. An interval of 0 means
// never. The first verification starts at a random time within the interval, so
// that several readers do not verify at once.
func (a *Auditor) Run(ctx context.Context, interval time.Duration) error {
	if interval <= 0 {
		<-ctx.Done()
		return nil
	}
	logged := 0
	v := Verification{Slowly: true, Progress: func(string, int64, int64) {}, Difference: func(d Difference) {
		if logged++; logged <= maxLogged {
			a.deps.Logger.ErrorContext(ctx, "product differs from the journal; run catalog verify -repair",
				"store", d.Store, "shard", d.Shard, "product", d.Want.ID, "version", d.Got.Version, "want", d.Want.Version)
		}
	}}
	for wait := rand.N(interval); ; wait = interval {
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		logged = 0
		if _, err := a.Verify(ctx, v); err != nil && ctx.Err() == nil {
			a.deps.Logger.WarnContext(ctx, "verification failed", "err", err)
		}
	}
}

// shards returns the number of shards.
func (a *Auditor) shards(ctx context.Context) (int, error) {
	starts, _, err := a.deps.Log.EventOffsets(ctx)
	return len(starts), err
}

// waitUntilCaughtUp waits until a replica has reached the position, for at most
// catchUpTimeout.
func waitUntilCaughtUp(ctx context.Context, wait func(context.Context, catalog.Position) error, at catalog.Position) error {
	for since := time.Now(); ; {
		err := wait(ctx, at)
		if !errors.Is(err, catalog.ErrStale) || ctx.Err() != nil {
			return err
		}
		if time.Since(since) > catchUpTimeout {
			return fmt.Errorf("position %s is not reached after %v; wait until the reader has caught up and try again: %w", at, catchUpTimeout, err)
		}
	}
}
