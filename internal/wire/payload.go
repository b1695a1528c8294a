package wire

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"catalog"
)

// The payload of a product in PostgreSQL and SQLite is its data as one JSON
// object, in the form of the HTTP API, without empty fields. Both functions loop
// over catalog.Fields, so a new field needs no code here. They do not use
// encoding/json, which takes five times as long: a store encodes and decodes
// every product of a batch inside the transaction.

// EncodeProductData returns d as JSON.
func EncodeProductData(d catalog.ProductData) []byte {
	b := make([]byte, 0, 256+len(d.Description))
	for i := range catalog.Fields {
		f := &catalog.Fields[i]
		before := len(b)
		b = append(b, ',')
		b = append(appendJSON(b, f.Name), ':')
		var empty bool
		switch f.Kind {
		case catalog.KindMoney:
			if empty = d.Price == (catalog.Money{}); !empty {
				b = append(appendJSON(append(b, `{"amount":`...), d.Price.Amount()), `,"currency":`...)
				b = append(appendJSON(b, d.Price.Currency), '}')
			}
		case catalog.KindList:
			list := *f.List(&d)
			if empty = len(list) == 0; !empty {
				for i, s := range list {
					b = appendJSON(append(b, "[,"[min(i, 1)]), s)
				}
				b = append(b, ']')
			}
		case catalog.KindMap:
			if empty = len(d.Attributes) == 0; !empty {
				for i, k := range slices.Sorted(maps.Keys(d.Attributes)) {
					b = append(appendJSON(append(b, "{,"[min(i, 1)]), k), ':')
					b = appendJSON(b, d.Attributes[k])
				}
				b = append(b, '}')
			}
		default:
			text := *f.Text(&d)
			if empty = text == ""; !empty {
				b = appendJSON(b, text)
			}
		}
		if empty {
			b = b[:before]
		}
	}
	if len(b) == 0 {
		return []byte("{}")
	}
	b[0] = '{'
	return append(b, '}')
}

// appendJSON appends s as a JSON string.
func appendJSON(b []byte, s string) []byte {
	plain := utf8.ValidString(s)
	for i := 0; plain && i < len(s); i++ {
		plain = s[i] >= ' ' && s[i] != '"' && s[i] != '\\'
	}
	if plain {
		return append(append(append(b, '"'), s...), '"')
	}
	quoted, _ := json.Marshal(s) // marshaling a string cannot fail
	return append(b, quoted...)
}

// DecodeProductData decodes the result of EncodeProductData, also with other white
// space and another order. An unknown field is an error, because writing the
// product again would lose it: a newer version of this program has written it.
func DecodeProductData(b []byte) (catalog.ProductData, error) {
	var d catalog.ProductData
	r := payloadReader{s: string(b)}
	err := r.object(func(name string) error { return r.field(&d, name) })
	if err == nil && r.next() != 0 {
		err = errors.New("data after the end of the object")
	}
	if err != nil {
		return catalog.ProductData{}, fmt.Errorf("decode product data: %w, at byte %d", err, r.at)
	}
	return d, nil
}

// payloadReader reads JSON that consists of objects, lists and strings.
type payloadReader struct {
	s  string
	at int
}

// next skips white space and returns the next byte, or 0 at the end.
func (r *payloadReader) next() byte {
	for ; r.at < len(r.s); r.at++ {
		switch c := r.s[r.at]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// expect reads the byte c.
func (r *payloadReader) expect(c byte) error {
	if r.next() != c {
		return fmt.Errorf("%q is missing", c)
	}
	r.at++
	return nil
}

// field reads the value of a field into d.
func (r *payloadReader) field(d *catalog.ProductData, name string) error {
	f := catalog.FieldByName(name)
	if f == nil {
		return fmt.Errorf("unknown field %q; upgrade this program", name)
	}
	switch f.Kind {
	case catalog.KindMoney:
		return r.object(func(name string) error {
			s, err := r.text()
			switch {
			case err != nil:
				return err
			case name == "amount":
				d.Price.Decimal, err = catalog.ParseDecimal(s)
			case name == "currency":
				d.Price.Currency = s
			}
			return err
		})
	case catalog.KindList:
		return r.elements('[', ']', func() error {
			s, err := r.text()
			*f.List(d) = append(*f.List(d), s)
			return err
		})
	case catalog.KindMap:
		d.Attributes = map[string]string{}
		return r.object(func(key string) (err error) {
			d.Attributes[key], err = r.text()
			return err
		})
	}
	s, err := r.text()
	*f.Text(d) = s
	return err
}

// object reads an object and calls value at the value of each member.
func (r *payloadReader) object(value func(name string) error) error {
	return r.elements('{', '}', func() error {
		name, err := r.text()
		if err != nil {
			return err
		}
		if err := r.expect(':'); err != nil {
			return err
		}
		return value(name)
	})
}

// elements reads the elements between two brackets, separated by commas.
func (r *payloadReader) elements(first, last byte, element func() error) error {
	if err := r.expect(first); err != nil {
		return err
	}
	for n := 0; r.next() != last; n++ {
		if n > 0 {
			if err := r.expect(','); err != nil {
				return err
			}
		}
		if err := element(); err != nil {
			return err
		}
	}
	r.at++
	return nil
}

// text reads a string.
func (r *payloadReader) text() (string, error) {
	if err := r.expect('"'); err != nil {
		return "", err
	}
	start := r.at
	for escaped := false; ; {
		n := strings.IndexByte(r.s[r.at:], '"')
		if n < 0 {
			return "", errors.New("a string does not end")
		}
		e := strings.IndexByte(r.s[r.at:r.at+n], '\\')
		switch {
		case e >= 0: // skip the escaped byte, which can be a quotation mark
			escaped = true
			r.at = min(r.at+e+2, len(r.s))
		case !escaped:
			r.at += n + 1
			return r.s[start : r.at-1], nil
		default:
			r.at += n + 1
			var s string
			err := json.Unmarshal([]byte(r.s[start-1:r.at]), &s)
			return s, err
		}
	}
}
