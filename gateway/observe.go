package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v5"
	"github.com/prometheus/client_golang/prometheus"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
)

type metrics struct {
	seconds *prometheus.HistogramVec // of requests, by route, method and status
	flying  prometheus.Gauge
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_http_request_seconds", Help: "Duration of HTTP requests, by route, method and status.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 15),
		}, []string{"route", "method", "status"}),
		flying: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catalog_http_requests_in_flight", Help: "HTTP requests that are being answered.",
		}),
	}
	reg.MustRegister(m.seconds, m.flying)
	return m
}

// observe is around everything: it makes a span, a measure and a log line of
// each request, a problem of each error, and an internal error of a panic.
func (g *Gateway) observe(next echo.HandlerFunc) echo.HandlerFunc {
	tracer := otel.Tracer("catalog/gateway")
	return func(c *echo.Context) error {
		since := time.Now()
		r := c.Request()
		route := c.Path()
		if route == "" {
			route = "none"
		}
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := tracer.Start(ctx, r.Method+" "+route, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		c.SetRequest(r.WithContext(ctx))
		g.metrics.flying.Inc()
		defer g.metrics.flying.Dec()

		if err := guard(c, next, g); err != nil {
			g.answerProblem(c, err)
		}
		status := http.StatusOK
		if w, err := echo.UnwrapResponse(c.Response()); err == nil && w.Status != 0 {
			status = w.Status
		}
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
		}
		if span.IsRecording() {
			span.SetAttributes(attribute.String("http.request.method", r.Method), attribute.String("http.route", route),
				attribute.Int("http.response.status_code", status))
		}
		took := time.Since(since)
		g.metrics.seconds.WithLabelValues(route, method(r.Method), strconv.Itoa(status)).Observe(took.Seconds())
		if g.logger.Enabled(ctx, slog.LevelDebug) { // its arguments cost more than a read that is answered from near
			g.logger.DebugContext(ctx, "request", "method", r.Method, "route", route, "status", status, "took", took)
		}
		return nil
	}
}

func guard(c *echo.Context, next echo.HandlerFunc, g *Gateway) (err error) {
	defer func() {
		if p := recover(); p != nil {
			g.logger.ErrorContext(c.Request().Context(), "request panicked", "route", c.Path(), "err", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return next(c)
}

// method keeps people from making metrics by inventing methods.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return "other"
}

// traceparent is the trace context of ctx, as it travels with a command.
func traceparent(ctx context.Context) string {
	carrier := propagation.MapCarrier{}
	propagation.TraceContext{}.Inject(ctx, carrier)
	return carrier["traceparent"]
}
