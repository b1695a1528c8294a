package catalog

import (
	"errors"
	"fmt"
	"strings"
)

// Code identifies a kind of error. Clients receive codes in HTTP problems and
// gRPC statuses, and the journal stores the codes of refusals, so a code of a
// refusal is never renamed. ErrorKinds describes every code.
type Code string

// Codes of refusals: the command or request cannot succeed as it is.
const (
	CodeInvalid   Code = "invalid"          // a field breaks a rule; Refusal.Fields lists the fields
	CodeNotFound  Code = "not_found"        // the product does not exist
	CodeExists    Code = "exists"           // the product exists already
	CodeVersion   Code = "version_mismatch" // the product is at another version than the command requires
	CodeSKUTaken  Code = "sku_taken"        // another product has this SKU
	CodeKeyReused Code = "key_reused"       // another command has this command id
)

// Codes of the other errors. The journal does not store them.
const (
	CodeStale          Code = "stale"           // the read side has not applied the requested position
	CodeUnavailable    Code = "unavailable"     // a required part of the system does not respond
	CodeOverloaded     Code = "overloaded"      // the system has more work than it can do in time
	CodeBusy           Code = "busy"            // this gateway handles as many such requests as it may
	CodeTooSlow        Code = "too_slow"        // the query exceeded its time limit
	CodeOutcomeUnknown Code = "outcome_unknown" // the command may or may not have been stored
	CodeTooLarge       Code = "too_large"       // the request exceeds a size limit
	CodeMediaType      Code = "unsupported_media_type"
	CodeMethod         Code = "method_not_allowed"
	CodeForbidden      Code = "forbidden" // the request names another host or comes from a page of another site
	CodeArchived       Code = "archived"  // the journal no longer has the version or position
	CodeInternal       Code = "internal"  // a bug or a broken engine; the log has the details
)

// Sentinel errors, for errors.Is.
var (
	ErrInvalid   = &Refusal{Code: CodeInvalid}
	ErrNotFound  = &Refusal{Code: CodeNotFound}
	ErrExists    = &Refusal{Code: CodeExists}
	ErrVersion   = &Refusal{Code: CodeVersion}
	ErrSKUTaken  = &Refusal{Code: CodeSKUTaken}
	ErrKeyReused = &Refusal{Code: CodeKeyReused}

	// ErrStale is returned when a reader does not apply the requested position
	// within the time allowed. A retry helps once the reader has caught up.
	ErrStale = errors.New("the read side has not applied the requested position")
	// ErrUnavailable is returned when a required part of the system cannot be
	// reached. The call had no effect. A retry helps once that part is back.
	ErrUnavailable = errors.New("not available")
	// ErrOverloaded is returned when the system has more work than it can do in
	// time. The call had no effect. An immediate retry makes the overload worse;
	// a later retry helps.
	ErrOverloaded = errors.New("overloaded")
	// ErrBusy is returned when a gateway handles as many requests of this kind as
	// it may. The call had no effect. A later retry helps.
	ErrBusy = errors.New("too many requests at once")
	// ErrTooSlow is returned when a query exceeds its time limit. A narrower query
	// helps; a retry helps only if the system was overloaded.
	ErrTooSlow = errors.New("the query exceeded its time limit")
	// ErrOutcomeUnknown is returned when a command may or may not have been
	// stored, and may still be settled. A retry with the same command id is safe.
	ErrOutcomeUnknown = errors.New("the outcome is unknown")

	// ErrTooLarge is returned for a command that the log cannot store because of its
	// size. Nothing was sent, and a retry fails again.
	ErrTooLarge = errors.New("too large to be stored")

	// ErrArchived is returned when the journal no longer has an event, because it
	// was moved to an archive.
	ErrArchived = errors.New("the journal no longer has the event: it is archived")

	// ErrFenced is returned when a shard is not at the epoch or offset that the
	// caller expects, because another writer owns it now. That owner does, or has
	// done, the work of the caller.
	ErrFenced = errors.New("the shard is owned by another writer")
	// ErrInconsistent is returned when log and store contradict each other, or
	// records between them are missing. The shard must stop rather than skip
	// records; an operator decides, and catalog repair repairs the shard.
	ErrInconsistent = errors.New("log and store are inconsistent")
)

