package memory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/memory"
	"catalog/internal/metrics/metricstest"
)

func TestShare(t *testing.T) {
	t.Parallel()
	t.Run("a full share makes callers wait until bytes are released", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.NewBudget(100, prometheus.NewRegistry()).Share("queue", 100)
			if err := s.Acquire(t.Context(), 60); err != nil {
				t.Fatal(err)
			}
			if s.TryAcquire(41) {
				t.Error("101 of 100 bytes were acquired")
			}
			acquired := false
			go func() {
				if err := s.Acquire(t.Context(), 41); err != nil {
					t.Error(err)
				}
				acquired = true
			}()
			if synctest.Wait(); acquired {
				t.Error("Acquire did not wait")
			}
			s.Release(60)
			if synctest.Wait(); !acquired {
				t.Error("Acquire still waits after Release")
			}
		})
	})
	t.Run("an item larger than the share passes alone", func(t *testing.T) {
		s := memory.NewBudget(100, prometheus.NewRegistry()).Share("queue", 100)
		if !s.TryAcquire(1) || s.TryAcquire(1000) {
			t.Error("the item did not wait for an empty share")
		}
		s.Release(1)
		if !s.TryAcquire(1000) || s.TryAcquire(1) {
			t.Error("the item did not take the whole share")
		}
		s.Release(1000)
		if !s.TryAcquire(100) {
			t.Error("Release gave back another number of bytes")
		}
	})
	t.Run("a small item does not overtake a large one that waits", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := memory.NewBudget(100, prometheus.NewRegistry()).Share("queue", 100)
			s.TryAcquire(50)
			ctx, cancel := context.WithCancel(t.Context())
			go func() { _ = s.Acquire(ctx, 60) }()
			if synctest.Wait(); s.TryAcquire(10) {
				t.Error("10 bytes were acquired before the 60 that wait")
			}
			cancel()
			if synctest.Wait(); !s.TryAcquire(10) || s.Held() != 60 {
				t.Errorf("the share holds %d bytes after the wait ended, want 60", s.Held())
			}
		})
	})
	t.Run("bytes in memory count although they are too many", func(t *testing.T) {
		s := memory.NewBudget(100, prometheus.NewRegistry()).Share("queue", 100)
		if s.Hold(99) || !s.Hold(50) || s.Held() != 149 {
			t.Errorf("the share holds %d bytes, want 149 and full", s.Held())
		}
		s.Release(149)
		if !s.TryAcquire(100) {
			t.Error("Release gave back another number of bytes")
		}
	})
	t.Run("a wait ends with its context", func(t *testing.T) {
		s := memory.NewBudget(100, prometheus.NewRegistry()).Share("queue", 100)
		s.TryAcquire(100)
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if err := s.Acquire(ctx, 1); !errors.Is(err, context.Canceled) {
			t.Errorf("Acquire = %v, want context.Canceled", err)
		}
	})
	t.Run("a full share does not limit another one", func(t *testing.T) {
		b := memory.NewBudget(100, prometheus.NewRegistry())
		b.Share("fetch", 50).TryAcquire(50)
		if !b.Share("publish", 50).TryAcquire(50) {
			t.Error("the other share is full, too")
		}
	})
	t.Run("a nil budget has shares with limits", func(t *testing.T) {
		s := (*memory.Budget)(nil).Share("queue", 100)
		if !s.TryAcquire(100) || s.TryAcquire(1) {
			t.Error("the share has no limit")
		}
	})
	t.Run("metrics show the size and the bytes held", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		s := memory.NewBudget(100, reg).Share("queue", 80)
		s.TryAcquire(30)
		for name, want := range map[string]float64{"catalog_memory_share_bytes": 80, "catalog_memory_held_bytes": 30, "catalog_memory_waiting": 0} {
			if got := metricstest.Value(t, reg, name, "share", "queue"); got != want {
				t.Errorf("%s = %v, want %v", name, got, want)
			}
		}
	})
}

func TestBudget(t *testing.T) {
	t.Parallel()
	panics := func(f func()) (panicked bool) {
		defer func() { panicked = recover() != nil }()
		f()
		return false
	}
	t.Run("shares cannot exceed the budget", func(t *testing.T) {
		b := memory.NewBudget(100, prometheus.NewRegistry())
		b.Share("a", 60)
		if !panics(func() { b.Share("b", 41) }) {
			t.Error("101 of 100 bytes were shared out")
		}
	})
	t.Run("one name is one share", func(t *testing.T) {
		b := memory.NewBudget(100, prometheus.NewRegistry())
		first := b.Share("a", 60)
		if again := b.Share("a", 60); again != first {
			t.Error("the second call made another share")
		}
		if !panics(func() { b.Share("a", 50) }) {
			t.Error("one share has two sizes")
		}
	})
}
