package reader

import (
	"context"
	"sync"
	"time"

	"catalog"
	"catalog/eventlog"
)

// marks says how far each shard has been applied, and lets people wait.
type marks struct {
	mu      sync.Mutex
	at      map[int32]eventlog.Checkpoint
	changed chan struct{} // closed at the next change
}

func newMarks() *marks {
	return &marks{at: map[int32]eventlog.Checkpoint{}, changed: make(chan struct{})}
}

// reach tells how far shards have been applied.
func (m *marks) reach(all ...eventlog.Checkpoint) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, p := range all {
		if old := m.at[p.Shard]; p.Seq > old.Seq || p.Offset > old.Offset {
			m.at[p.Shard] = p
		}
	}
	close(m.changed)
	m.changed = make(chan struct{})
}

// offset is where the shard goes on in its partition.
func (m *marks) offset(shard int32) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[shard].Offset
}

// position is how far the shard has been applied.
func (m *marks) position(shard int32) catalog.Position {
	m.mu.Lock()
	defer m.mu.Unlock()
	return catalog.Position{Shard: shard, Seq: m.at[shard].Seq}
}

// reached says whether p has been applied, and answers a channel that is closed
// when that may have changed.
func (m *marks) reached(p catalog.Position) (bool, <-chan struct{}) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.at[p.Shard].Seq >= p.Seq, m.changed
}

// lookEvery is how often it is looked what other processes have applied.
const lookEvery = 5 * time.Millisecond

// wait waits until p has been applied, or answers ErrBehind when ctx ends first.
// What is applied by other processes is not heard of: look, when there is one,
// is called at once and every few milliseconds to find out.
func (m *marks) wait(ctx context.Context, p catalog.Position, look func(ctx context.Context, shard int32) error) error {
	var tick <-chan time.Time
	if look != nil {
		t := time.NewTicker(lookEvery)
		defer t.Stop()
		tick = t.C
	}
	for due := look != nil; ; {
		if due {
			if err := look(ctx, p.Shard); err != nil && ctx.Err() == nil {
				return err
			}
		}
		ok, changed := m.reached(p)
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
