package gateway

import (
	"cmp"
	"context"
	"net/http"
	"strings"

	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// ListProducts handles GET /api/v1/products.
func (g *Gateway) ListProducts(c *echo.Context, params api.ListProductsParams) error {
	at, err := catalog.ParsePositions(params.CatalogPosition)
	if err != nil {
		return catalog.Invalid("Catalog-Position", err.Error())
	}
	q := catalog.Query{
		Text: params.Q, Category: params.Category, Brand: params.Brand, GTIN: params.Gtin, Tag: params.Tag, Currency: params.Currency,
		Sort: catalog.Sort(params.Sort), Limit: cmp.Or(params.Limit, catalog.DefaultLimit), Cursor: params.Cursor, Facets: params.Facets,
		FacetAttributes: params.Facet, Highlight: params.Highlight,
	}
	if q.GTIN != "" {
		if reason := catalog.FieldByName("gtin").Check(q.GTIN); reason != "" {
			return catalog.Invalid("gtin", reason)
		}
	}
	if q.Attributes, err = parseAttributes(params.Attribute); err != nil {
		return err
	}
	q.MinPrice, q.MaxPrice = parsePrice(params.MinPrice), parsePrice(params.MaxPrice)
	ctx, cancel := context.WithTimeout(c.Request().Context(), readTimeout)
	defer cancel()
	r, err := g.reader.SearchProducts(ctx, wire.QueryToProto(q, at...))
	if err != nil {
		return err
	}
	page, err := wire.PageFromProto(r)
	if err != nil {
		return err
	}
	writeJSON(c, http.StatusOK, "application/json", wire.PageToJSON(page))
	return nil
}

// SuggestProducts handles GET /api/v1/suggest.
func (g *Gateway) SuggestProducts(c *echo.Context, params api.SuggestProductsParams) error {
	at, err := catalog.ParsePositions(params.CatalogPosition)
	if err != nil {
		return catalog.Invalid("Catalog-Position", err.Error())
	}
	ctx, cancel := context.WithTimeout(c.Request().Context(), readTimeout)
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
	writeJSON(c, http.StatusOK, "application/json", wire.SuggestionsToJSON(s))
	return nil
}

// parseAttributes parses the values key:value of the parameter attribute.
func parseAttributes(list []string) (map[string]string, error) {
	all := make(map[string]string, len(list))
	for _, a := range list {
		key, value, ok := strings.Cut(a, ":")
		if !ok || key == "" || value == "" {
			return nil, catalog.Invalid("attribute", "must be key:value, such as colour:black")
		}
		if other, ok := all[key]; ok && other != value {
			return nil, catalog.Invalid("attribute", "has two values for one key; a product has one")
		}
		all[key] = value
	}
	return all, nil
}

// parsePrice parses a price that the contract's pattern has accepted. It returns
// nil for "".
func parsePrice(text string) *catalog.Decimal {
	d, err := catalog.ParseDecimal(text)
	if err != nil {
		return nil
	}
	return &d
}
