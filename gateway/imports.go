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
	"time"

	"github.com/google/uuid"
	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

const (
	maxImport  = 256 << 20        // bytes of a request
	importRows = 500              // settled together
	importWait = 10 * time.Second // for the rows of a window to be settled
	maxImports = 16               // at once
	rowsWait   = time.Minute      // until the rows of a window have arrived
)

// row is a line of an import on its way.
type row struct {
	line    int64
	id      catalog.ID // zero until it is known
	patch   catalog.Patch
	command catalog.Command
	event   catalog.Event
	problem *problemError // why it is refused
	pending bool          // accepted, and not settled in time
}

// ImportProducts answers POST /api/v1/imports. Lines are taken some hundreds at
// a time; each window is answered before the next is read, so that a client
// that leaves stops the import within one.
func (g *Gateway) ImportProducts(c *echo.Context) error {
	if err := checkType(c, "application/x-ndjson"); err != nil {
		return err
	}
	leave, err := enter(g.imports)
	if err != nil {
		return err
	}
	defer leave()
	ctx := c.Request().Context()
	if err := g.answers.await(ctx); err != nil {
		return err
	}
	// Answers begin before the request ends. Where the connection cannot do
	// that (HTTP/1.0), the client's body is read first as far as it is small.
	_ = http.NewResponseController(c.Response()).EnableFullDuplex()
	lines := bufio.NewReaderSize(http.MaxBytesReader(c.Response(), c.Request().Body, maxImport), 64<<10)
	out := json.NewEncoder(c.Response())
	out.SetEscapeHTML(false)
	begun := false
	for number, end := int64(0), false; !end; {
		var rows []*row
		arrive(c, rowsWait)
		rows, number, end, err = readRows(lines, number)
		if err == nil && g.stopping.Err() != nil {
			err = fmt.Errorf("the gateway stops: %w", catalog.ErrUnavailable)
		}
		if err == nil {
			arrive(c, 0)
			err = g.importRows(ctx, rows)
		}
		if err != nil && !begun {
			return err
		}
		if !begun {
			begun = true
			c.Response().Header().Set("Content-Type", "application/x-ndjson")
			c.Response().WriteHeader(http.StatusOK)
		}
		if err != nil { // the status has gone out; the last line says it
			p := asProblem(err)
			g.logger.WarnContext(ctx, "import stopped", "line", number, "err", err)
			return out.Encode(map[string]api.Problem{"problem": p.Problem})
		}
		for _, r := range rows {
			if err := out.Encode(r.result()); err != nil {
				return nil // the client has gone
			}
		}
		if err := http.NewResponseController(c.Response()).Flush(); err != nil {
			return nil
		}
	}
	return nil
}

// readRows reads the next lines, and says whether they were the last. Blank
// lines count, but are no rows.
func readRows(lines *bufio.Reader, number int64) (rows []*row, last int64, end bool, err error) {
	for len(rows) < importRows && !end {
		line, tooLong, err := readLine(lines)
		switch {
		case errors.Is(err, io.EOF):
			end = true
		case err != nil:
			return nil, number, false, arrived(err)
		}
		if len(line) == 0 && end {
			break
		}
		number++
		r := &row{line: number}
		switch {
		case tooLong:
			r.problem = problem(http.StatusRequestEntityTooLarge, api.ProblemCodeTooLarge, "a line must not have more than 1 MiB")
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

// readLine reads a line without its end. Of one that is too long it drops the
// rest. It answers io.EOF with the last one.
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

// importRows has the rows settled. An error means that the import cannot go on.
func (g *Gateway) importRows(ctx context.Context, rows []*row) error {
	var good []*row
	for _, r := range rows {
		if r.problem == nil {
			good = append(good, r)
		}
	}
	if err := g.settleRows(ctx, good); err != nil {
		return err
	}
	// An SKU that was free when it was looked up and taken when it was settled
	// was given away between: the row is about that other product now.
	var again []*row
	for _, r := range good {
		if e := r.event; e.Outcome == catalog.Refused && e.Refusal.Code == catalog.CodeSKUTaken && e.Product.Version == 0 {
			r.id, r.event = catalog.ID{}, catalog.Event{}
			again = append(again, r)
		}
	}
	return g.settleRows(ctx, again)
}

// settleRows finds out what products the rows are about, sends their commands
// and waits until they are settled.
func (g *Gateway) settleRows(ctx context.Context, rows []*row) error {
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
			AcceptedAt: wire.TruncateTime(g.now()), Trace: traceparent(ctx),
		}
		settled, forget := g.answers.expect(r.command.ID)
		defer forget()
		commands[i], waiting[i] = r.command, settled
	}
	if err := g.send(ctx, commands...); err != nil {
		return err
	}
	timeout, cancel := context.WithTimeout(ctx, importWait)
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

// identify gives each row its product: by id, else by SKU, else a new one.
func (g *Gateway) identify(ctx context.Context, rows []*row) error {
	var skus []string
	for _, r := range rows {
		if r.id == (catalog.ID{}) {
			skus = append(skus, *r.patch.SKU) // ParseRow has seen to it that there is one
		}
	}
	if len(skus) == 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, callWait)
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
		if !ok { // two rows with one new SKU are about one new product
			id = newID()
			ids[*r.patch.SKU] = id
		}
		r.id = id
	}
	return nil
}

// result is the line that answers the row.
func (r *row) result() api.ImportResult {
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
