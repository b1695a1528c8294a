package gateway

import (
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/failpoint"
	"catalog/internal/wire"
)

const (
	maxBody     = 1 << 20
	defaultWait = 2 * time.Second
	maxWait     = 30 * time.Second
	bodyWait    = 10 * time.Second // until a body has arrived
	sendWait    = 5 * time.Second  // until the log has stored a command
	callWait    = 2 * time.Second  // for a call to another service
)

// CreateProduct answers POST /api/v1/products.
func (g *Gateway) CreateProduct(c *echo.Context, params api.CreateProductParams) error {
	body, err := readBody(c, "application/json")
	if err != nil {
		return err
	}
	draft, err := wire.ParseProductData(body)
	if err != nil {
		return err
	}
	id := commandID(c, params.IdempotencyKey)
	return g.write(c, catalog.Command{ID: id, Product: id, Op: catalog.CreateProduct{Data: draft}}, params.Prefer, params.IdempotencyKey)
}

// PutProduct answers PUT /api/v1/products/{id}.
func (g *Gateway) PutProduct(c *echo.Context, id api.ID, params api.PutProductParams) error {
	condition, err := ifMatch(params.IfMatch)
	if err != nil {
		return err
	}
	switch params.IfNoneMatch {
	case "":
	case "*":
		condition.Absent = true
	default:
		return catalog.Invalid("If-None-Match", "must be * for a write: do it only if there is no such product")
	}
	body, err := readBody(c, "application/json")
	if err != nil {
		return err
	}
	draft, err := wire.ParseProductData(body)
	if err != nil {
		return err
	}
	return g.write(c, catalog.Command{
		ID: commandID(c, params.IdempotencyKey), Product: catalog.ID(id), If: condition, Op: catalog.PutProduct{Data: draft},
	}, params.Prefer, params.IdempotencyKey)
}

// PatchProduct answers PATCH /api/v1/products/{id}.
func (g *Gateway) PatchProduct(c *echo.Context, id api.ID, params api.PatchProductParams) error {
	condition, err := ifMatch(params.IfMatch)
	if err != nil {
		return err
	}
	body, err := readBody(c, "application/merge-patch+json", "application/json")
	if err != nil {
		return err
	}
	patch, err := wire.ParsePatch(body)
	if err != nil {
		return err
	}
	return g.write(c, catalog.Command{
		ID: commandID(c, params.IdempotencyKey), Product: catalog.ID(id), If: condition, Op: catalog.PatchProduct{Patch: patch},
	}, params.Prefer, params.IdempotencyKey)
}

// DeleteProduct answers DELETE /api/v1/products/{id}.
func (g *Gateway) DeleteProduct(c *echo.Context, id api.ID, params api.DeleteProductParams) error {
	condition, err := ifMatch(params.IfMatch)
	if err != nil {
		return err
	}
	return g.write(c, catalog.Command{
		ID: commandID(c, params.IdempotencyKey), Product: catalog.ID(id), If: condition, Op: catalog.DeleteProduct{},
	}, params.Prefer, params.IdempotencyKey)
}

// write sends the command and answers what became of it.
func (g *Gateway) write(c *echo.Context, cmd catalog.Command, prefer, key string) error {
	wait, err := parsePrefer(prefer)
	if err != nil {
		return err
	}
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return catalog.Invalid("Idempotency-Key", "must have visible ASCII characters only")
	}
	leave, err := enter(g.writes)
	if err != nil {
		return err
	}
	defer leave()
	ctx := c.Request().Context()
	cmd.AcceptedAt = wire.TruncateTime(g.now())
	cmd.Trace = traceparent(ctx)
	c.Response().Header().Set("Command-Id", cmd.ID.String())
	e, err := g.settle(ctx, cmd, key != "", wait)
	switch {
	case errors.Is(err, errPending):
		c.Response().Header().Set("Location", "/api/v1/commands/"+cmd.ID.String())
		answer(c, http.StatusAccepted, "application/json", api.Receipt{
			CommandId: uuid.UUID(cmd.ID), ProductId: uuid.UUID(cmd.Product), Status: api.ReceiptStatusPending,
			AcceptedAt: cmd.AcceptedAt, TraceId: wire.TraceID(cmd.Trace),
		})
		return nil
	case errors.Is(err, catalog.ErrOutcomeUnknown):
		if key == "" {
			key = commandKey + cmd.ID.String()
		}
		return asProblem(err).about(cmd.ID, key)
	case err != nil:
		return err
	}
	c.Response().Header().Set("Catalog-Position", e.Position.String())
	switch e.Outcome {
	case catalog.Refused:
		return refused(e.Refusal).about(cmd.ID, "")
	case catalog.Deleted:
		return c.NoContent(http.StatusNoContent)
	}
	c.Response().Header().Set("ETag", etag(e.Product.Version))
	code := http.StatusOK
	if e.Outcome == catalog.Created {
		code = http.StatusCreated
		c.Response().Header().Set("Location", "/api/v1/products/"+e.Product.ID.String())
	}
	answer(c, code, "application/json", wire.ProductToJSON(e.Product))
	return nil
}

