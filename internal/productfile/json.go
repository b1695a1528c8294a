package productfile

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"catalog"
)

// jsonReader reads the objects of a JSON file: the entries of a list, or objects one
// after the other, each on one line (NDJSON) or on several.
type jsonReader struct {
	in     *bufio.Reader
	maxRow int
	list   bool // the reader is inside the list that the file is or contains
	within bool // the list is a member of an object, whose end follows
	line   int  // number of lines that have ended
	resync bool // the last object did not end: skip to a line that begins with an object
	entry  int  // number of the last entry of the list; 0 without a list
}

// next returns the text of the next object, and the line on which it begins. rowErr says
// what is wrong with an object whose end is unclear. The error is io.EOF at the end of the
// file.
func (r *jsonReader) next() (raw []byte, line int, rowErr, err error) {
	for {
		b, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) && r.list {
			r.list, r.entry = false, 0
			return nil, r.line + 1, errors.New("the list does not end: the file may be cut off"), nil
		}
		if err != nil {
			return nil, 0, nil, err
		}
		if r.list && !strings.ContainsRune("\n\r\t ,]", rune(b)) {
			r.entry++
		}
		switch {
		case b == '\n':
			r.line++
		case b == ' ', b == '\t', b == '\r', b == ',':
		case b == '{':
			r.resync = false
			return r.object()
		case b == '[' && !r.list && !r.resync:
			r.list = true
		case b == ']' && r.list && r.within:
			return nil, 0, nil, io.EOF
		case b == ']' && r.list:
			r.list, r.resync = false, false
		case r.resync:
			if _, err := r.restOfLine(nil); err != nil {
				return nil, 0, nil, err
			}
		default: // not an object: the parser returns the error
			line = r.line + 1
			raw, err = r.restOfLine([]byte{b})
			return raw, line, nil, err
		}
	}
}

// restOfLine appends the rest of the line to raw, up to the longest row.
func (r *jsonReader) restOfLine(raw []byte) ([]byte, error) {
	for {
		b, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) || b == '\n' {
			if b == '\n' {
				r.line++
			}
			return bytes.TrimSpace(raw), nil
		}
		if err != nil {
			return nil, err
		}
		if len(raw) <= r.maxRow {
			raw = append(raw, b)
		}
	}
}

// object returns the object that begins with a bracket that has been read.
func (r *jsonReader) object() (raw []byte, line int, rowErr, err error) {
	raw, line = []byte{'{'}, r.line+1
	for depth, inString := 1, false; depth > 0; {
		b, err := r.in.ReadByte()
		if errors.Is(err, io.EOF) {
			r.list = false
			return bytes.TrimSpace(raw), line, errors.New("the object does not end: the file may be cut off"), nil
		}
		if err != nil {
			return nil, 0, nil, err
		}
		if raw = append(raw, b); len(raw) > r.maxRow {
			_, err := r.restOfLine(nil)
			r.resync = true
			return raw[:0], line, fmt.Errorf("the object is longer than %d bytes, or does not end", r.maxRow), err
		}
		switch {
		case b == '\n' && (inString || r.cutOff(raw)):
			r.line++
			r.resync = r.list
			return bytes.TrimSpace(raw), line, errors.New("the object, or a text in it, does not end on its line"), nil
		case b == '\n':
			r.line++
		case inString && b == '\\':
			if b, err = r.in.ReadByte(); err == nil {
				raw = append(raw, b)
			}
		case b == '"':
			inString = !inString
		case inString:
		case b == '{', b == '[':
			depth++
		case b == '}', b == ']':
			depth--
		}
	}
	if !r.list { // text after the object on its line belongs to the row, unless it is the next object
		if next, _ := r.in.Peek(1); len(next) > 0 && !bytes.ContainsAny(next, "\r\n{, \t") {
			raw, err = r.restOfLine(raw)
		}
	}
	return raw, line, nil, err
}

// cutOff reports whether the first line of an object is meant to be all of it: it has a
// member and does not end like a line of an object on several lines.
func (r *jsonReader) cutOff(raw []byte) bool {
	text := bytes.TrimSpace(raw)
	return !r.list && bytes.Count(raw, []byte("\n")) == 1 && bytes.IndexByte(text, ':') >= 0 && !bytes.ContainsAny(text[len(text)-1:], ",{[")
}

// jsonRecord is an object of a JSON file. Its columns are the paths of its members, such
// as price.amount or variants.0.sku.
type jsonRecord map[string]any

func parseJSON(raw []byte) (jsonRecord, error) {
	d := json.NewDecoder(bytes.NewReader(raw))
	d.UseNumber()
	var o map[string]any
	if err := d.Decode(&o); err != nil {
		return nil, err
	}
	return o, nil
}

// maxEntries is the number of entries of Mapping.Each in one object: Shopify's limit of the
// variants of a product.
const maxEntries = 2048

// entriesOf are the entries of a list in one object that are rows of their own.
type entriesOf struct {
	row    Row // row of the object
	record jsonRecord
	name   string // name of the list
	left   []any
}

// split sets the entries of the list that the mapping names, if the object has one.
func (e *entriesOf) split(row *Row, o jsonRecord, each string) {
	for name, v := range o {
		if list, ok := v.([]any); ok && len(list) > 0 && each != "" && fold(name) == fold(each) {
			*e = entriesOf{*row, o, name, list}
		}
	}
}

