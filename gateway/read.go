package gateway

import (
	"cmp"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// readWait is how long a query may take, a wait for a position included.
const readWait = 3 * time.Second

// GetProduct answers GET /api/v1/products/{id}.
func (g *Gateway) GetProduct(c *echo.Context, id api.ID, params api.GetProductParams) error {
	if params.Version != 0 || params.At != "" {
		return g.oldProduct(c, catalog.ID(id), params)
	}
	at, err := g.positionOf(catalog.ID(id), params.CatalogPosition)
	if err != nil {
		return err
	}
	p, err := g.product(c.Request().Context(), catalog.ID(id), at)
	if err != nil {
		return err
	}
	w, header := c.Response(), c.Response().Header()
	header["Etag"] = p.etag
	if noneMatch(params.IfNoneMatch, p.etag[0]) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	header["Content-Type"], header["Content-Length"] = contentJSON, p.length
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(p.body) // a client that has gone needs no error
	return nil
}

// positionOf is the one of the positions that a read of the product waits for:
// where there are several, that of its shard.
func (g *Gateway) positionOf(product catalog.ID, positions string) (catalog.Position, error) {
	all, err := catalog.ParsePositions(positions)
	switch {
	case err != nil:
		return catalog.Position{}, catalog.Invalid("Catalog-Position", err.Error())
	case len(all) == 0:
		return catalog.Position{}, nil
	case len(all) == 1:
		return all[0], nil
	case g.near.shards.Load() == nil:
		return catalog.Position{}, fmt.Errorf("shards are not known yet: %w", catalog.ErrUnavailable)
	}
	of := catalog.Position{Shard: g.near.shard(product)}
	for _, p := range all {
		if p.Shard == of.Shard {
			of.Seq = max(of.Seq, p.Seq)
		}
	}
	return of, nil
}

// contentJSON is a header, as headers have it.
var contentJSON = []string{"application/json"}

// product answers the product as it was at the position or later: from near, or
// from the reader.
func (g *Gateway) product(ctx context.Context, id catalog.ID, at catalog.Position) (*page, error) {
	now := g.now()
	if p := g.near.page(id, at, now); p != nil {
		return p, nil
	}
	q := g.near.ask(id, now)
	if at.Seq == 0 {
		at.Shard = g.near.shard(id) // of which the answer tells how far it is
	}
	product, as, err := g.together.product(ctx, &catalogv1.GetProductRequest{Id: id[:], Position: wire.PositionToProto(at)})
	if err != nil {
		if status.Code(err) == codes.NotFound {
			g.near.answered(q, nil, 0)
		}
		return nil, err
	}
	p := newPage(product)
	var seq int64 // of another shard it says nothing
	if as.GetShard() == g.near.shard(id) {
		seq = as.GetSeq()
	}
	g.near.answered(q, p, seq)
	return p, nil
}

// noneMatch says whether one of the tags is the one given.
func noneMatch(tags, tag string) bool {
	for t := range strings.SplitSeq(tags, ",") {
		if t = strings.TrimPrefix(strings.TrimSpace(t), "W/"); t == tag || t == "*" {
			return true
		}
	}
	return false
}

// ListProducts answers GET /api/v1/products.
func (g *Gateway) ListProducts(c *echo.Context, params api.ListProductsParams) error {
	at, err := catalog.ParsePositions(params.CatalogPosition)
	if err != nil {
		return catalog.Invalid("Catalog-Position", err.Error())
	}
	q := catalog.Query{
		Text: params.Q, Category: params.Category, Tag: params.Tag, Currency: params.Currency,
		Sort: catalog.Sort(params.Sort), Limit: params.Limit, Cursor: params.Cursor, Facets: params.Facets,
		FacetAttributes: params.Facet, Highlight: params.Highlight,
	}
	if q.Limit == 0 {
		q.Limit = catalog.DefaultLimit
	}
	if q.Attributes, err = attributes(params.Attribute); err != nil {
		return err
	}
	q.MinPrice, q.MaxPrice = price(params.MinPrice), price(params.MaxPrice)
	ctx, cancel := context.WithTimeout(c.Request().Context(), readWait)
	defer cancel()
	r, err := g.reader.SearchProducts(ctx, wire.QueryToProto(q, at...))
	if err != nil {
		return err
	}
	page, err := wire.PageFromProto(r)
	if err != nil {
		return err
	}
	answer(c, http.StatusOK, "application/json", wire.PageToJSON(page))
	return nil
}

// SuggestProducts answers GET /api/v1/suggest.
func (g *Gateway) SuggestProducts(c *echo.Context, params api.SuggestProductsParams) error {
	at, err := catalog.ParsePositions(params.CatalogPosition)
	if err != nil {
		return catalog.Invalid("Catalog-Position", err.Error())
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), readWait)
	defer cancel()
	r, err := g.reader.SuggestProducts(ctx, &catalogv1.SuggestProductsRequest{
		Text: params.Q, Limit: int32(cmp.Or(params.Limit, catalog.DefaultSuggestions)), Positions: wire.PositionsToProto(at),
	})
	if err != nil {
		return err
	}
	s, err := wire.SuggestionsFromProto(r)
	if err != nil {
		return err
	}
	answer(c, http.StatusOK, "application/json", wire.SuggestionsToJSON(s))
	return nil
}

