package telemetry

import (
	"cmp"
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// defaultSample is the share of traces that are sent by default. ADR 0044 has the
// reasons.
const defaultSample = 0.01

// TraceConfig holds the settings of traces. What they leave open is taken from the
// variables OTEL_… of OpenTelemetry.
type TraceConfig struct {
	// Endpoint is the host:port of an OTLP/gRPC endpoint that receives the spans,
	// without TLS. "" means the endpoint in OTEL_EXPORTER_OTLP_TRACES_ENDPOINT or
	// OTEL_EXPORTER_OTLP_ENDPOINT, a URL; without one, no spans are sent.
	Endpoint string

	// Sample is the share, from 0 to 1, of the traces starting in this process
	// that are sent. A trace that a caller started follows the decision of the
	// caller. Lower it to reduce the load on the endpoint. nil means the sampler in
	// OTEL_TRACES_SAMPLER, else 0.01.
	Sample *float64

	// KeepSlow is the duration of a request, or the age of a command, from which
	// its trace is sent even if it was not sampled; so are requests that fail. A
	// shorter time finds more and costs more. 0 sends sampled traces only.
	KeepSlow time.Duration
}

func (c *TraceConfig) flags(fs *flag.FlagSet) {
	fs.StringVar(&c.Endpoint, "otlp.endpoint", "", "`host:port` that receives spans by OTLP over gRPC without TLS, such as Jaeger's 127.0.0.1:4317; empty means $OTEL_EXPORTER_OTLP_ENDPOINT, a URL, or no spans")
	fs.Var((*sampleFlag)(c), "otlp.sample", "`share` of the traces starting here that are sent, 0 to 1; if not given, $OTEL_TRACES_SAMPLER has precedence")
	fs.DurationVar(&c.KeepSlow, "otlp.keep-slow", 0, "`time` from which a request or command is slow: its trace is sent even if not sampled, as are those of requests that fail; 0 sends sampled traces only")
}

// sampleFlag is the flag of TraceConfig.Sample.
type sampleFlag TraceConfig

func (f *sampleFlag) String() string {
	if f.Sample == nil {
		return strconv.FormatFloat(defaultSample, 'g', -1, 64)
	}
	return strconv.FormatFloat(*f.Sample, 'g', -1, 64)
}

func (f *sampleFlag) Set(s string) error {
	share, err := strconv.ParseFloat(s, 64)
	if err != nil || !(share >= 0 && share <= 1) {
		return errors.New("must be a number from 0 to 1")
	}
	f.Sample = &share
	return nil
}

// openTraces sets the tracer provider of OpenTelemetry's globals.
func openTraces(ctx context.Context, service, version string, c TraceConfig) (*sdktrace.TracerProvider, error) {
	currentTail.Store(nil)
	exporter, err := newExporter(ctx, c.Endpoint)
	if err != nil {
		return nil, err
	}
	var options []sdktrace.TracerProviderOption
	if exporter == nil {
		// Traces still get ids, which logs and responses carry.
		options = append(options, sdktrace.WithSampler(sdktrace.NeverSample()))
	} else {
		head, err := c.sampler()
		if err != nil {
			return nil, err
		}
		processor := sdktrace.NewBatchSpanProcessor(countingExporter{exporter})
		if c.KeepSlow > 0 {
			t := newTail(c.KeepSlow, processor)
			currentTail.Store(t)
			processor = t
		}
		attributes, err := resource.New(ctx, resource.WithAttributes(semconv.ServiceName(service), semconv.ServiceVersion(version)),
			resource.WithHost(), resource.WithProcessPID(), resource.WithFromEnv()) // the last detector has precedence
		if err != nil {
			return nil, fmt.Errorf("$OTEL_RESOURCE_ATTRIBUTES: %w", err)
		}
		options = append(options, sdktrace.WithResource(attributes), sdktrace.WithSpanProcessor(processor),
			sdktrace.WithSampler(sampler{head, c.KeepSlow > 0}))
	}
	provider := sdktrace.NewTracerProvider(options...)
	otel.SetTracerProvider(provider)
	return provider, nil
}

// spansDropped counts spans for all telemetry of the process, as dbDuration does.
var spansDropped = prometheus.NewCounter(prometheus.CounterOpts{
	Name: "catalog_trace_spans_dropped_total", Help: "Spans that could not be sent to the collector of traces. Requests are not affected.",
})

// countingExporter counts the spans that its exporter could not send.
type countingExporter struct{ sdktrace.SpanExporter }

// ExportSpans implements sdktrace.SpanExporter.
func (e countingExporter) ExportSpans(ctx context.Context, spans []sdktrace.ReadOnlySpan) error {
	err := e.SpanExporter.ExportSpans(ctx, spans)
	if err != nil {
		spansDropped.Add(float64(len(spans)))
	}
	return err
}

// newExporter returns the exporter to the endpoint, or to that of the environment,
// or nil if there is none. The exporters read the other OTEL_EXPORTER_OTLP_…
// variables, such as headers, certificates and timeout.
func newExporter(ctx context.Context, endpoint string) (sdktrace.SpanExporter, error) {
	if disabled, _ := strconv.ParseBool(os.Getenv("OTEL_SDK_DISABLED")); disabled || os.Getenv("OTEL_TRACES_EXPORTER") == "none" {
		return nil, nil
	}
	if endpoint != "" {
		exporter, err := otlptracegrpc.New(ctx, otlptracegrpc.WithEndpoint(endpoint), otlptracegrpc.WithInsecure())
		if err != nil {
			return nil, fmt.Errorf("send spans to %s: %w", endpoint, err)
		}
		return exporter, nil
	}
	if cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT"), os.Getenv("OTEL_EXPORTER_OTLP_ENDPOINT")) == "" {
		return nil, nil
	}
	var exporter sdktrace.SpanExporter
	var err error
	switch protocol := cmp.Or(os.Getenv("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"), os.Getenv("OTEL_EXPORTER_OTLP_PROTOCOL"), "grpc"); protocol {
	case "grpc":
		exporter, err = otlptracegrpc.New(ctx)
	case "http/protobuf":
		exporter, err = otlptracehttp.New(ctx)
	default:
		err = fmt.Errorf("protocol %q is not supported; use grpc or http/protobuf", protocol)
	}
	if err != nil {
		return nil, fmt.Errorf("$OTEL_EXPORTER_OTLP_…: %w", err)
	}
	return exporter, nil
}

