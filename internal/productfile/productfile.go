// Package productfile reads and writes products as CSV and NDJSON files, the formats of
// catalog import and catalog export. Rows are checked with the rules of the server, so
// that most of what it would refuse is known before anything is sent. The columns follow
// from the table [catalog.Fields].
package productfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"unicode/utf8"

	"catalog"
	"catalog/internal/wire"
)

// Format describes a file.
type Format struct {
	// CSV selects CSV; otherwise the file is NDJSON, and the other fields are not used.
	CSV bool

	// Delimiter separates the cells of a row, usually a comma, semicolon or tab.
	Delimiter rune

	// Decimal is the decimal separator of prices: "." or ",".
	Decimal string

	// Currency is the ISO 4217 code of prices without one: the file has no column for
	// the currency, or its cell is empty. Without it such a price is refused, unless
	// it changes the price of a product, which then keeps its currency.
	Currency string

	// Mapping assigns columns to fields, as in "sku=item_no,attributes.width=width_cm".
	// If it is empty, columns with the name of a field are used.
	Mapping string
}

// Validate returns an error that names the flag of catalog import for a setting that
// is not valid.
func (f Format) Validate() error {
	switch {
	case f.Decimal != "." && f.Decimal != ",":
		return fmt.Errorf("-decimal must be . or , not %q", f.Decimal)
	case f.Delimiter == 0 || strings.ContainsRune("\"\r\n\uFFFD", f.Delimiter):
		return fmt.Errorf("-delimiter must not be %q", f.Delimiter)
	}
	return nil
}

// ParseDelimiter parses the value of a flag: one character, or \t for a tab.
func ParseDelimiter(s string) (rune, error) {
	if s == `\t` {
		return '\t', nil
	}
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 || size != len(s) {
		return 0, fmt.Errorf("-delimiter must be one character, not %q", s)
	}
	return r, nil
}

// IsCSV reports whether a file is CSV rather than NDJSON: by kind, csv or ndjson, or if
// kind is empty by the extension of its name. Files without an extension, and standard
// input ("-"), are NDJSON.
func IsCSV(kind, name string) (bool, error) {
	if kind == "" && name != "-" {
		kind = strings.TrimPrefix(strings.ToLower(filepath.Ext(name)), ".")
	}
	switch kind {
	case "csv", "tsv", "txt":
		return true, nil
	case "ndjson", "jsonl", "json", "":
		return false, nil
	}
	return false, fmt.Errorf("-format must be csv or ndjson, not %q", kind)
}

// Row is a row of a file.
type Row struct {
	// Line is the line of the file on which the row begins, from 1.
	Line int
	// Key identifies the product of the row in the file: by its id, or else its SKU.
	Key string
	// JSON is the row as one line for the server's import: a JSON merge patch.
	JSON []byte
	// Err is the reason why the row cannot be sent, or nil. With an error, Key and JSON
	// are not set.
	Err error
}

// Read calls handle with each row, in order. It stops at the first error of handle, and
// at a row after which the rest of the file cannot be read; a row that alone is invalid
// has an Err instead.
func Read(r io.Reader, f Format, handle func(Row) error) error {
	next, err := f.open(r)
	if err != nil {
		return err
	}
	for {
		row, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := handle(row); err != nil {
			return err
		}
	}
}

// open returns a function that returns one row after the other, and io.EOF after the
// last one.
func (f Format) open(r io.Reader) (func() (Row, error), error) {
	in := bufio.NewReader(r)
	start, _ := in.Peek(3)
	switch {
	case bytes.HasPrefix(start, []byte{0xFF, 0xFE}), bytes.HasPrefix(start, []byte{0xFE, 0xFF}):
		return nil, errors.New("line 1: the file is UTF-16; convert it to UTF-8, for example with: iconv -f UTF-16 -t UTF-8")
	case bytes.Equal(start, []byte("\xEF\xBB\xBF")): // the byte-order mark of UTF-8, which Excel writes
		_, _ = in.Discard(3)
	}
	if f.CSV {
		return f.openCSV(in)
	}
	return openNDJSON(in), nil
}

func openNDJSON(in *bufio.Reader) func() (Row, error) {
	line := 0
	return func() (Row, error) {
		for {
			text, err := in.ReadBytes('\n')
			if len(text) == 0 && err != nil {
				return Row{}, err
			}
			line++
			if text = bytes.TrimSpace(text); len(text) > 0 {
				return newRow(line, text), nil
			}
		}
	}
}

// newRow checks the merge patch of a row.
func newRow(line int, patch []byte) Row {
	id, p, err := wire.ParseRow(patch)
	if err != nil {
		return Row{Line: line, Err: err}
	}
	var compact bytes.Buffer // without line breaks, which would split the row
	if err := json.Compact(&compact, patch); err != nil {
		return Row{Line: line, Err: err}
	}
	row := Row{Line: line, JSON: compact.Bytes()}
	if id != (catalog.ID{}) {
		row.Key = "id " + id.String()
	} else {
		row.Key = "sku " + *p.SKU
	}
	return row
}
