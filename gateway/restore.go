package gateway

import (
	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// RestoreProduct handles POST /api/v1/products/{id}/restore. It sends a
// PutProduct command with the data of the old version, so a repeated request has
// the same fingerprint. The version may be older than the form of stored texts.
func (g *Gateway) RestoreProduct(c *echo.Context, id api.ID, params api.RestoreProductParams) error {
	condition, err := parseIfMatch(params.IfMatch)
	if err != nil {
		return err
	}
	body, err := g.readBody(c, "application/json")
	if err != nil {
		return err
	}
	version, err := wire.ParseRestore(body)
	if err != nil {
		return err
	}
	e, err := g.eventOfVersion(c.Request().Context(), catalog.ID(id), version)
	if err != nil {
		return err
	}
	if !e.Product.Exists() {
		return catalog.Invalid("version", "is a deletion; choose an earlier version")
	}
	return g.write(c, catalog.Command{
		ID: commandID(c, params.IdempotencyKey), Product: catalog.ID(id), If: condition, Op: catalog.PutProduct{Data: wire.NormalizeData(e.Product.ProductData)},
	}, params.Prefer, params.IdempotencyKey)
}
