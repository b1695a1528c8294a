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
	"unicode/utf8"

	"github.com/google/uuid"

	"catalog"
	"catalog/api"
)

// maxDepth is how deep a body may nest: a product needs two.
const maxDepth = 8

// ParseDraft reads a product as a client writes it, or answers a
// *catalog.Refusal that names every bad field.
func ParseProductData(body []byte) (catalog.ProductData, error) {
	o, err := parseObject(body)
	if err != nil {
		return catalog.ProductData{}, err
	}
	r := &catalog.Refusal{}
	d := o.patch(r).Apply(catalog.ProductData{})
	return d, join(r, d.Validate())
}

// ParsePatch reads a JSON merge patch on a product, or answers a
// *catalog.Refusal that names every field that no product could take.
func ParsePatch(body []byte) (catalog.Patch, error) {
	o, err := parseObject(body)
	if err != nil {
		return catalog.Patch{}, err
	}
	r := &catalog.Refusal{}
	p := o.patch(r)
	return p, join(r, checkPatch(p))
}

// ParseRow reads a line of an import: a merge patch with an id, an SKU or both,
// which say what product it is about. Where it has no id, id is zero.
func ParseRow(body []byte) (id catalog.ID, p catalog.Patch, err error) {
	o, err := parseObject(body)
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
		r.Add("sku", "is missing; give an sku or an id, which say what product the line is about")
	}
	return id, p, join(r, checkPatch(p))
}

// maxVersion is the largest that all who read JSON can tell from the next.
const maxVersion = 1<<53 - 1

// ParseRestore reads which version is to be restored.
func ParseRestore(body []byte) (version int64, err error) {
	o, err := parseObject(body)
	if err != nil {
		return 0, err
	}
	r := &catalog.Refusal{}
	v, ok := o.take("version")
	n, isNumber := v.(json.Number)
	if version, err = n.Int64(); !ok {
		r.Add("version", "is missing; give the version to go back to")
	} else if err != nil || version < 1 || version > maxVersion {
		why := "must be a whole number, 1 or more"
		if !isNumber {
			why += ", not " + kind(v)
		}
		r.Add("version", why)
	}
	o.unknown(r, "", "version")
	return version, r.Err()
}

// checkPatch keeps the rules that hold whatever product the patch is for.
func checkPatch(p catalog.Patch) error {
	anything := catalog.ProductData{Name: "x", Price: catalog.Money{Currency: "EUR"}}
	if p.Currency == nil {
		p.Amount = nil // how many digits it may have is the currency's matter
	}
	return p.Apply(anything).Validate()
}

// join adds to what could not be read what breaks a rule, where that is not the
// same field.
func join(r *catalog.Refusal, err error) error {
	var more *catalog.Refusal
	if errors.As(err, &more) {
		for _, f := range more.Fields {
			if !slices.ContainsFunc(r.Fields, func(g catalog.FieldError) bool {
				return f.Field == g.Field || strings.HasPrefix(f.Field, g.Field+".") || strings.HasPrefix(f.Field, g.Field+"[")
			}) {
				r.Fields = append(r.Fields, f)
			}
		}
	}
	return r.Err()
}

// object is a JSON object whose members have been told apart, but not yet read.
type object map[string]any

func (o object) take(name string) (any, bool) {
	v, ok := o[name]
	delete(o, name)
	return v, ok
}

