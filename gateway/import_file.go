package gateway

import (
	"cmp"
	"errors"
	"io"
	"mime"
	"strings"

	"github.com/labstack/echo/v5"

	"catalog"
	"catalog/api"
	"catalog/internal/productfile"
)

// importTypes are the content types of an import, and of each the kind of its file. The
// first ones are those of the contract, the others those that clients use for them.
var importTypes = []struct{ name, kind, delimiter string }{
	{"application/x-ndjson", productfile.JSON, ""},
	{"application/json", productfile.JSON, ""},
	{"text/csv", productfile.CSV, ""},
	{"text/tab-separated-values", productfile.CSV, "tab"},
	{"application/ndjson", productfile.JSON, ""},
	{"application/jsonl", productfile.JSON, ""},
	{"application/x-jsonl", productfile.JSON, ""},
	{"application/jsonlines", productfile.JSON, ""},
	{"application/x-jsonlines", productfile.JSON, ""},
	{"application/json-lines", productfile.JSON, ""},
	{"application/x-json-stream", productfile.JSON, ""},
	{"text/json", productfile.JSON, ""},
	{"application/csv", productfile.CSV, ""},
	{"text/x-csv", productfile.CSV, ""},
	{"application/vnd.ms-excel", productfile.CSV, ""}, // browsers on Windows, for .csv
	{"text/tsv", productfile.CSV, "tab"},
}

// contractTypes is the number of importTypes that messages name.
const contractTypes = 4

// importFormat returns how the body of an import is read as a file. It returns nil for
// JSON without parameters, whose lines are those of the contract.
func importFormat(c *echo.Context, p api.ImportProductsParams) (*productfile.Format, error) {
	t, params, err := mime.ParseMediaType(c.Request().Header.Get("Content-Type"))
	var names []string
	kind, delimiter := "", ""
	for i, known := range importTypes {
		if i < contractTypes {
			names = append(names, known.name)
		}
		if err == nil && known.name == t {
			kind, delimiter = known.kind, known.delimiter
		}
	}
	p.IdempotencyKey = "" // the key says nothing about the form of the file
	switch charset := strings.ToLower(params["charset"]); {
	case kind == "":
		return nil, mediaType(c, t, "send Content-Type: text/csv for a file of cells, "+names[0]+" for JSON", names)
	case kind == productfile.JSON && (charset == "" || charset == "utf-8" || charset == "utf8") && p == (api.ImportProductsParams{}):
		return nil, nil
	}
	format, err := productfile.Settings{
		Kind: kind, Encoding: params["charset"], Preset: string(p.Preset), Map: p.Map, Currency: p.Currency, Decimal: string(p.Decimal),
		Delimiter: cmp.Or(p.Delimiter, delimiter), Empty: p.Empty, Long: p.Long, Nulls: p.Nulls, InvalidGTIN: string(p.InvalidGtin),
		OtherCategories: string(p.OtherCategories), Columns: p.Columns, HeaderRow: p.HeaderRow, LineEnds: string(p.LineEnds), Tidy: p.Tidy,
	}.Format()
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
