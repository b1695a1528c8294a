package kafka

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/metrics/metricstest"
)

// slowConsumer is a consumer whose Begin of shard 1 reports progress.
type slowConsumer struct {
	*recorder[catalog.Command]
	steps atomic.Int64
}

func (c *slowConsumer) Progress(int32) int64 { return c.steps.Load() }

func TestStuckCheck(t *testing.T) {
	const limit = time.Second
	open := func(t *testing.T) testLog {
		l := openLog(t, testConfig(t, fakeBroker(t)))
		l.stuckLimit = limit
		return l
	}
	stuck := func(t *testing.T, l testLog) float64 {
		return metricstest.Value(t, l.registry, "catalog_shards_stuck", "consumer", "writer")
	}
	t.Run("a shard whose Handle hangs is reported once, and no other; its call is aborted", func(t *testing.T) {
		l, c := open(t), newRecorder[catalog.Command]()
		var aborted, reported atomic.Bool // the shard hangs until both have happened
		hang := l.shard(id(0))
		c.handle = func(ctx context.Context, r eventlog.Records[catalog.Command]) error {
			if r.Shard == hang && !(aborted.Load() && reported.Load()) {
				<-ctx.Done()
				if errors.Is(context.Cause(ctx), errStuck) {
					aborted.Store(true)
				}
				return ctx.Err()
			}
			return nil
		}
		start(t, c, l.ConsumeCommands)
		c.wait(t, "all shards", func() bool { return c.activeShards() == shards })
		send(t, l, command(0, 0))
		wait(t, "the report", func() bool { return stuck(t, l) == 1 })
		if err := l.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "shard "+numbers([]int32{hang})) ||
			!strings.Contains(err.Error(), "Handle has not returned") && !strings.Contains(err.Error(), errStuck.Error()) {
			t.Errorf("Ping = %v; want an error that names the shard and the call", err)
		}
		reported.Store(true)
		wait(t, "the shard moves again", func() bool { return aborted.Load() && stuck(t, l) == 0 })
		if err := l.Ping(t.Context()); err != nil {
			t.Errorf("Ping = %v; want nil", err)
		}
		if lines := l.logs.lines("level=ERROR", "shards with work do not move"); len(lines) != 1 {
			t.Errorf("errors logged: %v; want one", lines)
		}
	})
	t.Run("a shard that cannot begin, and one whose Handle fails, are reported with the error", func(t *testing.T) {
		l, c := open(t), newRecorder[catalog.Command]()
		c.begin = func(_ context.Context, shard int32) (int64, error) {
			if shard == 2 {
				return 0, errors.New("no answer from the store")
			}
			return 0, nil
		}
		start(t, c, l.ConsumeCommands)
		wait(t, "the report", func() bool { return stuck(t, l) == 1 })
		if err := l.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "shard 2") || !strings.Contains(err.Error(), "no answer from the store") {
			t.Errorf("Ping = %v; want an error that names shard 2 and the reason", err)
		}
	})
	t.Run("idle shards, and calls that make progress, are not stuck", func(t *testing.T) {
		l, c := open(t), &slowConsumer{recorder: newRecorder[catalog.Command]()}
		w := &partitionWorker[catalog.Command]{group: &groupConsumer[catalog.Command]{log: l.Log, consumer: c}}
		w.activity.advanced()
		later := time.Now().Add(time.Hour)
		if d := w.stuckFor(later); d < time.Hour {
			t.Errorf("stuckFor = %v after an hour without progress; want an hour", d)
		}
		later = time.Now().Add(time.Minute)
		w.activity.movedAt.Store(0)
		c.steps.Add(1)
		if d := w.stuckFor(later); d > time.Hour {
			t.Errorf("stuckFor = %v after progress; want a minute", d)
		}
		w.activity.done()
		if d := w.stuckFor(later); d != 0 {
			t.Errorf("stuckFor = %v of an idle shard; want 0", d)
		}
		w.activity.work()
		if d := w.stuckFor(later); d == 0 || d > time.Hour {
			t.Errorf("stuckFor = %v of a shard with work; want a minute", d)
		}
	})
}
