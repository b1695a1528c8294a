package gateway

import (
	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// VoidPrice handles POST /api/v1/products/{id}/prices/void.
func (g *Gateway) VoidPrice(c *echo.Context, id api.ID, params api.VoidPriceParams) error {
	condition, err := parseIfMatch(params.IfMatch)
	if err != nil {
		return err
	}
	body, err := g.readBody(c, "application/json")
	if err != nil {
		return err
	}
	op, err := wire.ParseVoidPrice(body)
	if err != nil {
		return err
	}
	return g.write(c, catalog.Command{
		ID: commandID(c, params.IdempotencyKey), Product: catalog.ID(id), If: condition, Op: op,
	}, params.Prefer, params.IdempotencyKey)
}