// Retry is what a client should do after an error.
type Retry string

// The kinds of retry advice.
const (
	RetryNever   Retry = "no; the same request fails again"
	RetryLater   Retry = "the same request, after the time in Retry-After"
	RetryReduced Retry = "a narrower query; the same query is likely to fail again"
	RetrySameKey Retry = "with the same Idempotency-Key; the request has one effect, however often it is sent"
)

// ErrorKind is a row of the error model: everything that the services, the
// client and the command line derive from the code of an error.
type ErrorKind struct {
	Code       Code
	Err        error // sentinel for errors.Is; nil when no Go API returns this kind
	HTTPStatus int
	GRPCCode   int // value of google.golang.org/grpc/codes.Code
	ExitCode   int // exit code of the command catalog
	Retry      Retry
	RetryAfter int    // Retry-After header in seconds; 0 for no header
	Title      string // title of the HTTP problem
	Meaning    string // one sentence for docs/errors.md

	// ReadAdvice and WriteAdvice are the detail of an HTTP problem that has no
	// detail of its own. Only the advice for writes says whether anything changed.
	ReadAdvice, WriteAdvice string
}

// ErrorKinds is the error model. docs/errors.md is generated from it.
//
//go:generate go run ./internal/errordoc -o docs/errors.md
//go:generate go run ./internal/configdoc -o docs/configuration.md
var ErrorKinds = []ErrorKind{
	{
		Code: CodeInvalid, Err: ErrInvalid, HTTPStatus: 400, GRPCCode: 3, ExitCode: 3, Retry: RetryNever,
		Title:   "The request is not valid",
		Meaning: "A field or parameter breaks a rule. `errors` lists each field with the reason and the remedy.",
	},
	{
		Code: CodeNotFound, Err: ErrNotFound, HTTPStatus: 404, GRPCCode: 5, ExitCode: 4, Retry: RetryNever,
		Title:   "Not found",
		Meaning: "The product, version, command or path does not exist.",
	},
	{
		Code: CodeExists, Err: ErrExists, HTTPStatus: 409, GRPCCode: 6, ExitCode: 5, Retry: RetryNever,
		Title:   "The product exists already",
		Meaning: "The command creates a product, and a product with this id exists.",
	},
	{
		Code: CodeVersion, Err: ErrVersion, HTTPStatus: 412, GRPCCode: 10, ExitCode: 5, Retry: RetryNever,
		Title:   "The product is at another version",
		Meaning: "`If-Match` or `If-None-Match` does not hold. Read the product again and repeat the change on its present version.",
	},
	{
		Code: CodeSKUTaken, Err: ErrSKUTaken, HTTPStatus: 409, GRPCCode: 6, ExitCode: 5, Retry: RetryNever,
		Title:   "The SKU belongs to another product",
		Meaning: "SKUs are unique, and another product has this one.",
	},
	{
		Code: CodeKeyReused, Err: ErrKeyReused, HTTPStatus: 422, GRPCCode: 3, ExitCode: 5, Retry: RetryNever,
		Title:   "The Idempotency-Key was used for another request",
		Meaning: "A different request was sent with the same `Idempotency-Key`. Use a new key for a new request.",
	},
	{
		Code: CodeStale, Err: ErrStale, HTTPStatus: 503, GRPCCode: 9, ExitCode: 6, Retry: RetryLater, RetryAfter: 1,
		Title:      "The read side has not applied that write yet",
		Meaning:    "The read waited for the position in `Catalog-Position`, and the reader did not reach it in time.",
		ReadAdvice: "retry, or read without Catalog-Position to accept older data",
	},
	{
		Code: CodeUnavailable, Err: ErrUnavailable, HTTPStatus: 503, GRPCCode: 14, ExitCode: 6, Retry: RetryLater, RetryAfter: 1,
		Title:       "A part of the system is not available",
		Meaning:     "A service or an engine does not respond. A write that gets this code was not accepted.",
		ReadAdvice:  "a part of the system does not respond; retry",
		WriteAdvice: "not accepted: a part of the system does not respond, and nothing has changed; retry",
	},
	{
		Code: CodeOverloaded, Err: ErrOverloaded, HTTPStatus: 503, GRPCCode: 8, ExitCode: 6, Retry: RetryLater, RetryAfter: 5,
		Title:       "The system is overloaded",
		Meaning:     "The system has more work than it can do in time: too many calls or subscribers, or the writers are too far behind. A write that gets this code was not accepted.",
		ReadAdvice:  "too many requests are in progress; retry after the time in Retry-After",
		WriteAdvice: "not accepted: too many requests are in progress, and nothing has changed; retry after the time in Retry-After",
	},
	{
		Code: CodeBusy, Err: ErrBusy, HTTPStatus: 429, GRPCCode: 8, ExitCode: 6, Retry: RetryLater, RetryAfter: 1,
		Title:       "Too many requests at once",
		Meaning:     "This gateway handles as many writes or imports as it may (`-max-concurrent-writes`). Nothing was accepted.",
		ReadAdvice:  "too many requests are in progress; retry after the time in Retry-After",
		WriteAdvice: "not accepted: too many requests are in progress, and nothing has changed; retry after the time in Retry-After",
	},
	{
		Code: CodeTooSlow, Err: ErrTooSlow, HTTPStatus: 503, GRPCCode: 4, ExitCode: 7, Retry: RetryReduced, RetryAfter: 5,
		Title:      "The query takes too long",
		Meaning:    "The query exceeded its time limit. Ask for fewer facets, fewer words or a narrower filter.",
		ReadAdvice: "ask for less: fewer facets, fewer words or a narrower filter",
	},
	{
		Code: CodeOutcomeUnknown, Err: ErrOutcomeUnknown, HTTPStatus: 504, GRPCCode: 2, ExitCode: 8, Retry: RetrySameKey,
		Title:       "The outcome is unknown",
		Meaning:     "The command may or may not have been stored, and may still be settled. Repeat the request with `idempotencyKey` of the problem as its `Idempotency-Key`, or read the receipt of `commandId`.",
		WriteAdvice: "the command may have been stored, or may still be; repeat the request with idempotencyKey as its Idempotency-Key, or read the receipt of commandId",
	},
	{
		Code: CodeArchived, Err: ErrArchived, HTTPStatus: 410, GRPCCode: 11, ExitCode: 4, Retry: RetryNever,
		Title:      "The journal no longer has it",
		Meaning:    "The version, or the position from which to follow changes, is older than the journal. `catalog journal read` prints it from the archive. Follow changes from now on, after reading the products again.",
		ReadAdvice: "it is older than the journal; read it from the archive with catalog journal read, or continue without it",
	},
	{
		Code: CodeTooLarge, Err: ErrTooLarge, HTTPStatus: 413, GRPCCode: 3, ExitCode: 3, Retry: RetryNever,
		Title:       "The request is too large",
		Meaning:     "The body, a line of an import, or the command that it makes exceeds its size limit.",
		WriteAdvice: "not accepted: send less in one request",
	},
	{
		Code: CodeMediaType, HTTPStatus: 415, GRPCCode: 3, ExitCode: 3, Retry: RetryNever,
		Title:   "The content type is not supported",
		Meaning: "`Content-Type` is not one that the operation accepts.",
	},
	{
		Code: CodeMethod, HTTPStatus: 405, GRPCCode: 12, ExitCode: 3, Retry: RetryNever,
		Title:   "The method is not allowed here",
		Meaning: "The path exists and does not support this method.",
	},
	{
		Code: CodeForbidden, HTTPStatus: 403, GRPCCode: 7, ExitCode: 3, Retry: RetryNever,
		Title:   "The request is not allowed from here",
		Meaning: "The request names a host that the gateway does not serve (`-http.hosts`), or a page of another site sent it.",
	},
	{
		Code: CodeInternal, HTTPStatus: 500, GRPCCode: 13, ExitCode: 1, Retry: RetryNever,
		Title:       "Internal error",
		Meaning:     "A bug or a broken engine. The log of the service has the details under `traceId`.",
		ReadAdvice:  "the log has more under this trace id",
		WriteAdvice: "the log has more under this trace id",
	},
}

