package reader

import (
	"context"
	"time"

	"catalog"
	"catalog/telemetry"
)

// RunView keeps the view and the cache of the shards that the log gives to
// this reader, until ctx ends.
func (r *Reader) RunView(ctx context.Context) error {
	paying, stop := context.WithCancel(ctx)
	defer stop()
	if r.cache != nil {
		go r.payCache(paying)
	}
	return r.log.Events(ctx, r.projection)
}

// projected answers how far the view is in the shard, whoever keeps it.
func (r *Reader) projected(ctx context.Context, shard int32) (catalog.Progress, error) {
	p, err := r.view.Progress(ctx, shard)
	if err == nil {
		r.viewed.reach(p)
	}
	return p, err
}

// project applies events to the view, then to the cache, and then saves and
// tells the progress: whoever sees the progress sees the products.
func (r *Reader) project(ctx context.Context, events []catalog.Event, to catalog.Progress) error {
	since := time.Now()
	products := catalog.Latest(events)
	if len(products) > 0 {
		if err := r.view.Apply(ctx, products); err != nil {
			return err
		}
		r.refresh(ctx, products)
	}
	if err := r.view.Save(ctx, to); err != nil {
		return err
	}
	r.viewed.reach(to)
	telemetry.Trail(ctx, "project", events, since)
	if len(events) > 0 {
		r.metrics.delay.WithLabelValues("view").Observe(r.now().Sub(events[len(events)-1].SettledAt).Seconds())
	}
	return nil
}