// next returns the object with the next entry in place of the list.
func (e *entriesOf) next() (Row, jsonRecord) {
	o := maps.Clone(e.record)
	o[e.name] = e.left[0]
	e.left = e.left[1:]
	return e.row, o
}

// notJSON returns the error of the server's rules for the text of an object, worded for a row.
func notJSON(err error) error {
	var refusal *catalog.Refusal
	if !errors.As(err, &refusal) || len(refusal.Fields) != 1 || refusal.Fields[0].Field != "row" {
		return err
	}
	return fmt.Errorf("the row %s", refusal.Fields[0].Reason)
}

// cell returns the member at a path. Names are compared without case and blanks if none
// is the same.
func (o jsonRecord) cell(path string) (cell, bool) {
	v, ok := member(map[string]any(o), path)
	if !ok {
		return cell{}, false
	}
	return jsonCell(v), true
}

func member(v any, path string) (any, bool) {
	switch v := v.(type) {
	case map[string]any:
		if m, ok := v[path]; ok {
			return m, true
		}
		for name, m := range v {
			if fold(name) == fold(path) {
				return m, true
			}
		}
		for i := strings.IndexByte(path, '.'); i >= 0; {
			for name, m := range v {
				if fold(name) == fold(path[:i]) {
					if found, ok := member(m, path[i+1:]); ok {
						return found, true
					}
				}
			}
			next := strings.IndexByte(path[i+1:], '.')
			if next < 0 {
				break
			}
			i += next + 1
		}
	case []any:
		first, rest, more := strings.Cut(path, ".")
		n, err := strconv.Atoi(first)
		if err != nil || n < 0 || n >= len(v) {
			return nil, false
		}
		if !more {
			return v[n], true
		}
		return member(v[n], rest)
	}
	return nil, false
}

func jsonCell(v any) cell {
	switch v := v.(type) {
	case nil:
		return cell{}
	case string:
		return cell{text: v}
	case json.Number:
		return cell{text: v.String(), plain: true}
	case []any:
		c := cell{list: []cell{}}
		var texts []string
		for _, entry := range v {
			c.list = append(c.list, jsonCell(entry))
			texts = append(texts, jsonCell(entry).text)
		}
		c.text = strings.Join(texts, ", ")
		return c
	case map[string]any:
		if amount, ok := v["amount"]; ok { // a price
			c := jsonCell(amount)
			c.currency, _ = v["currency"].(string)
			return c
		}
		c := cell{list: []cell{}, object: true}
		for _, member := range []string{"name", "title", "label", "value"} {
			if text, ok := v[member].(string); ok && c.text == "" {
				c.text = text
			}
		}
		for _, name := range slices.Sorted(maps.Keys(v)) { // attributes
			c.list = append(c.list, cell{text: name + "=" + jsonCell(v[name]).text})
		}
		return c
	}
	return cell{text: fmt.Sprint(v)}
}

// fold returns a name of a column for comparison: without case, blanks, hyphens and
// underscores.
func fold(name string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsSpace(r) || r == '_' || r == '-' || r == '\uFEFF' || r == '\u200B' {
			return -1
		}
		return unicode.ToLower(r)
	}, name)
}

// listNames are names of members with the list of products, or with an object that has
// it, in files that are one object.
var listNames = []string{"products", "items", "data", "rows", "records", "results", "offers", "articles", "response", "feed", "catalog", "catalogue", "entries", "list", "objects", "documents", "nodes", "edges", "hits", "embedded", "value"}

// findList returns the length of the text before the list of products in a file that is one
// object with such a list, which is not empty unless no other one is, and 0 for another file.
func findList(sample []byte) int {
	empty := 0
	d := json.NewDecoder(bytes.NewReader(sample))
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return 0
	}
	for {
		t, err := d.Token()
		name, ok := t.(string)
		switch {
		case err != nil || !ok:
			return empty
		case identifying[fold(name)]:
			return 0
		}
		start := d.InputOffset()
		text := bytes.TrimLeft(sample[start:], ": \t\r\n")
		at := len(sample) - len(text)
		switch {
		case !slices.Contains(listNames, fold(name)) || len(text) == 0 || text[0] != '[' && text[0] != '{':
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return empty
			}
		case text[0] == '[' && bytes.HasPrefix(bytes.TrimSpace(text[1:]), []byte("]")):
			empty = at
			var skipped json.RawMessage
			if err := d.Decode(&skipped); err != nil {
				return empty
			}
		case text[0] == '[' && bytes.HasPrefix(bytes.TrimSpace(text[1:]), []byte("{")):
			return at
		default: // an object, or another list
			if t, err := d.Token(); err != nil || t != json.Delim('{') {
				return empty
			}
		}
	}
}

// IsDocument reports whether the beginning of a JSON text, up to its first line end or
// further, is not a product on a line of its own, but that of an object with a list of
// products, or of an object on several lines.
func IsDocument(start []byte) bool {
	line, _, ended := bytes.Cut(start, []byte("\n"))
	line = bytes.TrimSpace(line)
	return findList(start) > 0 || ended && bytes.HasPrefix(line, []byte("{")) && bytes.ContainsAny(line[len(line)-1:], ",{[")
}

// identifying are the names of members that only a product has.
var identifying = map[string]bool{idColumn: true, "sku": true, "name": true, "title": true, "price": true}