// Kind returns the row of the error model for the code; an unknown code has the
// row of CodeInternal.
func (c Code) Kind() ErrorKind {
	for _, k := range ErrorKinds {
		if k.Code == c {
			return k
		}
	}
	return CodeInternal.Kind()
}

// KindOf returns the row of the error model that err belongs to. An error that
// has a method ErrorCode belongs to the row of that code, any other error to the
// first row whose sentinel it matches, or else to CodeInternal.
func KindOf(err error) ErrorKind {
	var coded interface{ ErrorCode() Code }
	if errors.As(err, &coded) {
		return coded.ErrorCode().Kind()
	}
	for _, k := range ErrorKinds {
		if k.Err != nil && errors.Is(err, k.Err) {
			return k
		}
	}
	return CodeInternal.Kind()
}

// Refusal is the reason why a command or a request is refused. The client has to
// change the request: a retry is refused again.
type Refusal struct {
	Code   Code
	Reason string       // one sentence for people
	Fields []FieldError // at least one for CodeInvalid, at most MaxFieldErrors and one that counts the others

	more int // fields that were added beyond MaxFieldErrors
}

// MaxFieldErrors is how many fields a refusal names. A client corrects these first; a
// list without a limit would make a response many times larger than its request.
const MaxFieldErrors = 20

