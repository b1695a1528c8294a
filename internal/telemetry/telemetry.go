// Package telemetry sets up the logs, metrics and traces of a process: logs
// with the trace id, a registry of Prometheus metrics, and spans that are sent by
// OTLP when an endpoint is given.
package telemetry

import (
	"context"
	"flag"
	"io"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/propagation"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"catalog/internal/logging"
)

// Config holds the settings of the telemetry.
type Config struct {
	Log logging.Config

	Traces TraceConfig
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	c.Log.Flags(fs)
	c.Traces.flags(fs)
}

// Telemetry holds the logger and the registry that the parts of a process use.
type Telemetry struct {
	Log      *slog.Logger
	Registry *prometheus.Registry

	spans *sdktrace.TracerProvider
}

// Open starts the telemetry of a service. It writes logs to w. It sets the tracer
// provider, the W3C propagator and the error handler of OpenTelemetry's globals,
// because the drivers take them from there. Call [Telemetry.Close] at the end.
func Open(ctx context.Context, service, version string, c Config, w io.Writer) (*Telemetry, error) {
	reg := newRegistry()
	t := &Telemetry{
		Log:      slog.New(traceHandler{countingHandler{logging.NewHandler(w, service, c.Log), newLogLines(reg)}}),
		Registry: reg,
	}
	reg.MustRegister(dbDuration, messagingDuration, spansDropped)
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.Log.Warn("spans not sent", "err", err) }))

	var err error
	if t.spans, err = openTraces(ctx, service, version, c.Traces); err != nil {
		return nil, err
	}
	return t, nil
}

// closeTimeout limits the time in which Close sends the last spans.
const closeTimeout = 2 * time.Second

// Close sends the remaining spans, for at most two seconds.
func (t *Telemetry) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	if err := t.spans.Shutdown(ctx); err != nil {
		t.Log.Warn("last spans not sent before close", "err", err)
	}
}

// traceHandler adds the trace id of the context to each log record.
type traceHandler struct{ slog.Handler }

func (h traceHandler) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		r.AddAttrs(slog.String("trace", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traceHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return traceHandler{h.Handler.WithAttrs(attrs)}
}
func (h traceHandler) WithGroup(name string) slog.Handler {
	return traceHandler{h.Handler.WithGroup(name)}
}
