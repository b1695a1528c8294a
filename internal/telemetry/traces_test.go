package telemetry

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	tracev1 "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// record starts n traces of one span each and returns the spans that arrive.
func record(t *testing.T, n int, args ...string) []*tracev1.Span {
	t.Helper()
	e := newEndpoint(t)
	tel, logs := open(t, configOf(t, append([]string{"-otlp.endpoint", e.addr}, args...)...))
	for range n {
		_, span := otel.Tracer("test").Start(t.Context(), "span")
		span.End()
	}
	tel.Close()
	if logs.Len() > 0 {
		t.Errorf("logged: %s", logs)
	}
	return e.received()
}

func TestSampling(t *testing.T) {
	t.Run("one trace of a hundred is sent by default", func(t *testing.T) {
		if n := len(record(t, 2000)); n < 2 || n > 60 {
			t.Errorf("%d of 2000 spans received, want about 20", n)
		}
	})
	t.Run("-otlp.sample 1 sends all traces, 0 none", func(t *testing.T) {
		if n := len(record(t, 10, "-otlp.sample", "1")); n != 10 {
			t.Errorf("-otlp.sample 1: %d of 10 spans received, want all", n)
		}
		if n := len(record(t, 10, "-otlp.sample", "0")); n != 0 {
			t.Errorf("-otlp.sample 0: %d spans received, want none", n)
		}
	})
	t.Run("-otlp.sample 0.5 sends about half of the traces", func(t *testing.T) {
		if n := len(record(t, 1000, "-otlp.sample", "0.5")); n < 350 || n > 650 {
			t.Errorf("%d of 1000 spans received, want about 500", n)
		}
	})
	t.Run("a trace of a caller follows its decision", func(t *testing.T) {
		e := newEndpoint(t)
		tel, _ := open(t, configOf(t, "-otlp.endpoint", e.addr, "-otlp.sample", "0"))
		for _, flags := range []string{"00", "01"} {
			ctx := extract(t.Context(), "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-"+flags)
			_, span := otel.Tracer("test").Start(ctx, "flags "+flags)
			span.End()
		}
		tel.Close()
		if spans := e.received(); len(spans) != 1 || spans[0].GetName() != "flags 01" {
			t.Errorf("%d spans received, want the one of the sampled trace", len(spans))
		}
	})
	t.Run("without an endpoint traces have ids and are not sampled", func(t *testing.T) {
		tel, _ := open(t, configOf(t))
		defer tel.Close()
		_, span := otel.Tracer("test").Start(t.Context(), "span")
		if c := span.SpanContext(); !c.HasTraceID() || c.IsSampled() {
			t.Errorf("trace id %s, sampled %v; want an id, not sampled", c.TraceID(), c.IsSampled())
		}
	})
}

func TestOTelVariables(t *testing.T) {
	t.Run("OTEL_TRACES_SAMPLER applies unless -otlp.sample is given", func(t *testing.T) {
		t.Setenv("OTEL_TRACES_SAMPLER", "parentbased_traceidratio")
		t.Setenv("OTEL_TRACES_SAMPLER_ARG", "1")
		if n := len(record(t, 10)); n != 10 {
			t.Errorf("%d of 10 spans received, want all", n)
		}
		if n := len(record(t, 10, "-otlp.sample", "0")); n != 0 {
			t.Errorf("%d spans received with -otlp.sample 0, want none", n)
		}
	})
	t.Run("an unknown sampler or share is named", func(t *testing.T) {
		for name, value := range map[string]string{"OTEL_TRACES_SAMPLER": "sometimes", "OTEL_TRACES_SAMPLER_ARG": "2"} {
			t.Run(name, func(t *testing.T) {
				t.Setenv("OTEL_TRACES_SAMPLER", "traceidratio")
				t.Setenv(name, value)
				_, err := Open(t.Context(), "writer", "v1", configOf(t, "-otlp.endpoint", "127.0.0.1:1"), io.Discard)
				if err == nil || !strings.Contains(err.Error(), name) {
					t.Errorf("Open = %v; want an error with %s", err, name)
				}
			})
		}
	})
	t.Run("OTEL_EXPORTER_OTLP_ENDPOINT is used without -otlp.endpoint, and OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES name the process", func(t *testing.T) {
		e := newEndpoint(t)
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://"+e.addr)
		t.Setenv("OTEL_SERVICE_NAME", "writer-eu")
		t.Setenv("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=staging")
		tel, _ := open(t, configOf(t, "-otlp.sample", "1"))
		_, span := otel.Tracer("test").Start(t.Context(), "span")
		span.End()
		tel.Close()
		if len(e.received()) != 1 || e.resource["service.name"] != "writer-eu" || e.resource["deployment.environment.name"] != "staging" ||
			e.resource["service.version"] != "v1" || e.resource["host.name"] == "" {
			t.Errorf("%d spans of the resource %v; want 1 of writer-eu in staging, version v1", len(e.received()), e.resource)
		}
	})
	t.Run("-otlp.endpoint has precedence", func(t *testing.T) {
		other := newEndpoint(t)
		t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://"+other.addr)
		if n := len(record(t, 1, "-otlp.sample", "1")); n != 1 || len(other.received()) != 0 {
			t.Errorf("%d spans at -otlp.endpoint and %d at the variable's; want 1 and 0", n, len(other.received()))
		}
	})
	t.Run("OTEL_EXPORTER_OTLP_PROTOCOL http/protobuf sends by HTTP, and OTEL_EXPORTER_OTLP_HEADERS are sent", func(t *testing.T) {
		names := make(chan string, 10)
		s := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			body, _ := io.ReadAll(r.Body)
			var m collector.ExportTraceServiceRequest
			if err := proto.Unmarshal(body, &m); err != nil || r.URL.Path != "/v1/traces" || r.Header.Get("Tenant") != "shop" {
				names <- "a request that is not a trace of the tenant: " + r.URL.Path
				return
			}
			names <- m.GetResourceSpans()[0].GetScopeSpans()[0].GetSpans()[0].GetName()
		}))
		defer s.Close()
		t.Setenv("OTEL_EXPORTER_OTLP_ENDPOINT", s.URL)
		t.Setenv("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")
		t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "Tenant=shop")
		tel, _ := open(t, configOf(t, "-otlp.sample", "1"))
		_, span := otel.Tracer("test").Start(t.Context(), "span")
		span.End()
		tel.Close()
		if name := <-names; name != "span" {
			t.Errorf("received %q, want span", name)
		}
	})
	t.Run("OTEL_SDK_DISABLED and OTEL_TRACES_EXPORTER none send nothing", func(t *testing.T) {
		for name, value := range map[string]string{"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "none"} {
			t.Run(name, func(t *testing.T) {
				t.Setenv(name, value)
				if n := len(record(t, 10, "-otlp.sample", "1")); n != 0 {
					t.Errorf("%d spans received, want none", n)
				}
			})
		}
	})
}

