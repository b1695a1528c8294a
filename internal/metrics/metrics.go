// Package metrics has what the metrics of all packages share: bucket boundaries,
// exemplars, registration of metrics that several parts of a process use, and
// gauges whose values are expensive to read. ADR 0045 has the reasons.
package metrics

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"
)

//go:generate go run ../metricdoc

// Bucket boundaries. Every bucket is a time series for each set of label values, so
// there are few of them.
var (
	// Seconds is for calls, requests and steps. The longest normal wait of a client
	// is 2 s.
	Seconds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5}
	// Delays is for the time that a command or an event takes through the system,
	// which can be as long as an outage.
	Delays = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60}
	// Sizes is for the number of items of a batch, at most 1000.
	Sizes = []float64{1, 4, 16, 64, 256, 1000}
)

// Other replaces label values that are not known in advance, so that a client
// cannot create time series.
const Other = "_OTHER"

// Register registers c and returns it, or the equal collector that another part of
// this process has registered. It panics when the name has another meaning, which
// is a bug.
func Register[C prometheus.Collector](reg prometheus.Registerer, c C) C {
	var registered prometheus.AlreadyRegisteredError
	switch err := reg.Register(c); {
	case errors.As(err, &registered):
		return registered.ExistingCollector.(C)
	case err != nil:
		panic(err)
	}
	return c
}

// Observe records v, with the trace of ctx as exemplar if that is sampled.
func Observe(ctx context.Context, h prometheus.Observer, v float64) {
	if span := trace.SpanContextFromContext(ctx); span.IsSampled() {
		observeWithTrace(h, v, span.TraceID().String())
		return
	}
	h.Observe(v)
}

// ObserveTrace records v, with the trace of a W3C traceparent as exemplar if that is
// sampled. An empty or invalid traceparent makes no exemplar.
func ObserveTrace(h prometheus.Observer, v float64, traceparent string) {
	// version "00", trace id of 32 digits, span id of 16 digits, flags of 2 digits;
	// the last bit of the flags is set in a sampled trace
	const length, idStart, idEnd = 55, 3, 35
	if len(traceparent) == length && traceparent[length-1]&1 == 1 {
		observeWithTrace(h, v, traceparent[idStart:idEnd])
		return
	}
	h.Observe(v)
}

func observeWithTrace(h prometheus.Observer, v float64, id string) {
	if e, ok := h.(prometheus.ExemplarObserver); ok {
		e.ObserveWithExemplar(v, prometheus.Labels{"trace_id": id})
		return
	}
	h.Observe(v)
}

// Children keeps the metrics of a vector by a key, so that finding one takes
// neither a lock nor an allocation. New returns the metric of a key.
type Children[K comparable, M any] struct {
	New func(K) M

	mu    sync.Mutex // held to add a key
	known atomic.Pointer[map[K]M]
}

// Get returns the metric of the key. The number of keys must be small.
func (c *Children[K, M]) Get(key K) M {
	if known := c.known.Load(); known != nil {
		if m, ok := (*known)[key]; ok {
			return m
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	next := map[K]M{}
	if known := c.known.Load(); known != nil {
		for k, m := range *known {
			next[k] = m
		}
	}
	if _, ok := next[key]; !ok {
		next[key] = c.New(key)
	}
	c.known.Store(&next)
	return next[key]
}