// sampler returns the sampler of c.Sample, else of the environment, else the
// default.
func (c TraceConfig) sampler() (sdktrace.Sampler, error) {
	if c.Sample != nil {
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(*c.Sample)), nil
	}
	name := strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER")))
	share := 1.0
	if arg := os.Getenv("OTEL_TRACES_SAMPLER_ARG"); strings.HasSuffix(name, "traceidratio") && arg != "" {
		var err error
		if share, err = strconv.ParseFloat(arg, 64); err != nil || !(share >= 0 && share <= 1) {
			return nil, fmt.Errorf("invalid value %q of $OTEL_TRACES_SAMPLER_ARG: must be a number from 0 to 1", arg)
		}
	}
	switch name {
	case "":
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(defaultSample)), nil
	case "always_on":
		return sdktrace.AlwaysSample(), nil
	case "always_off":
		return sdktrace.NeverSample(), nil
	case "traceidratio":
		return sdktrace.TraceIDRatioBased(share), nil
	case "parentbased_always_on":
		return sdktrace.ParentBased(sdktrace.AlwaysSample()), nil
	case "parentbased_always_off":
		return sdktrace.ParentBased(sdktrace.NeverSample()), nil
	case "parentbased_traceidratio":
		return sdktrace.ParentBased(sdktrace.TraceIDRatioBased(share)), nil
	}
	return nil, fmt.Errorf("$OTEL_TRACES_SAMPLER: %q is not supported; use one of always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off, parentbased_traceidratio", name)
}
