package telemetry

import (
	"context"
	"encoding/binary"
	"math"
	"sync"
	"sync/atomic"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

const (
	// maxHeldTraces and maxHeldSpans limit the memory of the spans of traces that
	// are not decided yet: about 1 kB for each span. Spans above the limit are dropped.
	maxHeldTraces, maxHeldSpans = 4_096, 16_384

	// maxKeptPerSecond is about how many slow traces a process keeps per second.
	// When everything is slow, more of them would add load and say nothing new.
	maxKeptPerSecond = 50
)

// currentTail is the tail of the last Open, or nil when slow traces are not kept.
// It is a global as the tracer provider is.
var currentTail atomic.Pointer[tail]

// tail is a span processor that keeps traces which the sampler has not chosen, if
// they turn out to be slow or to fail. It holds the spans of a trace in this
// process until the first of them, the local root, ends, and passes them to next
// or drops them. It passes spans of sampled traces on at once.
type tail struct {
	slow  time.Duration
	next  sdktrace.SpanProcessor
	limit keepLimit

	mu    sync.Mutex
	held  map[trace.TraceID]*heldTrace
	spans int // number of spans in held
}

// heldTrace is a trace that is not decided yet.
type heldTrace struct {
	roots int  // local roots that have not ended
	keep  bool // a local root was slow or failed
	spans []sdktrace.ReadOnlySpan
}

func newTail(slow time.Duration, next sdktrace.SpanProcessor) *tail {
	return &tail{slow: slow, next: next, held: map[trace.TraceID]*heldTrace{}, limit: keepLimit{perSecond: maxKeptPerSecond}}
}

// OnStart implements sdktrace.SpanProcessor.
func (t *tail) OnStart(ctx context.Context, s sdktrace.ReadWriteSpan) {
	if s.SpanContext().IsSampled() {
		t.next.OnStart(ctx, s)
		return
	}
	if !localRoot(s) {
		return
	}
	id := s.SpanContext().TraceID()
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.held[id]
	if h == nil && len(t.held) < maxHeldTraces {
		h = &heldTrace{}
		t.held[id] = h
	}
	if h != nil {
		h.roots++
	}
}

func localRoot(s sdktrace.ReadOnlySpan) bool { return !s.Parent().IsValid() || s.Parent().IsRemote() }

// OnEnd implements sdktrace.SpanProcessor.
func (t *tail) OnEnd(s sdktrace.ReadOnlySpan) {
	if s.SpanContext().IsSampled() {
		t.next.OnEnd(s)
		return
	}
	for _, kept := range t.hold(s) {
		t.next.OnEnd(keptSpan{kept})
	}
}

// hold adds a span to its trace, and returns the spans of the trace if it was the
// last local root and the trace is kept.
func (t *tail) hold(s sdktrace.ReadOnlySpan) []sdktrace.ReadOnlySpan {
	id := s.SpanContext().TraceID()
	t.mu.Lock()
	defer t.mu.Unlock()
	h := t.held[id]
	if h == nil {
		return nil
	}
	if t.spans < maxHeldSpans {
		t.spans++
		h.spans = append(h.spans, s)
	}
	if !localRoot(s) {
		return nil
	}
	if s.Status().Code == codes.Error || s.EndTime().Sub(s.StartTime()) >= t.slow && !endless(s) {
		h.keep = true
	}
	if h.roots--; h.roots > 0 {
		return nil
	}
	delete(t.held, id)
	t.spans -= len(h.spans)
	if h.keep && t.limit.admit(id, s.EndTime()) {
		return h.spans
	}
	return nil
}

// Endless marks a request that lasts as long as its client wants, such as one that
// follows changes: its duration does not make its trace slow.
const Endless = attribute.Key("catalog.endless")

func endless(s sdktrace.ReadOnlySpan) bool {
	for _, a := range s.Attributes() {
		if a.Key == Endless {
			return a.Value.AsBool()
		}
	}
	return false
}

// Shutdown implements sdktrace.SpanProcessor.
func (t *tail) Shutdown(ctx context.Context) error { return t.next.Shutdown(ctx) }

// ForceFlush implements sdktrace.SpanProcessor.
func (t *tail) ForceFlush(ctx context.Context) error { return t.next.ForceFlush(ctx) }

// keptSpan is a span that was not sampled when it started. Exporters take only
// spans that are sampled.
type keptSpan struct{ sdktrace.ReadOnlySpan }

func (s keptSpan) SpanContext() trace.SpanContext {
	c := s.ReadOnlySpan.SpanContext()
	return c.WithTraceFlags(c.TraceFlags().WithSampled(true))
}

// keepLimit limits how many traces are kept per second. It chooses by the trace
// id, as the sampler does, so that processes which have to choose keep mostly the
// same traces.
type keepLimit struct {
	perSecond uint64

	mu          sync.Mutex
	second      time.Time // start of the current second
	asked, kept uint64    // traces in this second
	threshold   uint64    // limit of the second half of the trace id; traces above it are not kept
}

// admit reports whether the trace is kept. The share of the traces that are kept
// follows from the number of traces in the second before.
func (l *keepLimit) admit(id trace.TraceID, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if now.Sub(l.second) >= time.Second {
		l.threshold = math.MaxUint64
		if l.asked > l.perSecond && now.Sub(l.second) < 2*time.Second {
			l.threshold = math.MaxUint64 / l.asked * l.perSecond
		}
		l.second, l.asked, l.kept = now, 0, 0
	}
	l.asked++
	if l.kept >= 2*l.perSecond || binary.BigEndian.Uint64(id[8:]) > l.threshold {
		return false
	}
	l.kept++
	return true
}

type keepKey struct{}

// withKeep returns a context in which every span is sampled.
func withKeep(ctx context.Context) context.Context { return context.WithValue(ctx, keepKey{}, true) }

// sampler is a sampler that also lets the tail see the spans that head drops.
type sampler struct {
	sdktrace.Sampler
	tail bool
}

// ShouldSample implements sdktrace.Sampler.
func (s sampler) ShouldSample(p sdktrace.SamplingParameters) sdktrace.SamplingResult {
	r := s.Sampler.ShouldSample(p)
	switch {
	case p.ParentContext.Value(keepKey{}) != nil:
		r.Decision = sdktrace.RecordAndSample
	case s.tail && r.Decision == sdktrace.Drop:
		r.Decision = sdktrace.RecordOnly
	}
	return r
}
