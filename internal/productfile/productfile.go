// Package productfile reads and writes files of products, the formats of catalog import
// and catalog export. It recognises the form of a file (kind, encoding, delimiter, line
// ends, header), maps its columns to fields, and checks each row with the rules of the
// server, so that most of what the server would refuse is known before anything is sent.
// The columns follow from the table [catalog.Fields].
package productfile

import (
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

// Kinds of files.
const (
	CSV  = "csv"  // rows of cells, with any delimiter
	JSON = "json" // a list of objects, or one object after the other (NDJSON)
)

// Format says how a file is read. The zero value recognises the form of the file by its
// content; each field overrules one part of that.
type Format struct {
	// Kind is CSV, JSON, or "" to recognise it.
	Kind string

	// Encoding is the name of the character encoding, such as windows-1252.
	Encoding string

	// Delimiter separates the cells of a CSV row.
	Delimiter rune

	// LineEnds is lf, crlf or cr. Rows of the first two end at a line feed.
	LineEnds string

	// HeaderRow is the number of the CSV row with the names of the columns, from 1.
	HeaderRow int

	// Columns are the names of the columns of a CSV file without a header.
	Columns []string

	// Decimal is the decimal separator of prices: "." or ",". Without it, the notation
	// of each price decides, and a price with two readings is refused.
	Decimal string

	// Currency is the ISO 4217 code of prices without one: neither their cell nor the
	// column for the currency has it. Without it such a price is refused, unless it
	// changes the price of a product, which then keeps its currency.
	Currency string

	// Mapping assigns columns to fields. Without it, columns with the name of a field
	// are used.
	Mapping Mapping

	// Empty and Long say what an empty cell and a text above its limit mean. The
	// policy of a column in Mapping takes precedence.
	Empty, Long Policies

	// Nulls are texts that stand for an empty cell, besides those of Mapping.
	Nulls []string

	// InvalidGTIN says what a GTIN that is not valid means: InvalidRefuse, the default,
	// or InvalidSkip. The policy of a column in Mapping takes precedence.
	InvalidGTIN string

	// OtherCategories says what the second and further categories of a cell become:
	// OtherNoted or OtherTags.
	OtherCategories string

	// MaxRow is the size of the longest row in bytes; 0 means 1 MiB, as for a line of the
	// server's import. A reader holds as much of the file to recognise its form, at most
	// 256 KiB, and some copies of a row.
	MaxRow int

	// Tidy makes runs of blanks one space. Without it, files that catalog export wrote
	// and JSON without a mapping are read as they are, and other files are tidied.
	Tidy *bool
}

// Validate returns an error that names the flag of catalog import for a setting that is
// not valid.
func (f Format) Validate() error {
	switch {
	case f.Kind != "" && f.Kind != CSV && f.Kind != JSON:
		return fmt.Errorf("-format must be csv or json, not %q", f.Kind)
	case f.Decimal != "" && f.Decimal != "." && f.Decimal != ",":
		return fmt.Errorf("-decimal must be . or , not %q", f.Decimal)
	case strings.ContainsRune("\"\r\n\uFFFD", f.Delimiter):
		return fmt.Errorf("-delimiter must not be %q", f.Delimiter)
	case f.LineEnds != "" && f.LineEnds != "lf" && f.LineEnds != "crlf" && f.LineEnds != "cr":
		return fmt.Errorf("-line-ends must be lf, crlf or cr, not %q", f.LineEnds)
	case f.HeaderRow < 0:
		return fmt.Errorf("-header-row must be 1 or more, not %d", f.HeaderRow)
	case f.HeaderRow > 0 && len(f.Columns) > 0:
		return errors.New("-header-row and -columns exclude each other: -columns is for a file without a header")
	case f.OtherCategories != "" && f.OtherCategories != OtherNoted && f.OtherCategories != OtherTags:
		return fmt.Errorf("-other-categories must be %s or %s, not %q", OtherNoted, OtherTags, f.OtherCategories)
	case f.InvalidGTIN != "" && f.InvalidGTIN != InvalidRefuse && f.InvalidGTIN != InvalidSkip:
		return fmt.Errorf("-invalid-gtin must be %s or %s, not %q", InvalidRefuse, InvalidSkip, f.InvalidGTIN)
	case f.Currency != "" && catalog.CurrencyDigits(f.Currency) < 0:
		return fmt.Errorf("-currency %q is not a currency code of ISO 4217, such as EUR", f.Currency)
	}
	if f.Encoding != "" {
		if _, _, err := encodingOf(f.Encoding); err != nil {
			return err
		}
	}
	return nil
}

// ParseDelimiter parses the value of a flag: one character, \t or "tab" for a tab, and
// "" to recognise the delimiter.
func ParseDelimiter(s string) (rune, error) {
	switch s {
	case "":
		return 0, nil
	case `\t`, "tab":
		return '\t', nil
	}
	r, size := utf8.DecodeRuneInString(s)
	if size != len(s) {
		return 0, fmt.Errorf("-delimiter must be one character, or \\t, not %q", s)
	}
	return r, nil
}

// KindOf returns the kind of a file by a name of the kind or, if that is empty, by the extension of
// the file's name. It returns "" when neither determines it.
func KindOf(kind, name string) (string, error) {
	switch kind {
	case "csv", "tsv":
		return CSV, nil
	case "json", "ndjson", "jsonl":
		return JSON, nil
	case "":
	default:
		return "", fmt.Errorf("-format must be csv or ndjson, not %q", kind)
	}
	switch extension(name) {
	case "csv", "tsv", "tab":
		return CSV, nil
	case "ndjson", "jsonl", "json":
		return JSON, nil
	}
	return "", CheckName(name)
}

// CheckName returns an error for the name of a file that is neither CSV nor JSON.
func CheckName(name string) error {
	switch extension(name) {
	case "xlsx", "xls", "ods":
		return fmt.Errorf("%s is a workbook; save it in the spreadsheet as \"CSV UTF-8\", and import that file", name)
	case "xml", "pdf", "html", "docx":
		return fmt.Errorf("%s is neither CSV nor JSON; convert it first", name)
	}
	return nil
}

// extension returns the extension of a file's name in lower case, without the point, and
// without that of a compressed file.
func extension(name string) string {
	name = strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(name), ".gz"), ".zip")
	return strings.TrimPrefix(filepath.Ext(name), ".")
}

