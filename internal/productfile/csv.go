package productfile

import (
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
)

// Columns of CSV files that are not named like a field: the id identifies a product,
// the currency belongs to the price, and each attribute has a column.
const (
	idColumn        = "id"
	currencyColumn  = "currency"
	attributePrefix = "attributes."
	listSeparator   = "|" // between the entries of a list in one cell
)

// Columns returns the names of the columns, in the order of an export, without
// those of attributes.
func Columns() []string {
	columns := []string{idColumn}
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; f.Kind {
		case catalog.KindMoney:
			columns = append(columns, f.Name, currencyColumn)
		case catalog.KindMap:
		default:
			columns = append(columns, f.Name)
		}
	}
	return columns
}

// isColumn reports whether target is the name of a field's column or of an attribute's.
func isColumn(target string) bool {
	attribute, ok := strings.CutPrefix(target, attributePrefix)
	return ok && attribute != "" || slices.Contains(Columns(), target)
}

func (f Format) openCSV(in io.Reader) (func() (Row, error), error) {
	r := csv.NewReader(in)
	r.Comma = f.Delimiter
	r.FieldsPerRecord = -1 // checked here, so that a row with a wrong number does not end the file
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
	columns, err := f.mapColumns(header)
	if err != nil {
		return nil, err
	}
	return func() (Row, error) {
		cells, err := r.Read()
		if errors.Is(err, io.EOF) {
			return Row{}, err
		}
		if err != nil {
			return Row{}, csvError(err)
		}
		line, _ := r.FieldPos(0)
		if len(cells) != len(header) {
			return Row{Line: line, Err: fmt.Errorf("has %d columns, and the first line has %d; check -delimiter %q, and that cells with a delimiter are in quotes", len(cells), len(header), f.Delimiter)}, nil
		}
		patch, err := f.patch(columns, header, cells)
		if err != nil {
			return Row{Line: line, Err: err}, nil
		}
		text, err := json.Marshal(patch)
		if err != nil {
			return Row{Line: line, Err: err}, nil
		}
		return newRow(line, text), nil
	}, nil
}

func csvError(err error) error {
	var p *csv.ParseError
	if !errors.As(err, &p) {
		return err
	}
	switch {
	case errors.Is(err, csv.ErrQuote):
		return fmt.Errorf("line %d: a quoted cell does not end with a quote and a delimiter, or the last cell has no closing quote; double the quotes inside a cell: \"\"", p.StartLine)
	case errors.Is(err, csv.ErrBareQuote):
		return fmt.Errorf("line %d, column %d: a quote in an unquoted cell; put the cell in quotes and double the quotes inside it: \"\"", p.Line, p.Column)
	}
	return fmt.Errorf("line %d: %w", p.Line, p.Err)
}

// mapColumns returns the index of the column of each target.
func (f Format) mapColumns(header []string) (map[string]int, error) {
	columns := map[string]int{}
	add := func(target, name string) error {
		if !isColumn(target) {
			return fmt.Errorf("-map: %q is not a field; the fields are %s and %sNAME", target, strings.Join(Columns(), ", "), attributePrefix)
		}
		i := slices.Index(header, name)
		if i < 0 {
			return fmt.Errorf("line 1: there is no column %q for %s; the columns are: %s", name, target, strings.Join(header, ", "))
		}
		if _, duplicate := columns[target]; duplicate {
			return fmt.Errorf("%s has more than one column; name one of them in -map", target)
		}
		columns[target] = i
		return nil
	}
	if f.Mapping == "" {
		for _, name := range header {
			if !isColumn(name) {
				continue
			}
			if err := add(name, name); err != nil {
				return nil, err
			}
		}
	} else {
		for pair := range strings.SplitSeq(f.Mapping, ",") {
			target, name, ok := strings.Cut(pair, "=")
			if !ok {
				return nil, fmt.Errorf("-map: %q is not field=column", pair)
			}
			if err := add(strings.TrimSpace(target), strings.TrimSpace(name)); err != nil {
				return nil, err
			}
		}
	}
	_, hasID := columns[idColumn]
	_, hasSKU := columns["sku"]
	if !hasID && !hasSKU {
		return nil, fmt.Errorf("line 1: no column is mapped to sku or id, which identify the product of a row; give -map sku=COLUMN; the columns are: %s", strings.Join(header, ", "))
	}
	return columns, nil
}

