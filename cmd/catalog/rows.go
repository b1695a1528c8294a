package main

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"catalog"
	"catalog/internal/wire"
)

// row is one row of a file, as a line for the server: a JSON merge patch.
type row struct {
	line int    // where it begins in the file, from 1
	key  string // what tells its product from others: id or SKU
	json []byte
	err  error // why it cannot be sent
}

// format says how a file is to be read.
type format struct {
	csv       bool
	delimiter rune
	decimal   string // the decimal point
	currency  string // of prices without one
	columns   string // -map
}

// rows reads the rows of a file one after the other, and answers io.EOF after
// the last. Any other error of the second result ends the file: what comes
// after it cannot be read. What is wrong with a single row is in the row.
func (f format) rows(r io.Reader) (func() (row, error), error) {
	in := bufio.NewReaderSize(r, 64<<10)
	if start, _ := in.Peek(4); bytes.HasPrefix(start, []byte{0xFF, 0xFE}) || bytes.HasPrefix(start, []byte{0xFE, 0xFF}) {
		return nil, errors.New("line 1: the file is UTF-16; make it UTF-8 first, such as with: iconv -f UTF-16 -t UTF-8")
	} else if bytes.HasPrefix(start, []byte("\xEF\xBB\xBF")) {
		_, _ = in.Discard(3)
	}
	if f.csv {
		return f.csvRows(in)
	}
	return f.ndjsonRows(in), nil
}

func (f format) ndjsonRows(in *bufio.Reader) func() (row, error) {
	line := 0
	return func() (row, error) {
		for {
			text, err := in.ReadBytes('\n')
			if len(text) == 0 && err != nil {
				return row{}, err
			}
			line++
			if text = bytes.TrimSpace(text); len(text) > 0 {
				return parseRow(line, text), nil
			}
		}
	}
}

// parseRow checks a row with the rules of the server, so that what it would
// refuse is known before anything is sent.
func parseRow(line int, text []byte) row {
	r := row{line: line}
	id, patch, err := wire.ParseRow(text)
	if err != nil {
		r.err = err
		return r
	}
	if id != (catalog.ID{}) {
		r.key = "id " + id.String()
	} else {
		r.key = "sku " + *patch.SKU
	}
	var compact bytes.Buffer // one line, whatever the file has
	if err := json.Compact(&compact, text); err != nil {
		r.err = err
		return r
	}
	r.json = compact.Bytes()
	return r
}

// targets are what a column can be: a field, or attributes.NAME.
var targets = []string{"id", "sku", "name", "description", "category", "price", "currency", "tags"}

func (f format) csvRows(in io.Reader) (func() (row, error), error) {
	r := csv.NewReader(in)
	r.Comma = f.delimiter
	r.FieldsPerRecord = -1 // looked at row by row
	r.ReuseRecord = true
	header, err := r.Read()
	if errors.Is(err, io.EOF) {
		return nil, errors.New("line 1: the file is empty; it needs a line with the names of the columns")
	}
	if err != nil {
		return nil, csvError(err)
	}
	header = slices.Clone(header)
	for i := range header {
		header[i] = strings.TrimSpace(header[i])
	}
	columns, err := f.columnsOf(header)
	if err != nil {
		return nil, err
	}
	return func() (row, error) {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return row{}, err
		}
		if err != nil {
			return row{}, csvError(err)
		}
		line, _ := r.FieldPos(0)
		if len(cells) != len(header) {
			return row{line: line, err: fmt.Errorf("has %d columns, not %d as the first line; is the delimiter %q right, and are cells with it in quotes?", len(cells), len(header), f.delimiter)}, nil
		}
		object, err := f.object(columns, header, cells)
		if err != nil {
			return row{line: line, err: err}, nil
		}
		text, err := json.Marshal(object)
		if err != nil {
			return row{line: line, err: err}, nil
		}
		return parseRow(line, text), nil
	}, nil
}

func csvError(err error) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return err
	}
	switch {
	case errors.Is(err, csv.ErrQuote):
		return fmt.Errorf("line %d: a quoted cell does not end as it should, or the last one never ends; quotes within a cell are written twice: \"\"", p.StartLine)
	case errors.Is(err, csv.ErrBareQuote):
		return fmt.Errorf("line %d, column %d: a quote in a cell without quotes; put the cell in quotes and write its own quotes twice: \"\"", p.Line, p.Column)
	}
	return fmt.Errorf("line %d: %w", p.Line, p.Err)
}

