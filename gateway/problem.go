package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	"catalog/api"
	"catalog/internal/rpc"
)

// problemError is an error that says itself what the client is told.
type problemError struct {
	api.Problem
	retryAfter string // seconds; "" for none
}

func (p *problemError) Error() string { return p.Title + ": " + p.Detail }

// titles are for people who see only the first line of a problem.
var titles = map[api.ProblemCode]string{
	api.ProblemCodeInvalid:              "The request is not valid",
	api.ProblemCodeNotFound:             "Not found",
	api.ProblemCodeExists:               "It exists already",
	api.ProblemCodeVersionMismatch:      "The product is at another version",
	api.ProblemCodeSkuTaken:             "The SKU belongs to another product",
	api.ProblemCodeKeyReused:            "The Idempotency-Key was used for another request",
	api.ProblemCodeBehind:               "The read side has not seen that write yet",
	api.ProblemCodeUnavailable:          "Not available right now",
	api.ProblemCodeBusy:                 "Too much is being done at once",
	api.ProblemCodeUnknown:              "It is not known whether this was done",
	api.ProblemCodeTooLarge:             "The request is too large",
	api.ProblemCodeUnsupportedMediaType: "The content type is not supported",
	api.ProblemCodeMethodNotAllowed:     "The method is not allowed here",
	api.ProblemCodeInternal:             "Something went wrong here",
}

func problem(status int, code api.ProblemCode, detail string, fields ...catalog.FieldError) *problemError {
	p := &problemError{Problem: api.Problem{Type: "about:blank", Title: titles[code], Status: status, Code: code, Detail: detail}}
	for _, f := range fields {
		p.Errors = append(p.Errors, api.FieldError{Field: f.Field, Reason: f.Reason})
	}
	if status == http.StatusServiceUnavailable || status == http.StatusTooManyRequests {
		p.retryAfter = "1"
	}
	return p
}

// statuses are those of refusals.
var statuses = map[catalog.Code]int{
	catalog.CodeInvalid:   http.StatusBadRequest,
	catalog.CodeNotFound:  http.StatusNotFound,
	catalog.CodeExists:    http.StatusConflict,
	catalog.CodeVersion:   http.StatusPreconditionFailed,
	catalog.CodeSKUTaken:  http.StatusConflict,
	catalog.CodeKeyReused: http.StatusUnprocessableEntity,
}

func refused(r *catalog.Refusal) *problemError {
	return problem(statuses[r.Code], api.ProblemCode(r.Code), r.Reason, r.Fields...)
}

// asProblem is the one table from errors to answers. What is not in it is ours
// to mend: 500, without a detail.
func asProblem(err error) *problemError {
	var (
		p       *problemError
		refusal *catalog.Refusal
		tooBig  *http.MaxBytesError
	)
	switch {
	case errors.As(err, &p):
		return p
	case errors.As(err, &refusal):
		return refused(refusal)
	case errors.As(err, &tooBig):
		return problem(http.StatusRequestEntityTooLarge, api.ProblemCodeTooLarge, "the body must not have more than 1 MiB")
	case errors.Is(err, catalog.ErrUnavailable):
		return problem(http.StatusServiceUnavailable, api.ProblemCodeUnavailable, "nothing has changed; try again")
	case errors.Is(err, catalog.ErrOutcomeUnknown):
		return problem(http.StatusGatewayTimeout, api.ProblemCodeUnknown, "it may have been done or may still be; repeat the request with idempotencyKey as its Idempotency-Key, or look at the receipt of commandId")
	}
	switch echo.StatusCode(err) {
	case http.StatusNotFound:
		return problem(http.StatusNotFound, api.ProblemCodeNotFound, "there is nothing at this path; see /docs")
	case http.StatusMethodNotAllowed:
		return problem(http.StatusMethodNotAllowed, api.ProblemCodeMethodNotAllowed, "see /docs for what this path takes")
	case http.StatusBadRequest:
		return problem(http.StatusBadRequest, api.ProblemCodeInvalid, "the request cannot be read; see /docs")
	}
	switch status.Code(err) {
	case codes.NotFound:
		return problem(http.StatusNotFound, api.ProblemCodeNotFound, "")
	case codes.InvalidArgument:
		return problem(http.StatusBadRequest, api.ProblemCodeInvalid, "", rpc.Fields(err)...)
	case codes.FailedPrecondition:
		return problem(http.StatusServiceUnavailable, api.ProblemCodeBehind, "try again, or without Catalog-Position")
	case codes.ResourceExhausted: // also where too many ask at once
		return problem(http.StatusServiceUnavailable, api.ProblemCodeUnavailable, catalog.ErrTooSlow.Error())
	case codes.Unavailable, codes.DeadlineExceeded, codes.Canceled:
		return problem(http.StatusServiceUnavailable, api.ProblemCodeUnavailable, "nothing has changed; try again")
	}
	return problem(http.StatusInternalServerError, api.ProblemCodeInternal, "the log has more under this trace id")
}

// answerProblem writes the problem that err is, unless an answer has begun. It
// is Echo's error handler.
func (g *Gateway) answerProblem(c *echo.Context, err error) {
	if r, e := echo.UnwrapResponse(c.Response()); e == nil && r.Committed {
		return
	}
	ctx := c.Request().Context()
	p := *asProblem(err)
	if p.Status >= http.StatusInternalServerError && !errors.Is(err, context.Canceled) {
		level := g.logger.WarnContext
		if p.Code == api.ProblemCodeInternal {
			level = g.logger.ErrorContext
		}
		level(ctx, "request failed", "method", c.Request().Method, "route", c.Path(), "status", p.Status, "err", err)
	}
	if span := trace.SpanContextFromContext(ctx); span.HasTraceID() {
		p.TraceId = span.TraceID().String()
	}
	if p.retryAfter != "" {
		c.Response().Header().Set("Retry-After", p.retryAfter)
	}
	answer(c, p.Status, "application/problem+json", p.Problem)
}

// answer writes v as JSON. What is written cannot fail to be JSON, and a client
// that has gone needs no error.
func answer(c *echo.Context, status int, contentType string, v any) {
	c.Response().Header().Set("Content-Type", contentType)
	c.Response().WriteHeader(status)
	if c.Request().Method == http.MethodHead {
		return
	}
	e := json.NewEncoder(c.Response())
	e.SetEscapeHTML(false)
	_ = e.Encode(v)
}

func (p *problemError) about(command catalog.ID, key string) *problemError {
	p.CommandId, p.IdempotencyKey = uuid.UUID(command), key
	return p
}