// patch returns a row as a merge patch: the fields that have a column. An empty cell
// clears its field.
func (f Format) patch(columns map[string]int, header, cells []string) (map[string]any, error) {
	for _, i := range slices.Sorted(maps.Values(columns)) {
		if !utf8.ValidString(cells[i]) {
			return nil, fmt.Errorf("column %s is not UTF-8; if the file is Latin-1, convert it with: iconv -f LATIN1 -t UTF-8", header[i])
		}
	}
	cell := func(target string) (string, bool) {
		i, ok := columns[target]
		if !ok {
			return "", false
		}
		return cells[i], true
	}
	patch := map[string]any{}
	if s, ok := cell(idColumn); ok && oneLine(s) != "" {
		patch[idColumn] = oneLine(s)
	}
	for i := range catalog.Fields {
		field := &catalog.Fields[i]
		switch field.Kind {
		case catalog.KindMoney:
			price, err := f.price(field.Name, cell)
			if err != nil {
				return nil, fmt.Errorf("column %s: %w", header[columns[field.Name]], err)
			}
			if len(price) > 0 {
				patch[field.Name] = price
			}
		case catalog.KindMap:
			if attributes := attributesOf(columns, cells); len(attributes) > 0 {
				patch[field.Name] = attributes
			}
		case catalog.KindList:
			if s, ok := cell(field.Name); ok {
				patch[field.Name] = splitList(s)
			}
		case catalog.KindProse:
			if s, ok := cell(field.Name); ok {
				patch[field.Name] = text(field, keepLines(s))
			}
		default:
			if s, ok := cell(field.Name); ok {
				patch[field.Name] = text(field, oneLine(s))
			}
		}
	}
	return patch, nil
}

// price returns the amount and the currency of a row. A price without a currency of
// its own has that of the format.
func (f Format) price(field string, cell func(string) (string, bool)) (map[string]any, error) {
	price := map[string]any{}
	amount, hasAmount := cell(field)
	currency, hasCurrency := cell(currencyColumn)
	if currency = oneLine(currency); currency == "" {
		currency = f.Currency
	}
	if hasAmount {
		plain, err := f.amount(oneLine(amount))
		if err != nil {
			return nil, fmt.Errorf("price %q %w", oneLine(amount), err)
		}
		price["amount"] = plain
	}
	if hasCurrency || hasAmount && currency != "" {
		price["currency"] = currency
	}
	return price, nil
}

// amount returns a price in plain decimal notation, without trailing zeros: the number
// of digits after the point must not exceed that of the currency, and zeros mean
// nothing.
func (f Format) amount(s string) (string, error) {
	plain := s
	if f.Decimal != "." {
		if strings.Contains(s, ".") {
			return "", fmt.Errorf("has a point; with -decimal %q a price must have no other separator", f.Decimal)
		}
		plain = strings.Replace(s, f.Decimal, ".", 1)
	}
	if _, err := catalog.ParseDecimal(plain); err != nil {
		if f.Decimal == "." && strings.Contains(s, ",") {
			return "", errors.New("has a comma; give -decimal ',' if the comma is the decimal separator")
		}
		return "", err
	}
	if strings.Contains(plain, ".") {
		plain = strings.TrimRight(strings.TrimRight(plain, "0"), ".")
	}
	return plain, nil
}

func attributesOf(columns map[string]int, cells []string) map[string]any {
	attributes := map[string]any{}
	for target, i := range columns {
		if name, ok := strings.CutPrefix(target, attributePrefix); ok {
			attributes[name] = nullIfEmpty(oneLine(cells[i]))
		}
	}
	return attributes
}

// splitList returns the entries of a cell, without empty and repeated ones.
func splitList(cell string) []string {
	entries := []string{}
	for entry := range strings.SplitSeq(cell, listSeparator) {
		if entry = oneLine(entry); entry != "" && !slices.Contains(entries, entry) {
			entries = append(entries, entry)
		}
	}
	return entries
}

// oneLine replaces each run of spaces and line breaks by one space.
func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// keepLines replaces each run of spaces in a line by one space, and keeps line breaks.
func keepLines(s string) string {
	lines := strings.Split(strings.ReplaceAll(s, "\r\n", "\n"), "\n")
	for i, l := range lines {
		lines[i] = oneLine(l)
	}
	return strings.TrimSpace(strings.Join(lines, "\n"))
}

// text returns the value of a cell. An empty cell clears the field by null, unless the
// field is required: the server then says that it must not be empty.
func text(field *catalog.Field, s string) any {
	if field.Required {
		return s
	}
	return nullIfEmpty(s)
}

// nullIfEmpty returns s, or nil if it is empty: null clears a field in a merge patch.
func nullIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}
