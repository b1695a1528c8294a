package metrics

import (
	"context"
	"time"
)

const (
	// refreshInterval is the time between two readings of a figure that costs an
	// engine some work.
	refreshInterval = 30 * time.Second
	// refreshTimeout limits one reading, since the engine may hang.
	refreshTimeout = 5 * time.Second
)

// Refresh calls read now and every 30 s until ctx ends, so that a scrape never waits
// for an engine. read sets gauges; after an error they keep their values.
func Refresh(ctx context.Context, read func(context.Context) error) {
	interval := time.NewTicker(refreshInterval)
	defer interval.Stop()
	for {
		reading, cancel := context.WithTimeout(ctx, refreshTimeout)
		_ = read(reading) // the readiness checks report an engine that does not respond
		cancel()
		select {
		case <-interval.C:
		case <-ctx.Done():
			return
		}
	}
}
