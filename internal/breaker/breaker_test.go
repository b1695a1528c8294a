package breaker_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"catalog"
	"catalog/internal/breaker"
)

// target responds with err after a delay, or when the caller gives up.
type target struct {
	err           error
	delay         atomic.Int64 // delay of a response, in nanoseconds
	calls, probes atomic.Int64 // calls includes the probes
}

func (e *target) call(ctx context.Context) error {
	e.calls.Add(1)
	select {
	case <-time.After(time.Duration(e.delay.Load())):
		return e.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *target) probe(ctx context.Context) error {
	e.probes.Add(1)
	return e.call(ctx)
}

// wantOpen checks the metric of the only breaker in reg.
func wantOpen(t *testing.T, reg *prometheus.Registry, want float64) {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("Gather = %d metrics, %v; want 1", len(families), err)
	}
	if got := families[0].Metric[0].Gauge.GetValue(); got != want {
		t.Errorf("catalog_breaker_open = %v; want %v", got, want)
	}
}

// openBreaker returns a breaker that three calls and a probe without a response have
// opened.
func openBreaker(t *testing.T, e *target) (*breaker.Breaker, *prometheus.Registry) {
	t.Helper()
	reg := prometheus.NewRegistry()
	b := breaker.New("mongo", reg)
	e.delay.Store(int64(time.Hour))
	for range 3 {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		if err := b.Do(ctx, e.probe, e.call); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("Do = %v; want %v", err, context.DeadlineExceeded)
		}
		cancel()
	}
	wantOpen(t, reg, 0)
	time.Sleep(time.Second) // until the probe has timed out
	synctest.Wait()
	wantOpen(t, reg, 1)
	return b, reg
}

func TestBreaker_open(t *testing.T) {
	t.Run("calls fail at once, and one probe at a time is sent", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &target{}
			b, _ := openBreaker(t, e)
			since := time.Now()
			for range 1000 {
				if err := b.Do(t.Context(), e.probe, e.call); !errors.Is(err, catalog.ErrUnavailable) {
					t.Fatalf("Do = %v; want ErrUnavailable", err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if waited := time.Since(since) - 10*time.Second; waited != 0 {
				t.Errorf("1000 calls waited %v; want no waiting", waited)
			}
			time.Sleep(time.Second) // until the last probe has timed out
			if probes, calls := e.probes.Load(), e.calls.Load(); probes < 5 || probes > 11 || calls != 3+probes {
				t.Errorf("%d calls and %d probes in 10 s; want 3 calls more than probes, and 5 to 11 probes", calls, probes)
			}
		})
	})
	t.Run("a probe closes the breaker when the target responds again", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &target{}
			b, reg := openBreaker(t, e)
			e.delay.Store(int64(time.Millisecond))
			since := time.Now()
			for b.Do(t.Context(), e.probe, e.call) != nil {
				time.Sleep(10 * time.Millisecond)
			}
			if took := time.Since(since); took > 1500*time.Millisecond {
				t.Errorf("closed after %v; want at most 1.5 s", took)
			}
			wantOpen(t, reg, 0)
		})
	})
}

func TestBreaker_closed(t *testing.T) {
	t.Run("errors of a target that responds, and canceled calls, do not open it", func(t *testing.T) {
		b := breaker.New("mongo", prometheus.NewRegistry())
		for _, err := range []error{errors.New("other"), catalog.ErrNotFound, context.Canceled} {
			for range 10 {
				if got := b.Do(t.Context(), nil, (&target{err: err}).call); !errors.Is(got, err) {
					t.Fatalf("Do = %v; want %v", got, err)
				}
			}
		}
	})
	t.Run("calls that run out of their time do not open it while the target responds to probes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e, reg := &target{}, prometheus.NewRegistry()
			b := breaker.New("mongo", reg)
			heavy := func(ctx context.Context) error { <-ctx.Done(); return ctx.Err() }
			for range 100 {
				ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
				if err := b.Do(ctx, e.probe, heavy); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("Do = %v; want %v", err, context.DeadlineExceeded)
				}
				cancel()
				if err := b.Do(t.Context(), e.probe, func(context.Context) error { return context.Canceled }); !errors.Is(err, context.Canceled) {
					t.Fatalf("Do = %v; want a canceled call", err)
				}
			}
			synctest.Wait()
			wantOpen(t, reg, 0)
			if n := e.probes.Load(); n == 0 || n > 34 {
				t.Errorf("%d probes after 100 failures; want one for three failures", n)
			}
		})
	})
	t.Run("one probe at a time is sent, however many calls fail", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			e := &target{}
			e.delay.Store(int64(time.Hour))
			b := breaker.New("mongo", prometheus.NewRegistry())
			for range 100 {
				b.Record(e.probe, breaker.Failed)
			}
			synctest.Wait()
			if n := e.probes.Load(); n != 1 {
				t.Errorf("%d probes; want 1", n)
			}
			time.Sleep(2 * time.Second) // until the probe has timed out
		})
	})
	t.Run("failures that are not consecutive do not open it", func(t *testing.T) {
		b := breaker.New("mongo", prometheus.NewRegistry())
		for i := range 100 {
			e := &target{}
			if i%3 > 0 {
				e.err = catalog.ErrUnavailable
			}
			if err := b.Do(t.Context(), nil, e.call); !errors.Is(err, e.err) || e.calls.Load() != 1 {
				t.Fatalf("call %d: Do = %v after %d calls; want %v after 1", i, err, e.calls.Load(), e.err)
			}
		}
	})
}

func TestNew(t *testing.T) {
	t.Run("breakers of one process share a metric", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		breaker.New("mongo", reg)
		breaker.New("postgres", reg)
		if n, err := testutil.GatherAndCount(reg, "catalog_breaker_open"); n != 2 || err != nil {
			t.Errorf("GatherAndCount = %d, %v; want 2", n, err)
		}
	})
}
