package projection_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/reader/projection"
)

func checkpoint(shard int32, seq, offset int64) eventlog.Checkpoint {
	return eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}
}

func TestWatermarks(t *testing.T) {
	t.Run("they never go back, and shards are independent", func(t *testing.T) {
		w := projection.NewWatermarks()
		w.Advance(checkpoint(0, 5, 9), checkpoint(1, 7, 8))
		w.Advance(checkpoint(0, 4, 8))
		if p, offset := w.Position(0), w.Offset(0); p.Seq != 5 || offset != 9 {
			t.Errorf("shard 0 is at seq %d, offset %d; want 5, 9", p.Seq, offset)
		}
		if p := w.Position(1); p.Seq != 7 || p.Shard != 1 {
			t.Errorf("shard 1 is at %v; want seq 7", p)
		}
	})
	t.Run("an offset of a recreated topic does not lower them", func(t *testing.T) {
		w := projection.NewWatermarks()
		w.Advance(checkpoint(0, 5, 9))
		w.Advance(checkpoint(0, 6, 1))
		if p, offset := w.Position(0), w.Offset(0); p.Seq != 6 || offset != 1 {
			t.Errorf("shard 0 is at seq %d, offset %d; want 6, 1", p.Seq, offset)
		}
	})
}

func TestWatermarks_Wait(t *testing.T) {
	at := catalog.Position{Shard: 1, Seq: 3}
	t.Run("a position that is applied needs no waiting and no poll", func(t *testing.T) {
		w := projection.NewWatermarks()
		w.Advance(checkpoint(1, 3, 3))
		poll := func(context.Context) error { t.Error("polled"); return nil }
		if err := w.Wait(t.Context(), at, time.Second, poll); err != nil {
			t.Errorf("Wait = %v; want nil", err)
		}
	})
	t.Run("Advance ends the wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := projection.NewWatermarks()
			time.AfterFunc(time.Millisecond, func() { w.Advance(checkpoint(1, 3, 3)) })
			since := time.Now()
			if err := w.Wait(t.Context(), at, time.Second, nil); err != nil || time.Since(since) != time.Millisecond {
				t.Errorf("Wait = %v after %v; want nil after 1 ms", err, time.Since(since))
			}
		})
	})
	t.Run("without events it ends with ErrStale, at the limit or before the deadline of the caller", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := projection.NewWatermarks()
			for deadline, want := range map[time.Duration]time.Duration{time.Hour: time.Second, 100 * time.Millisecond: 90 * time.Millisecond} {
				ctx, cancel := context.WithTimeout(t.Context(), deadline)
				since := time.Now()
				if err := w.Wait(ctx, at, time.Second, nil); !errors.Is(err, catalog.ErrStale) || time.Since(since) != want {
					t.Errorf("Wait = %v after %v; want ErrStale after %v", err, time.Since(since), want)
				}
				cancel()
			}
		})
	})
	t.Run("polls find what another process applied, every 5 ms", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := projection.NewWatermarks()
			polls := 0
			since := time.Now()
			err := w.Wait(t.Context(), at, time.Second, func(context.Context) error {
				if polls++; polls == 4 {
					w.Advance(checkpoint(1, 3, 3))
				}
				return nil
			})
			if err != nil || polls != 4 || time.Since(since) != 15*time.Millisecond {
				t.Errorf("Wait = %v after %d polls and %v; want nil after 4 polls and 15 ms", err, polls, time.Since(since))
			}
		})
	})
	t.Run("the error of a poll ends the wait", func(t *testing.T) {
		w := projection.NewWatermarks()
		err := w.Wait(t.Context(), at, time.Second, func(context.Context) error { return catalog.ErrUnavailable })
		if !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Wait = %v; want ErrUnavailable", err)
		}
	})
}
