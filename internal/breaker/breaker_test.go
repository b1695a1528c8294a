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

// engine answers err after a while, or when the caller has lost patience.
type engine struct {
	err          error
	takes        atomic.Int64 // nanoseconds
	calls, tries atomic.Int64
}

func (e *engine) call(ctx context.Context) error {
	e.calls.Add(1)
	select {
	case <-time.After(time.Duration(e.takes.Load())):
		return e.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (e *engine) probe(ctx context.Context) error {
	e.tries.Add(1)
	return e.call(ctx)
}

func open(t *testing.T, reg *prometheus.Registry) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil || len(families) != 1 {
		t.Fatalf("%d metrics, %v", len(families), err)
	}
	return families[0].Metric[0].Gauge.GetValue()
}

func TestBreaker(t *testing.T) {
	fail := errors.New("no such thing")
	t.Run("who does not answer is not waited for, and asked again when it does", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			b := breaker.New("mongo", reg)
			e := &engine{}
			e.takes.Store(int64(time.Hour))
			for range 3 {
				ctx, cancel := context.WithTimeout(t.Context(), time.Second)
				if err := b.Do(ctx, e.probe, e.call); !errors.Is(err, context.DeadlineExceeded) {
					t.Fatalf("answered %v", err)
				}
				cancel()
			}
			if open(t, reg) != 1 {
				t.Fatal("not open after three calls without an answer")
			}
			since := time.Now()
			for range 1000 {
				if err := b.Do(t.Context(), e.probe, e.call); !errors.Is(err, catalog.ErrUnavailable) {
					t.Fatalf("answered %v", err)
				}
				time.Sleep(10 * time.Millisecond)
			}
			if took := time.Since(since); took != 10*time.Second {
				t.Errorf("a thousand answers took %v longer than they had to", took-10*time.Second)
			}
			if tries, calls := e.tries.Load(), e.calls.Load(); tries < 5 || tries > 11 || calls != 3+tries {
				t.Errorf("%d calls and %d tries", calls, tries)
			}
			e.takes.Store(int64(time.Millisecond))
			since = time.Now()
			for b.Do(t.Context(), e.probe, e.call) != nil {
				time.Sleep(10 * time.Millisecond)
			}
			if took := time.Since(since); took > 1500*time.Millisecond {
				t.Errorf("asked again after %v", took)
			}
			if open(t, reg) != 0 {
				t.Error("open, and it answers")
			}
		})
	})
	t.Run("what is answered is an answer, and who leaves says nothing", func(t *testing.T) {
		b := breaker.New("mongo", prometheus.NewRegistry())
		for _, err := range []error{fail, catalog.ErrNotFound, context.Canceled} {
			for range 10 {
				if got := b.Do(t.Context(), nil, (&engine{err: err}).call); !errors.Is(got, err) {
					t.Fatalf("answered %v, want %v", got, err)
				}
			}
		}
	})
	t.Run("failures that are not one after the other are borne", func(t *testing.T) {
		b := breaker.New("mongo", prometheus.NewRegistry())
		for i := range 100 {
			e := &engine{}
			if i%3 > 0 {
				e.err = catalog.ErrUnavailable
			}
			if err := b.Do(t.Context(), nil, e.call); !errors.Is(err, e.err) || e.calls.Load() != 1 {
				t.Fatalf("call %d is answered %v", i, err)
			}
		}
	})
	t.Run("breakers of one process have one metric", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		breaker.New("mongo", reg)
		breaker.New("postgres", reg)
		if n, err := testutil.GatherAndCount(reg, "catalog_breaker_open"); n != 2 || err != nil {
			t.Errorf("%d metrics, %v", n, err)
		}
	})
}
