package reader

import (
	"context"
	"sync"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/telemetry"
)

// RunView keeps the view and the cache of the shards that the log gives to
// this reader, until ctx ends.
func (r *Reader) RunView(ctx context.Context) error {
	if r.guard == nil {
		return r.log.ConsumeEvents(ctx, inTurn{r.projection, &r.turns})
	}
	var keeping sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer keeping.Wait()
	defer stop()
	keeping.Go(func() { r.cache.RenewLeases(ctx) })
	if views, ok := r.view.(*GenerationalView); ok {
		keeping.Go(func() { r.renewCache(ctx, views) })
	}
	return r.log.ConsumeEvents(ctx, inTurn{r.guard, &r.turns})
}

// projected answers how far the view is in the shard, whoever keeps it.
func (r *Reader) projected(ctx context.Context, shard int32) (eventlog.Checkpoint, error) {
	p, err := r.view.Checkpoint(ctx, shard)
	if err == nil {
		r.viewed.reach(p)
	}
	return p, err
}

// project has the cache forget the products, applies them to the view, and then
// saves and tells the progress: whoever sees the progress sees the products.
func (r *Reader) project(ctx context.Context, products []catalog.Product, events []catalog.Event, to eventlog.Checkpoint) error {
	since := time.Now()
	failpoint.Here(failpoint.ReaderPolled)
	if len(products) > 0 {
		if err := r.forget(ctx, to.Shard, products); err != nil {
			return err
		}
		failpoint.Here(failpoint.ReaderInvalidated)
		if err := r.view.Apply(ctx, products); err != nil {
			return err
		}
		failpoint.Here(failpoint.ReaderApplied)
	}
	if err := r.view.SaveCheckpoint(ctx, to); err != nil {
		return err
	}
	failpoint.Here(failpoint.ReaderCheckpointed)
	r.viewed.reach(to)
	telemetry.RecordEventSpans(ctx, "project", events, since)
	settled := make([]time.Time, len(events))
	for i, e := range events {
		settled[i] = e.SettledAt
	}
	r.observe("view", settled)
	return nil
}
