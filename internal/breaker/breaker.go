// Package breaker leaves alone what does not answer, a server or an engine: who
// would wait in vain for it is told so at once, and it is not asked by all who
// come while it tries to get up again.
package breaker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
)

const (
	tolerance = 3                      // failures one after the other, after which a breaker opens
	rest      = 250 * time.Millisecond // before it is tried whether what it guards is well again
	probeWait = time.Second            // for that try
)

// Breaker guards one server or engine. It is closed until calls fail one after
// the other, then open until a try has succeeded. It is safe for use by many at
// once.
type Breaker struct {
	name    string
	circuit circuitbreaker.CircuitBreaker[any]
}

// New makes a breaker of what has that name in its metric, which goes to reg.
func New(name string, reg prometheus.Registerer) *Breaker {
	open := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_breaker_open", Help: "1 while a server or an engine is not asked, since it did not answer.",
	}, []string{"of"})
	var there prometheus.AlreadyRegisteredError
	if err := reg.Register(open); errors.As(err, &there) { // another breaker of the process
		open = there.ExistingCollector.(*prometheus.GaugeVec)
	}
	state := open.WithLabelValues(name)
	state.Set(0)
	return &Breaker{name: name, circuit: circuitbreaker.NewBuilder[any]().
		WithFailureThreshold(tolerance).WithSuccessThreshold(1).WithDelay(rest).WithJitterFactor(0.2).
		OnStateChanged(func(e circuitbreaker.StateChangedEvent) {
			if e.NewState == circuitbreaker.ClosedState {
				state.Set(0)
			} else {
				state.Set(1)
			}
		}).Build()}
}

// Allow says whether there may be a call. What came of it is told to Record.
func (b *Breaker) Allow() bool { return b.circuit.TryAcquirePermit() }

// Outcome is what a call says about who was called.
type Outcome int

// The outcomes of calls.
const (
	Succeeded Outcome = iota // with whatever: it is well
	Failed                   // it is not
	Canceled                 // the caller did not wait
)

// Record tells the outcome of a call that was allowed.
func (b *Breaker) Record(o Outcome) {
	switch {
	case o == Succeeded:
		b.circuit.RecordSuccess()
	case o == Failed, b.circuit.IsHalfOpen(): // the call was the try, and is over
		b.circuit.RecordFailure()
	}
}

// Do does what calls an engine, or answers ErrUnavailable at once while the
// breaker is open. Then probe is called in the background now and again. It asks
// the engine for something small, so that nobody who comes has to wait for what
// may not answer.
func (b *Breaker) Do(ctx context.Context, probe, do func(context.Context) error) error {
	if !b.Allow() {
		return b.away()
	}
	if b.circuit.IsHalfOpen() {
		go func() {
			ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), probeWait)
			defer cancel()
			b.Record(outcome(probe(ctx)))
		}()
		return b.away()
	}
	err := do(ctx)
	b.Record(outcome(err))
	return err
}

func (b *Breaker) away() error {
	return fmt.Errorf("%s did not answer lately: %w", b.name, catalog.ErrUnavailable)
}

func outcome(err error) Outcome {
	switch {
	case errors.Is(err, context.Canceled):
		return Canceled
	case errors.Is(err, catalog.ErrUnavailable), errors.Is(err, catalog.ErrOutcomeUnknown), errors.Is(err, context.DeadlineExceeded):
		return Failed
	}
	return Succeeded
}
