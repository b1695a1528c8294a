package gateway

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strconv"
	"sync"
	"time"

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
		return problem(catalog.CodeTooLarge, fmt.Sprintf("the body must not have more than %d MiB", tooBig.Limit>>20))
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

// advice returns the error model's advice for a request of the method. Only the
// advice for a write says whether anything has changed.
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
	if p.Status >= http.StatusInternalServerError && ctx.Err() == nil {
		g.logFailure(c, p, err)
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		p.TraceId = span.TraceID().String()
	}
	if p.retryAfter > 0 {
		c.Response().Header().Set("Retry-After", strconv.Itoa(p.retryAfter))
	}
	writeJSON(c, p.Status, "application/problem+json", p.Problem)
}

// logFailure logs a request that failed and was not its client's fault: each internal error, and
// one line a second for each other code, since clients can cause many. A read that waits for a
// position that does not exist is usually its client's fault.
func (g *Gateway) logFailure(c *echo.Context, p problemError, err error) {
	level, skipped := slog.LevelWarn, 0
	switch code := p.ErrorCode(); code {
	case catalog.CodeInternal:
		level = slog.LevelError
	case catalog.CodeStale:
		level = slog.LevelDebug
	default:
		var log bool
		if log, skipped = g.failures.allow(code, g.now()); !log {
			return
		}
	}
	g.logger.Log(c.Request().Context(), level, "request failed", "method", c.Request().Method, "route", c.Path(), "status", p.Status, "err", err, "notLogged", skipped)
}

// failureLog decides which failures are logged.
type failureLog struct {
	mu   sync.Mutex
	last map[catalog.Code]loggedFailure
}

type loggedFailure struct {
	at      time.Time
	skipped int // failures since the logged one
}

// allow reports whether a failure with the code is logged, and the number of failures since the
// last logged one.
func (f *failureLog) allow(code catalog.Code, now time.Time) (log bool, skipped int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	l, ok := f.last[code]
	if ok && now.Sub(l.at) < failureLogInterval {
		l.skipped++
		f.last[code] = l
		return false, 0
	}
	if f.last == nil {
		f.last = map[catalog.Code]loggedFailure{}
	}
	f.last[code] = loggedFailure{at: now}
	return true, l.skipped
}

// writeJSON writes v as the response.
func writeJSON(c *echo.Context, status int, contentType string, v any) {
	writeJSONBody(c, status, contentType, encodeJSON(v))
}

// encodeJSON encodes v. The values of this package always encode.
func encodeJSON(v any) []byte {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
	return b.Bytes()
}

// writeJSONBody writes an encoded response.
func writeJSONBody(c *echo.Context, status int, contentType string, body []byte) {
	header := c.Response().Header()
	header.Set("Content-Type", contentType)
	header.Set("Content-Length", strconv.Itoa(len(body)))
	c.Response().WriteHeader(status)
	writeBody(c, body)
}

// writeBody writes the body of a response in parts, each of which the client must take within
// chunkTimeout, so that a client that reads nothing cannot make the gateway keep its response. An
// error means that the client has disconnected, and is ignored.
func writeBody(c *echo.Context, body []byte) {
	w := c.Response()
	for len(body) > writeChunk {
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(chunkTimeout)) // test recorders have no deadlines
		if _, err := w.Write(body[:writeChunk]); err != nil {
			return
		}
		body = body[writeChunk:]
	}
	_, _ = w.Write(body)
}

// withCommand adds the command and the key with which the request can be repeated.
func (p *problemError) withCommand(command catalog.ID, key string) *problemError {
	p.CommandId, p.IdempotencyKey = uuid.UUID(command), key
	return p
}
