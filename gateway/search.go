package gateway

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/labstack/echo/v5"
	"google.golang.org/protobuf/proto"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// ListProducts handles GET /api/v1/products.
func (g *Gateway) ListProducts(c *echo.Context, params api.ListProductsParams) error {
	at, err := g.parsePositions(params.CatalogPosition)
	if err != nil {
		return err
	}
	q := catalog.Query{
		Text: params.Q, Category: params.Category, Brand: params.Brand, GTIN: params.Gtin, Tag: params.Tag, Currency: params.Currency,
		Sort: catalog.Sort(params.Sort), Limit: cmp.Or(params.Limit, catalog.DefaultLimit), Cursor: params.Cursor, Facets: parseFacets(params.Facets),
		FacetAttributes: params.Facet, Highlight: params.Highlight,
	}
	for name, filter := range map[string]*string{"category": &q.Category, "brand": &q.Brand, "gtin": &q.GTIN, "tags": &q.Tag} {
		*filter = wire.NormalizeText(catalog.FieldByName(name), *filter)
	}
	for i, name := range q.FacetAttributes {
		q.FacetAttributes[i] = wire.NormalizeText(catalog.FieldByName("attributes"), name)
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
	return g.respond(c, g.shareFor(g.shares.lists, at...), readTimeout, func(ctx context.Context) (proto.Message, error) {
		return g.reader.SearchProducts(ctx, wire.QueryToProto(q, at...))
	}, func(m proto.Message) (any, error) {
		page, err := wire.PageFromProto(m.(*catalogv1.SearchProductsResponse))
		return wire.PageToJSON(page, g.prior), err
	})
}

// SuggestProducts handles GET /api/v1/suggest.
func (g *Gateway) SuggestProducts(c *echo.Context, params api.SuggestProductsParams) error {
	at, err := g.parsePositions(params.CatalogPosition)
	if err != nil {
		return err
	}
	request := &catalogv1.SuggestProductsRequest{
		Text: params.Q, Limit: int32(cmp.Or(params.Limit, catalog.DefaultSuggestions)), Positions: wire.PositionsToProto(at),
	}
	return g.respond(c, g.shareFor(g.shares.suggest, at...), readTimeout, func(ctx context.Context) (proto.Message, error) {
		return g.reader.SuggestProducts(ctx, request)
	}, func(m proto.Message) (any, error) {
		s, err := wire.SuggestionsFromProto(m.(*catalogv1.SuggestProductsResponse))
		return wire.SuggestionsToJSON(s, g.prior), err
	})
}

// parseAttributes parses the values key:value of the parameter attribute.
func parseAttributes(list []string) (map[string]string, error) {
	all := make(map[string]string, len(list))
	for _, a := range list {
		key, value, ok := strings.Cut(a, ":")
		if !ok || key == "" || value == "" {
			return nil, catalog.Invalid("attribute", patternHelp["attribute"])
		}
		key, value = wire.NormalizeText(catalog.FieldByName("attributes"), key), wire.NormalizeText(catalog.FieldByName("description"), value)
		if other, ok := all[key]; ok && other != value {
			return nil, catalog.Invalid("attribute", "has two values for one key; a product has one")
		}
		all[key] = value
	}
	return all, nil
}

// parseFacets parses the fields of the parameter facets, which the contract's pattern has
// accepted. A field that is given twice counts once.
func parseFacets(text string) (fields []string) {
	switch text {
	case "", "false":
		return nil
	case "true":
		return catalog.FacetFields()
	}
	for field := range strings.SplitSeq(text, ",") {
		if !slices.Contains(fields, field) {
			fields = append(fields, field)
		}
	}
	return fields
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
