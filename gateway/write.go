package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"catalog"
	"catalog/api"
	"catalog/internal/failpoint"
	"catalog/internal/rpc"
	"catalog/internal/telemetry"
	"catalog/internal/wire"
)

// CreateProduct handles POST /api/v1/products.
func (g *Gateway) CreateProduct(c *echo.Context, params api.CreateProductParams) error {
	data, err := g.readProductData(c)
	if err != nil {
		return err
	}
	id := commandID(c, params.IdempotencyKey)
	return g.write(c, catalog.Command{ID: id, Product: id, Op: catalog.CreateProduct{Data: data}}, params.Prefer, params.IdempotencyKey)
}

// PutProduct handles PUT /api/v1/products/{id}.
func (g *Gateway) PutProduct(c *echo.Context, id api.ID, params api.PutProductParams) error {
	condition, err := parseIfMatch(params.IfMatch)
	if err != nil {
		return err
	}
	condition.Absent = params.IfNoneMatch == "*" // the contract allows no other value
	data, err := g.readProductData(c)
	if err != nil {
		return err
	}
	return g.write(c, catalog.Command{
		ID: commandID(c, params.IdempotencyKey), Product: catalog.ID(id), If: condition, Op: catalog.PutProduct{Data: data},
	}, params.Prefer, params.IdempotencyKey)
}

// PatchProduct handles PATCH /api/v1/products/{id}.
func (g *Gateway) PatchProduct(c *echo.Context, id api.ID, params api.PatchProductParams) error {
	condition, err := parseIfMatch(params.IfMatch)
	if err != nil {
		return err
	}
	body, err := g.readBody(c, "application/merge-patch+json", "application/json")
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

// DeleteProduct handles DELETE /api/v1/products/{id}.
func (g *Gateway) DeleteProduct(c *echo.Context, id api.ID, params api.DeleteProductParams) error {
	condition, err := parseIfMatch(params.IfMatch)
	if err != nil {
		return err
	}
	return g.write(c, catalog.Command{
		ID: commandID(c, params.IdempotencyKey), Product: catalog.ID(id), If: condition, Op: catalog.DeleteProduct{},
	}, params.Prefer, params.IdempotencyKey)
}

// write sends the command, waits for its event and writes the response.
func (g *Gateway) write(c *echo.Context, cmd catalog.Command, prefer, key string) error {
	wait := parsePrefer(prefer)
	if err := checkKey(key); err != nil {
		return err
	}
	ctx := c.Request().Context()
	release, err := g.shares.writes.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	cmd.AcceptedAt = wire.TruncateTime(g.now())
	cmd.Trace = telemetry.Traceparent(ctx)
	if span := trace.SpanFromContext(ctx); span.IsRecording() {
		span.SetAttributes(attribute.String("catalog.command", cmd.ID.String()), attribute.String("catalog.product", cmd.Product.String()))
	}
	c.Response().Header().Set("Command-Id", cmd.ID.String())
	// Every event published from here on reaches the channel, so a command that was
	// settled earlier is in the journal by the time of the look-up.
	event, remove := g.pending.add(cmd.ID, true)
	defer remove()
	fingerprint := cmd.Fingerprint()
	e, settled, err := g.submit(ctx, cmd, key != "")
	bodyOf(c).release() // the gateway no longer holds the data of the command
	cmd.Op = nil
	if err == nil && !settled {
		e, err = g.waitFor(ctx, event, wait)
	}
	if err == nil {
		err = checkFingerprint(e, fingerprint)
	}
	switch {
	case errors.Is(err, errPending):
		c.Response().Header().Set("Location", "/api/v1/commands/"+cmd.ID.String())
		writeJSON(c, http.StatusAccepted, "application/json", api.Receipt{
			CommandId: uuid.UUID(cmd.ID), ProductId: uuid.UUID(cmd.Product), Status: api.ReceiptStatusPending,
			AcceptedAt: cmd.AcceptedAt, TraceId: wire.TraceID(cmd.Trace),
		})
		return nil
	case errors.Is(err, catalog.ErrOutcomeUnknown):
		if key == "" {
			key = commandKeyPrefix + cmd.ID.String()
		}
		return asProblem(err).withCommand(cmd.ID, key)
	case err != nil:
		return err
	}
	c.Response().Header().Set("Catalog-Position", e.Position.String())
	switch e.Outcome {
	case catalog.Refused:
		return refused(e.Refusal).withCommand(cmd.ID, "")
	case catalog.Deleted:
		return c.NoContent(http.StatusNoContent)
	}
	c.Response().Header().Set("ETag", etag(e.Product.Version))
	if e.Product.Name == "" { // the gateway has no room for the product; the client can read it
		c.Response().Header().Set("Location", "/api/v1/commands/"+cmd.ID.String())
		writeJSON(c, http.StatusAccepted, "application/json", receiptToJSON(e))
		return nil
	}
	code := http.StatusOK
	if e.Outcome == catalog.Created {
		code = http.StatusCreated
		c.Response().Header().Set("Location", "/api/v1/products/"+e.Product.ID.String())
	}
	writeJSON(c, code, "application/json", wire.ProductToJSON(e.Product, g.prior))
	return nil
}

// errPending is returned for a command that the log has stored and that is not
// settled yet.
var errPending = errors.New("the command is accepted and not settled yet")

// submit sends the command. A command that may be a repeat is first looked up in the
// journal; if it is settled, submit returns its event and sends nothing.
func (g *Gateway) submit(ctx context.Context, cmd catalog.Command, repeated bool) (e catalog.Event, settled bool, err error) {
	if err := g.events.waitReady(ctx); err != nil {
		return e, false, err
	}
	if repeated {
		e, err := g.receipt(ctx, cmd.ID)
		switch {
		case err == nil:
			return e, true, nil
		case rpc.CodeOf(err) != catalog.CodeNotFound:
			// The writer does not respond. Sending is safe all the same: a command is
			// settled once, however often it is sent.
			g.logger.WarnContext(ctx, "receipt not read before a command is sent", "command", cmd.ID.String(), "err", err)
		}
	}
	if err := g.send(ctx, cmd); err != nil {
		return e, false, err
	}
	failpoint.Here(failpoint.GatewaySent)
	return e, false, nil
}

// waitFor returns the event of a command that was sent, or errPending when the command
// is not settled within wait.
func (g *Gateway) waitFor(ctx context.Context, event <-chan catalog.Event, wait time.Duration) (catalog.Event, error) {
	e, ok := g.waitForEvent(ctx, event, wait)
	if !ok {
		return e, errPending
	}
	failpoint.Here(failpoint.GatewaySettled)
	return e, nil
}

// send appends commands to the log, unless the backlog is too old or a disk is almost
// full. It returns ErrOutcomeUnknown when the log may have stored some of the commands; after any
// other error the log has stored none.
func (g *Gateway) send(ctx context.Context, commands ...catalog.Command) error {
	if err := g.room(ctx); err != nil {
		g.metrics.shedDisk.Inc()
		p := problem(catalog.CodeUnavailable, fmt.Sprintf("not accepted: a disk is almost full; retry after %d s", diskRetryAfter))
		p.retryAfter = diskRetryAfter
		return p
	}
	if err := g.backlog.admit(ctx, commands); err != nil {
		g.metrics.shedBacklog.Inc()
		return err
	}
	err := g.logBreaker.Do(ctx, g.log.Writable, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, sendTimeout)
		defer cancel()
		return g.log.SendCommands(ctx, commands...)
	})
	if err != nil {
		g.backlog.cancel(commands)
	}
	return err
}

