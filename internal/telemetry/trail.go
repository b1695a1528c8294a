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

// Trail adds a span from since until now to the trace of each event that is
// being traced: the way of its command, which goes through the log in batches
// with many others. Where nothing is sampled it costs next to nothing.
func RecordEventSpans(ctx context.Context, name string, events []catalog.Event, since time.Time) {
	for _, e := range events {
		remote := propagation.TraceContext{}.Extract(context.WithoutCancel(ctx), propagation.MapCarrier{"traceparent": e.Trace})
		if !trace.SpanContextFromContext(remote).IsSampled() {
			continue
		}
		_, span := otel.Tracer("catalog").Start(remote, name, trace.WithTimestamp(since), trace.WithSpanKind(trace.SpanKindConsumer), trace.WithAttributes(
			attribute.String("catalog.product", e.Product.ID.String()), attribute.String("catalog.command", e.Command.String()),
			attribute.String("catalog.kind", string(e.Outcome)), attribute.String("catalog.position", e.Position.String())))
		span.End()
	}
}
