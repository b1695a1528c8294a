package metrics_test

import (
	"context"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel/trace"

	"catalog/internal/metrics"
	"catalog/internal/metrics/metricstest"
)

const traceID = "0af7651916cd43dd8448eb211c80319c"

func TestObserve(t *testing.T) {
	t.Parallel()
	id, err := trace.TraceIDFromHex(traceID)
	if err != nil {
		t.Fatal(err)
	}
	contextWith := func(flags trace.TraceFlags) context.Context {
		return trace.ContextWithSpanContext(t.Context(), trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: trace.SpanID{1}, TraceFlags: flags}))
	}
	for _, test := range []struct {
		name    string
		observe func(prometheus.Observer)
		want    []string
	}{
		{"a sampled trace in the context is the exemplar", func(h prometheus.Observer) { metrics.Observe(contextWith(trace.FlagsSampled), h, 1) }, []string{traceID}},
		{"a trace that is not sampled is no exemplar", func(h prometheus.Observer) { metrics.Observe(contextWith(0), h, 1) }, nil},
		{"a sampled traceparent is the exemplar", func(h prometheus.Observer) {
			metrics.ObserveTrace(h, 1, "00-"+traceID+"-b7ad6b7169203331-01")
		}, []string{traceID}},
		{"a traceparent that is not sampled is no exemplar", func(h prometheus.Observer) {
			metrics.ObserveTrace(h, 1, "00-"+traceID+"-b7ad6b7169203331-00")
		}, nil},
		{"no traceparent is no exemplar", func(h prometheus.Observer) { metrics.ObserveTrace(h, 1, "") }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			reg := prometheus.NewRegistry()
			test.observe(metrics.Register(reg, prometheus.NewHistogram(prometheus.HistogramOpts{Name: "h", Buckets: metrics.Seconds})))
			if n := metricstest.Value(t, reg, "h"); n != 1 {
				t.Errorf("%v observations, want 1", n)
			}
			if got := metricstest.Exemplars(t, reg, "h"); !slices.Equal(got, test.want) {
				t.Errorf("exemplars %v, want %v", got, test.want)
			}
		})
	}
}

func TestRegister(t *testing.T) {
	t.Parallel()
	t.Run("two parts of a process share a metric", func(t *testing.T) {
		reg := prometheus.NewRegistry()
		metrics.Shed(reg, "writes").Inc()
		metrics.Shed(reg, "writes").Inc()
		if n := metricstest.Value(t, reg, "catalog_requests_shed_total", "reason", "writes"); n != 2 {
			t.Errorf("the counter is %v, want 2", n)
		}
	})
}

func TestChildren(t *testing.T) { // not parallel: it counts allocations
	vec := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "c"}, []string{"key"})
	c := metrics.Children[string, prometheus.Counter]{New: func(k string) prometheus.Counter { return vec.WithLabelValues(k) }}
	t.Run("a key has one metric", func(t *testing.T) {
		for _, k := range []string{"a", "b", "a"} {
			c.Get(k).Inc()
		}
		reg := prometheus.NewRegistry()
		reg.MustRegister(vec)
		if n := metricstest.Value(t, reg, "c", "key", "a"); n != 2 {
			t.Errorf("a is %v, want 2", n)
		}
	})
	t.Run("finding a metric allocates nothing", func(t *testing.T) {
		if n := testing.AllocsPerRun(100, func() { c.Get("a").Inc() }); n != 0 {
			t.Errorf("%v allocations, want 0", n)
		}
	})
}
