package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

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
	skipped string     // kind of a row of a file that is not a product
	notes   []string   // parts of the row of a file that were left out or changed
	id      catalog.ID // id of the product; zero until identify has run
	patch   catalog.Patch
	command catalog.Command
	event   catalog.Event // the event without the data of its product
	problem *problemError // reason of a refusal
	derived bool          // id belongs to the key of the import
	pending bool          // accepted, and not settled in time
}

// ImportProducts handles POST /api/v1/imports. It settles a window of rows and sends
// their results before it takes the next window, so an import stops within one window
// when the client disconnects. Only a window that is being settled has a slot: an import
// whose client sends slowly keeps no other import from its turn.
func (g *Gateway) ImportProducts(c *echo.Context, params api.ImportProductsParams) error {
	if err := checkKey(params.IdempotencyKey); err != nil {
		return err
	}
	format, err := importFormat(c, params)
	if err != nil {
		return err
	}
	gzipped, err := checkContentEncoding(c)
	if err != nil {
		return err
	}
	ctx := c.Request().Context()
	release, err := g.shares.open.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	if err := g.events.waitReady(ctx); err != nil {
		return err
	}
	run := &importRun{g: g, key: params.IdempotencyKey, lines: g.readLines(ctx, bodyOf(c), http.MaxBytesReader(c.Response(), c.Request().Body, maxImportBody), gzipped, format)}
	defer run.lines.stop()
	out, control := json.NewEncoder(c.Response()), http.NewResponseController(c.Response())
	out.SetEscapeHTML(false)
	started := false
	for end := false; !end; {
		done := run.number
		var rows []*importRow
		rows, end, err = run.settleNext(ctx)
		if err != nil && ctx.Err() != nil { // net/http cancels the request when its body is late
			err = bodyError(ctx.Err())
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
		_ = control.SetWriteDeadline(time.Now().Add(streamWriteTimeout)) // test recorders have no deadlines
		if err != nil {                                                  // the status has been sent, so the last line has the problem
			p := *asProblem(err)
			p.Detail = importAdvice(p, done)
			g.logger.InfoContext(ctx, "import stopped", "line", run.number, "err", err)
			return out.Encode(map[string]api.Problem{"problem": p.Problem})
		}
		for _, r := range rows {
			result := r.result()
			g.metrics.rows.WithLabelValues(string(result.Outcome)).Inc()
			if err := out.Encode(result); err != nil {
				return nil // the client has disconnected
			}
		}
		if err := control.Flush(); err != nil {
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

// importRun is an import in progress.
type importRun struct {
	g       *Gateway
	key     string // Idempotency-Key; "" for none
	lines   *lineReader
	number  int64       // number of the last line that is in a window
	kept    *importLine // the first line of the next window; nil for none
	failed  error       // ends the import after the present window
	refused int         // rows refused one after the other
}

// settleNext reads and settles the next window. It reports whether the window is the
// last one.
func (i *importRun) settleNext(ctx context.Context) ([]*importRow, bool, error) {
	lines, held, end, err := i.window(ctx)
	var rows []*importRow
	defer func() {
		i.g.rows.Release(held)
		for _, l := range lines {
			i.g.longRows.Release(l.held)
		}
		for _, r := range rows {
			r.patch, r.command = catalog.Patch{}, catalog.Command{}
		}
	}()
	if err != nil {
		return nil, false, err
	}
	if err := i.g.shares.imports.do(ctx, func() error {
		for _, l := range lines { // lines are parsed while the slot is held, since parsing costs CPU
			rows = append(rows, newImportRow(l))
			l.text = nil
		}
		return i.g.settleWindow(ctx, i.key, rows)
	}); err != nil {
		return nil, false, err
	}
	for _, r := range rows {
		if i.refused++; r.valid() && r.event.Outcome != catalog.Refused {
			i.refused = 0
		}
	}
	if i.refused >= maxRefusedRows {
		i.failed = catalog.Invalid("rows", fmt.Sprintf("are all refused, the last %d of them; correct the file", i.refused))
	}
	return rows, end && i.failed == nil, nil
}

// window returns the lines of the next rows: as many as fit into a window and have arrived
// within windowPause of the first one. held are their bytes of the rows share.
func (i *importRun) window(ctx context.Context) (lines []*importLine, held int64, end bool, err error) {
	if i.failed != nil {
		return nil, 0, false, i.failed
	}
	var pause <-chan time.Time
	for size := 0; len(lines) < importWindow && size < windowBytes; {
		l := i.kept
		i.kept = nil
		if l == nil {
			select {
			case l = <-i.lines.lines:
			case <-pause:
				return lines, held, false, nil
			case <-i.g.stopping.Done():
				return lines, held, false, fmt.Errorf("the gateway is shutting down: %w", catalog.ErrUnavailable)
			case <-ctx.Done():
				return lines, held, false, ctx.Err()
			}
		}
		switch {
		case errors.Is(l.err, io.EOF):
			return lines, held, true, nil
		case l.err != nil && len(lines) == 0:
			return nil, held, false, l.err
		case l.err != nil: // the rows before are settled first
			i.failed = l.err
			return lines, held, false, nil
		}
		if l.held == 0 {
			n := int64(len(l.text))
			if !i.g.rows.TryAcquire(n) {
				if len(lines) > 0 {
					i.kept = l
					return lines, held, false, nil
				}
				if err := i.g.rows.Acquire(ctx, n); err != nil {
					return nil, held, false, err
				}
			}
			held += n
		}
		size += len(l.text)
		i.number = l.number
		lines = append(lines, l)
		if pause == nil {
			pause = time.After(windowPause)
		}
	}
	return lines, held, false, nil
}

func newImportRow(l *importLine) *importRow {
	r := &importRow{line: l.number, skipped: l.skipped, notes: l.notes}
	err := l.refused
	switch {
	case l.tooLong:
		err = problem(catalog.CodeTooLarge, "a line must not have more than 1 MiB")
	case err == nil && r.skipped == "":
		r.id, r.patch, err = wire.ParseRow(l.text)
	}
	if err != nil {
		r.problem = asProblem(err)
	}
	return r
}

// valid reports whether the row has a command.
func (r *importRow) valid() bool { return r.problem == nil && r.skipped == "" }

// settleWindow settles the valid rows of a window. After an error the import
// cannot continue.
func (g *Gateway) settleWindow(ctx context.Context, key string, rows []*importRow) error {
	var valid []*importRow
	for _, r := range rows {
		if r.valid() {
			valid = append(valid, r)
		}
	}
	if err := g.settleRows(ctx, key, valid); err != nil {
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
	return g.settleRows(ctx, key, again)
}

// settleRows identifies the products of the rows, sends their commands and waits
// for their events.
func (g *Gateway) settleRows(ctx context.Context, key string, rows []*importRow) error {
	if len(rows) == 0 {
		return nil
	}
	if err := g.identify(ctx, key, rows); err != nil {
		return err
	}
	commands := make([]catalog.Command, len(rows))
	waiting := make([]<-chan catalog.Event, len(rows))
	for i, r := range rows {
		r.command = catalog.Command{
			ID: newID(), Product: r.id, Op: catalog.PatchProduct{Patch: r.patch, Create: true},
			AcceptedAt: wire.TruncateTime(g.now()), Trace: telemetry.Traceparent(ctx),
		}
		event, remove := g.pending.add(r.command.ID, false)
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

// identify sets the product of each row: by id, else by SKU, else a new product. With a key,
// the id of a new product depends on key and SKU alone, so that a repeated import finds which
// products it has created.
func (g *Gateway) identify(ctx context.Context, key string, rows []*importRow) error {
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
	ids, created := map[string]catalog.ID{}, map[string]catalog.ID{}
	for sku, b := range found.GetProducts() {
		if ids[sku], err = wire.IDFromProto(b); err != nil {
			return fmt.Errorf("look up SKU: %w", err)
		}
	}
	for _, r := range rows {
		if r.id != (catalog.ID{}) {
			continue
		}
		sku := catalog.SKUKey(*r.patch.SKU)
		var ok bool
		if r.id, ok = ids[*r.patch.SKU]; ok {
			r.derived = key != "" && r.id == productID(key, sku)
			continue
		}
		if r.id, ok = created[sku]; !ok { // rows with the same new SKU share one new product
			r.id, r.derived = productID(key, sku), key != ""
			created[sku] = r.id
		}
	}
	return nil
}

// productID returns the id of a product that an import with a key creates, a new one without
// a key. The time of a key that is a UUID of version 7 makes later ids sort after earlier ones.
func productID(key, sku string) catalog.ID {
	if key == "" {
		return newID()
	}
	id := catalog.DerivedID("import", key, sku)
	if u, err := uuid.Parse(key); err == nil && u.Version() == 7 {
		copy(id[:6], u[:6])
		id[6] = 0x70 | id[6]&0x0F
	}
	return id
}

// result returns the result line of the row.
func (r *importRow) result() api.ImportResult {
	out := api.ImportResult{Line: r.line, Id: uuid.UUID(r.id), Notes: r.notes}
	switch {
	case r.skipped != "":
		out.Outcome, out.Notes = api.ImportResultOutcomeSkipped, []string{"one of the " + r.skipped}
	case r.problem != nil:
		out.Outcome, out.Problem = api.ImportResultOutcomeRefused, r.problem.Problem
	case r.pending:
		out.Outcome = api.ImportResultOutcomePending
	default:
		out.Outcome, out.Version, out.Position = api.ImportResultOutcome(r.event.Outcome), r.event.Product.Version, r.event.Position.String()
		switch {
		case r.event.Outcome == catalog.Refused:
			out.Problem = refused(r.event.Refusal).Problem
		case r.event.Outcome == catalog.Unchanged && r.derived && r.event.Product.Version == 1:
			out.Outcome = api.ImportResultOutcomeCreated // created by an earlier try
		}
	}
	return out
}