// Row is a row of a file.
type Row struct {
	// Number is the number of the row in the file, from 1.
	Number int
	// Line is the line of the file on which the row begins, from 1.
	Line int
	// Entry is the number of the entry of a JSON list that the row is, or is part of; 0 for
	// other files.
	Entry int
	// Key identifies the product of the row in the file: by its id, or else its SKU.
	Key string
	// JSON is the row as one line for the server's import: a JSON merge patch.
	JSON []byte
	// Err is the reason why the row cannot be sent, or nil. With an error, Key and JSON
	// are not set.
	Err error
	// Skipped names the kind of a row that is not a product, such as "blank rows".
	// Key and JSON are then not set.
	Skipped string
	// Notes list the parts of the row that were left out or changed.
	Notes []string
	// Raw is the row as it stands in the file, in UTF-8, without its line end.
	Raw []byte
}

// Blank reports whether the row has no text.
func (r *Row) Blank() bool { return r.Skipped == blankRows }

// Place says for people where in the file the row is.
func (r *Row) Place() string {
	if r.Entry > 0 { // lists often stand on one line
		return fmt.Sprintf("entry %d, line %d", r.Entry, r.Line)
	}
	return fmt.Sprintf("line %d", r.Line)
}

// Read calls handle with each row, in order. It stops at the first error of handle, and
// where the rest of the file cannot be read; a row that alone is invalid has an Err
// instead.
func Read(in io.Reader, f Format, handle func(Row) error) error {
	r, err := NewReader(in, f)
	if err != nil {
		return err
	}
	return r.Each(handle)
}

// Each calls handle with each row, as [Read] does.
func (r *Reader) Each(handle func(Row) error) error {
	for {
		row, err := r.Next()
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

// finish checks the merge patch of the row and sets Key and JSON, or Err.
func (r *Row) finish(patch []byte) {
	id, p, err := wire.ParseRow(patch)
	if err != nil {
		r.Err = err
		return
	}
	var compact bytes.Buffer // without line breaks, which would split the row
	if r.Err = json.Compact(&compact, patch); r.Err != nil {
		return
	}
	r.JSON = compact.Bytes()
	if id != (catalog.ID{}) {
		r.Key = "id " + id.String()
	} else {
		r.Key = "sku " + catalog.SKUKey(*p.SKU)
	}
}