// errPending says that a command is stored in the log and not settled yet.
var errPending = errors.New("the command is accepted and not settled yet")

// settle sends the command and waits until it is settled, or answers
// errPending when that takes longer than wait. A command that may be a repeat
// is looked for first.
func (g *Gateway) settle(ctx context.Context, cmd catalog.Command, repeated bool, wait time.Duration) (catalog.Event, error) {
	// Whatever is published from here on will be seen, so whatever was settled
	// before is in the journal when it is asked.
	settled, forget := g.answers.expect(cmd.ID)
	defer forget()
	if err := g.answers.await(ctx); err != nil {
		return catalog.Event{}, err
	}
	if repeated {
		e, err := g.receipt(ctx, cmd.ID)
		switch {
		case err == nil:
			return sameWish(e, cmd)
		case status.Code(err) != codes.NotFound:
			// The writer cannot be asked. The command can be sent all the same: it
			// is settled once, whoever sends it how often.
			g.logger.WarnContext(ctx, "receipt not read before a command is sent", "command", cmd.ID, "err", err)
		}
	}
	if err := g.send(ctx, cmd); err != nil {
		return catalog.Event{}, err
	}
	failpoint.Here(failpoint.GatewaySent)
	if e, ok := g.settled(ctx, settled, wait); ok {
		failpoint.Here(failpoint.GatewaySettled)
		return sameWish(e, cmd)
	}
	return catalog.Event{}, errPending
}

// send appends commands to the log, unless the writers are too far behind. Its
// errors are ErrUnavailable, or a problem of that kind, when none was taken, and
// ErrUnknown.
func (g *Gateway) send(ctx context.Context, commands ...catalog.Command) error {
	if err := g.backlog.enter(commands); err != nil {
		return err
	}
	err := g.sending.Do(ctx, g.probe, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, sendWait)
		defer cancel()
		return g.log.SendCommands(ctx, commands...)
	})
	if err != nil {
		g.backlog.leave(commands)
	}
	return err
}

// probe asks the log for little, of all of its shards, to see whether it answers.
func (g *Gateway) probe(ctx context.Context) error {
	if _, _, err := g.log.EventOffsets(ctx); err != nil {
		return fmt.Errorf("%w: %w", catalog.ErrUnavailable, err)
	}
	return nil
}

// enter takes one of the places, or tells the client to come again when all are
// taken: those who wait behind the others would be answered too late.
func enter(places chan struct{}) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	default:
		return nil, problem(http.StatusTooManyRequests, api.ProblemCodeBusy, "nothing was taken, since too much is being done at once; try again")
	}
}

// sameWish refuses the event of another command that had the same id.
func sameWish(e catalog.Event, cmd catalog.Command) (catalog.Event, error) {
	if e.Fingerprint != cmd.Fingerprint() {
		return catalog.Event{}, &catalog.Refusal{Code: catalog.CodeKeyReused, Reason: "choose another key for another request; command " + cmd.ID.String() + " has this one"}
	}
	return e, nil
}

