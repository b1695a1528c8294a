package telemetry

import (
	"context"
	"strconv"
	"sync"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"catalog"
	"catalog/eventlog"
)

// Batch holds the spans of one batch of records, which belongs to as many traces
// as it has records of sampled requests. Each of these traces gets the same spans,
// with the same times: the wait in Kafka, the processing of the batch, and a span
// for each step. The spans of the first trace are those of the context, so the
// drivers add theirs to them; the spans of the other traces have a link to them.
// ADR 0043 has the reasons.
//
// A nil *Batch has no traces; all methods work on it.
type Batch struct {
	delivery eventlog.Delivery
	records  []batchRecord // all records, for traces that are not sampled and turn out to be slow; nil unless Config.KeepSlow is set
	traces   []batchTrace  // traces that are sampled
	start    time.Time

	mu    sync.Mutex
	steps []*Step // steps that have ended; empty if records is nil
	open  int     // number of steps and holds that have not ended, and 1 until End
	err   error
}

// batchTrace is one trace of a batch.
type batchTrace struct {
	ctx     context.Context // context with the span
	span    trace.Span      // span of the processing
	command catalog.ID      // command of the record; zero if the trace has several
}

// batchRecord is the part of a record that its trace needs.
type batchRecord struct {
	traceparent      string
	acceptedAt       time.Time // time of acceptance by the gateway
	sentAt           time.Time // when the record, or an earlier one of the batch, was sent
	command, product catalog.ID
	position         catalog.Position // position of the event
	outcome          catalog.Outcome  // outcome of the event; "" for a command that is not settled
}

func (r batchRecord) attributes() []attribute.KeyValue {
	var attrs []attribute.KeyValue
	if r.outcome != "" {
		attrs = eventAttributes(r.position, r.outcome)
	}
	return append(attrs, attribute.String("catalog.command", r.command.String()), attribute.String("catalog.product", r.product.String()))
}

func eventAttributes(at catalog.Position, o catalog.Outcome) []attribute.KeyValue {
	return []attribute.KeyValue{attribute.String("catalog.position", at.String()), attribute.String("catalog.outcome", string(o))}
}

// StartCommands begins the processing of a batch of commands. The returned context
// carries the batch to the steps. End must be called.
func StartCommands(ctx context.Context, r eventlog.Records[catalog.Command]) (context.Context, *Batch) {
	return startBatch(ctx, r.Delivery, len(r.Items), func(i int) batchRecord {
		c := &r.Items[i]
		return batchRecord{traceparent: c.Trace, acceptedAt: c.AcceptedAt, sentAt: c.AcceptedAt, command: c.ID, product: c.Product}
	})
}

// StartEvents is StartCommands for a batch of events.
func StartEvents(ctx context.Context, r eventlog.Records[catalog.Event]) (context.Context, *Batch) {
	return startBatch(ctx, r.Delivery, len(r.Items), func(i int) batchRecord {
		e := &r.Items[i]
		return batchRecord{e.Trace, e.AcceptedAt, r.SentAt, e.Command, e.Product.ID, e.Position, e.Outcome}
	})
}

func startBatch(ctx context.Context, d eventlog.Delivery, n int, record func(int) batchRecord) (context.Context, *Batch) {
	tail := currentTail.Load()
	if len(d.Traces) == 0 && tail == nil {
		return ctx, nil
	}
	b := &Batch{delivery: d, start: time.Now(), open: 1}
	if tail != nil {
		b.records = make([]batchRecord, n)
		for i := range n {
			b.records[i] = record(i)
		}
	}
	for _, t := range d.Traces {
		b.addTrace(extract(ctx, t.Traceparent), t.SentAt, t.Records, record(t.Item))
	}
	return WithBatches(ctx, b), b
}

// addTrace starts the spans of the batch in the trace of the span in parent, the
// span that sent the record.
func (b *Batch) addTrace(parent context.Context, sentAt time.Time, records int, r batchRecord) {
	ctx, span := b.startSpans(parent, sentAt, records, r)
	if len(b.traces) > 0 {
		first := b.traces[0].span
		span.AddLink(trace.Link{SpanContext: first.SpanContext()})
		first.AddLink(trace.Link{SpanContext: span.SpanContext()})
	}
	t := batchTrace{ctx: ctx, span: span}
	if records == 1 {
		t.command = r.command
	}
	b.traces = append(b.traces, t)
}

