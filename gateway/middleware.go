package gateway

import (
	"fmt"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/labstack/echo/v5"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/propagation"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	"go.opentelemetry.io/otel/trace"

	"catalog/internal/logging"
	"catalog/internal/metrics"
)

// observe is the outermost middleware. It records a span, a metric and a log line
// of each request, writes the problem of an error, and turns a panic into an
// internal error.
func (g *Gateway) observe(next echo.HandlerFunc) echo.HandlerFunc {
	tracer := otel.Tracer("catalog/gateway")
	return func(c *echo.Context) error {
		start := time.Now()
		r := c.Request()
		route := c.Path()
		if route == "" {
			route = metrics.Other
		}
		method := methodLabel(r.Method)
		ctx := propagation.TraceContext{}.Extract(r.Context(), propagation.HeaderCarrier(r.Header))
		ctx, span := tracer.Start(ctx, r.Method+" "+route, trace.WithSpanKind(trace.SpanKindServer))
		defer span.End()
		c.SetRequest(r.WithContext(ctx))
		c.Response().Header().Set("Trace-Id", span.SpanContext().TraceID().String())
		active := g.metrics.active.Get(method)
		active.Inc()
		defer active.Dec()
		body := watchBody(c)

		if err := g.recoverPanic(c, next); err != nil {
			g.writeProblem(c, err)
		}
		body.release()
		body.drain(r.Header.Get("Expect"))
		status, size := http.StatusOK, int64(0)
		if w, err := echo.UnwrapResponse(c.Response()); err == nil && w.Status != 0 {
			status, size = w.Status, w.Size
		}
		if status >= http.StatusInternalServerError && r.Context().Err() != nil {
			status = statusClientClosed
		}
		if status >= http.StatusInternalServerError {
			span.SetStatus(codes.Error, http.StatusText(status))
			span.SetAttributes(semconv.ErrorTypeKey.String(strconv.Itoa(status)))
		}
		if span.IsRecording() {
			span.SetAttributes(semconv.HTTPRequestMethodKey.String(methodLabel(r.Method)), semconv.HTTPRoute(route), semconv.HTTPResponseStatusCode(status))
		}
		took := time.Since(start)
		metrics.Observe(ctx, g.metrics.duration.Get(response{route, method, status}), took.Seconds())
		if g.logger.Enabled(ctx, g.accessLevel) { // building the arguments costs more than a read from the near cache
			g.logger.Log(ctx, g.accessLevel, logging.AccessMessage, "method", method, "route", route, "status", status, "took", took, "bytes", size)
		}
		return nil
	}
}

// statusClientClosed is the status in metrics and logs of a request whose client left
// before its response. It is not the gateway's failure. nginx uses the same number.
const statusClientClosed = 499

// recoverPanic calls next and returns a panic as an error.
func (g *Gateway) recoverPanic(c *echo.Context, next echo.HandlerFunc) (err error) {
	defer func() {
		if p := recover(); p != nil {
			g.logger.ErrorContext(c.Request().Context(), "request panicked", "route", c.Path(), "err", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return next(c)
}

// methodLabel returns the method as a metric label. Unknown methods share one
// label, so that clients cannot create time series.
func methodLabel(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	}
	return metrics.Other
}
