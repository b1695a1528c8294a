package productfile

import (
	"bufio"
	"encoding/json"
	"io"
	"strings"

	"catalog"
	"catalog/internal/wire"
)

// Writer writes products to a file that [Read] reads back to the same products. Version
// and times are not in the file: the catalogue sets them.
type Writer struct {
	// NeutralizeFormulas makes the writer put an apostrophe before a cell of a CSV file
	// that a spreadsheet would run as a formula. Read does not remove it.
	NeutralizeFormulas bool

	out        *bufio.Writer
	csv        bool     // CSV; otherwise NDJSON
	attributes []string // keys of the attributes that have a column
	header     bool     // the first line of a CSV file is written
}

// NewWriter returns a writer to w. A CSV file, separated by commas, has a column for
// each of the attributes, which must therefore be known in advance; NDJSON needs none.
func NewWriter(w io.Writer, asCSV bool, attributes []string) *Writer {
	return &Writer{out: bufio.NewWriter(w), csv: asCSV, attributes: attributes}
}

// Write writes one product.
func (w *Writer) Write(p catalog.Product) error {
	if !w.csv {
		return w.writeJSON(p)
	}
	if err := w.writeHeader(); err != nil {
		return err
	}
	cells := []string{p.ID.String()}
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; f.Kind {
		case catalog.KindMoney:
			cells = append(cells, p.Price.Amount(), p.Price.Currency)
		case catalog.KindMap:
		case catalog.KindList:
			cells = append(cells, joinList(*f.List(&p.ProductData)))
		default:
			cells = append(cells, *f.Text(&p.ProductData))
		}
	}
	for _, a := range w.attributes {
		value, ok := p.Attributes[a]
		if ok && value == "" {
			value = emptyValue
		}
		cells = append(cells, value)
	}
	return w.writeCells(cells)
}

// joinList returns the entries of a list as one cell.
func joinList(entries []string) string {
	escaped := make([]string, len(entries))
	for i, e := range entries {
		escaped[i] = escapeEntry.Replace(e)
	}
	return strings.Join(escaped, listSeparator)
}

// emptyValue is written as an empty pair of quotes, which tells an attribute with an empty value
// from a missing attribute, as NULL and an empty text in PostgreSQL's CSV files. No valid product
// has this text.
const emptyValue = "\x00"

// writeCells writes a line of a CSV file (RFC 4180, with line feeds).
func (w *Writer) writeCells(cells []string) error {
	for i, c := range cells {
		if i > 0 {
			_ = w.out.WriteByte(',') // Flush returns the error of a buffered write
		}
		if w.NeutralizeFormulas && c != "" && strings.ContainsRune("=+-@\t\r", rune(c[0])) {
			c = "'" + c
		}
		switch {
		case c == emptyValue:
			_, _ = w.out.WriteString(`""`)
		case strings.ContainsAny(c, "\",\r\n") || strings.TrimSpace(c) != c:
			_, _ = w.out.WriteString(`"` + strings.ReplaceAll(c, `"`, `""`) + `"`)
		default:
			_, _ = w.out.WriteString(c)
		}
	}
	return w.out.WriteByte('\n')
}

// writeHeader writes the first line of a CSV file, unless it is written.
func (w *Writer) writeHeader() error {
	if w.header {
		return nil
	}
	w.header = true
	columns := Columns()
	for _, a := range w.attributes {
		columns = append(columns, attributePrefix+a)
	}
	return w.writeCells(columns)
}

// writeJSON writes p as one line: all fields in the order of the contract, with null
// for an empty text, so that reading the line clears the field.
func (w *Writer) writeJSON(p catalog.Product) error {
	line := []byte(`{"id":"` + p.ID.String() + `"`)
	for i := range catalog.Fields {
		f := &catalog.Fields[i]
		var value any
		switch f.Kind {
		case catalog.KindMoney:
			value = wire.ProductDataToJSON(p.ProductData).Price
		case catalog.KindMap:
			value = p.Attributes
		case catalog.KindList:
			value = *f.List(&p.ProductData)
		default:
			if text := *f.Text(&p.ProductData); text != "" {
				value = text
			}
		}
		text, err := marshal(value)
		if err != nil {
			return err
		}
		line = append(append(line, `,"`+f.Name+`":`...), text...)
	}
	_, err := w.out.Write(append(line, "}\n"...))
	return err
}

// marshal returns v as JSON, without escaping <, > and &.
func marshal(v any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// Flush writes what is buffered. It is called once, after the last product.
func (w *Writer) Flush() error {
	if w.csv {
		if err := w.writeHeader(); err != nil {
			return err
		}
	}
	return w.out.Flush()
}
