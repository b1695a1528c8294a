package projection

import (
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"time"

	"catalog/eventlog"
	"catalog/internal/telemetry"
)

const (
	// saveTimeout limits a save, which has no caller whose context could end it.
	saveTimeout = 10 * time.Second
	// saveRetryDelay is the pause after a failed save. It doubles with each further failure,
	// up to maxSaveRetryDelay.
	saveRetryDelay, maxSaveRetryDelay = 10 * time.Millisecond, time.Second
)

// checkpointSaver saves checkpoints in the background, one save at a time: the
// checkpoints that are added during a save are saved together by the next one. A failed
// save is repeated until its shards have newer checkpoints or have ended.
//
// A change waits for the save of its shard's previous checkpoint. So after a crash at most
// two changes of a shard are applied again, and a view that cannot store checkpoints stops
// the shards.
type checkpointSaver struct {
	save   func(ctx context.Context, all []eventlog.Checkpoint) error
	logger *slog.Logger

	mu      sync.Mutex
	next    *checkpointSave           // not begun; nil for none
	last    map[int32]*checkpointSave // by shard, the save with its last checkpoint
	saving  bool
	running sync.WaitGroup
}

// checkpointSave is one save. done is closed when err is set.
type checkpointSave struct {
	checkpoints map[int32]eventlog.Checkpoint
	traces      []*telemetry.Batch // held until the save has ended
	done        chan struct{}
	err         error
}

func newCheckpointSaver(save func(context.Context, []eventlog.Checkpoint) error, logger *slog.Logger) *checkpointSaver {
	return &checkpointSaver{save: save, logger: logger, last: map[int32]*checkpointSave{}}
}

// add saves the checkpoints of changes whose products are in the view, together, and
// sets in each change the save of its shard's previous checkpoint.
func (s *checkpointSaver) add(changes []*viewWrite) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range changes {
		w.previous = s.last[w.change.To.Shard]
		s.put(w.change.To)
		s.next.traces = append(s.next.traces, telemetry.Hold(w.ctx))
	}
	if !s.saving {
		s.saving = true
		s.running.Go(s.run)
	}
}

// wait returns when the save has ended, with its error. A nil save has ended.
func (c *checkpointSave) wait(ctx context.Context) error {
	if c == nil {
		return nil
	}
	select {
	case <-c.done:
		return c.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// put adds a checkpoint to the next save. The caller holds mu.
func (s *checkpointSaver) put(to eventlog.Checkpoint) {
	if s.next == nil {
		s.next = &checkpointSave{checkpoints: map[int32]eventlog.Checkpoint{}, done: make(chan struct{})}
	}
	s.next.checkpoints[to.Shard], s.last[to.Shard] = to, s.next
}

// run saves until nothing waits.
func (s *checkpointSaver) run() {
	for failures := 0; ; {
		s.mu.Lock()
		current := s.next
		s.next, s.saving = nil, current != nil
		s.mu.Unlock()
		if current == nil {
			return
		}
		ctx, cancel := context.WithTimeout(telemetry.WithBatches(context.Background(), current.traces...), saveTimeout)
		current.err = s.save(ctx, slices.Collect(maps.Values(current.checkpoints)))
		cancel()
		for _, t := range current.traces {
			t.Release()
		}
		close(current.done)
		if current.err == nil {
			failures = 0
			continue
		}
		s.logger.ErrorContext(ctx, "checkpoints not saved; retrying", "shards", len(current.checkpoints), "err", current.err)
		time.Sleep(min(saveRetryDelay<<min(failures, 7), maxSaveRetryDelay))
		failures++
		s.repeat(current)
	}
}

// repeat adds the checkpoints of a failed save to the next one, unless their shards have
// newer ones or have ended.
func (s *checkpointSaver) repeat(failed *checkpointSave) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for shard, to := range failed.checkpoints {
		if s.last[shard] == failed {
			s.put(to)
		}
	}
}

// end forgets the shard. Its last checkpoint may still be saved, once: a late save does
// not replace a newer checkpoint of another process.
func (s *checkpointSaver) end(shard int32) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, shard)
}

// wait returns when the saves have ended. All shards have ended before.
func (s *checkpointSaver) wait() { s.running.Wait() }