// columnsOf answers the column number of each target.
func (f format) columnsOf(header []string) (map[string]int, error) {
	columns := map[string]int{}
	add := func(target, name string) error {
		attribute, isAttribute := strings.CutPrefix(target, "attributes.")
		if !slices.Contains(targets, target) && (!isAttribute || attribute == "") {
			return fmt.Errorf("-map: %q is not a field; there are %s and attributes.NAME", target, strings.Join(targets, ", "))
		}
		i := slices.Index(header, name)
		if i < 0 {
			return fmt.Errorf("line 1: there is no column %q for %s; the columns are: %s", name, target, strings.Join(header, ", "))
		}
		if _, twice := columns[target]; twice {
			return fmt.Errorf("-map: %s is given twice", target)
		}
		columns[target] = i
		return nil
	}
	if f.columns != "" {
		for pair := range strings.SplitSeq(f.columns, ",") {
			target, name, ok := strings.Cut(pair, "=")
			if !ok {
				return nil, fmt.Errorf("-map: %q is not field=column", pair)
			}
			if err := add(strings.TrimSpace(target), strings.TrimSpace(name)); err != nil {
				return nil, err
			}
		}
	} else {
		for _, name := range header {
			if slices.Contains(targets, name) || strings.HasPrefix(name, "attributes.") && len(name) > len("attributes.") {
				if err := add(name, name); err != nil {
					return nil, err
				}
			}
		}
	}
	_, id := columns["id"]
	_, sku := columns["sku"]
	if !id && !sku {
		return nil, fmt.Errorf("line 1: no column is mapped to sku or id, which say what product a row is about; give -map sku=COLUMN; the columns are: %s", strings.Join(header, ", "))
	}
	return columns, nil
}

// object is a row as a merge patch. Runs of blanks in a cell are one blank, and
// an empty cell clears the field.
func (f format) object(columns map[string]int, header, cells []string) (map[string]any, error) {
	o := map[string]any{}
	price := map[string]any{}
	attributes := map[string]any{}
	for _, target := range slices.Sorted(maps.Keys(columns)) {
		i := columns[target]
		if !utf8.ValidString(cells[i]) {
			return nil, fmt.Errorf("column %s is not UTF-8; if the file is Latin-1, make it UTF-8 with: iconv -f LATIN1 -t UTF-8", header[i])
		}
		value := strings.Join(strings.Fields(cells[i]), " ")
		if target == "description" { // its lines are kept
			value = tidy(cells[i])
		}
		switch target {
		case "price":
			amount, err := f.amount(value)
			if err != nil {
				return nil, fmt.Errorf("column %s: price %q %w", header[i], value, err)
			}
			price["amount"] = amount
			if _, own := columns["currency"]; !own && f.currency != "" {
				price["currency"] = f.currency
			}
		case "currency":
			if price["currency"] = value; value == "" {
				price["currency"] = f.currency
			}
		case "tags":
			tags := []string{}
			for t := range strings.SplitSeq(value, "|") {
				if t = strings.TrimSpace(t); t != "" && !slices.Contains(tags, t) {
					tags = append(tags, t)
				}
			}
			o["tags"] = tags
		case "id", "name":
			if value != "" || target == "name" {
				o[target] = value
			}
		default:
			name, isAttribute := strings.CutPrefix(target, "attributes.")
			switch {
			case isAttribute && value == "":
				attributes[name] = nil
			case isAttribute:
				attributes[name] = value
			case value == "":
				o[target] = nil
			default:
				o[target] = value
			}
		}
	}
	if len(price) > 0 {
		o["price"] = price
	}
	if len(attributes) > 0 {
		o["attributes"] = attributes
	}
	return o, nil
}

// tidy makes one blank of runs of blanks, line by line.
func tidy(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = strings.Join(strings.Fields(l), " ")
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// amount makes plain decimal notation of a price as the file has it.
func (f format) amount(s string) (string, error) {
	plain := s
	if f.decimal != "." {
		if strings.Contains(s, ".") {
			return "", fmt.Errorf("has a point; with -decimal %q it must have no other separator", f.decimal)
		}
		plain = strings.Replace(s, f.decimal, ".", 1)
	}
	if _, err := catalog.ParseDecimal(plain); err != nil {
		if f.decimal == "." && strings.Contains(s, ",") {
			return "", errors.New("has a comma; give -decimal ',' if that is its decimal point")
		}
		return "", err
	}
	// 265,0 is 265: digits that say nothing are not digits too many.
	if strings.Contains(plain, ".") {
		plain = strings.TrimRight(strings.TrimRight(plain, "0"), ".")
	}
	return plain, nil
}
