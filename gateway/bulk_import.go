package gateway

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/telemetry"
	"catalog/internal/wire"
)

// importRow is a line of an import.
type importRow struct {
	line    int64
	id      catalog.ID // of the product; zero until identify has run
	patch   catalog.Patch
	command catalog.Command
	event   catalog.Event
	problem *problemError // the reason of a refusal
	pending bool          // accepted, and not settled in time
}

// ImportProducts handles POST /api/v1/imports. It reads a window of rows, settles
// them and sends their results before it reads the next window, so an import
// stops within one window when the client disconnects.
func (g *Gateway) ImportProducts(c *echo.Context) error {
	if err := checkContentType(c, "application/x-ndjson"); err != nil {
		return err
	}
	release, err := acquireSlot(g.importSlots, g.metrics.shedImports)
	if err != nil {
		return err
	}
	defer release()
	ctx := c.Request().Context()
	if err := g.events.waitReady(ctx); err != nil {
		return err
	}
	// The response begins before the request ends. A connection that does not
	// support this (HTTP/1.0) works for small bodies, which net/http reads first.
	_ = http.NewResponseController(c.Response()).EnableFullDuplex()
	lines := bufio.NewReaderSize(http.MaxBytesReader(c.Response(), c.Request().Body, maxImportBody), 64<<10)
	out := json.NewEncoder(c.Response())
	out.SetEscapeHTML(false)
	started := false
	for number, done, end := int64(0), int64(0), false; !end; {
		var rows []*importRow
		setReadDeadline(c, windowTimeout)
		rows, number, end, err = readRows(lines, number)
		if err == nil && g.stopping.Err() != nil {
			err = fmt.Errorf("the gateway is shutting down: %w", catalog.ErrUnavailable)
		}
		if err == nil {
			setReadDeadline(c, 0)
			err = g.settleWindow(ctx, rows)
		}
		if err != nil && !started {
			p := *asProblem(err)
			p.Detail = importAdvice(p, 0)
			return &p
		}
		if !started {
			started = true
			c.Response().Header().Set("Content-Type", "application/x-ndjson")
			c.Response().WriteHeader(http.StatusOK)
		}
		if err != nil { // the status has been sent, so the last line has the problem
			p := *asProblem(err)
			p.Detail = importAdvice(p, done)
			g.logger.WarnContext(ctx, "import stopped", "line", number, "err", err)
			return out.Encode(map[string]api.Problem{"problem": p.Problem})
		}
		done = number
		results := make([]api.ImportResult, len(rows))
		for i, r := range rows {
			results[i] = r.result()
			g.metrics.rows.WithLabelValues(string(results[i].Outcome)).Inc()
		}
		for _, r := range results {
			if err := out.Encode(r); err != nil {
				return nil // the client has disconnected
			}
		}
		if err := http.NewResponseController(c.Response()).Flush(); err != nil {
			return nil
		}
	}
	return nil
}

// importAdvice returns the detail of the problem that ends an import after line
// done. The advice for writes would say that nothing has changed, but the rows up
// to that line have their results.
func importAdvice(p problemError, done int64) string {
	detail := p.Detail
	if detail == "" {
		switch p.ErrorCode().Kind().Retry {
		case catalog.RetryLater:
			detail = "the other rows were not accepted; import the file again, which is safe"
		case catalog.RetrySameKey:
			detail = "other rows may have been accepted; import the file again, which is safe"
		}
	}
	if done > 0 {
		detail = strings.TrimSuffix(fmt.Sprintf("the rows up to line %d have their results; %s", done, detail), "; ")
	}
	return detail
}

// readRows reads the next window and reports whether its last line is the last of
// the import. Blank lines are counted and skipped.
func readRows(lines *bufio.Reader, number int64) (rows []*importRow, last int64, end bool, err error) {
	for len(rows) < importWindow && !end {
		line, tooLong, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			end = true
		case err != nil:
			return nil, number, false, bodyError(err)
		}
		if len(line) == 0 && end {
			break
		}
		number++
		r := &importRow{line: number}
		switch {
		case tooLong:
			r.problem = problem(catalog.CodeTooLarge, "a line must not have more than 1 MiB")
		case len(bytes.TrimSpace(line)) == 0:
			continue
		default:
			if r.id, r.patch, err = wire.ParseRow(line); err != nil {
				r.problem = asProblem(err)
			}
		}
		rows = append(rows, r)
	}
	return rows, number, end, nil
}