// attributes reads the values of a parameter: key:value.
func attributes(list []string) (map[string]string, error) {
	all := make(map[string]string, len(list))
	for _, a := range list {
		key, value, ok := strings.Cut(a, ":")
		if !ok || key == "" || value == "" {
			return nil, catalog.Invalid("attribute", "must be key:value, such as colour:black")
		}
		if other, ok := all[key]; ok && other != value {
			return nil, catalog.Invalid("attribute", "asks for two values of one key; a product has one")
		}
		all[key] = value
	}
	return all, nil
}

// price reads a parameter that the contract has found to be a price, or empty.
func price(text string) *catalog.Decimal {
	d, err := catalog.ParseDecimal(text)
	if err != nil {
		return nil
	}
	return &d
}

// ListHistory answers GET /api/v1/products/{id}/history.
func (g *Gateway) ListHistory(c *echo.Context, id api.ID, params api.ListHistoryParams) error {
	limit := params.Limit
	if limit == 0 {
		limit = catalog.DefaultLimit
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), callWait)
	defer cancel()
	// One more than asked for: a version is told by what it changed.
	r, err := g.writer.ListHistory(ctx, &catalogv1.ListHistoryRequest{ProductId: id[:], BeforeVersion: params.Before, Limit: int32(limit + 1)})
	if err != nil {
		return err
	}
	events := make([]catalog.Event, 0, len(r.GetEvents()))
	for _, m := range r.GetEvents() {
		e, err := wire.EventFromProto(m)
		if err != nil {
			return err
		}
		events = append(events, e)
	}
	answer(c, http.StatusOK, "application/json", wire.HistoryToJSON(events, len(events) > limit))
	return nil
}

// GetReceipt answers GET /api/v1/commands/{id}.
func (g *Gateway) GetReceipt(c *echo.Context, id api.ID, params api.GetReceiptParams) error {
	settled, forget := g.answers.expect(catalog.ID(id))
	defer forget()
	ctx := c.Request().Context()
	e, err := g.receipt(ctx, catalog.ID(id))
	if err != nil {
		p := asProblem(err)
		if p.Status != http.StatusNotFound {
			return p
		}
		p.Detail = "no command with this id is settled; if it was accepted a moment ago, ask again with ?wait=10"
		var ok bool
		if e, ok = g.settled(ctx, settled, time.Duration(params.Wait)*time.Second); !ok {
			return p
		}
	}
	answer(c, http.StatusOK, "application/json", receiptJSON(e))
	return nil
}

func receiptJSON(e catalog.Event) api.Receipt {
	r := api.Receipt{
		CommandId: uuid.UUID(e.Command), ProductId: uuid.UUID(e.Product.ID), Status: api.ReceiptStatusApplied, Outcome: api.Outcome(e.Outcome),
		Version: e.Product.Version, Position: e.Position.String(),
		AcceptedAt: e.AcceptedAt, SettledAt: e.SettledAt, TraceId: wire.TraceID(e.Trace),
	}
	if e.Outcome == catalog.Refused {
		r.Status, r.Problem = api.ReceiptStatusRefused, refused(e.Refusal).Problem
	}
	return r
}
