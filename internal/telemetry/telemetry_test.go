package telemetry

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"
)

// endpoint is an OTLP endpoint that keeps the spans it receives.
type endpoint struct {
	collector.UnimplementedTraceServiceServer
	addr string

	mu       sync.Mutex
	spans    []*tracev1.Span
	resource map[string]string // resource of the last spans
}

func newEndpoint(t *testing.T) *endpoint {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	e := &endpoint{addr: l.Addr().String()}
	s := grpc.NewServer()
	collector.RegisterTraceServiceServer(s, e)
	go func() { _ = s.Serve(l) }()
	t.Cleanup(s.Stop)
	return e
}

func (e *endpoint) Export(_ context.Context, r *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, resource := range r.GetResourceSpans() {
		e.resource = attributes(resource.GetResource().GetAttributes())
		for _, scope := range resource.GetScopeSpans() {
			e.spans = append(e.spans, scope.GetSpans()...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// attributes returns attributes as text.
func attributes(list []*common.KeyValue) map[string]string {
	m := map[string]string{}
	for _, a := range list {
		m[a.GetKey()] = a.GetValue().GetStringValue()
		if a.GetValue().GetStringValue() == "" {
			m[a.GetKey()] = fmt.Sprint(a.GetValue().GetIntValue())
		}
	}
	return m
}

// received returns the spans after Close has sent them.
func (e *endpoint) received() []*tracev1.Span {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.spans
}

// configOf returns the config that the arguments of a command line set.
func configOf(t *testing.T, args ...string) Config {
	t.Helper()
	var c Config
	fs := flag.NewFlagSet("test", flag.ContinueOnError)
	c.Flags(fs)
	if err := fs.Parse(args); err != nil {
		t.Fatal(err)
	}
	return c
}

func open(t *testing.T, c Config) (*Telemetry, *bytes.Buffer) {
	t.Helper()
	var logs bytes.Buffer
	tel, err := Open(t.Context(), "writer", "v1", c, &logs)
	if err != nil {
		t.Fatal(err)
	}
	return tel, &logs
}

func TestLog(t *testing.T) {
	t.Run("-log.level sets the lowest level", func(t *testing.T) {
		for level, want := range map[string]int{"debug": 4, "info": 3, "warn": 2, "error": 1} {
			tel, logs := open(t, configOf(t, "-log.level", level))
			for _, l := range []slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError} {
				tel.Log.Log(t.Context(), l, "message")
			}
			tel.Close()
			if got := strings.Count(logs.String(), "message"); got != want {
				t.Errorf("-log.level %s: %d of 4 levels logged, want %d", level, got, want)
			}
		}
	})
	t.Run("a line is a JSON object with time, level, message, service and the trace of the context", func(t *testing.T) {
		tel, logs := open(t, configOf(t))
		defer tel.Close()
		ctx, span := otel.Tracer("test").Start(t.Context(), "span")
		tel.Log.With("shard", 3).InfoContext(ctx, "shard taken over", "offset", 7)
		span.End()
		var line map[string]any
		if err := json.Unmarshal(logs.Bytes(), &line); err != nil {
			t.Fatalf("%v in %q", err, logs)
		}
		for key, want := range map[string]any{
			"level": "INFO", "msg": "shard taken over", "service": "writer", "shard": 3.0, "offset": 7.0,
			"trace": trace.SpanContextFromContext(ctx).TraceID().String(),
		} {
			if line[key] != want {
				t.Errorf("%s = %v, want %v", key, line[key], want)
			}
		}
		if line["time"] == nil {
			t.Error("the line has no time")
		}
		logs.Reset()
		tel.Log.Info("without a trace")
		if strings.Contains(logs.String(), `"trace"`) {
			t.Errorf("line without a trace: %s", logs)
		}
	})
}

func TestMetrics(t *testing.T) {
	t.Run("the registry has the metrics of the runtime and the process", func(t *testing.T) {
		tel, _ := open(t, configOf(t))
		defer tel.Close()
		w := httptest.NewRecorder()
		tel.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
		for _, want := range []string{"go_goroutines ", "process_open_fds "} {
			if !strings.Contains(w.Body.String(), want) {
				t.Errorf("no metric %s", want)
			}
		}
	})
}
