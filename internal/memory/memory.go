// Package memory bounds the memory of a process. A queue or a kind of call whose
// items have sizes that clients choose takes its bytes from a share of the
// process's budget before it holds them. Shares do not lend to each other: a full
// queue can therefore not block the stage that empties it.
package memory

import (
	"context"
	"fmt"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"catalog/internal/metrics"
)

// ServiceBudget is the budget of one service, in bytes. The rest of the 256 MiB
// that a service may use is for the runtime, garbage, connections and the copies
// that encoders make of an item.
const ServiceBudget = 96 << 20

// Budget is the number of bytes that the queues and calls of a process may hold
// together. It is divided into shares.
type Budget struct {
	size, waits, held *prometheus.GaugeVec

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
		waits: metrics.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
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
	s := &Share{bytes: bytes, free: semaphore.NewWeighted(bytes), held: b.held.WithLabelValues(name), waits: b.waits.WithLabelValues(name)}
	b.size.WithLabelValues(name).Set(float64(bytes))
	b.shares[name] = s
	return s
}

// Share is the part of a budget that one queue or one kind of call may hold. Its
// methods are safe for concurrent use.
type Share struct {
	bytes       int64
	free        *semaphore.Weighted
	held, waits prometheus.Gauge
}

// Bytes returns the number of bytes that the share may hold.
func (s *Share) Bytes() int64 { return s.bytes }

// Acquire waits until the share may hold n more bytes. It returns the error of ctx
// when ctx ends first. An item larger than the share passes alone: it waits until
// the share is empty. A goroutine that holds bytes of the share must not acquire
// more of them, or all holders could wait for each other.
func (s *Share) Acquire(ctx context.Context, n int64) error {
	n = s.weight(n)
	if !s.free.TryAcquire(n) {
		s.waits.Inc()
		defer s.waits.Dec()
		if err := s.free.Acquire(ctx, n); err != nil {
			return err
		}
	}
	s.held.Add(float64(n))
	return nil
}

// TryAcquire is Acquire without waiting. It reports whether the share holds the
// bytes.
func (s *Share) TryAcquire(n int64) bool {
	n = s.weight(n)
	if !s.free.TryAcquire(n) {
		return false
	}
	s.held.Add(float64(n))
	return true
}

// Release gives back n bytes, as many as one call of Acquire or TryAcquire took.
func (s *Share) Release(n int64) {
	n = s.weight(n)
	s.held.Sub(float64(n))
	s.free.Release(n)
}

// weight returns the bytes that an item of n bytes takes.
func (s *Share) weight(n int64) int64 { return min(n, s.bytes) }
