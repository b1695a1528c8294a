package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"
	"go.opentelemetry.io/otel/trace"

	"catalog"
	"catalog/api"
	"catalog/internal/rpc"
)

// problemError is an error with the HTTP problem that describes it (RFC 9457).
type problemError struct {
	api.Problem
	retryAfter int   // seconds, the Retry-After header; 0 for no header
	cause      error // for the log; nil for a problem that is itself the cause
}

func (p *problemError) Error() string {
	if p.cause != nil {
		return p.Title + ": " + p.cause.Error()
	}
	return p.Title + ": " + p.Detail
}

func (p *problemError) Unwrap() error { return p.cause }

// ErrorCode returns the problem's code in the error model.
func (p *problemError) ErrorCode() catalog.Code { return catalog.Code(p.Code) }

// problem returns the problem of the code, with status, title and Retry-After
// from the error model. Without a detail, the response gets the advice of the
// error model for the method of the request.
func problem(code catalog.Code, detail string, fields ...catalog.FieldError) *problemError {
	kind := code.Kind()
	p := &problemError{
		Problem:    api.Problem{Type: "about:blank", Title: kind.Title, Status: kind.HTTPStatus, Code: api.ProblemCode(kind.Code), Detail: detail},
		retryAfter: kind.RetryAfter,
	}
	for _, f := range fields {
		p.Errors = append(p.Errors, api.FieldError{Field: f.Field, Reason: f.Reason})
	}
	return p
}

// refused returns the problem of a refusal.
func refused(r *catalog.Refusal) *problemError { return problem(r.Code, r.Reason, r.Fields...) }

// asProblem returns the problem of an error, by the error model. An error that is
// not in the model becomes internal, and its text is not sent.
func asProblem(err error) *problemError {
	var p *problemError
	if !errors.As(err, &p) {
		p = newProblem(err)
		p.cause = err
	}
	return p
}

func newProblem(err error) *problemError {
	var (
		refusal *catalog.Refusal
		tooBig  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &refusal):
		return refused(refusal)
	case errors.As(err, &tooBig):
		return problem(catalog.CodeTooLarge, "the body must not have more than 1 MiB")
	}
	switch echo.StatusCode(err) {
	case http.StatusNotFound:
		return problem(catalog.CodeNotFound, "this path does not exist; see /docs")
	case http.StatusMethodNotAllowed:
		return problem(catalog.CodeMethod, "see /docs for the methods of this path")
	case http.StatusBadRequest:
		return problem(catalog.CodeInvalid, "the request cannot be parsed; see /docs")
	}
	return problem(rpc.CodeOf(err), "", rpc.Fields(err)...)
}

// advice returns the error model's advice for a request of the method. Only a
// write is told whether anything has changed.
func advice(code catalog.Code, method string) string {
	if method == http.MethodGet || method == http.MethodHead {
		return code.Kind().ReadAdvice
	}
	return code.Kind().WriteAdvice
}

// writeProblem writes the problem of err, unless the response has begun. It is
// Echo's error handler.
func (g *Gateway) writeProblem(c *echo.Context, err error) {
	if r, e := echo.UnwrapResponse(c.Response()); e == nil && r.Committed {
		return
	}
	ctx := c.Request().Context()
	p := *asProblem(err)
	if p.Detail == "" {
		p.Detail = advice(p.ErrorCode(), c.Request().Method)
	}
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		level := g.logger.WarnContext
		if p.ErrorCode() == catalog.CodeInternal {
			level = g.logger.ErrorContext
		}
		level(ctx, "request failed", "method", c.Request().Method, "route", c.Path(), "status", p.Status, "err", err)
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		p.TraceId = span.TraceID().String()
	}
	if p.retryAfter > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	writeJSON(c, p.Status, "application/problem+json", p.Problem)
}

// writeJSON writes v as the response. The values of this package always encode,
// and an error of the connection means that the client has disconnected, so both
// errors are ignored.
func writeJSON(c *echo.Context, status int, contentType string, v any) {
	c.Response().Header().Set("Content-Type", contentType)
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return
	}
	e := json.NewEncoder(c.Response())
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}

// withCommand adds the command and the key with which the request can be repeated.
func (p *problemError) withCommand(command catalog.ID, key string) *problemError {
	p.CommandId, p.IdempotencyKey = uuid.UUID(command), key
	return p
}
