package projection

import (
	"context"
	"sync"
	"time"

	"catalog"
	"catalog/eventlog"
)

// pollInterval is the time between two polls of a watermark that another process
// advances. It makes such waits 2.5 ms longer on average.
const pollInterval = 5 * time.Millisecond

// Watermarks holds, by shard, how far a store has applied the events, and lets
// callers wait for a position. It is safe for concurrent use.
type Watermarks struct {
	mu      sync.Mutex
	applied map[int32]eventlog.Checkpoint
	changed chan struct{} // closed at the next change
	waiting int           // calls of Wait that wait
	waited  chan struct{} // has an element when a call of Wait has begun to wait
}

// NewWatermarks returns watermarks with all shards at seq 0.
func NewWatermarks() *Watermarks {
	return &Watermarks{applied: map[int32]eventlog.Checkpoint{}, changed: make(chan struct{}), waited: make(chan struct{}, 1)}
}

// Advance raises the watermarks of shards to the checkpoints. Older checkpoints
// change nothing.
func (w *Watermarks) Advance(all ...eventlog.Checkpoint) {
	w.mu.Lock()
	defer w.mu.Unlock()
	changed := false
	for _, p := range all {
		if old := w.applied[p.Shard]; p.Seq > old.Seq || p.Offset > old.Offset {
			w.applied[p.Shard], changed = p, true
		}
	}
	if changed {
		close(w.changed)
		w.changed = make(chan struct{})
	}
}

// Offset returns the offset of the next event of the shard.
func (w *Watermarks) Offset(shard int32) int64 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.applied[shard].Offset
}

// Position returns the position of the last applied event of the shard.
func (w *Watermarks) Position(shard int32) catalog.Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	return catalog.Position{Shard: shard, Seq: w.applied[shard].Seq}
}

// reached reports whether p is applied, and returns a channel that is closed at
// the next change.
func (w *Watermarks) reached(p catalog.Position) (bool, <-chan struct{}) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.applied[p.Shard].Seq >= p.Seq, w.changed
}

// WaitForCaller waits until a call of Wait waits for a position, and at most for
// limit. It returns the error of ctx when that ends first.
func (w *Watermarks) WaitForCaller(ctx context.Context, limit time.Duration) error {
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	for !w.callerWaits() {
		select {
		case <-w.waited:
		case <-timeout.C:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (w *Watermarks) callerWaits() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.waiting > 0
}

// addWaiting counts a call of Wait that begins (1) or has ended (-1) to wait.
func (w *Watermarks) addWaiting(n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting += n
	select {
	case w.waited <- struct{}{}:
	default: // the channel has an element already
	}
}

// Wait waits until p is applied. It returns ErrStale when that takes longer than
// limit, or than nine tenths of the time that ctx leaves: the rest is for the
// error to reach the caller. Where other processes advance shards too, poll
// must refresh the watermarks; Wait calls it at once and then every
// pollInterval, and returns its error. poll may be nil.
func (w *Watermarks) Wait(ctx context.Context, p catalog.Position, limit time.Duration, poll func(ctx context.Context) error) error {
	if ok, _ := w.reached(p); ok {
		return nil
	}
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline)*9/10)
	}
	w.addWaiting(1)
	defer w.addWaiting(-1)
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	var tick <-chan time.Time
	if poll != nil {
		t := time.NewTicker(pollInterval)
		defer t.Stop()
		tick = t.C
	}
	for due := poll != nil; ; {
		if due {
			if err := poll(ctx); err != nil && ctx.Err() == nil {
				return err
			}
		}
		ok, changed := w.reached(p)
		if ok {
			return nil
		}
		due = false
		select {
		case <-changed:
		case <-tick:
			due = true
		case <-ctx.Done():
			return catalog.ErrStale
		}
	}
}
