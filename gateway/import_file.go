package gateway

import (
	"cmp"
	"errors"
	"io"
	"mime"

	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	"catalog/internal/productfile"
)

// Types of a body that is a file of rows.
const (
	csvType = "text/csv"
	tsvType = "text/tab-separated-values"
)

// importFormat returns how the body of an import is read as a file. It returns nil for
// JSON without parameters, whose lines are those of the contract.
func importFormat(c *echo.Context, p api.ImportProductsParams) (*productfile.Format, error) {
	settings := productfile.Settings{
		Kind: productfile.JSON, Preset: string(p.Preset), Map: p.Map, Currency: p.Currency, Decimal: string(p.Decimal),
		Delimiter: p.Delimiter, Empty: p.Empty, Long: p.Long, Nulls: p.Nulls, InvalidGTIN: string(p.InvalidGtin),
		OtherCategories: string(p.OtherCategories), Columns: p.Columns, HeaderRow: p.HeaderRow, LineEnds: string(p.LineEnds), Tidy: p.Tidy,
	}
	p.IdempotencyKey = "" // the key says nothing about the form of the file
	t, params, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	if err == nil && (t == csvType || t == tsvType) {
		settings.Kind, settings.Encoding = productfile.CSV, params["charset"]
		if t == tsvType {
			settings.Delimiter = cmp.Or(p.Delimiter, "tab")
		}
	} else if err := checkContentType(c, "application/x-ndjson", "application/json", csvType, tsvType); err != nil || p == (api.ImportProductsParams{}) {
		return nil, err
	}
	format, err := settings.Format()
	if err != nil {
		return nil, catalog.Invalid("query", err.Error())
	}
	format.MaxRow = maxFileRow
	return &format, nil
}

// runFile sends the rows of a file, without the blank ones, and returns the error that
// ended them, io.EOF at the end.
func (r *lineReader) runFile() error {
	body := &bodyReader{from: r.from}
	file, err := productfile.NewReader(body, *r.format)
	products := 0
	for err == nil && r.ctx.Err() == nil {
		var row productfile.Row
		if row, err = file.Next(); err != nil || row.Blank() {
			continue
		}
		if row.Skipped == "" {
			products++
		}
		l := &importLine{number: int64(cmp.Or(row.Entry, row.Line)), text: row.JSON, skipped: row.Skipped, notes: row.Notes}
		var refusal *catalog.Refusal
		if l.refused = row.Err; row.Err != nil && !errors.As(row.Err, &refusal) {
			l.refused = catalog.Invalid("row", row.Err.Error())
		}
		r.send(l)
	}
	switch {
	case body.err != nil:
		return bodyError(body.err)
	case err != nil && !errors.Is(err, io.EOF):
		return catalog.Invalid("body", err.Error())
	case products == 0 && r.ctx.Err() == nil:
		return catalog.Invalid("body", "has no row with a product")
	}
	return io.EOF
}

// bodyReader keeps the error of reading the body apart from what is wrong with the file.
type bodyReader struct {
	from io.Reader
	err  error
}

func (b *bodyReader) Read(p []byte) (int, error) {
	n, err := b.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.err = err
	}
	return n, err
}
