package writer

import (
	"context"
	"flag"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
)

const (
	// throttleInterval is the time between two measurements of the view's delay.
	// Readers commit their offsets half as often, so a view that keeps up seems to
	// be up to 750 ms behind.
	throttleInterval = 250 * time.Millisecond

	// minThrottledDelay is the delay of the view below which nothing is slowed. A
	// view that is busy for so long has shown how fast it is.
	minThrottledDelay = time.Second

	// minThrottledRate is the number of commands per second that a writer settles
	// however slow the view is: writes matter more.
	minThrottledRate = 100

	// throttledSlice is the time that the commands of one batch take at the throttled
	// rate. Shards take turns, and each of many must have its turn before it seems to
	// hang.
	throttledSlice = 20 * time.Millisecond

	// viewStalled is the time after which a shard that the view does not apply is left
	// out of its delay: its reader is away, is stopped, or has lost its engine. Fewer
	// writes would not help.
	viewStalled = 10 * time.Second

	// maxViewMarks is the number of measurements that are remembered, which is longer
	// than viewStalled.
	maxViewMarks = 64
)

// Config holds the operator's choices.
type Config struct {
	// MaxViewDelay is how far the view may be behind before commands are settled as
	// slowly as the view applies their events. Lower it for fresher reads under
	// overload, at the price of slower writes. 0 means no limit. The default of the
	// flag is 5 s.
	MaxViewDelay time.Duration
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.DurationVar(&c.MaxViewDelay, "max-view-delay", 5*time.Second, "settle commands more slowly before the view is this `time` behind; 0 never slows")
}

// throttle slows settling while the view applies events more slowly than they are
// settled (back-pressure). Without it, the delay of the view would grow without limit;
// with it, commands wait in the log, and gateways refuse more when the oldest has waited
// for -max-backlog-age.
//
// The delay of the view is the age of the oldest events of this writer that the readers
// have not committed. Settling is slowed when the view would need more than half of the
// limit for the events that are on their way, at the rate at which it applies them. The
// rate of settling is then as many times that rate as keeps the view there: between half
// of it and twice.
type throttle struct {
	limit  time.Duration
	now    func() time.Time
	log    Log
	delay  prometheus.Gauge
	waited prometheus.Counter

	mu       sync.Mutex
	rate     float64              // commands per second; 0 means no limit
	next     time.Time            // when the next commands may be settled
	pending  bool                 // commands were settled since the view last had all events
	marks    []viewMark           // published events, oldest first, until the view has them
	shards   map[int32]shardMoved // progress of the view by shard
	moved    time.Time            // when the view last applied something
	viewRate float64              // events per second that the view applies
}

// viewMark is a time and what this writer had published by then.
type viewMark struct {
	at        time.Time
	published []int64 // end offsets, by shard
}

// shardMoved is the offset that the view has applied of a shard, and the time
// since when.
type shardMoved struct {
	applied int64
	at      time.Time
}

func newThrottle(limit time.Duration, now func() time.Time, log Log, reg prometheus.Registerer) *throttle {
	t := &throttle{limit: limit, now: now, log: log, shards: map[int32]shardMoved{},
		delay: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catalog_writer_view_delay_seconds", Help: "Age of the oldest events of this writer that the view has not applied, as far as its readers have committed; 0 when it has all. Commands are settled more slowly before it is -max-view-delay.",
		}),
		waited: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_writer_throttled_seconds_total", Help: "Time that batches of commands have waited because the view is behind.",
		}),
	}
	reg.MustRegister(t.delay, t.waited)
	return t
}

// run measures the view until ctx ends.
func (t *throttle) run(ctx context.Context, owned func() []int32) {
	if t.limit == 0 {
		return
	}
	tick := time.NewTicker(throttleInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		t.mu.Lock()
		pending := t.pending
		t.mu.Unlock()
		if !pending {
			continue
		}
		callCtx, cancel := context.WithTimeout(ctx, storeTimeout)
		published, applied, err := t.log.ViewOffsets(callCtx)
		cancel()
		if err != nil {
			published, applied = nil, nil // the lag is unknown, so commands are not slowed
		}
		t.measure(owned(), published, applied)
	}
}

