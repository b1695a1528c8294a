package telemetry

import (
	"context"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"

	"catalog"
)

// RecordEventSpans adds a span from start until now to the trace of each event
// whose trace is sampled. An event belongs to the trace of its command, which
// passes the log in a batch with others; so the parent of the span is the span
// in Event.Trace, not the span in ctx. Without sampling the cost is negligible.
func RecordEventSpans(ctx context.Context, name string, events []catalog.Event, start time.Time) {
	for _, e := range events {
		parent := propagation.TraceContext{}.Extract(context.WithoutCancel(ctx), propagation.MapCarrier{"traceparent": e.Trace})
		if !trace.SpanContextFromContext(parent).IsSampled() {
			continue
		}
		_, span := otel.Tracer("catalog").Start(parent, name, trace.WithTimestamp(start), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("catalog.product", e.Product.ID.String()), attribute.String("catalog.command", e.Command.String()),
			attribute.String("catalog.outcome", string(e.Outcome)), attribute.String("catalog.position", e.Position.String())))
		span.End()
	}
}
