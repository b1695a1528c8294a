package client

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// Product returns a product, or catalog.ErrNotFound.
func (c *Client) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	var p api.Product
	if _, err := c.call(ctx, http.MethodGet, "/api/v1/products/"+id.String(), c.positions(), nil, &p); err != nil {
		return catalog.Product{}, err
	}
	return wire.ProductFromJSON(p)
}

// ProductVersion returns an old version of a product.
func (c *Client) ProductVersion(ctx context.Context, id catalog.ID, version int64) (catalog.Product, error) {
	return c.oldProduct(ctx, id, "version", strconv.FormatInt(version, 10))
}

// ProductAt returns a product as it was at a time.
func (c *Client) ProductAt(ctx context.Context, id catalog.ID, at time.Time) (catalog.Product, error) {
	return c.oldProduct(ctx, id, "at", at.UTC().Format(time.RFC3339Nano))
}

func (c *Client) oldProduct(ctx context.Context, id catalog.ID, name, value string) (catalog.Product, error) {
	var p api.Product
	if _, err := c.call(ctx, http.MethodGet, "/api/v1/products/"+id.String()+"?"+name+"="+value, http.Header{}, nil, &p); err != nil {
		return catalog.Product{}, err
	}
	return wire.ProductFromJSON(p)
}

// Search returns a page of the products that match.
func (c *Client) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("q", q.Text)
	set("category", q.Category)
	set("brand", q.Brand)
	set("gtin", q.GTIN)
	set("tag", q.Tag)
	set("currency", q.Currency)
	set("sort", string(q.Sort))
	set("cursor", q.Cursor)
	for key, value := range q.Attributes {
		values.Add("attribute", key+":"+value)
	}
	if q.MinPrice != nil {
		set("minPrice", q.MinPrice.String())
	}
	if q.MaxPrice != nil {
		set("maxPrice", q.MaxPrice.String())
	}
	if q.Limit > 0 {
		set("limit", strconv.Itoa(q.Limit))
	}
	set("facets", strings.Join(q.Facets, ","))
	values["facet"] = q.FacetAttributes
	if q.Highlight {
		set("highlight", "true")
	}
	var m api.Page
	if _, err := c.call(ctx, http.MethodGet, "/api/v1/products?"+values.Encode(), c.positions(), nil, &m); err != nil {
		return catalog.Page{}, err
	}
	return wire.PageFromJSON(m)
}

// Suggest returns completions of a search text, at most limit of each kind.
func (c *Client) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	values := url.Values{"q": {text}, "limit": {strconv.Itoa(limit)}}
	var m api.Suggestions
	if _, err := c.call(ctx, http.MethodGet, "/api/v1/suggest?"+values.Encode(), c.positions(), nil, &m); err != nil {
		return catalog.Suggestions{}, err
	}
	return wire.SuggestionsFromJSON(m)
}

// History returns all versions of a product, newest first.
func (c *Client) History(ctx context.Context, id catalog.ID) ([]api.Version, error) {
	var all []api.Version
	for before := int64(0); ; {
		path := "/api/v1/products/" + id.String() + "/history?limit=100"
		if before > 0 {
			path += "&before=" + strconv.FormatInt(before, 10)
		}
		var h api.History
		if _, err := c.call(ctx, http.MethodGet, path, nil, nil, &h); err != nil {
			return nil, err
		}
		all = append(all, h.Items...)
		if before = h.NextBefore; before == 0 {
			return all, nil
		}
	}
}
