// Package breaker is a circuit breaker for a server or an engine. After a few
// consecutive failures it fails calls at once instead of letting each caller
// wait for a timeout, and it sends only one small probe at a time until the
// target responds again.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/metrics"
)

const (
	// failureThreshold is the number of consecutive failures that open a breaker:
	// enough to ignore one lost call, few enough that few callers wait.
	failureThreshold = 3
	// probeDelay is how long an open breaker waits before the next probe. It varies
	// by a fifth, so that several processes do not probe at once.
	probeDelay = 250 * time.Millisecond
	// probeTimeout is the time that a target has to respond to a probe.
	probeTimeout = time.Second
)

// Breaker guards one target, a server or an engine. It is closed at first,
// which lets calls pass. It opens after failureThreshold consecutive failures
// and closes again after one successful probe. It is safe for concurrent use.
type Breaker struct {
	name    string
	circuit circuitbreaker.CircuitBreaker[any]
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

// Allow reports whether a call may start. The caller passes its outcome to
// Record.
func (b *Breaker) Allow() bool { return b.circuit.TryAcquirePermit() }

// Outcome is what a call says about the health of its target.
type Outcome int

// The outcomes of calls.
const (
	Succeeded Outcome = iota // the target responded, even if with an error
	Failed                   // the target did not respond
	Canceled                 // the caller gave up first, which says nothing about the target
)

// Record records the outcome of a call that Allow has allowed.
func (b *Breaker) Record(o Outcome) {
	switch {
	case o == Succeeded:
		b.circuit.RecordSuccess()
	case o == Failed, b.circuit.IsHalfOpen(): // a probe that ends without success has failed
		b.circuit.RecordFailure()
	}
}

// Do runs call, or returns ErrUnavailable at once while the breaker is open.
// When a probe is due, Do starts probe in the background and returns
// ErrUnavailable, so that no caller waits for a target that may not respond.
// probe should be a cheap call of the same target.
func (b *Breaker) Do(ctx context.Context, probe, call func(context.Context) error) error {
	if !b.Allow() {
		return b.unavailable()
	}
	if b.circuit.IsHalfOpen() {
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeTimeout)
			defer cancel()
			b.Record(outcomeOf(probe(ctx)))
		}()
		return b.unavailable()
	}
	err := call(ctx)
	b.Record(outcomeOf(err))
	return err
}

func (b *Breaker) unavailable() error {
	return fmt.Errorf("%s has not responded to the last calls; retry later: %w", b.name, catalog.ErrUnavailable)
}

// outcomeOf returns what the error of a call says about its target.
func outcomeOf(err error) Outcome {
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, catalog.ErrUnavailable), errors.Is(err, catalog.ErrOutcomeUnknown), errors.Is(err, context.DeadlineExceeded):
		return Failed
	}
	return Succeeded
}