// checkFingerprint returns a key_reused refusal when e belongs to another command with
// the same id.
func checkFingerprint(e catalog.Event, fingerprint [32]byte) error {
	if e.Fingerprint != fingerprint {
		return &catalog.Refusal{Code: catalog.CodeKeyReused, Reason: "choose another key for another request; command " + e.Command.String() + " has this one"}
	}
	return nil
}

// checkKey returns what is wrong with an Idempotency-Key, or nil.
func checkKey(key string) error {
	if strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return catalog.Invalid("Idempotency-Key", "must have visible ASCII characters only")
	}
	return nil
}

// commandKeyPrefix begins the key with which a request without a key can be
// repeated. The command id follows.
const commandKeyPrefix = "command-"

// commandID returns a new id, or, for a request with a key, an id that depends only on
// method, path and key. The path has its product id in the canonical form, however the
// client has written it.
func commandID(c *echo.Context, key string) catalog.ID {
	if key == "" {
		return newID()
	}
	if id, ok := strings.CutPrefix(key, commandKeyPrefix); ok {
		if id, err := catalog.ParseID(id); err == nil {
			return id
		}
	}
	path := c.Path()
	if id, err := catalog.ParseID(c.Param("id")); err == nil {
		path = strings.Replace(path, ":id", id.String(), 1)
	}
	return catalog.DerivedID("key", c.Request().Method, path, key)
}
