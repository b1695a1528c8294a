package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// oldProduct answers GET /api/v1/products/{id} with a version or a time.
func (g *Gateway) oldProduct(c *echo.Context, id catalog.ID, params api.GetProductParams) error {
	var (
		e   catalog.Event
		err error
		ctx = c.Request().Context()
	)
	switch {
	case params.Version != 0 && params.At != "":
		return catalog.Invalid("at", "cannot be given together with version")
	case params.Version != 0:
		e, err = g.version(ctx, id, params.Version)
	default:
		at, parseErr := time.Parse(time.RFC3339, params.At)
		if parseErr != nil {
			return catalog.Invalid("at", "must be a time of RFC 3339 such as 2026-03-01T09:30:00Z; write a plus sign as %2B")
		}
		e, err = g.versionAt(ctx, id, at)
	}
	if err != nil {
		return err
	}
	if !e.Product.Exists() {
		return problem(http.StatusNotFound, api.ProblemCodeNotFound, "the product was deleted then")
	}
	tag := etag(e.Product.Version)
	c.Response().Header().Set("ETag", tag)
	if noneMatch(params.IfNoneMatch, tag) {
		return c.NoContent(http.StatusNotModified)
	}
	answer(c, http.StatusOK, "application/json", wire.ProductToJSON(e.Product))
	return nil
}

// version answers the event that made the version of the product.
func (g *Gateway) version(ctx context.Context, id catalog.ID, version int64) (catalog.Event, error) {
	e, ok, err := g.lastVersion(ctx, id, version+1)
	if err == nil && (!ok || e.Product.Version != version) {
		err = problem(http.StatusNotFound, api.ProblemCodeNotFound, "the product has no such version")
	}
	return e, err
}

// versionAt answers the event that made the version which the product had at the
// time. Versions never go back in time, so half of them are ruled out at once.
func (g *Gateway) versionAt(ctx context.Context, id catalog.ID, at time.Time) (catalog.Event, error) {
	e, ok, err := g.lastVersion(ctx, id, 0)
	if err != nil {
		return e, err
	}
	if ok && !e.Product.UpdatedAt.After(at) {
		return e, nil
	}
	var found catalog.Event
	for low, high := int64(1), e.Product.Version; low < high; {
		middle := (low + high) / 2
		if e, err = g.version(ctx, id, middle); err != nil {
			return e, err
		}
		if e.Product.UpdatedAt.After(at) {
			high = middle
		} else {
			found, low = e, middle+1
		}
	}
	if found.Product.Version == 0 {
		return found, problem(http.StatusNotFound, api.ProblemCodeNotFound, "there was no such product then")
	}
	return found, nil
}

// lastVersion answers the event that made the last version of the product below
// the one given; 0 is the very last. ok is false when there is none.
func (g *Gateway) lastVersion(ctx context.Context, id catalog.ID, before int64) (e catalog.Event, ok bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, callWait)
	defer cancel()
	r, err := g.writer.ListHistory(ctx, &catalogv1.ListHistoryRequest{ProductId: id[:], BeforeVersion: before, Limit: 1})
	if err != nil || len(r.GetEvents()) == 0 {
		return catalog.Event{}, false, err
	}
	e, err = wire.EventFromProto(r.GetEvents()[0])
	return e, true, err
}

// RestoreProduct answers POST /api/v1/products/{id}/restore. What is restored
// is what the old version said, so it is a Put like any other, with the same
// fingerprint however often it is sent.
func (g *Gateway) RestoreProduct(c *echo.Context, id api.ID, params api.RestoreProductParams) error {
	condition, err := ifMatch(params.IfMatch)
	if err != nil {
		return err
	}
	body, err := readBody(c, "application/json")
	if err != nil {
		return err
	}
	version, err := wire.ParseRestore(body)
	if err != nil {
		return err
	}
	e, err := g.version(c.Request().Context(), catalog.ID(id), version)
	if err != nil {
		return err
	}
	if !e.Product.Exists() {
		return catalog.Invalid("version", "is a deletion; choose a version before it")
	}
	return g.write(c, catalog.Command{
		ID: commandID(c, params.IdempotencyKey), Product: catalog.ID(id), If: condition, Op: catalog.PutProduct{Data: e.Product.ProductData},
	}, params.Prefer, params.IdempotencyKey)
}