// measure sets the rate by what this writer has published and the view has applied, by
// shard.
func (t *throttle) measure(owned []int32, published, applied []int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	progress, lag := int64(0), int64(0)
	var moving []int32 // shards with events that the view is about to apply
	known := map[int32]shardMoved{}
	for _, shard := range owned {
		if int(shard) >= len(applied) || applied[shard] < 0 {
			continue
		}
		s, ok := t.shards[shard]
		behind := published[shard] - applied[shard]
		if !ok || behind <= 0 || applied[shard] != s.applied {
			if ok {
				progress += max(applied[shard]-s.applied, 0)
			}
			s = shardMoved{applied[shard], now}
		}
		if known[shard] = s; behind > 0 && now.Sub(s.at) < viewStalled {
			lag += behind
			moving = append(moving, shard)
		}
	}
	t.shards = known
	if progress > 0 {
		rate := float64(progress) / max(now.Sub(t.moved), throttleInterval).Seconds()
		if t.viewRate == 0 {
			t.viewRate = rate
		}
		t.viewRate = (t.viewRate + rate) / 2 // commits and measurements do not coincide
	}
	if progress > 0 || lag == 0 {
		t.moved = now
	}
	t.marks = slices.DeleteFunc(t.marks, func(m viewMark) bool {
		return !slices.ContainsFunc(moving, func(shard int32) bool { return applied[shard] < m.published[shard] })
	})
	delay := time.Duration(0)
	if len(t.marks) > 0 {
		delay = now.Sub(t.marks[0].at)
	}
	if lag > 0 && len(t.marks) < maxViewMarks {
		t.marks = append(t.marks, viewMark{now, published})
	}
	t.pending = lag > 0
	t.delay.Set(delay.Seconds())
	t.setRate(now, delay, lag)
}

// setRate sets the rate for a view that is behind by the delay and by so many events.
func (t *throttle) setRate(now time.Time, delay time.Duration, lag int64) {
	goal := t.limit.Seconds() / 2
	ahead := float64(lag) / t.viewRate // seconds until the view has the last event
	switch {
	case delay < minThrottledDelay || t.viewRate == 0 || t.rate == 0 && ahead < goal:
		t.rate = 0
		return
	case t.rate == 0:
		t.next = now
	}
	t.rate = max(min(max(goal/ahead, 0.5), 2)*t.viewRate, minThrottledRate)
}

// take waits until commands may be settled, and returns how many of n.
func (t *throttle) take(ctx context.Context, n int) (int, error) {
	t.mu.Lock()
	if !t.pending {
		t.pending, t.moved = true, t.now()
	}
	if t.rate == 0 {
		t.mu.Unlock()
		return n, nil
	}
	start := t.now()
	n = max(min(n, int(t.rate*throttledSlice.Seconds())), 1)
	at := start
	if t.next.After(at) {
		at = t.next
	}
	t.next = at.Add(time.Duration(float64(n) / t.rate * float64(time.Second)))
	t.mu.Unlock()
	defer func() { t.waited.Add(t.now().Sub(start).Seconds()) }()
	for {
		t.mu.Lock()
		released := t.rate == 0
		t.mu.Unlock()
		wait := at.Sub(t.now())
		if released || wait <= 0 {
			return n, nil
		}
		select {
		case <-time.After(min(wait, throttleInterval)):
		case <-ctx.Done():
			return 0, ctx.Err()
		}
	}
}

// owned returns the shards of this writer.
func (w *Writer) owned() []int32 {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(w.shards))
}

// throttled waits until commands of the shard may be settled, and limits how many.
func (w *Writer) throttled(ctx context.Context, s *ownedShard, r eventlog.Records[catalog.Command]) error {
	first, _ := slices.BinarySearch(r.Offsets, s.state.Offset)
	left := len(r.Offsets) - first
	n, err := w.throttle.take(ctx, left)
	if n < left {
		s.batchLimit = min(s.batchLimit, n)
	}
	return err
}
