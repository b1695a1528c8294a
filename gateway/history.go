package gateway

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/labstack/echo/v5"
	"google.golang.org/protobuf/proto"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// ListHistory handles GET /api/v1/products/{id}/history.
func (g *Gateway) ListHistory(c *echo.Context, id api.ID, params api.ListHistoryParams) error {
	limit := params.Limit
	if limit == 0 {
		limit = catalog.DefaultLimit
	}
	// One more than requested: the oldest version of the page is compared with the
	// version before it.
	request := &catalogv1.ListHistoryRequest{ProductId: id[:], BeforeVersion: params.Before, Limit: int32(limit + 1)}
	return g.respond(c, g.shares.history, callTimeout, func(ctx context.Context) (proto.Message, error) {
		return g.writer.ListHistory(ctx, request)
	}, func(m proto.Message) (any, error) {
		r := m.(*catalogv1.ListHistoryResponse)
		events := make([]catalog.Event, 0, len(r.GetEvents()))
		for _, m := range r.GetEvents() {
			e, err := wire.EventFromProto(m)
			if err != nil {
				return nil, err
			}
			events = append(events, e)
		}
		// A page of large versions has fewer than requested, and its last one is compared, too.
		return wire.HistoryToJSON(events, r.GetMore() || len(events) > limit), nil
	})
}

// getOldProduct handles GET /api/v1/products/{id} with a version or a time.
func (g *Gateway) getOldProduct(c *echo.Context, id catalog.ID, params api.GetProductParams) error {
	var (
		e   catalog.Event
		err error
		ctx = c.Request().Context()
	)
	switch {
	case params.Version != 0 && params.At != "":
		return catalog.Invalid("at", "cannot be given together with version")
	case params.Version != 0:
		e, err = g.eventOfVersion(ctx, id, params.Version)
	default:
		at, parseErr := time.Parse(time.RFC3339, strings.ToUpper(params.At)) // RFC 3339 allows t and z
		if parseErr != nil {
			return catalog.Invalid("at", "must be a time of RFC 3339 such as 2026-03-01T09:30:00Z; write a plus sign as %2B")
		}
		e, err = g.eventAt(ctx, id, at)
	}
	if err != nil {
		return err
	}
	if !e.Product.Exists() {
		return problem(catalog.CodeNotFound, "the product was deleted then")
	}
	c.Response().Header().Set("ETag", etag(e.Product.Version))
	if matchesETag(params.IfNoneMatch, e.Product.Version) {
		return c.NoContent(http.StatusNotModified)
	}
	writeJSON(c, http.StatusOK, "application/json", wire.ProductToJSON(e.Product, g.prior))
	return nil
}

// eventOfVersion returns the event that made the version of the product.
func (g *Gateway) eventOfVersion(ctx context.Context, id catalog.ID, version int64) (catalog.Event, error) {
	e, ok, err := g.lastEvent(ctx, id, version+1)
	switch {
	case err != nil:
		return e, err
	case !ok: // the current version is never missing, so this is an older one
		return e, fmt.Errorf("version %d of product %s: %w", version, id, catalog.ErrArchived)
	case e.Product.Version != version:
		return e, problem(catalog.CodeNotFound, "the product has no such version")
	}
	return e, nil
}

// eventAt returns the event that made the version which the product had at the
// time. Later versions have later times, so it searches them by bisection.
func (g *Gateway) eventAt(ctx context.Context, id catalog.ID, at time.Time) (catalog.Event, error) {
	e, ok, err := g.lastEvent(ctx, id, 0)
	if err != nil {
		return e, err
	}
	if ok && !e.Product.UpdatedAt.After(at) {
		return e, nil
	}
	var found catalog.Event
	var archived error
	for low, high := int64(1), e.Product.Version; low < high; {
		middle := (low + high) / 2
		switch e, err = g.eventOfVersion(ctx, id, middle); {
		case errors.Is(err, catalog.ErrArchived): // a later version may be the right one
			archived, low = err, middle+1
		case err != nil:
			return e, err
		case e.Product.UpdatedAt.After(at):
			high = middle
		default:
			found, low = e, middle+1
		}
	}
	switch {
	case found.Product.Version != 0:
		return found, nil
	case archived != nil:
		return found, archived
	}
	return found, problem(catalog.CodeNotFound, "the product did not exist then")
}

// lastEvent returns the event that made the last version of the product below
// before; 0 means the very last version. ok is false when there is no such
// version.
func (g *Gateway) lastEvent(ctx context.Context, id catalog.ID, before int64) (e catalog.Event, ok bool, err error) {
	var r *catalogv1.ListHistoryResponse
	err = g.shares.history.do(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		r, err = g.writer.ListHistory(ctx, &catalogv1.ListHistoryRequest{ProductId: id[:], BeforeVersion: before, Limit: 1})
		return err
	})
	if err != nil || len(r.GetEvents()) == 0 {
		return catalog.Event{}, false, err
	}
	e, err = wire.EventFromProto(r.GetEvents()[0])
	return e, true, err
}