func TestKeepSlow(t *testing.T) {
	const slow = time.Minute
	// run calls requests with a telemetry that samples nothing and keeps what takes
	// a minute, and returns the names of the spans that arrive.
	run := func(t *testing.T, requests func()) []string {
		e := newEndpoint(t)
		tel, _ := open(t, configOf(t, "-otlp.endpoint", e.addr, "-otlp.sample", "0", "-otlp.keep-slow", slow.String()))
		requests()
		tel.Close()
		var names []string
		for _, s := range e.received() {
			names = append(names, s.GetName())
		}
		return names
	}
	// request records a root and a child that start took ago.
	request := func(took time.Duration, status codes.Code, attrs ...trace.SpanStartOption) {
		start := trace.WithTimestamp(time.Now().Add(-took))
		ctx, root := otel.Tracer("test").Start(context.Background(), "root", append(attrs, start)...)
		_, child := otel.Tracer("test").Start(ctx, "child", start)
		child.End()
		root.SetStatus(status, "")
		root.End()
	}
	t.Run("a slow request is kept with its children, a fast one is not", func(t *testing.T) {
		got := run(t, func() { request(slow, codes.Unset); request(slow/2, codes.Unset) })
		if want := "child root"; strings.Join(got, " ") != want {
			t.Errorf("kept %v, want %s", got, want)
		}
	})
	t.Run("a failed request is kept", func(t *testing.T) {
		if got := run(t, func() { request(0, codes.Error) }); len(got) != 2 {
			t.Errorf("kept %v, want child root", got)
		}
	})
	t.Run("a request that follows changes is not slow", func(t *testing.T) {
		if got := run(t, func() { request(slow, codes.Unset, trace.WithAttributes(Endless.Bool(true))) }); len(got) != 0 {
			t.Errorf("kept %v, want none", got)
		}
	})
	t.Run("the memory for requests in progress is limited", func(t *testing.T) {
		run(t, func() {
			var roots []trace.Span
			for range 2 * maxHeldTraces {
				ctx, root := otel.Tracer("test").Start(context.Background(), "root")
				roots = append(roots, root)
				for range 5 {
					_, child := otel.Tracer("test").Start(ctx, "child")
					child.End()
				}
			}
			tail := currentTail.Load()
			if len(tail.held) > maxHeldTraces || tail.spans > maxHeldSpans {
				t.Errorf("%d traces and %d spans held; want at most %d and %d", len(tail.held), tail.spans, maxHeldTraces, maxHeldSpans)
			}
			for _, r := range roots {
				r.End()
			}
			if len(tail.held) != 0 || tail.spans != 0 {
				t.Errorf("%d traces and %d spans held after their end; want none", len(tail.held), tail.spans)
			}
		})
	})
}

func TestKeepLimit(t *testing.T) {
	ids := func(n int) []trace.TraceID {
		list := make([]trace.TraceID, n)
		for i := range list { // ids spread evenly
			share := uint64(i) * (1 << 63 / uint64(n) * 2)
			for j := range 8 {
				list[i][8+j] = byte(share >> (56 - 8*j))
			}
			list[i][0] = 1
		}
		return list
	}
	now := time.Unix(1_800_000_000, 0)
	keep := func(l *keepLimit, list []trace.TraceID, now time.Time) map[trace.TraceID]bool {
		kept := map[trace.TraceID]bool{}
		for _, id := range list {
			if l.admit(id, now) {
				kept[id] = true
			}
		}
		return kept
	}
	t.Run("few traces are all kept", func(t *testing.T) {
		if n := len(keep(&keepLimit{perSecond: 50}, ids(50), now)); n != 50 {
			t.Errorf("%d of 50 kept, want all", n)
		}
	})
	t.Run("of many, two processes keep the same share", func(t *testing.T) {
		a, b := &keepLimit{perSecond: 50}, &keepLimit{perSecond: 50}
		keep(a, ids(1000), now)
		keep(b, ids(2000), now)
		later := now.Add(time.Second)
		keptA, keptB := keep(a, ids(1000), later), keep(b, ids(1000), later)
		if len(keptA) < 40 || len(keptA) > 60 || len(keptB) < 20 || len(keptB) > 30 {
			t.Fatalf("%d and %d of 1000 kept, want about 50 and 25", len(keptA), len(keptB))
		}
		for id := range keptB {
			if !keptA[id] {
				t.Fatalf("the process that keeps fewer traces kept %s, which the other did not", id)
			}
		}
	})
}