// receipt asks the writer what became of a command.
func (g *Gateway) receipt(ctx context.Context, command catalog.ID) (catalog.Event, error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	r, err := g.writer.GetReceipt(ctx, &catalogv1.GetReceiptRequest{CommandId: command[:]})
	if err != nil {
		return catalog.Event{}, err
	}
	return wire.EventFromProto(r.GetEvent())
}

// commandKey begins the key with which a request that had none is repeated. The
// id of its command follows.
const commandKey = "command-"

// commandID is new, or, with a key, always the same for the same method, path
// and key.
func commandID(c *echo.Context, key string) catalog.ID {
	if key == "" {
		return newID()
	}
	if id, ok := strings.CutPrefix(key, commandKey); ok {
		if id, err := catalog.ParseID(id); err == nil {
			return id
		}
	}
	return catalog.DerivedID("key", c.Request().Method, c.Request().URL.Path, key)
}

// readBody reads the body, which must be of one of the content types.
func readBody(c *echo.Context, types ...string) ([]byte, error) {
	if err := checkType(c, types...); err != nil {
		return nil, err
	}
	arrive(c, bodyWait)
	body, err := io.ReadAll(http.MaxBytesReader(c.Response(), c.Request().Body, maxBody))
	if err != nil {
		return nil, arrived(err)
	}
	arrive(c, 0)
	return body, nil
}

// arrive sets how long what is read of the request may take; 0 is for ever. Who
// sends slower than that keeps nobody but himself waiting, and is not waited for
// either.
func arrive(c *echo.Context, wait time.Duration) {
	var end time.Time
	if wait > 0 {
		end = time.Now().Add(wait)
	}
	_ = http.NewResponseController(c.Response()).SetReadDeadline(end) // where there is none, as in some tests, nothing is slow
}

// arrived is err of reading a body, as the client is told it.
func arrived(err error) error {
	var tooBig *http.MaxBytesError
	if errors.As(err, &tooBig) {
		return err
	}
	return catalog.Invalid("body", "did not arrive whole, or not in time")
}

func checkType(c *echo.Context, types ...string) error {
	given := c.Request().Header.Get("Content-Type")
	t, params, err := mime.ParseMediaType(given)
	if err != nil || !slices.Contains(types, t) || params["charset"] != "" && !strings.EqualFold(params["charset"], "utf-8") {
		return problem(http.StatusUnsupportedMediaType, api.ProblemCodeUnsupportedMediaType,
			"send Content-Type: "+types[0]+", in UTF-8", catalog.FieldError{Field: "Content-Type", Reason: "must be " + strings.Join(types, " or ")})
	}
	return nil
}

// parsePrefer answers how long to wait for a command (RFC 7240). Preferences
// that are not known are passed over, as the RFC wants.
func parsePrefer(prefer string) (time.Duration, error) {
	wait := defaultWait
	for p := range strings.FieldsFuncSeq(prefer, func(r rune) bool { return r == ',' || r == ';' || r == ' ' }) {
		switch name, value, _ := strings.Cut(p, "="); {
		case strings.EqualFold(name, "respond-async"):
			return 0, nil
		case strings.EqualFold(name, "wait"):
			n, err := strconv.Atoi(value)
			if err != nil || n < 0 || n > int(maxWait/time.Second) {
				return 0, catalog.Invalid("Prefer", "must have a whole number of seconds from 0 to 30 in wait=N")
			}
			wait = time.Duration(n) * time.Second
		}
	}
	return wait, nil
}

// ifMatch reads If-Match of a write.
func ifMatch(value string) (catalog.Condition, error) {
	switch value = strings.TrimSpace(value); value {
	case "":
		return catalog.Condition{}, nil
	case "*":
		return catalog.Condition{Exists: true}, nil
	}
	if v, ok := version(value); ok {
		return catalog.Condition{Version: v}, nil
	}
	return catalog.Condition{}, catalog.Invalid("If-Match", `must be one version in quotes, such as "7", as ETag gave it, or *`)
}

func version(tag string) (int64, bool) {
	if len(tag) < 3 || tag[0] != '"' || tag[len(tag)-1] != '"' {
		return 0, false
	}
	v, err := strconv.ParseInt(tag[1:len(tag)-1], 10, 64)
	return v, err == nil && v > 0
}

func etag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }
