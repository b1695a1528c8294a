// Package memory bounds the memory of a process. A queue or a kind of call whose
// items have sizes that clients choose takes its bytes from a share of the
// process's budget before it holds them. Shares do not lend to each other: a full
// queue can therefore not block the stage that empties it.
package memory

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/metrics"
)

// ServiceBudget is the budget of one service, in bytes. The rest of the 256 MiB
// that a service may use is for the runtime, garbage, connections and the copies
// that encoders make of an item.
const ServiceBudget = 96 << 20

// Budget is the number of bytes that the queues and calls of a process may hold
// together. It is divided into shares.
type Budget struct {
	size, held, waiting *prometheus.GaugeVec

	mu     sync.Mutex
	free   int64 // bytes that no share has
	shares map[string]*Share
}

// NewBudget returns a budget of the given number of bytes and registers the
// metrics of its shares.
func NewBudget(bytes int64, reg prometheus.Registerer) *Budget {
	return &Budget{
		free: bytes, shares: map[string]*Share{},
		size: metrics.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_memory_share_bytes", Help: "Bytes that a queue or a kind of call may hold. Work beyond them waits or is refused.",
		}, []string{"share"})),
		held: metrics.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_memory_held_bytes", Help: "Bytes that a queue or a kind of call holds, of catalog_memory_share_bytes.",
		}, []string{"share"})),
		waiting: metrics.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_memory_waiting", Help: "Callers that wait until a queue or a kind of call may hold more bytes.",
		}, []string{"share"})),
	}
}

// Share returns the share with the name, which may hold the given number of bytes.
// Callers that give the same name use the same share. It panics when the shares
// together would exceed the budget, or when the name has another size: both are
// bugs. The share of a nil budget has a limit and no metrics.
func (b *Budget) Share(name string, bytes int64) *Share {
	if b == nil {
		b = NewBudget(bytes, prometheus.NewRegistry())
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if s, ok := b.shares[name]; ok {
		if s.bytes != bytes {
			panic(fmt.Sprintf("memory: share %s has %d bytes, not %d", name, s.bytes, bytes))
		}
		return s
	}
	if bytes > b.free {
		panic(fmt.Sprintf("memory: share %s of %d bytes does not fit: the budget has %d left", name, bytes, b.free))
	}
	b.free -= bytes
	s := &Share{bytes: bytes, heldGauge: b.held.WithLabelValues(name), wait: b.waiting.WithLabelValues(name)}
	b.size.WithLabelValues(name).Set(float64(bytes))
	b.shares[name] = s
	return s
}

// Share is the part of a budget that one queue or one kind of call may hold: a
// weighted semaphore, first come, first served. Its methods are safe for concurrent
// use.
type Share struct {
	bytes           int64
	heldGauge, wait prometheus.Gauge

	mu      sync.Mutex
	held    int64
	waiting []*waiter
}

// waiter is a call of Acquire that waits.
type waiter struct {
	n       int64
	granted chan struct{}
}

// Bytes returns the number of bytes that the share may hold.
func (s *Share) Bytes() int64 { return s.bytes }

// Held returns the number of bytes that the share holds.
func (s *Share) Held() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.held
}

// Acquire waits until the share may hold n more bytes. It returns the error of ctx
// when ctx ends first. An item larger than the share passes alone: it waits until
// the share is empty. A goroutine that holds bytes of the share must not acquire
// more of them, or all holders could wait for each other.
func (s *Share) Acquire(ctx context.Context, n int64) error {
	s.mu.Lock()
	if len(s.waiting) == 0 && s.fits(n) {
		s.add(n)
		s.mu.Unlock()
		return nil
	}
	w := &waiter{n: n, granted: make(chan struct{})}
	s.waiting = append(s.waiting, w)
	s.mu.Unlock()
	s.wait.Inc()
	defer s.wait.Dec()
	select {
	case <-w.granted:
		return nil
	case <-ctx.Done():
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.Index(s.waiting, w); i >= 0 {
		s.waiting = slices.Delete(s.waiting, i, i+1)
	} else { // granted at the same moment
		s.add(-n)
	}
	s.grant()
	return ctx.Err()
}

// TryAcquire is Acquire without waiting. It reports whether the share holds the
// bytes.
func (s *Share) TryAcquire(n int64) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.waiting) > 0 || !s.fits(n) {
		return false
	}
	s.add(n)
	return true
}

// Hold takes n bytes that are in memory already, even if the share then holds too
// many. It reports whether the share is full.
func (s *Share) Hold(n int64) (full bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(n)
	return s.held >= s.bytes
}

// Release gives back n bytes that Acquire, TryAcquire or Hold took.
func (s *Share) Release(n int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.add(-n)
	s.grant()
}

// fits reports whether the share may hold n more bytes.
func (s *Share) fits(n int64) bool { return s.held == 0 || s.held+n <= s.bytes }

func (s *Share) add(n int64) {
	s.held += n
	s.heldGauge.Set(float64(s.held))
}

// grant gives free bytes to the calls that wait.
func (s *Share) grant() {
	for len(s.waiting) > 0 && s.fits(s.waiting[0].n) {
		s.add(s.waiting[0].n)
		close(s.waiting[0].granted)
		s.waiting = s.waiting[1:]
	}
}