// FieldError is the reason why one field is refused, and the remedy.
type FieldError struct {
	Field  string `json:"field"`  // path such as price.amount
	Reason string `json:"reason"` // continues the field's name: "must not be empty"
}

// Invalid returns the refusal of one field.
func Invalid(field, reason string) *Refusal {
	return &Refusal{Code: CodeInvalid, Fields: []FieldError{{field, reason}}}
}

// Add appends the reason why a field is refused. It shortens long texts, which come
// from the client. Beyond MaxFieldErrors it only counts.
func (r *Refusal) Add(field, reason string) {
	if r.Full() {
		r.more++
		return
	}
	r.Fields = append(r.Fields, FieldError{shorten(field, 160), shorten(reason, 500)})
}

// shorten returns s, or its first characters, at most limit bytes, and an ellipsis.
func shorten(s string, limit int) string {
	if len(s) <= limit {
		return s
	}
	return strings.ToValidUTF8(s[:limit], "") + "…"
}

// Full reports whether Add only counts, so that the caller need not make a reason.
func (r *Refusal) Full() bool { return len(r.Fields) >= MaxFieldErrors }

// Merge adds the fields of o to r, except those that skip selects.
func (r *Refusal) Merge(o *Refusal, skip func(FieldError) bool) {
	for _, f := range o.Fields[:min(len(o.Fields), MaxFieldErrors)] {
		if !skip(f) {
			r.Add(f.Field, f.Reason)
		}
	}
	r.more += o.more
}

// Err returns r with CodeInvalid, or nil when r has no fields. After more than
// MaxFieldErrors fields, the last entry says how many others there are.
func (r *Refusal) Err() error {
	if len(r.Fields) == 0 {
		return nil
	}
	if r.more > 0 && len(r.Fields) == MaxFieldErrors {
		r.Fields = append(r.Fields, FieldError{"errors", fmt.Sprintf("and %d more", r.more)})
	}
	r.Code = CodeInvalid
	return r
}

// Error returns the reason with the code, or the fields with their reasons.
func (r *Refusal) Error() string {
	if r.Reason != "" || len(r.Fields) == 0 {
		return strings.TrimPrefix(r.Reason+" ("+string(r.Code)+")", " ")
	}
	var b strings.Builder
	for i, f := range r.Fields {
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(f.Field + " " + f.Reason)
	}
	return b.String()
}

// ErrorCode returns the code of the refusal.
func (r *Refusal) ErrorCode() Code { return r.Code }

// Is reports whether target is the sentinel of the refusal's code.
func (r *Refusal) Is(target error) bool {
	t, ok := target.(*Refusal)
	return ok && t.Code == r.Code && t.Reason == "" && t.Fields == nil
}
