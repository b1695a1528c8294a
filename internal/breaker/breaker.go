// Package breaker is a circuit breaker for a server or an engine. After a few
// consecutive failures it sends a small probe. If the probe fails too, it fails calls
// at once instead of letting each caller wait for a timeout, and it sends one probe at
// a time until the target responds again.
//
// Only a probe opens or closes a breaker. So a caller cannot open it for others by
// requests that are too large, too slow or canceled: the target responds to the probe.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/metrics"
)

const (
	// failureThreshold is the number of consecutive failures after which a probe decides
	// whether a breaker opens: enough to ignore one lost call, few enough that few
	// callers wait.
	failureThreshold = 3
	// probeDelay is how long an open breaker waits before the next probe. It varies
	// by a fifth, so that several processes do not probe at once.
	probeDelay = 250 * time.Millisecond
	// probeTimeout is the time that a target has to respond to a probe.
	probeTimeout = time.Second
)

// Probe is a cheap call of the target that a breaker guards. It returns nil when the
// target responds.
type Probe func(context.Context) error

// Breaker guards one target, a server or an engine. It is closed at first, which lets
// calls pass. It opens when a probe fails after failureThreshold consecutive failures,
// and closes again after one successful probe. It is safe for concurrent use.
type Breaker struct {
	name     string
	circuit  circuitbreaker.CircuitBreaker[any]
	failures atomic.Int64 // consecutive failures
	probing  atomic.Bool  // whether a probe is in progress
}

// New returns a breaker for the target of that name. Its metric goes to reg;
// breakers with different names may share a registry.
func New(name string, reg prometheus.Registerer) *Breaker {
	open := metrics.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_breaker_open", Help: "1 while calls to a server or engine fail at once because it did not respond, by target.",
	}, []string{"target"}))
	state := open.WithLabelValues(name)
	state.Set(0)
	return &Breaker{name: name, circuit: circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(failureThreshold).WithSuccessThreshold(1).WithDelay(probeDelay).WithJitterFactor(0.2).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			if e.NewState == circuitbreaker.ClosedState {
				state.Set(0)
			} else {
				state.Set(1)
			}
		}).Build()}
}

// Allow reports whether a call may start. The caller passes its outcome to Record.
// When a probe is due, Allow starts it in the background, so that no caller waits for
// a target that may not respond.
func (b *Breaker) Allow(probe Probe) bool {
	if b.circuit.IsClosed() {
		return true
	}
	if b.circuit.TryAcquirePermit() {
		b.startProbe(probe)
	}
	return false
}

// Outcome is what the result of a call says about the health of its target.
type Outcome int

// The outcomes of calls.
const (
	Succeeded Outcome = iota // the target responded, even if with an error
	Failed                   // the target did not respond
	Canceled                 // the call says nothing about the target, such as one that its caller gave up
)

// Record records the outcome of a call that Allow has allowed. After failureThreshold
// consecutive failures it starts the probe that decides.
func (b *Breaker) Record(probe Probe, o Outcome) {
	switch o {
	case Succeeded:
		b.failures.Store(0)
	case Failed:
		if b.failures.Add(1) >= failureThreshold && b.circuit.IsClosed() {
			b.startProbe(probe)
		}
	}
}

// startProbe sends a probe in the background, unless one is in progress. Its result
// opens or closes the breaker.
func (b *Breaker) startProbe(probe Probe) {
	if !b.probing.CompareAndSwap(false, true) {
		return
	}
	go func() {
		defer b.probing.Store(false)
		ctx, cancel := context.WithTimeout(context.Background(), probeTimeout)
		defer cancel()
		if outcomeOf(probe(ctx)) == Failed {
			b.circuit.Open()
			return
		}
		b.failures.Store(0)
		b.circuit.Close()
	}()
}

// Do runs call, or returns ErrUnavailable immediately while the breaker is
// open.
func (b *Breaker) Do(ctx context.Context, probe Probe, call func(context.Context) error) error {
	if !b.Allow(probe) {
		return b.unavailable()
	}
	err := call(ctx)
	b.Record(probe, outcomeOf(err))
	return err
}

func (b *Breaker) unavailable() error {
	return fmt.Errorf("%s has not responded to the last calls; retry later: %w", b.name, catalog.ErrUnavailable)
}

// outcomeOf returns what the error of a call says about its target. The engines mark
// the errors that mean that they do not respond; all others are responses.
func outcomeOf(err error) Outcome {
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, catalog.ErrUnavailable), errors.Is(err, catalog.ErrOutcomeUnknown), errors.Is(err, context.DeadlineExceeded):
		return Failed
	}
	return Succeeded
}