// patch reads o as a merge patch and adds to r what it cannot read.
func (o object) patch(r *catalog.Refusal) catalog.Patch {
	var p catalog.Patch
	text := func(to **string, field string, v any, ok, clearable bool) {
		switch s, isText := v.(string); {
		case !ok:
		case isText:
			*to = &s
		case v == nil && clearable:
			*to = new(string)
		case v == nil:
			r.Add(field, "is required; it cannot be null")
		default:
			r.Add(field, "must be a string, not "+kind(v))
		}
	}
	member := func(to **string, name string, clearable bool) {
		v, ok := o.take(name)
		text(to, name, v, ok, clearable)
	}
	member(&p.SKU, "sku", true)
	member(&p.Name, "name", false)
	member(&p.Description, "description", true)
	member(&p.Category, "category", true)
	if v, ok := o.take("price"); ok {
		price, isObject := v.(object)
		switch {
		case v == nil:
			r.Add("price", "is required; it cannot be null")
		case !isObject:
			r.Add("price", `must be an object such as {"amount": "149.90", "currency": "EUR"}, not `+kind(v))
		default:
			v, ok := price.take("currency")
			text(&p.Currency, "price.currency", v, ok, false)
			if v, ok := price.take("amount"); ok {
				p.Amount = decimal(r, v)
			}
			price.unknown(r, "price.", "amount, currency")
		}
	}
	if v, ok := o.take("tags"); ok {
		p.Tags = tags(r, v)
	}
	if v, ok := o.take("attributes"); ok {
		p.ClearAttributes = v == nil
		attributes, isObject := v.(object)
		if !isObject && v != nil {
			r.Add("attributes", `must be an object such as {"width": "45"}, not `+kind(v))
		}
		for _, k := range slices.Sorted(maps.Keys(attributes)) {
			if p.Attributes == nil {
				p.Attributes = map[string]*string{}
			}
			switch s, isText := attributes[k].(string); {
			case isText:
				p.Attributes[k] = &s
			case attributes[k] == nil:
				p.Attributes[k] = nil
			default:
				r.Add("attributes."+k, "must be a string, not "+kind(attributes[k]))
			}
		}
	}
	o.unknown(r, "", "sku, name, description, price, category, tags, attributes")
	return p
}

func decimal(r *catalog.Refusal, v any) *catalog.Decimal {
	s, ok := v.(string)
	if !ok {
		r.Add("price.amount", `must be a decimal number in a string, such as "149.90", not `+kind(v))
		return nil
	}
	d, err := catalog.ParseDecimal(s)
	if err != nil {
		r.Add("price.amount", err.Error())
		return nil
	}
	return &d
}

func tags(r *catalog.Refusal, v any) *[]string {
	list, ok := v.([]any)
	if !ok && v != nil {
		r.Add("tags", `must be a list of strings such as ["new", "oak"], not `+kind(v))
		return nil
	}
	tags := make([]string, 0, len(list))
	for i, v := range list {
		s, ok := v.(string)
		if !ok {
			r.Add(fmt.Sprintf("tags[%d]", i), "must be a string, not "+kind(v))
		}
		tags = append(tags, s)
	}
	return &tags
}

// unknown refuses the members that nobody has taken.
func (o object) unknown(r *catalog.Refusal, path, known string) {
	for _, k := range slices.Sorted(maps.Keys(o)) {
		switch k {
		case "id", "version", "createdAt", "updatedAt":
			r.Add(path+k, "is set by the catalogue; leave it out")
		default:
			r.Add(path+fmt.Sprintf("%.80s", k), "is not known; the fields are "+known)
		}
	}
}

