package reader

import (
	"context"
	"fmt"
	"sync"
)

// readiness says whether the reader has caught up with what there was when it
// began: until then it would answer from the past.
type readiness struct {
	mu    sync.Mutex
	goal  []int64 // by shard, the end of the events topic when first asked
	there bool
}

// Ping is an error until view and index have caught up with the events that
// there were when it was first called.
func (r *Reader) Ping(ctx context.Context) error {
	r.ready.mu.Lock()
	defer r.ready.mu.Unlock()
	if r.ready.there {
		return nil
	}
	if r.ready.goal == nil {
		_, ends, err := r.log.EventOffsets(ctx)
		if err != nil {
			return err
		}
		r.ready.goal = ends
	}
	for i, goal := range r.ready.goal {
		shard := int32(i)
		if r.viewed.offset(shard) < goal {
			if _, err := r.projected(ctx, shard); err != nil {
				return err
			}
		}
		if behind := goal - min(r.viewed.offset(shard), r.found.offset(shard)); behind > 0 {
			return fmt.Errorf("shard %d is %d events behind", shard, behind)
		}
	}
	r.ready.there = true
	return nil
}
