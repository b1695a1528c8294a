package kafka

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// stuckLimit is how long a shard with work may do nothing before it is reported. It is
// longer than a takeover from a process that was killed, and than the deadlines of the
// calls to the engines.
const stuckLimit = 30 * time.Second

// progressReporter is an optional interface of an eventlog.Consumer whose calls can
// take long, such as Begin of a shard that starts from a snapshot.
type progressReporter interface {
	// Progress returns a number that changes whenever a call for the shard advances.
	Progress(shard int32) int64
}

// errStuck ends a call of a consumer that has not advanced for twice stuckLimit, in
// case it waits for a response that never comes.
var errStuck = errors.New("call aborted: no progress")

// activity is the progress of a worker. The check for stuck shards reads it.
type activity struct {
	idle     atomic.Bool  // there is no work
	movedAt  atomic.Int64 // when work began or last advanced, in nanoseconds
	progress atomic.Int64 // progress of the progressReporter at movedAt
	err      atomic.Pointer[error]

	mu    sync.Mutex
	call  string // name of the running call: Begin or Handle
	since time.Time
	abort context.CancelCauseFunc
}

// advanced records that work begins, or advances.
func (a *activity) advanced() { a.movedAt.Store(time.Now().UnixNano()) }

// done records that there is no work left.
func (a *activity) done() {
	a.advanced()
	a.err.Store(nil)
	a.idle.Store(true)
}

// work records that there is work, which has begun now if there was none.
func (a *activity) work() {
	if a.idle.Swap(false) {
		a.advanced()
	}
}

// failed records why work is repeated.
func (a *activity) failed(err error) {
	if err != nil {
		a.err.Store(&err)
	}
}

// start records that a call runs. It returns the context of the call, and end, which
// the caller calls after it.
func (a *activity) start(ctx context.Context, call string) (_ context.Context, end func()) {
	ctx, abort := context.WithCancelCause(ctx)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.call, a.since, a.abort = call, time.Now(), abort
	return ctx, func() {
		abort(nil)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.call, a.abort = "", nil
	}
}

// describe says what the shard waits for.
func (a *activity) describe() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch err := a.err.Load(); {
	case err != nil:
		return (*err).Error()
	case a.call != "":
		return fmt.Sprintf("%s has not returned for %s", a.call, time.Since(a.since).Round(time.Second))
	}
	return "its records are not fetched"
}

// abortAfter ends the running call if it has run for d.
func (a *activity) abortAfter(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.abort != nil && time.Since(a.since) > d {
		a.abort(errStuck)
	}
}

// stuckFor returns for how long the shard has had work and not moved, and 0 while it is
// stopped, which is reported already.
func (w *partitionWorker[T]) stuckFor(now time.Time) time.Duration {
	if r, ok := w.group.consumer.(progressReporter); ok {
		if p := r.Progress(w.shard); w.activity.progress.Swap(p) != p {
			w.activity.advanced()
		}
	}
	if w.activity.idle.Load() || w.group.log.stopped.has(w.key()) {
		return 0
	}
	return now.Sub(time.Unix(0, w.activity.movedAt.Load()))
}

// watchStuck reports shards that do not move, until ctx ends, and ends their calls.
func (g *groupConsumer[T]) watchStuck(ctx context.Context) {
	defer g.setStuck(nil)
	known := map[int32]bool{}
	for sleep(ctx, min(checkInterval, g.log.stuckLimit/4)) {
		g.mu.Lock()
		workers := maps.Clone(g.workers)
		g.mu.Unlock()
		stuck, isNew := map[int32]string{}, []int32{}
		now := time.Now()
		for _, shard := range slices.Sorted(maps.Keys(workers)) {
			w := workers[shard]
			d := w.stuckFor(now)
			if d <= g.log.stuckLimit {
				continue
			}
			if d > 2*g.log.stuckLimit {
				w.activity.abortAfter(2 * g.log.stuckLimit)
			}
			stuck[shard] = w.activity.describe()
			if !known[shard] {
				isNew = append(isNew, shard)
			}
		}
		for shard := range known {
			if _, ok := stuck[shard]; !ok {
				g.log.logger.InfoContext(ctx, "shard moves again", "consumer", g.name, "topic", g.topic, "shard", shard)
				delete(known, shard)
			}
		}
		if len(isNew) > 0 {
			for _, shard := range isNew {
				known[shard] = true
			}
			g.log.logger.ErrorContext(ctx, "shards with work do not move", "consumer", g.name, "topic", g.topic,
				"shards", numbers(isNew), "for", g.log.stuckLimit, "err", stuck[isNew[0]])
		}
		g.setStuck(stuck)
	}
}

// setStuck publishes the stuck shards of the consumer, with their reasons.
func (g *groupConsumer[T]) setStuck(stuck map[int32]string) {
	g.metrics.stuck.Set(float64(len(stuck)))
	g.log.stuck.set(g.name, stuck)
}

// stuckShards holds the stuck shards of this process.
type stuckShards struct {
	mu  sync.Mutex
	all map[string]map[int32]string // reasons, by consumer and shard
}

func (s *stuckShards) set(consumer string, stuck map[int32]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.all == nil {
		s.all = map[string]map[int32]string{}
	}
	s.all[consumer] = stuck
}

// err returns an error that names the stuck shards, or nil if there are none.
func (s *stuckShards) err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, consumer := range slices.Sorted(maps.Keys(s.all)) {
		if shards := slices.Sorted(maps.Keys(s.all[consumer])); len(shards) > 0 {
			return fmt.Errorf("the consumer %s has not moved shard %s, which has work, for %s or more: %s", consumer, numbers(shards), stuckLimit, s.all[consumer][shards[0]])
		}
	}
	return nil
}

// numbers returns the numbers separated by commas.
func numbers(list []int32) string {
	return strings.Trim(strings.ReplaceAll(fmt.Sprint(list), " ", ", "), "[]")
}