// readLine reads a line without its line end. It drops the rest of a line that is
// too long, and returns io.EOF with the last line.
func readLine(r *bufio.Reader) (line []byte, tooLong bool, err error) {
	for {
		part, err := r.ReadSlice('\n')
		if len(line)+len(part) > maxBody {
			tooLong = true
		} else {
			line = append(line, part...)
		}
		if !errors.Is(err, bufio.ErrBufferFull) {
			return bytes.TrimRight(line, "\r\n"), tooLong, err
		}
	}
}

// settleWindow settles the valid rows of a window. After an error the import
// cannot continue.
func (g *Gateway) settleWindow(ctx context.Context, rows []*importRow) error {
	var valid []*importRow
	for _, r := range rows {
		if r.problem == nil {
			valid = append(valid, r)
		}
	}
	if err := g.settleRows(ctx, valid); err != nil {
		return err
	}
	// When another client took the SKU of a new product between look-up and
	// settlement, the row belongs to that client's product: look up and send again.
	var again []*importRow
	for _, r := range valid {
		if e := r.event; e.Outcome == catalog.Refused && e.Refusal.Code == catalog.CodeSKUTaken && e.Product.Version == 0 {
			r.id, r.event = catalog.ID{}, catalog.Event{}
			again = append(again, r)
		}
	}
	return g.settleRows(ctx, again)
}

// settleRows identifies the products of the rows, sends their commands and waits
// for their events.
func (g *Gateway) settleRows(ctx context.Context, rows []*importRow) error {
	if len(rows) == 0 {
		return nil
	}
	if err := g.identify(ctx, rows); err != nil {
		return err
	}
	commands := make([]catalog.Command, len(rows))
	waiting := make([]<-chan catalog.Event, len(rows))
	for i, r := range rows {
		r.command = catalog.Command{
			ID: newID(), Product: r.id, Op: catalog.PatchProduct{Patch: r.patch, Create: true},
			AcceptedAt: wire.TruncateTime(g.now()), Trace: telemetry.Traceparent(ctx),
		}
		event, remove := g.pending.add(r.command.ID)
		defer remove()
		commands[i], waiting[i] = r.command, event
	}
	if err := g.send(ctx, commands...); err != nil {
		return err
	}
	timeout, cancel := context.WithTimeout(ctx, importTimeout)
	defer cancel()
	for i, r := range rows {
		select {
		case r.event = <-waiting[i]:
		case <-timeout.Done():
			r.pending = true
		}
	}
	return nil
}

// identify sets the product of each row: by id, else by SKU, else a new product.
func (g *Gateway) identify(ctx context.Context, rows []*importRow) error {
	var skus []string
	for _, r := range rows {
		if r.id == (catalog.ID{}) {
			skus = append(skus, *r.patch.SKU) // ParseRow requires an id or an SKU
		}
	}
	if len(skus) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	found, err := g.writer.FindSKUs(ctx, &catalogv1.FindSKUsRequest{Skus: skus})
	if err != nil {
		return err
	}
	ids := map[string]catalog.ID{}
	for sku, b := range found.GetProducts() {
		if ids[sku], err = wire.IDFromProto(b); err != nil {
			return fmt.Errorf("look up SKU: %w", err)
		}
	}
	for _, r := range rows {
		if r.id != (catalog.ID{}) {
			continue
		}
		id, ok := ids[*r.patch.SKU]
		if !ok { // rows with the same new SKU share one new product
			id = newID()
			ids[*r.patch.SKU] = id
		}
		r.id = id
	}
	return nil
}

// result returns the result line of the row.
func (r *importRow) result() api.ImportResult {
	out := api.ImportResult{Line: r.line, Id: uuid.UUID(r.id)}
	switch {
	case r.problem != nil:
		out.Outcome, out.Problem = api.ImportResultOutcomeRefused, r.problem.Problem
	case r.pending:
		out.Outcome = api.ImportResultOutcomePending
	default:
		out.Outcome, out.Version, out.Position = api.ImportResultOutcome(r.event.Outcome), r.event.Product.Version, r.event.Position.String()
		if r.event.Outcome == catalog.Refused {
			out.Problem = refused(r.event.Refusal).Problem
		}
	}
	return out
}