// startSpans adds the wait in Kafka to the trace of the span in parent, and starts
// the processing.
func (b *Batch) startSpans(parent context.Context, sentAt time.Time, records int, r batchRecord) (context.Context, trace.Span) {
	attrs := append(deliveryAttributes(b.delivery), semconv.MessagingBatchMessageCount(records))
	if records == 1 {
		attrs = append(attrs, r.attributes()...)
	}
	if b.delivery.Attempt == 0 {
		_, wait := tracer().Start(parent, "wait in "+b.delivery.Topic, trace.WithTimestamp(sentAt), trace.WithAttributes(attrs...))
		wait.End(trace.WithTimestamp(b.delivery.PolledAt))
	} else {
		attrs = append(attrs, attribute.Int("catalog.attempt", b.delivery.Attempt+1))
	}
	return tracer().Start(parent, "process "+b.delivery.Topic, trace.WithTimestamp(b.start), trace.WithSpanKind(trace.SpanKindConsumer),
		trace.WithAttributes(attrs...), trace.WithAttributes(semconv.MessagingOperationName("process"), semconv.MessagingOperationTypeProcess))
}

// SetEvents adds the positions and the outcomes of some or all commands to their
// traces. It keeps no event, because events can be large.
func (b *Batch) SetEvents(events []catalog.Event) {
	if b == nil {
		return
	}
	byCommand := make(map[catalog.ID]*catalog.Event, len(events))
	for i := range events {
		byCommand[events[i].Command] = &events[i]
	}
	for _, t := range b.traces {
		if e := byCommand[t.command]; e != nil {
			t.span.SetAttributes(eventAttributes(e.Position, e.Outcome)...)
		}
	}
	for i := range b.records {
		if e := byCommand[b.records[i].command]; e != nil {
			b.records[i].position, b.records[i].outcome = e.Position, e.Outcome
		}
	}
}

// End ends the processing of the batch with its error or nil. Its spans last until
// all steps and holds have ended, too.
func (b *Batch) End(err error) {
	if b == nil {
		return
	}
	b.mu.Lock()
	b.err = err
	b.mu.Unlock()
	b.ended(nil)
}

// Hold keeps the batch in ctx, if any, from ending until its Release is called.
func Hold(ctx context.Context) *Batch {
	batches, _ := ctx.Value(batchesKey{}).([]*Batch)
	if len(batches) == 0 {
		return nil
	}
	batches[0].hold()
	return batches[0]
}

func (b *Batch) hold() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.open++
}

// Release ends a hold.
func (b *Batch) Release() {
	if b != nil {
		b.ended(nil)
	}
}

// ended records the end of a step, of a hold or of the batch. The last one ends the
// spans.
func (b *Batch) ended(s *Step) {
	now := time.Now()
	b.mu.Lock()
	if s != nil && b.records != nil {
		b.steps = append(b.steps, s)
	}
	b.open--
	last := b.open == 0
	b.mu.Unlock()
	if !last {
		return
	}
	for _, t := range b.traces {
		endSpan(t.span, now, ErrorType(b.err))
	}
	if tail := currentTail.Load(); tail != nil && b.err == nil {
		b.keepSlow(tail, now)
	}
}

// keepSlow adds the spans of the batch to the traces that are not sampled and whose
// command was accepted so long ago that the trace is kept. A failed attempt is not
// kept: the attempt that succeeds is later, so slower.
func (b *Batch) keepSlow(tail *tail, now time.Time) {
	slow := map[string]int{} // records by traceparent
	for _, r := range b.records {
		if now.Sub(r.acceptedAt) >= tail.slow && r.traceparent != "" {
			slow[r.traceparent]++
		}
	}
	for _, r := range b.records {
		n := slow[r.traceparent]
		if n == 0 {
			continue
		}
		delete(slow, r.traceparent)
		parent := extract(context.Background(), r.traceparent)
		sc := trace.SpanContextFromContext(parent)
		if !sc.IsValid() || sc.IsSampled() || !tail.limit.admit(sc.TraceID(), now) {
			continue
		}
		ctx, span := b.startSpans(withKeep(parent), r.sentAt, n, r)
		for _, s := range b.steps {
			_, step := tracer().Start(withKeep(ctx), s.name, trace.WithTimestamp(s.start), trace.WithSpanKind(s.kind), trace.WithAttributes(s.attrs...))
			endSpan(step, s.end, s.errorType)
		}
		span.End(trace.WithTimestamp(now))
	}
}

