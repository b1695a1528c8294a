package wire

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"catalog"
)

const (
	// maxDepth limits the nesting of a JSON body, in objects and lists. A product
	// needs two levels.
	maxDepth = 8
	// maxValues limits the number of values in a JSON body, those in objects and lists
	// included. A patch that sets and removes as many attributes as a product can have
	// needs fewer than 300. Each value takes many times its size in memory.
	maxValues = 1000
	// maxVersion is the largest version that every JSON reader can represent
	// exactly: numbers in JavaScript are exact up to 2^53.
	maxVersion = 1<<53 - 1
)

// ParseProductData parses a product as a client writes it. Its error is a
// *catalog.Refusal that lists every bad field.
func ParseProductData(body []byte) (catalog.ProductData, error) {
	o, err := parseObject("body", body)
	if err != nil {
		return catalog.ProductData{}, err
	}
	r := &catalog.Refusal{}
	o.refuseNulls(r, "")
	if attributes, ok := o["attributes"].(object); ok {
		attributes.refuseNulls(r, "attributes.")
	}
	if price, ok := o["price"].(object); ok {
		price.requirePrice(r)
	}
	d := o.patch(r).Apply(catalog.ProductData{})
	return d, merge(r, d.Validate())
}

// ParsePatch parses a JSON merge patch on a product. Its error is a
// *catalog.Refusal that lists every field that is invalid for any product.
func ParsePatch(body []byte) (catalog.Patch, error) {
	o, err := parseObject("body", body)
	if err != nil {
		return catalog.Patch{}, err
	}
	r := &catalog.Refusal{}
	p := o.patch(r)
	return p, merge(r, p.Validate())
}

// ParseRow parses a line of an import: a merge patch with an id, an SKU or both,
// which identify the product. The id is zero when the line has none.
func ParseRow(body []byte) (id catalog.ID, p catalog.Patch, err error) {
	o, err := parseObject("row", body)
	if err != nil {
		return id, p, err
	}
	r := &catalog.Refusal{}
	if v, ok := o.take("id"); ok {
		s, isText := v.(string)
		if id, err = catalog.ParseID(s); err != nil || !isText {
			r.Add("id", "must be a UUID such as 0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b")
		}
	}
	p = o.patch(r)
	if id == (catalog.ID{}) && (p.SKU == nil || *p.SKU == "") && len(r.Fields) == 0 {
		r.Add("sku", "is missing; give an sku or an id, which identify the product of the line")
	}
	return id, p, merge(r, p.Validate())
}

// ParseRestore parses the body of a restore request and returns the version to
// restore.
func ParseRestore(body []byte) (version int64, err error) {
	o, err := parseObject("body", body)
	if err != nil {
		return 0, err
	}
	r := &catalog.Refusal{}
	v, ok := o.take("version")
	n, isNumber := v.(json.Number)
	if version, err = n.Int64(); !ok {
		r.Add("version", "is missing; give the version to restore")
	} else if err != nil || version < 1 || version > maxVersion {
		why := "must be a whole number, 1 or more"
		if !isNumber {
			why += ", not " + typeName(v)
		}
		r.Add("version", why)
	}
	o.refuseRest(r, "", "version")
	return version, r.Err()
}

// ParseVoidPrice parses the body of a request to mark a past price as a mistake. Its
// error is a *catalog.Refusal that lists every bad field.
func ParseVoidPrice(body []byte) (catalog.VoidPrice, error) {
	o, err := parseObject("body", body)
	if err != nil {
		return catalog.VoidPrice{}, err
	}
	r := &catalog.Refusal{}
	var v catalog.VoidPrice
	if price, ok := o.take("price"); !ok {
		r.Add("price", `is missing; give the mistaken price, such as {"amount": "1.00", "currency": "EUR"}`)
	} else {
		if price, ok := price.(object); ok {
			price.requirePrice(r)
		}
		if amount, currency := readPrice(r, "price", price); amount != nil && currency != nil {
			v.Price = catalog.Money{Decimal: *amount, Currency: *currency}
		}
	}
	if reason, ok := o.take("reason"); !ok {
		r.Add("reason", "is missing; say why the price was a mistake")
	} else if s := readText(r, "reason", reason, false); s != nil {
		v.Reason = *s
	}
	o.refuseRest(r, "", "price, reason")
	return v, merge(r, v.Validate())
}

