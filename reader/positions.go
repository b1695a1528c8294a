package reader

import (
	"context"
	"fmt"
	"sync"

	"catalog"
	"catalog/reader/projection"
)

// positions holds how far view and index have applied the events.
type positions struct {
	view, index *projection.Watermarks

	// pollView refreshes the watermark of a shard that another reader may project.
	pollView func(ctx context.Context, shard int32) error
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
// had when it started. Before that its queries would return old products.
type readiness struct {
	log       projection.Offsets
	projector *projection.Projector
	positions *positions

	mu       sync.Mutex
	goal     []int64 // by shard, the end of the events topic at the first check
	caughtUp bool    // with goal
}

func (r *readiness) check(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.caughtUp {
		return nil
	}
	if r.goal == nil {
		_, ends, err := r.log.EventOffsets(ctx)
		if err != nil {
			return err
		}
		r.goal = ends
	}
	for i, goal := range r.goal {
		shard := int32(i)
		if r.positions.view.Offset(shard) < goal {
			if err := r.projector.Refresh(ctx, shard); err != nil {
				return err
			}
		}
		if lag := goal - min(r.positions.view.Offset(shard), r.positions.index.Offset(shard)); lag > 0 {
			return fmt.Errorf("shard %d is %d events behind", shard, lag)
		}
	}
	r.caughtUp = true
	return nil
}
