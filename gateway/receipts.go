package gateway

import (
	"context"
	"net/http"
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// GetReceipt handles GET /api/v1/commands/{id}.
func (g *Gateway) GetReceipt(c *echo.Context, id api.ID, params api.GetReceiptParams) error {
	event, remove := g.pending.add(catalog.ID(id), false)
	defer remove()
	ctx := c.Request().Context()
	e, err := g.receipt(ctx, catalog.ID(id))
	if err != nil {
		p := asProblem(err)
		if p.ErrorCode() != catalog.CodeNotFound {
			return err
		}
		p.Detail = "no command with this id is settled; if it was accepted a moment ago, read the receipt again with ?wait=10"
		var ok bool
		if e, ok = g.waitForEvent(ctx, event, time.Duration(params.Wait)*time.Second); !ok {
			return p
		}
	}
	writeJSON(c, http.StatusOK, "application/json", receiptToJSON(e))
	return nil
}

// receipt returns the event of a command from the journal.
func (g *Gateway) receipt(ctx context.Context, command catalog.ID) (catalog.Event, error) {
	var e catalog.Event
	err := g.shares.receipts.do(ctx, func() error {
		ctx, cancel := context.WithTimeout(ctx, callTimeout)
		defer cancel()
		r, err := g.writer.GetReceipt(ctx, &catalogv1.GetReceiptRequest{CommandId: command[:]})
		if err != nil {
			return err
		}
		e, err = wire.EventFromProto(r.GetEvent())
		return err
	})
	return e, err
}

func receiptToJSON(e catalog.Event) api.Receipt {
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
