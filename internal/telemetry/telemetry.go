// Package telemetry makes a process watchable: JSON logs that carry the trace,
// a registry of Prometheus metrics, and spans sent by OTLP when an endpoint is
// given.
package telemetry

import (
	"context"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"
)

// Config says where the process can be watched.
type Config struct {
	LogLevel slog.Level
	OTLP     string  // host:port of an OTLP/gRPC endpoint; "" for no spans
	Sample   float64 // share of the traces that begin here, 0 to 1
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.TextVar(&c.LogLevel, "log.level", slog.LevelInfo, "lowest `level` that is logged: debug, info, warn or error")
	fs.StringVar(&c.OTLP, "otlp.endpoint", "", "`host:port` that takes spans by OTLP over gRPC, such as Jaeger's 127.0.0.1:4317; none are sent without it")
	fs.Float64Var(&c.Sample, "otlp.sample", 1, "`share` of the traces that are sent, 0 to 1")
}

// Telemetry is what the parts of a process report to.
type Telemetry struct {
	Log      *slog.Logger
	Registry *prometheus.Registry

	spans *sdktrace.TracerProvider // nil when no spans are sent
}

// Open starts the telemetry of a service. Logs go to w. The trace provider and
// the W3C propagator become OpenTelemetry's global ones, which is where the
// drivers look for them.
func Open(ctx context.Context, service, version string, c Config, w io.Writer) (*Telemetry, error) {
	t := &Telemetry{
		Log:      slog.New(traced{slog.NewJSONHandler(w, &slog.HandlerOptions{Level: c.LogLevel})}).With("service", service),
		Registry: prometheus.NewRegistry(),
	}
	t.Registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	otel.SetTextMapPropagator(propagation.TraceContext{})
	otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { t.Log.Warn("spans were not sent", "err", err) }))

	options := []sdktrace.TracerProviderOption{
		sdktrace.WithResource(resource.NewSchemaless(semconv.ServiceName(service), semconv.ServiceVersion(version))),
	}
	if c.OTLP == "" {
		// Trace ids are made all the same: logs and problems carry them.
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	} else {
		exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(c.OTLP), otlptracegrpc.WithInsecure())
		if err != nil {
			return nil, fmt.Errorf("send spans to %s: %w", c.OTLP, err)
		}
		options = append(options, sdktrace.WithBatcher(exporter),
			sdktrace.WithSampler(sdktrace.ParentBased(sdktrace.TraceIDRatioBased(c.Sample))))
	}
	t.spans = sdktrace.NewTracerProvider(options...)
	otel.SetTracerProvider(t.spans)
	return t, nil
}

// Metrics serves the registry.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{})
}

// Close sends what spans are left, for at most two seconds.
func (t *Telemetry) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := t.spans.Shutdown(ctx); err != nil {
		t.Log.Warn("the last spans were not sent", "err", err)
	}
}

// traced adds the trace id of the context to each record.
type traced struct{ slog.Handler }

func (h traced) Handle(ctx context.Context, r slog.Record) error {
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		r.AddAttrs(slog.String("trace", span.TraceID().String()))
	}
	return h.Handler.Handle(ctx, r)
}

func (h traced) WithAttrs(attrs []slog.Attr) slog.Handler { return traced{h.Handler.WithAttrs(attrs)} }
func (h traced) WithGroup(name string) slog.Handler       { return traced{h.Handler.WithGroup(name)} }