// deliveryAttributes returns the attributes of a delivery by the conventions for
// messaging.
func deliveryAttributes(d eventlog.Delivery) []attribute.KeyValue {
	return []attribute.KeyValue{
		semconv.MessagingSystemKafka, semconv.MessagingDestinationName(d.Topic), semconv.MessagingConsumerGroupName(d.Consumer),
		semconv.MessagingDestinationPartitionID(strconv.Itoa(int(d.Partition))),
	}
}

// Step is one step of the processing of one or several batches, or a part of a
// request. A nil *Step has no span; all methods work on it.
type Step struct {
	name  string
	kind  trace.SpanKind
	start time.Time
	attrs []attribute.KeyValue

	batches []*Batch
	spans   []trace.Span // one span in each sampled trace

	end       time.Time
	errorType string
}

// StartStep begins a step of the batches in ctx. In the returned context is the
// span of the step in the first trace, to which the drivers add theirs.
func StartStep(ctx context.Context, name string) (context.Context, *Step) {
	return startStep(ctx, name, trace.SpanKindInternal)
}

func startStep(ctx context.Context, name string, kind trace.SpanKind, attrs ...attribute.KeyValue) (context.Context, *Step) {
	batches, _ := ctx.Value(batchesKey{}).([]*Batch)
	parent := trace.SpanFromContext(ctx)
	if len(batches) == 0 && !parent.IsRecording() {
		return ctx, nil
	}
	s := &Step{name: name, kind: kind, start: time.Now(), attrs: attrs, batches: batches}
	if len(batches) == 0 {
		ctx, _ = s.addSpan(ctx)
		return ctx, s
	}
	for _, b := range batches {
		b.hold()
		for _, t := range b.traces {
			s.addSpan(t.ctx)
		}
	}
	if len(s.spans) > 0 {
		ctx = trace.ContextWithSpan(ctx, s.spans[0])
	}
	return ctx, s
}

// addSpan starts the span of the step below the span in parent.
func (s *Step) addSpan(parent context.Context) (context.Context, trace.Span) {
	options := []trace.SpanStartOption{trace.WithTimestamp(s.start), trace.WithSpanKind(s.kind), trace.WithAttributes(s.attrs...)}
	if len(s.spans) > 0 {
		options = append(options, trace.WithLinks(trace.Link{SpanContext: s.spans[0].SpanContext()}))
	}
	ctx, span := tracer().Start(parent, s.name, options...)
	s.spans = append(s.spans, span)
	return ctx, span
}

// End ends the step, with its error or nil.
func (s *Step) End(err error) {
	if s == nil {
		return
	}
	s.end, s.errorType = time.Now(), ErrorType(err)
	for _, span := range s.spans {
		endSpan(span, s.end, s.errorType)
	}
	for _, b := range s.batches {
		b.ended(s)
	}
}

// traceparents returns the trace context of each span of the step, by trace id.
func (s *Step) traceparents() map[string]string {
	if s == nil {
		return nil
	}
	m := make(map[string]string, len(s.spans))
	for _, span := range s.spans {
		m[span.SpanContext().TraceID().String()] = Traceparent(trace.ContextWithSpan(context.Background(), span))
	}
	return m
}

type batchesKey struct{}

// WithBatches returns a context in which steps are steps of all the batches. It
// has the span of the first trace.
func WithBatches(ctx context.Context, batches ...*Batch) context.Context {
	var present []*Batch
	for _, b := range batches {
		if b == nil {
			continue
		}
		if present = append(present, b); len(b.traces) > 0 && !trace.SpanFromContext(ctx).IsRecording() {
			ctx = trace.ContextWithSpan(ctx, b.traces[0].span)
		}
	}
	if present == nil {
		return ctx
	}
	return context.WithValue(ctx, batchesKey{}, present)
}

// Traceparent returns the trace context of ctx as a W3C traceparent, or "".
func Traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}

// extract returns ctx with the remote span of a traceparent, in place of its own.
func extract(ctx context.Context, traceparent string) context.Context {
	ctx = trace.ContextWithSpanContext(context.WithoutCancel(ctx), trace.SpanContext{})
	return propagation.TraceContext{}.Extract(ctx, propagation.MapCarrier{"traceparent": traceparent})
}