func kind(v any) string {
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

// parseObject reads one JSON object and nothing behind it.
func parseObject(body []byte) (object, error) {
	if !utf8.Valid(body) {
		return nil, catalog.Invalid("body", "is not valid UTF-8")
	}
	if len(bytes.TrimSpace(body)) == 0 {
		return nil, catalog.Invalid("body", "is empty; send a JSON object")
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.UseNumber()
	v, err := parseValue(d, 0)
	if err == nil {
		if _, e := d.Token(); !errors.Is(e, io.EOF) {
			err = catalog.Invalid("body", fmt.Sprintf("has something behind the end of the object, at %s", place(body, d.InputOffset())))
		}
	}
	var refusal *catalog.Refusal
	switch {
	case errors.As(err, &refusal):
		return nil, refusal
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return nil, catalog.Invalid("body", "is cut off: the JSON does not end")
	case err != nil:
		return nil, catalog.Invalid("body", fmt.Sprintf("is not JSON: %s, at %s", strings.TrimPrefix(err.Error(), "json: "), place(body, d.InputOffset())))
	}
	o, ok := v.(object)
	if !ok {
		return nil, catalog.Invalid("body", "must be a JSON object, not "+kind(v))
	}
	return o, nil
}

func place(body []byte, offset int64) string {
	before := body[:min(int(offset), len(body))]
	line := bytes.Count(before, []byte("\n")) + 1
	column := utf8.RuneCount(before[bytes.LastIndexByte(before, '\n')+1:]) + 1
	return "line " + strconv.Itoa(line) + ", column " + strconv.Itoa(column)
}

func parseValue(d *json.Decoder, depth int) (any, error) {
	if depth > maxDepth {
		return nil, catalog.Invalid("body", fmt.Sprintf("nests deeper than %d", maxDepth))
	}
	t, err := d.Token()
	if err != nil {
		return nil, err
	}
	switch t {
	case json.Delim('{'):
		o := object{}
		for d.More() {
			k, err := d.Token()
			if err != nil {
				return nil, err
			}
			name := k.(string) // the decoder lets nothing else pass as a key
			if _, twice := o[name]; twice {
				return nil, catalog.Invalid(fmt.Sprintf("%.80s", name), "is there twice")
			}
			if o[name], err = parseValue(d, depth+1); err != nil {
				return nil, err
			}
		}
		_, err = d.Token()
		return o, err
	case json.Delim('['):
		list := []any{}
		for d.More() {
			v, err := parseValue(d, depth+1)
			if err != nil {
				return nil, err
			}
			list = append(list, v)
		}
		_, err = d.Token()
		return list, err
	}
	return t, nil
}

// Products, receipts and histories as the contract has them.

// ProductJSON is p in the shape of the contract.
func ProductToJSON(p catalog.Product) api.Product {
	m := api.Product{
		Id: uuid.UUID(p.ID), Sku: p.SKU, Name: p.Name, Description: p.Description,
		Price:    api.Money{Amount: p.Price.Amount(), Currency: p.Price.Currency},
		Category: p.Category, Tags: p.Tags, Attributes: p.Attributes,
		Version: p.Version, CreatedAt: p.CreatedAt, UpdatedAt: p.UpdatedAt,
	}
	if lowest, ok := p.LowestPrior(); ok {
		m.LowestPrice30d = api.Money{Amount: lowest.Amount(), Currency: lowest.Currency}
	}
	return m
}

// ProductOf is what a client reads from the shape of the contract. Of the past
// prices it has the lowest alone.
func ProductFromJSON(m api.Product) (catalog.Product, error) {
	amount, err := catalog.ParseDecimal(m.Price.Amount)
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: price %q %w", m.Id, m.Price.Amount, err)
	}
	var past []catalog.PastPrice
	if lowest := m.LowestPrice30d; lowest.Currency != "" {
		d, err := catalog.ParseDecimal(lowest.Amount)
		if err != nil {
			return catalog.Product{}, fmt.Errorf("product %s: lowest price %q %w", m.Id, lowest.Amount, err)
		}
		past = []catalog.PastPrice{{Money: catalog.Money{Decimal: d, Currency: lowest.Currency}, Until: TruncateTime(m.UpdatedAt)}}
	}
	return catalog.Product{
		ID: catalog.ID(m.Id),
		ProductData: catalog.ProductData{
			SKU: m.Sku, Name: m.Name, Description: m.Description,
			Price:    catalog.Money{Decimal: amount, Currency: m.Price.Currency},
			Category: m.Category, Tags: m.Tags, Attributes: m.Attributes,
		},
		Version: m.Version, CreatedAt: TruncateTime(m.CreatedAt), UpdatedAt: TruncateTime(m.UpdatedAt), PastPrices: past,
	}, nil
}

// DraftJSON is d in the shape of the contract.
func ProductDataToJSON(d catalog.ProductData) api.ProductData {
	return api.ProductData{
		Sku: d.SKU, Name: d.Name, Description: d.Description,
		Price:    api.Money{Amount: d.Price.Amount(), Currency: d.Price.Currency},
		Category: d.Category, Tags: d.Tags, Attributes: d.Attributes,
	}
}

// PageJSON is p in the shape of the contract.
func PageToJSON(p catalog.Page) api.Page {
	m := api.Page{Items: productsJSON(p.Items), Total: p.Total, NextCursor: p.NextCursor, DidYouMean: p.DidYouMean}
	for _, f := range p.Facets {
		m.Facets = append(m.Facets, api.Facet{Field: api.FacetField(f.Field), Attribute: f.Attribute, Values: valuesJSON(f.Values)})
	}
	if p.Highlights != nil {
		m.Highlights = map[string]map[string][]api.Fragment{}
	}
	for i, item := range p.Highlights {
		fields := map[string][]api.Fragment{}
		for _, h := range item {
			for _, f := range h.Fragments {
				fields[h.Field] = append(fields[h.Field], api.Fragment{Text: f.Text, Match: f.Match})
			}
		}
		m.Highlights[p.Items[i].ID.String()] = fields
	}
	return m
}

// PageOf is m as a catalog type.
func PageFromJSON(m api.Page) (catalog.Page, error) {
	items, err := productsOf(m.Items)
	if err != nil {
		return catalog.Page{}, err
	}
	p := catalog.Page{Items: items, Total: m.Total, NextCursor: m.NextCursor, DidYouMean: m.DidYouMean}
	for _, f := range m.Facets {
		p.Facets = append(p.Facets, catalog.Facet{Field: string(f.Field), Attribute: f.Attribute, Values: valuesOf(f.Values)})
	}
	if m.Highlights == nil {
		return p, nil
	}
	for _, item := range items {
		var all []catalog.Highlight
		fields := m.Highlights[item.ID.String()]
		for _, field := range slices.Sorted(maps.Keys(fields)) {
			h := catalog.Highlight{Field: field}
			for _, f := range fields[field] {
				h.Fragments = append(h.Fragments, catalog.Fragment{Text: f.Text, Match: f.Match})
			}
			all = append(all, h)
		}
		p.Highlights = append(p.Highlights, all)
	}
	return p, nil
}

// SuggestionsJSON is s as it is answered.
func SuggestionsToJSON(s catalog.Suggestions) api.Suggestions {
	return api.Suggestions{Texts: append([]string{}, s.Texts...), Categories: valuesJSON(s.Categories), Products: productsJSON(s.Products)}
}

// SuggestionsOf is m as a catalog type.
func SuggestionsFromJSON(m api.Suggestions) (catalog.Suggestions, error) {
	list, err := productsOf(m.Products)
	return catalog.Suggestions{Texts: m.Texts, Categories: valuesOf(m.Categories), Products: list}, err
}

func productsJSON(list []catalog.Product) []api.Product {
	all := make([]api.Product, len(list))
	for i, p := range list {
		all[i] = ProductToJSON(p)
	}
	return all
}

func productsOf(list []api.Product) ([]catalog.Product, error) {
	all := make([]catalog.Product, len(list))
	for i, m := range list {
		var err error
		if all[i], err = ProductFromJSON(m); err != nil {
			return nil, err
		}
	}
	return all, nil
}

func valuesJSON(values []catalog.FacetValue) []api.FacetValue {
	all := make([]api.FacetValue, len(values))
	for i, v := range values {
		all[i] = api.FacetValue{Value: v.Value, Count: v.Count}
	}
	return all
}

func valuesOf(list []api.FacetValue) []catalog.FacetValue {
	all := make([]catalog.FacetValue, len(list))
	for i, m := range list {
		all[i] = catalog.FacetValue{Value: m.Value, Count: m.Count}
	}
	return all
}

// HistoryJSON is the history that events, newest first, tell of a product. The
// event before the oldest is not there when there are more; then that one is
// compared with nothing and left out.
func HistoryToJSON(events []catalog.Event, more bool) api.History {
	h := api.History{Items: []api.Version{}}
	for i, e := range events {
		var before catalog.ProductData
		switch {
		case i+1 < len(events):
			before = events[i+1].Product.ProductData
		case more:
			h.NextBefore = e.Product.Version + 1
			return h
		}
		h.Items = append(h.Items, api.Version{
			Version: e.Product.Version, Outcome: api.Outcome(e.Outcome), CommandId: uuid.UUID(e.Command),
			Position: e.Position.String(), Actor: e.Actor, At: e.SettledAt, TraceId: TraceID(e.Trace),
			Changes: changes(before, e.Product.ProductData),
		})
	}
	return h
}

// changes lists the fields in which to differs from from.
func changes(from, to catalog.ProductData) []api.Change {
	list := []api.Change{}
	a, b := leaves(from), leaves(to)
	all := maps.Clone(a)
	maps.Copy(all, b)
	for _, field := range slices.Sorted(maps.Keys(all)) {
		if a[field] != b[field] {
			list = append(list, api.Change{Field: field, From: a[field], To: b[field]})
		}
	}
	return list
}

// leaves is d as paths and texts.
func leaves(d catalog.ProductData) map[string]string {
	m := map[string]string{
		"sku": d.SKU, "name": d.Name, "description": d.Description, "category": d.Category,
		"tags": strings.Join(d.Tags, ", "),
	}
	if d.Price.Currency != "" {
		m["price.amount"], m["price.currency"] = d.Price.Amount(), d.Price.Currency
	}
	for k, v := range d.Attributes {
		m["attributes."+k] = v
	}
	return m
}

// TraceID is the trace id in a W3C traceparent, or "".
func TraceID(traceparent string) string {
	parts := strings.Split(traceparent, "-")
	if len(parts) != 4 {
		return ""
	}
	return parts[1]
}
