package telemetry

import (
	"context"
	"log/slog"
	"net/http"
	"regexp"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"catalog/internal/buildinfo"
)

// newRegistry returns a registry with the metrics of the process and its build.
func newRegistry() *prometheus.Registry {
	reg := prometheus.NewRegistry()
	info := prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_build_info", Help: "Always 1; the labels tell the version of the program, its Git commit and the Go version.",
	}, []string{"version", "commit", "go_version"})
	b := buildinfo.Read()
	info.WithLabelValues(b.Version, b.Commit, b.Go).Set(1)
	reg.MustRegister(info,
		// How long goroutines wait for a CPU: the figure that shows a process without enough of them.
		collectors.NewGoCollector(collectors.WithGoCollectorRuntimeMetrics(
			collectors.GoRuntimeMetricsRule{Matcher: regexp.MustCompile(`^/sched/latencies:seconds$`)})),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return reg
}

// Metrics returns the handler that serves the registry, in the OpenMetrics format with
// exemplars where the client asks for it, and else in that of Prometheus.
func (t *Telemetry) Metrics() http.Handler {
	return promhttp.HandlerFor(t.Registry, promhttp.HandlerOpts{EnableOpenMetrics: true})
}

// logLines counts the log lines by level.
type logLines struct{ debug, info, warn, err prometheus.Counter }

func newLogLines(reg prometheus.Registerer) logLines {
	lines := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catalog_log_lines_total", Help: "Log lines by level, with those that sampling leaves out. Errors mean that an operator must act.",
	}, []string{"level"})
	reg.MustRegister(lines)
	return logLines{
		debug: lines.WithLabelValues("debug"), info: lines.WithLabelValues("info"),
		warn: lines.WithLabelValues("warn"), err: lines.WithLabelValues("error"),
	}
}

func (l logLines) of(level slog.Level) prometheus.Counter {
	switch {
	case level >= slog.LevelError:
		return l.err
	case level >= slog.LevelWarn:
		return l.warn
	case level >= slog.LevelInfo:
		return l.info
	}
	return l.debug
}

// countingHandler counts the records, before sampling.
type countingHandler struct {
	slog.Handler
	lines logLines
}

func (h countingHandler) Handle(ctx context.Context, r slog.Record) error {
	h.lines.of(r.Level).Inc()
	return h.Handler.Handle(ctx, r)
}

func (h countingHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return countingHandler{h.Handler.WithAttrs(attrs), h.lines}
}

func (h countingHandler) WithGroup(name string) slog.Handler {
	return countingHandler{h.Handler.WithGroup(name), h.lines}
}
