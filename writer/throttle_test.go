package writer

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/metrics/metricstest"
)

// slowView is a log and a view that applies events at a rate. It commits twice a
// second.
type slowView struct {
	Log
	mu        sync.Mutex
	rate      float64 // events per second
	stopped   bool
	published int64
	applied   float64
	committed int64
	settledAt []time.Time // by event
	maxDelay  time.Duration
}

func (v *slowView) ViewOffsets(context.Context) (published, applied []int64, err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return []int64{v.published}, []int64{v.committed}, nil
}

// run applies events until ctx ends.
func (v *slowView) run(ctx context.Context) {
	const step = 10 * time.Millisecond
	for n := 1; ctx.Err() == nil; n++ {
		time.Sleep(step)
		v.mu.Lock()
		if before := int64(v.applied); !v.stopped {
			v.applied = min(v.applied+v.rate*step.Seconds(), float64(v.published))
			for i := before; i < int64(v.applied); i++ {
				v.maxDelay = max(v.maxDelay, time.Since(v.settledAt[i]))
			}
		}
		if n%50 == 0 {
			v.committed = int64(v.applied)
		}
		v.mu.Unlock()
	}
}

func TestThrottle(t *testing.T) {
	const limit = 5 * time.Second
	// settle settles commands at a rate for a time, and returns how many.
	settle := func(ctx context.Context, th *throttle, v *slowView, rate float64, d time.Duration) (n int) {
		for end := time.Now().Add(d); time.Now().Before(end); {
			got, err := th.take(ctx, 100)
			if err != nil {
				t.Error(err)
				return n
			}
			time.Sleep(time.Duration(float64(got) / rate * float64(time.Second)))
			v.mu.Lock()
			for range got {
				v.settledAt = append(v.settledAt, time.Now())
			}
			v.published += int64(got)
			v.mu.Unlock()
			n += got
		}
		return n
	}
	run := func(name string, limit time.Duration, f func(t *testing.T, th *throttle, v *slowView)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &slowView{rate: 1_000}
				th := newThrottle(limit, time.Now, v, prometheus.NewRegistry())
				ctx, stop := context.WithCancel(t.Context())
				var background sync.WaitGroup
				defer background.Wait()
				defer stop()
				background.Go(func() { v.run(ctx) })
				background.Go(func() { th.run(ctx, func() []int32 { return []int32{0} }) })
				f(t, th, v)
			})
		})
	}
	for _, times := range []float64{1.5, 2, 4} {
		run(fmt.Sprintf("a view that is %v times too slow is not more than the limit behind, and is not idle", times), limit, func(t *testing.T, th *throttle, v *slowView) {
			n := settle(t.Context(), th, v, times*v.rate, time.Minute)
			v.mu.Lock()
			defer v.mu.Unlock()
			if v.maxDelay > limit || n < 55_000 {
				t.Errorf("delay %v, %d commands in a minute; want at most %v and 1,000 a second", v.maxDelay, n, limit)
			}
		})
	}
	run("a view that keeps up slows nothing, also after a pause and in bursts", limit, func(t *testing.T, th *throttle, v *slowView) {
		for range 5 {
			settle(t.Context(), th, v, 0.9*v.rate, 5*time.Second)
			time.Sleep(time.Minute)
			settle(t.Context(), th, v, 10, 5*time.Second)
			settle(t.Context(), th, v, 20*v.rate, 50*time.Millisecond)
		}
		if n := waited(t, th); n > 0 {
			t.Errorf("batches waited %v s; want none", n)
		}
	})
	run("a view that is away slows writes for a moment only, and then they go on", limit, func(t *testing.T, th *throttle, v *slowView) {
		settle(t.Context(), th, v, 900, 5*time.Second)
		v.mu.Lock()
		v.stopped = true
		v.mu.Unlock()
		settle(t.Context(), th, v, 900, viewStalled+time.Second)
		before := waited(t, th)
		if n := settle(t.Context(), th, v, 5_000, time.Minute); n < 290_000 || waited(t, th) > before {
			t.Errorf("%d commands in a minute without a view; want 5,000 a second", n)
		}
	})
	run("when it is back, it catches up while writes go on", limit, func(t *testing.T, th *throttle, v *slowView) {
		settle(t.Context(), th, v, 900, 5*time.Second)
		v.mu.Lock()
		v.stopped = true
		v.mu.Unlock()
		settle(t.Context(), th, v, 900, time.Minute)
		v.mu.Lock()
		v.stopped = false
		v.mu.Unlock()
		n := settle(t.Context(), th, v, 900, 3*time.Minute)
		v.mu.Lock()
		defer v.mu.Unlock()
		if lag := v.published - int64(v.applied); lag > 2_500 || n < 3*60*400 {
			t.Errorf("%d events behind after three minutes, %d commands settled; want almost none, and half of the view's rate", lag, n)
		}
	})
	run("a view that crawls does not stop writes", limit, func(t *testing.T, th *throttle, v *slowView) {
		v.mu.Lock()
		v.rate = 2
		v.mu.Unlock()
		if n := settle(t.Context(), th, v, 1_000, time.Minute); n < 60*minThrottledRate {
			t.Errorf("%d commands in a minute; want at least %d a second", n, minThrottledRate)
		}
	})
	run("without a limit nothing waits", 0, func(t *testing.T, th *throttle, v *slowView) {
		if n := settle(t.Context(), th, v, 5_000, 20*time.Second); n < 99_000 {
			t.Errorf("%d commands in 20 s; want 5,000 a second", n)
		}
	})
}

// waited returns the seconds that batches have waited.
func waited(t *testing.T, th *throttle) float64 {
	t.Helper()
	reg := prometheus.NewRegistry()
	reg.MustRegister(th.waited)
	return metricstest.Value(t, reg, "catalog_writer_throttled_seconds_total")
}
