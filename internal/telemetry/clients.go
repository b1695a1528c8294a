package telemetry

import (
	"context"
	"errors"
	"net"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"catalog"
	"catalog/internal/metrics"
)

// The metrics of clients of engines. They are variables of the package, as the
// tracer provider is a global of OpenTelemetry, because the hooks of the drivers
// have no registry; every registry of Open has them.
var (
	dbDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "db_client_operation_duration_seconds", Help: "Duration of calls to databases in seconds, by system, operation and error.",
		Buckets: metrics.Seconds,
	}, []string{"db_system_name", "db_operation_name", "error_type"})
	messagingDuration = prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "messaging_client_operation_duration_seconds", Help: "Time in seconds until Kafka has stored the records of a call, by operation, topic without its prefix, and error.",
		Buckets: metrics.Seconds,
	}, []string{"messaging_operation_name", "messaging_destination_name", "error_type"})
)

// DB measures the calls of one client of a database: a duration of every call,
// and a span where the caller has one that is recorded. The spans hold no
// statement, no parameter and no error text, because those can contain products.
type DB struct {
	system string
	attrs  []attribute.KeyValue
}

// NewDB returns the measurement of the client of a system, with a name of
// OpenTelemetry's conventions such as "postgresql", at an address that is
// host:port or empty. Further attributes are added to each span.
func NewDB(system, address string, attrs ...attribute.KeyValue) *DB {
	return &DB{system, append(append(attrs, semconv.DBSystemNameKey.String(system)), Server(address)...)}
}

// Server returns the attributes of the address of a server.
func Server(address string) []attribute.KeyValue {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host = address
	}
	if host == "" {
		return nil
	}
	attrs := []attribute.KeyValue{semconv.ServerAddress(host)}
	if n, err := strconv.Atoi(port); err == nil {
		attrs = append(attrs, semconv.ServerPort(n))
	}
	return attrs
}

// DBCall is a call to a database in progress.
type DBCall struct {
	ctx       context.Context
	db        *DB
	operation string
	start     time.Time
	span      trace.Span // nil without a span
}

// Start begins a call of the operation, such as SELECT, on a target, such as a
// table, or "". The operation is a label of the metric: there must be few.
func (d *DB) Start(ctx context.Context, operation, target string, attrs ...attribute.KeyValue) (context.Context, *DBCall) {
	c := &DBCall{ctx: ctx, db: d, operation: operation, start: time.Now()}
	if !trace.SpanFromContext(ctx).IsRecording() {
		return ctx, c
	}
	name := operation
	if target != "" {
		name += " " + target
		attrs = append(attrs, semconv.DBCollectionName(target))
	}
	ctx, c.span = tracer().Start(ctx, name, trace.WithTimestamp(c.start), trace.WithSpanKind(trace.SpanKindClient),
		trace.WithAttributes(d.attrs...), trace.WithAttributes(append(attrs, semconv.DBOperationName(operation))...))
	return ctx, c
}

// End ends the call. errorType is "" for a success; else it is a short name, of
// which there are few.
func (c *DBCall) End(errorType string) {
	end := time.Now()
	metrics.Observe(c.ctx, dbDuration.WithLabelValues(c.db.system, c.operation, errorType), end.Sub(c.start).Seconds())
	if c.span != nil {
		endSpan(c.span, end, errorType)
	}
}

// Send is a call that sends records to Kafka.
type Send struct {
	ctx          context.Context
	topic        string
	start        time.Time
	step         *Step
	traceparents map[string]string // traceparents of the spans of the step, by trace id
}

// StartSend begins a call that sends records to a topic; fullName is its name with
// the prefix. It has a span in each trace of the batch in ctx, or in that of the
// span in ctx.
func StartSend(ctx context.Context, topic, fullName string, records int) *Send {
	s := &Send{ctx: ctx, topic: topic, start: time.Now()}
	_, s.step = startStep(ctx, "send "+fullName, trace.SpanKindProducer,
		semconv.MessagingSystemKafka, semconv.MessagingDestinationName(fullName), semconv.MessagingOperationName("send"),
		semconv.MessagingOperationTypeSend, semconv.MessagingBatchMessageCount(records))
	s.traceparents = s.step.traceparents()
	return s
}

// Traced reports whether the call has a span.
func (s *Send) Traced() bool { return len(s.traceparents) > 0 }

// Traceparent returns the trace context for the header of a record: that of the
// span of s in the trace of the record's own traceparent, or this traceparent if
// s has no span in that trace.
func (s *Send) Traceparent(own string) string {
	const start, end = 3, 3 + 32 // place of the trace id in a traceparent
	if len(s.traceparents) > 0 && len(own) > end {
		if t, ok := s.traceparents[own[start:end]]; ok {
			return t
		}
	}
	return own
}

// End ends the call.
func (s *Send) End(err error) {
	metrics.Observe(s.ctx, messagingDuration.WithLabelValues("send", s.topic, ErrorType(err)), time.Since(s.start).Seconds())
	s.step.End(err)
}

func tracer() trace.Tracer { return otel.Tracer("catalog") }

// endSpan ends a span with the type of an error, or "" for none.
func endSpan(span trace.Span, end time.Time, errorType string) {
	if errorType != "" {
		span.SetStatus(codes.Error, errorType)
		span.SetAttributes(semconv.ErrorTypeKey.String(errorType))
	}
	span.End(trace.WithTimestamp(end))
}

// ErrorType returns a short name of the kind of err for the attribute error.type:
// "" for nil. The text of an error is in the log, not in traces, because it can
// contain data of products.
func ErrorType(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, catalog.ErrFenced):
		return "fenced"
	case errors.Is(err, catalog.ErrInconsistent):
		return "inconsistent"
	case errors.Is(err, catalog.ErrOutcomeUnknown):
		return "outcome_unknown"
	case errors.Is(err, catalog.ErrUnavailable):
		return "unavailable"
	}
	return semconv.ErrorTypeOther.Value.AsString()
}