// merge returns a refusal with the fields of r and those of err, a refusal by
// validation. It leaves out the fields that r already lists as unreadable, and a price of
// which r lists a member.
func merge(r *catalog.Refusal, err error) error {
	var more *catalog.Refusal
	if errors.As(err, &more) {
		unreadable := slices.Clone(r.Fields)
		r.Merge(more, func(f catalog.FieldError) bool {
			return slices.ContainsFunc(unreadable, func(g catalog.FieldError) bool {
				return f.Field == g.Field || strings.HasPrefix(f.Field, g.Field+".") || strings.HasPrefix(f.Field, g.Field+"[") ||
					f.Field == "price" && strings.HasPrefix(g.Field, "price.")
			})
		})
	}
	return r.Err()
}

// object is a parsed JSON object. Its members are removed as they are read.
type object map[string]any

// take removes the member with the given name and returns its value.
func (o object) take(name string) (value any, ok bool) {
	value, ok = o[name]
	delete(o, name)
	return value, ok
}

// refuseNulls removes the members of o that are null, which clears a field in a patch
// and has no meaning in a whole product, and adds them to r.
func (o object) refuseNulls(r *catalog.Refusal, path string) {
	for _, k := range slices.Sorted(maps.Keys(o)) {
		if o[k] != nil {
			continue
		}
		delete(o, k)
		if f := catalog.FieldByName(k); path == "" && f != nil && f.Required {
			r.Add(k, "is required; it cannot be null")
		} else {
			r.Add(path+k, "must not be null; leave it out if it has no value")
		}
	}
}

// requirePrice adds the member that the price o lacks to r. In a patch, amount or currency
// can change alone. A price that lacks both is missing, says [catalog.ProductData.Validate].
func (o object) requirePrice(r *catalog.Refusal) {
	_, amount := o["amount"]
	_, currency := o["currency"]
	switch {
	case currency && !amount:
		r.Add("price.amount", `is missing; give a decimal number in a string, such as "149.90"`)
	case amount && !currency:
		r.Add("price.currency", "is missing; give an ISO 4217 code such as EUR")
	}
}

// patch reads o as a merge patch and adds the members that it cannot read to r.
func (o object) patch(r *catalog.Refusal) catalog.Patch {
	var p catalog.Patch
	for i := range catalog.Fields {
		f := &catalog.Fields[i]
		v, ok := o.take(f.Name)
		if !ok {
			continue
		}
		switch f.Kind {
		case catalog.KindMoney:
			p.Amount, p.Currency = readPrice(r, f.Name, v)
		case catalog.KindList:
			*f.PatchList(&p) = readList(r, f, v)
		case catalog.KindMap:
			p.ClearAttributes = v == nil
			p.Attributes = readMap(r, f, v)
		default:
			*f.PatchText(&p) = normalized(r, f, readText(r, f.Name, v, !f.Required))
		}
	}
	o.refuseRest(r, "", strings.Join(catalog.FieldNames(), ", "))
	return p
}

// readText returns v as a text. If the field is clearable, null becomes "".
func readText(r *catalog.Refusal, field string, v any, clearable bool) *string {
	switch s, ok := v.(string); {
	case ok:
		return &s
	case v == nil && clearable:
		return new(string)
	case v == nil:
		r.Add(field, "is required; it cannot be null")
	default:
		r.Add(field, "must be a string, not "+typeName(v))
	}
	return nil
}

// normalized returns a text of a field in the form in which it is stored.
func normalized(r *catalog.Refusal, f *catalog.Field, s *string) *string {
	if s == nil {
		return nil
	}
	n := NormalizeText(f, *s)
	if *s != "" && onlyInvisible(n) { // an empty text would clear the field
		r.Add(f.Name, "must not be blank: it has only invisible characters")
		return nil
	}
	return &n
}

func readPrice(r *catalog.Refusal, field string, v any) (amount *catalog.Decimal, currency *string) {
	price, ok := v.(object)
	switch {
	case v == nil:
		r.Add(field, "is required; it cannot be null")
		return nil, nil
	case !ok:
		r.Add(field, `must be an object such as {"amount": "149.90", "currency": "EUR"}, not `+typeName(v))
		return nil, nil
	}
	if v, ok := price.take("currency"); ok {
		currency = readText(r, field+".currency", v, false)
	}
	if v, ok := price.take("amount"); ok {
		amount = readDecimal(r, field+".amount", v)
	}
	price.refuseRest(r, field+".", "amount, currency")
	return amount, currency
}

