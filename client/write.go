package client

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// Written is the result of a write.
type Written struct {
	Product  catalog.Product // after a deletion, only the ID is set
	Created  bool
	Position catalog.Position
	Command  catalog.ID
}

// Create creates a product with a new id.
func (c *Client) Create(ctx context.Context, d catalog.ProductData) (Written, error) {
	return c.write(ctx, http.MethodPost, "/api/v1/products", nil, wire.ProductDataToJSON(d))
}

// Put creates or replaces a product. With an ifVersion other than 0 it fails with
// catalog.ErrVersion when the product is at another version.
func (c *Client) Put(ctx context.Context, id catalog.ID, d catalog.ProductData, ifVersion int64) (Written, error) {
	return c.write(ctx, http.MethodPut, "/api/v1/products/"+id.String(), ifMatch(ifVersion), wire.ProductDataToJSON(d))
}

// Patch applies a JSON merge patch (RFC 7396) to a product. ifVersion is as for
// Put.
func (c *Client) Patch(ctx context.Context, id catalog.ID, patch json.RawMessage, ifVersion int64) (Written, error) {
	return c.write(ctx, http.MethodPatch, "/api/v1/products/"+id.String(), ifMatch(ifVersion), patch)
}

// Delete deletes a product. ifVersion is as for Put.
func (c *Client) Delete(ctx context.Context, id catalog.ID, ifVersion int64) (Written, error) {
	return c.write(ctx, http.MethodDelete, "/api/v1/products/"+id.String(), ifMatch(ifVersion), nil)
}

// Restore writes the data of an old version as a new version. It also restores a
// deleted product. ifVersion is as for Put.
func (c *Client) Restore(ctx context.Context, id catalog.ID, version, ifVersion int64) (Written, error) {
	return c.write(ctx, http.MethodPost, "/api/v1/products/"+id.String()+"/restore", ifMatch(ifVersion), api.Restore{Version: version})
}

// VoidPrice marks a past price of the last 30 days as a mistake, which
// [catalog.Product.LowestPrior] then does not count. ifVersion is as for Put.
func (c *Client) VoidPrice(ctx context.Context, id catalog.ID, void catalog.VoidPrice, ifVersion int64) (Written, error) {
	body := api.VoidPrice{Price: api.Money{Amount: void.Price.Amount(), Currency: void.Price.Currency}, Reason: void.Reason}
	return c.write(ctx, http.MethodPost, "/api/v1/products/"+id.String()+"/prices/void", ifMatch(ifVersion), body)
}

func ifMatch(version int64) http.Header {
	if version == 0 {
		return http.Header{}
	}
	return http.Header{"If-Match": {`"` + strconv.FormatInt(version, 10) + `"`}}
}

// write sends a write with a new Idempotency-Key and waits until it is settled.
func (c *Client) write(ctx context.Context, method, path string, header http.Header, body any) (Written, error) {
	if header == nil {
		header = http.Header{}
	}
	header.Set("Idempotency-Key", uuid.NewString())
	header.Set("Prefer", "wait=30")
	var w Written
	var p api.Product
	r, err := c.call(ctx, method, path, header, body, &p)
	if err != nil {
		return w, err
	}
	if r.status == http.StatusAccepted {
		return w, fmt.Errorf("the command is accepted, but not settled after 30 s; see %s%s: %w", c.base, r.header.Get("Location"), catalog.ErrOutcomeUnknown)
	}
	w.Created = r.status == http.StatusCreated
	w.Command, _ = catalog.ParseID(r.header.Get("Command-Id"))
	if w.Position, err = catalog.ParsePosition(r.header.Get("Catalog-Position")); err != nil {
		return w, err
	}
	if r.status == http.StatusNoContent {
		w.Product.ID, err = catalog.ParseID(path[strings.LastIndexByte(path, '/')+1:])
	} else {
		w.Product, err = wire.ProductFromJSON(p)
	}
	c.remember(w.Position)
	return w, err
}
