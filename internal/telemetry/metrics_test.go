package telemetry

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/metrics"
	"catalog/internal/metrics/metricstest"
)

func TestMetrics_logLines(t *testing.T) {
	t.Run("log lines are counted by level", func(t *testing.T) {
		tel, _ := open(t, configOf(t, "-log.level", "debug"))
		defer tel.Close()
		log := tel.Log.With("shard", 1)
		log.Debug("a")
		log.Warn("b")
		log.Warn("c")
		log.Error("d")
		for level, want := range map[string]float64{"debug": 1, "info": 0, "warn": 2, "error": 1} {
			if n := metricstest.Value(t, tel.Registry, "catalog_log_lines_total", "level", level); n != want {
				t.Errorf("%s: %v lines, want %v", level, n, want)
			}
		}
	})
}

func TestMetrics_exemplars(t *testing.T) {
	t.Run("OpenMetrics has the trace of a sampled observation", func(t *testing.T) {
		tel, _ := open(t, configOf(t))
		defer tel.Close()
		const trace = "0af7651916cd43dd8448eb211c80319c"
		h := metrics.Register(tel.Registry, prometheus.NewHistogram(prometheus.HistogramOpts{Name: "test_seconds", Buckets: metrics.Seconds}))
		metrics.ObserveTrace(h, 0.3, "00-"+trace+"-b7ad6b7169203331-01")
		q := httptest.NewRequest(http.MethodGet, "/metrics", nil)
		q.Header.Set("Accept", "application/openmetrics-text;version=1.0.0")
		w := httptest.NewRecorder()
		tel.Metrics().ServeHTTP(w, q)
		if !strings.Contains(w.Body.String(), `test_seconds_bucket{le="0.5"} 1 # {trace_id="`+trace+`"} 0.3`) {
			t.Error("no exemplar in the bucket of the observation")
		}
	})
}