func readDecimal(r *catalog.Refusal, field string, v any) *catalog.Decimal {
	s, ok := v.(string)
	if !ok {
		r.Add(field, `must be a decimal number in a string, such as "149.90", not `+typeName(v))
		return nil
	}
	d, err := catalog.ParseDecimal(s)
	if err != nil {
		r.Add(field, err.Error())
		return nil
	}
	return &d
}

func readList(r *catalog.Refusal, f *catalog.Field, v any) *[]string {
	values, ok := v.([]any)
	if !ok && v != nil {
		r.Add(f.Name, `must be a list of strings such as ["new", "oak"], not `+typeName(v))
		return nil
	}
	list := make([]string, 0, len(values))
	for i, v := range values {
		s, ok := v.(string)
		if !ok {
			r.Add(fmt.Sprintf("%s[%d]", f.Name, i), "must be a string, not "+typeName(v))
		}
		list = append(list, NormalizeText(f, s))
	}
	return &list
}

func readMap(r *catalog.Refusal, f *catalog.Field, v any) map[string]*string {
	members, ok := v.(object)
	if !ok && v != nil {
		r.Add(f.Name, `must be an object such as {"width": "45"}, not `+typeName(v))
	}
	if len(members) == 0 {
		return nil
	}
	m := make(map[string]*string, len(members))
	for _, k := range slices.Sorted(maps.Keys(members)) {
		name := NormalizeText(f, k)
		if _, twice := m[name]; twice {
			r.Add(f.Name+"."+name, "is given twice, in different forms of the same characters")
			continue
		}
		switch s, ok := members[k].(string); {
		case ok:
			s = norm.NFC.String(s)
			m[name] = &s
		case members[k] == nil:
			m[name] = nil
		default:
			r.Add(f.Name+"."+k, "must be a string, not "+typeName(members[k]))
		}
	}
	return m
}

// refuseRest adds every member that was not taken to r. known lists the valid
// names.
func (o object) refuseRest(r *catalog.Refusal, path, known string) {
	for _, k := range slices.Sorted(maps.Keys(o)) {
		switch k {
		case "id", "version", "createdAt", "updatedAt":
			r.Add(path+k, "is set by the catalogue; leave it out")
		default:
			r.Add(path+fmt.Sprintf("%.80s", k), "is unknown; the fields are "+known)
		}
	}
}

// typeName returns the JSON type of v, with its article.
func typeName(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case bool:
		return "true or false"
	case json.Number:
		return "a number"
	case string:
		return "a string"
	case []any:
		return "a list"
	}
	return "an object"
}

// CheckText returns an error for the JSON of a row whose texts encoding/json would change:
// text that is not UTF-8, and half of a surrogate pair.
func CheckText(row []byte) error { return checkText("row", row) }

func checkText(what string, body []byte) error {
	if !utf8.Valid(body) {
		return catalog.Invalid(what, "is not valid UTF-8")
	}
	if at := loneSurrogate(body); at >= 0 {
		return catalog.Invalid(what, fmt.Sprintf("has %s without the other half of its surrogate pair, at %s", body[at:at+6], location(body, at)))
	}
	return nil
}

// CheckObject returns what is wrong with a row that must be exactly one JSON object without
// a repeated member.
func CheckObject(row []byte) error {
	_, err := parseObject("row", row)
	return err
}

// parseObject parses body, which must be exactly one JSON object. A byte-order mark is
// ignored. Errors of the whole name it what.
func parseObject(what string, body []byte) (object, error) {
	if err := checkText(what, body); err != nil {
		return nil, err
	}
	body = bytes.TrimPrefix(body, []byte("\uFEFF"))
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, catalog.Invalid(what, "is empty; send a JSON object")
	}
	p := parser{what: what, body: body, tokens: json.NewDecoder(bytes.NewReader(body))}
	p.tokens.UseNumber()
	v, err := p.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := p.tokens.Token(); !errors.Is(err, io.EOF) {
		return nil, catalog.Invalid(what, "has data after the end of the object, at "+location(body, int(p.tokens.InputOffset())))
	}
	o, ok := v.(object)
	if !ok {
		return nil, catalog.Invalid(what, "must be a JSON object, not "+typeName(v))
	}
	return o, nil
}

