package reader

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"

	"catalog"
	"catalog/reader/projection"
)

// positions holds how far view and index have applied the events.
type positions struct {
	view, index *projection.Watermarks

	// pollView refreshes the watermarks of shards that other readers may project.
	pollView func(ctx context.Context) error
}

// WaitForView waits until the view has applied the position, or returns ErrStale
// after positionTimeout.
func (p *positions) WaitForView(ctx context.Context, at catalog.Position) error {
	return p.view.Wait(ctx, at, positionTimeout, p.pollView)
}

// WaitForIndex waits until the index has applied the position, or returns
// ErrStale after positionTimeout.
func (p *positions) WaitForIndex(ctx context.Context, at catalog.Position) error {
	return p.index.Wait(ctx, at, positionTimeout, nil)
}

// readiness reports whether the reader has caught up with the events that the log
// had when it started. Before that its queries would return old products, and its
// lists would lack some.
type readiness struct {
	log       projection.Offsets
	projector *projection.Projector
	positions *positions

	mu   sync.Mutex
	goal []int64 // by shard, the end of the events topic at the first check

	viewCaughtUp, indexCaughtUp atomic.Bool // whether the view, or the index, has reached goal
}

// checkView returns an error until the view has caught up.
func (r *readiness) checkView(ctx context.Context) error {
	return r.check(ctx, &r.viewCaughtUp, "view", r.positions.view, r.projector.Refresh)
}

// checkIndex returns an error until the index has caught up.
func (r *readiness) checkIndex(ctx context.Context) error {
	return r.check(ctx, &r.indexCaughtUp, "search index", r.positions.index, func(context.Context) error { return nil })
}

// check returns nil once the store has applied the goal of each shard. refresh updates
// the watermarks.
func (r *readiness) check(ctx context.Context, caughtUp *atomic.Bool, store string, applied *projection.Watermarks, refresh func(context.Context) error) error {
	if caughtUp.Load() {
		return nil
	}
	goals, err := r.goals(ctx)
	if err != nil {
		return err
	}
	if err := refresh(ctx); err != nil {
		return err
	}
	for shard, goal := range goals {
		if at := applied.Offset(int32(shard)); at < goal {
			return fmt.Errorf("shard %d of the %s is %d events behind", shard, store, goal-at)
		}
	}
	caughtUp.Store(true)
	return nil
}

// goals returns, by shard, the end of the events topic at the first call.
func (r *readiness) goals(ctx context.Context) ([]int64, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.goal == nil {
		_, ends, err := r.log.EventOffsets(ctx)
		if err != nil {
			return nil, err
		}
		r.goal = ends
	}
	return r.goal, nil
}