// loneSurrogate returns the place of the first escape such as \ud83d in the JSON text
// that is half of a surrogate pair, or -1. encoding/json replaces it with U+FFFD, and
// the product would have another text than the client sent.
func loneSurrogate(body []byte) int {
	for at := 0; ; {
		next := bytes.IndexByte(body[at:], '\\')
		if next < 0 {
			return -1
		}
		at += next
		first := escapedUnit(body[at:])
		switch {
		case first < 0: // a short escape such as \n, or one that the parser refuses
			at += 2
		case !utf16.IsSurrogate(first):
			at += 6
		case utf16.DecodeRune(first, escapedUnit(body[at+6:])) == utf8.RuneError:
			return at
		default:
			at += 12
		}
		if at >= len(body) {
			return -1
		}
	}
}

// escapedUnit returns the UTF-16 unit of the escape \uXXXX at the start of b, or -1.
func escapedUnit(b []byte) rune {
	if len(b) < 6 || b[0] != '\\' || b[1] != 'u' {
		return -1
	}
	unit, err := strconv.ParseUint(string(b[2:6]), 16, 16)
	if err != nil {
		return -1
	}
	return rune(unit)
}

// parser parses the values of a JSON text.
type parser struct {
	what   string // name of the text, in errors
	body   []byte
	tokens *json.Decoder
	values int    // number of values so far
	path   []step // path to the present value
}

// step leads to a member of an object or, without a name, to an entry of a list.
type step struct {
	name  string
	index int
}

// value parses the next value: an object, a []any, a string, a json.Number, a bool or nil.
// It refuses duplicate names, deep nesting and very many values, which encoding/json accepts.
func (p *parser) value(depth int) (any, error) {
	if depth > maxDepth {
		return nil, catalog.Invalid(p.what, fmt.Sprintf("is nested deeper than %d levels", maxDepth))
	}
	if p.values++; p.values > maxValues {
		return nil, catalog.Invalid(p.what, fmt.Sprintf("has more than %d values; no product needs so many", maxValues))
	}
	want := expectValue
	if len(p.path) > 0 && p.path[len(p.path)-1].name != "" {
		want = expectColon
	}
	t, err := p.token(want)
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		for p.tokens.More() {
			k, err := p.token(expectName)
			if err != nil {
				return nil, err
			}
			name := k.(string) // the decoder accepts only strings here
			p.path = append(p.path, step{name: name})
			if _, ok := o[name]; ok {
				return nil, catalog.Invalid(p.place(), "is given twice")
			}
			if o[name], err = p.value(depth + 1); err != nil {
				return nil, err
			}
			p.path = p.path[:len(p.path)-1]
		}
		_, err = p.token(expectEnd)
		return o, err
	case json.Delim('['):
		list := []any{}
		for p.tokens.More() {
			p.path = append(p.path, step{index: len(list)})
			v, err := p.value(depth + 1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
			p.path = p.path[:len(p.path)-1]
		}
		_, err = p.token(expectEnd)
		return list, err
	}
	return t, nil
}

// place returns the path to the present value, such as price.amount, and "" for the whole.
func (p *parser) place() string {
	var b strings.Builder
	for i, s := range p.path {
		switch {
		case s.name == "":
			fmt.Fprintf(&b, "[%d]", s.index)
		case i > 0:
			b.WriteByte('.')
		}
		b.WriteString(s.name)
	}
	return fmt.Sprintf("%.80s", b.String())
}

// token returns the next token of the text, or an error that says where the text stops being JSON.
func (p *parser) token(want expected) (json.Token, error) {
	t, err := p.tokens.Token()
	switch {
	case err == nil:
		return t, nil
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, catalog.Invalid(p.what, "is cut off: the JSON object does not end")
	}
	at, reason := describeSyntax(p.body, int(p.tokens.InputOffset()), want)
	where := location(p.body, at)
	if in := p.place(); in != "" {
		where += " (in " + in + ")"
	}
	return nil, catalog.Invalid(p.what, fmt.Sprintf("is not JSON at %s: %s", where, reason))
}
