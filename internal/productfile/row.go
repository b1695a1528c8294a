package productfile

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"catalog"
	"catalog/internal/wire"
)

// Kinds of rows that are no products, besides those of a mapping.
const (
	blankRows        = "blank rows"
	commentRows      = "comments"
	repeatedHeaders  = "repeated headers"
	emptyRows        = "rows without a text in the columns that are read"
	continuationRows = "rows of variants and images"
)

// rowContext is the part of the rows before it that a row needs.
type rowContext struct {
	tidy     bool
	lastSKU  string
	lastName bool
	group    string
	first    []cell // first row of the group
	parents  parentRows
}

// rowCells returns the cell of a source, and false if the row has none.
type rowCells func(source) (cell, bool)

// csvRow reads the cells of a row.
func (r *Reader) csvRow(row *Row, cells []cell) {
	for _, s := range r.sources {
		if row.Err = r.checkText("column "+r.header[s.index], cells[s.index].text); row.Err != nil {
			return
		}
	}
	if r.rows.tidy {
		for i := range cells {
			cells[i] = r.withoutNull(cells[i])
		}
	}
	for _, s := range r.sources {
		if row.Err = r.checkSpreadsheet(r.header[s.index], cells[s.index].text); row.Err != nil {
			return
		}
	}
	cells, parentSkipped := r.inheritParent(row, r.inherit(cells))
	cellOf := func(column string) (cell, bool) {
		i := indexOf(r.header, column)
		if i < 0 {
			return cell{}, false
		}
		return cells[i], true
	}
	if row.Skipped = cmp.Or(parentSkipped, r.skipped(cellOf)); row.Skipped != "" {
		r.keepParent(cellOf)
		return
	}
	if !slices.ContainsFunc(r.sources, func(s source) bool { return strings.TrimSpace(cells[s.index].text) != "" }) {
		row.Skipped = emptyRows // such as further values of the row above
		return
	}
	r.build(row, func(s source) (cell, bool) {
		c := cells[s.index]
		if r.rows.tidy && (s.To == "category" || s.To == "tags") {
			c.list = jsonList(c.text)
		}
		if s.nameFrom >= 0 {
			c.name = cells[s.nameFrom].text
		}
		for _, i := range s.appended {
			c.append(cells[i].text)
		}
		return c, true
	})
}

// jsonList returns the entries of a cell that is a list of texts in JSON, as databases write it,
// or nil.
func jsonList(text string) []cell {
	var texts []string
	if !strings.HasPrefix(text, "[") || json.Unmarshal([]byte(text), &texts) != nil {
		return nil
	}
	list := []cell{}
	for _, t := range texts {
		list = append(list, cell{text: t})
	}
	return list
}

// databaseNull stands for an empty cell in the files of MySQL and PostgreSQL.
const databaseNull = `\N`

// withoutNull returns an empty cell if the text of the cell stands for one.
func (r *Reader) withoutNull(c cell) cell {
	if c.text == databaseNull && !c.quoted || slices.ContainsFunc(r.format.Nulls, func(n string) bool { return strings.EqualFold(n, oneLine(c.text)) }) {
		return cell{}
	}
	return c
}

// append appends a text after a hyphen, unless one of the two texts is empty.
func (c *cell) append(text string) {
	if text = oneLine(text); text != "" && c.text != "" {
		c.text += "-" + text
	}
}

// inherit returns the cells with those of the first row of their group where they are
// empty.
func (r *Reader) inherit(cells []cell) []cell {
	m := &r.format.Mapping
	at := -1
	for _, name := range m.Group {
		if at < 0 {
			at = indexOf(r.header, name)
		}
	}
	if at < 0 {
		return cells
	}
	if group := oneLine(cells[at].text); group != r.rows.group || group == "" {
		r.rows.group, r.rows.first = group, cells
		return cells
	}
	cells = slices.Clone(cells)
	for _, name := range m.Inherit {
		if i := indexOf(r.header, name); i >= 0 && strings.TrimSpace(cells[i].text) == "" {
			cells[i] = r.rows.first[i]
		}
	}
	return cells
}

// skipped returns which rule of the mapping leaves out a row, or "". cellOf returns the
// cell of a column, and false if the row lacks the column.
func (r *Reader) skipped(cellOf func(column string) (cell, bool)) string {
	for _, rule := range r.format.Mapping.Skip {
		if c, ok := cellOf(rule.Column); ok && rule.applies(oneLine(c.text)) {
			return rule.As
		}
	}
	return ""
}

// jsonRow reads an object of a JSON file.
func (r *Reader) jsonRow(row *Row) {
	mapped := len(r.sources) > 0
	if row.Err = r.checkText("the row", string(row.Raw)); row.Err != nil {
		return
	}
	if !mapped && !r.rows.tidy && r.format.Currency == "" {
		if row.finish(row.Raw); row.Err == nil {
			return
		}
	}
	check := wire.CheckObject
	if mapped {
		check = wire.CheckText // the object is not ours, and may be of any size
	}
	if err := check(row.Raw); err != nil {
		row.Err = notJSON(err)
		return
	}
	o, err := parseJSON(row.Raw)
	if err != nil {
		row.Err = wire.CheckObject(row.Raw)
		return
	}
	if !mapped {
		delete(o, reasonColumn) // the column that a file of refused rows has
		r.namedJSON(row, o)
		return
	}
	switch r.entries.split(row, o, r.format.Mapping.Each); {
	case len(r.entries.left) > maxEntries:
		row.Err = fmt.Errorf("has more than %d entries in %s", maxEntries, r.entries.name)
		r.entries = entriesOf{}
	case len(r.entries.left) == 0:
		r.mappedJSON(row, o)
	}
}

// mappedJSON reads an object whose members are mapped to fields.
func (r *Reader) mappedJSON(row *Row, o jsonRecord) {
	if row.Skipped = r.skipped(o.cell); row.Skipped != "" {
		return
	}
	r.build(row, func(s source) (cell, bool) {
		c, ok := o.cell(s.From)
		if c.list == nil {
			c = r.withoutNull(c)
		}
		if s.NameFrom != "" {
			name, _ := o.cell(s.NameFrom)
			c.name = name.text
		}
		for _, path := range s.Append {
			appended, _ := o.cell(path)
			c.append(r.withoutNull(appended).text)
		}
		return c, ok
	})
}

// namedJSON reads an object whose members have the names of fields, compared without case
// and blanks. Numbers count as texts, and prices may be written as in a CSV file.
func (r *Reader) namedJSON(row *Row, o jsonRecord) {
	for _, name := range slices.Sorted(maps.Keys(o)) {
		to := fold(name)
		if _, taken := o[to]; !taken && (to == idColumn || catalog.FieldByName(to) != nil) {
			o[to] = o[name]
			delete(o, name)
		}
	}
	for i := range catalog.Fields {
		f := &catalog.Fields[i]
		v, ok := o[f.Name]
		if !ok {
			continue
		}
		if n, ok := v.(json.Number); ok && (f.Name == "sku" || f.Name == "gtin") && scientific.MatchString(n.String()) {
			row.Err = fmt.Errorf("%s: %w", f.Name, shortened(n.String()))
			return
		}
		switch f.Kind {
		case catalog.KindMoney:
			if o[f.Name], row.Err = r.jsonPrice(v); row.Err != nil {
				row.Err = fmt.Errorf("%s %w", f.Name, row.Err)
				return
			}
		case catalog.KindMap:
			if m, ok := v.(map[string]any); ok {
				for k, v := range m {
					m[k] = r.numberAsText(attributeText(v), keepLines)
				}
			}
		case catalog.KindList:
			if list, ok := v.([]any); ok {
				for i, v := range list {
					list[i] = r.numberAsText(v, oneLine)
				}
			}
		case catalog.KindProse:
			o[f.Name] = r.numberAsText(v, keepLines)
		default:
			o[f.Name] = r.numberAsText(v, oneLine)
		}
	}
	text, err := marshal(o)
	if row.Err = err; err == nil {
		if row.finish(text); row.Err == nil {
			return
		}
		if others := otherMembers(o); len(others) > 0 {
			names := slices.Sorted(maps.Keys(o))
			flag, columns := mapFlag(names, likelyFields(names))
			if columns == 0 {
				flag = "-map, such as sku=NAME"
			}
			row.Err = fmt.Errorf("has members that are not fields: %s; to leave them out, or assign them to fields, give %s",
				strings.Join(others, ", "), cmp.Or(suggestion(names), flag))
		}
	}
}

// otherMembers returns the names of the members of an object that are not fields.
func otherMembers(o jsonRecord) []string {
	var names []string
	for _, name := range slices.Sorted(maps.Keys(o)) {
		if name != idColumn && catalog.FieldByName(name) == nil {
			names = append(names, name)
		}
	}
	return names
}

// attributeText returns true, false, and a list of texts, numbers and these as one text, and
// other values as they are.
func attributeText(v any) any {
	switch v := v.(type) {
	case bool:
		return jsonCell(v).text
	case []any:
		for _, entry := range v {
			switch entry.(type) {
			case string, json.Number, bool:
			default:
				return v
			}
		}
		return jsonCell(v).text
	}
	return v
}

// numberAsText returns a number as the text that the file has for it, a text tidied if
// the format says so, and other values as they are.
func (r *Reader) numberAsText(v any, tidy func(string) string) any {
	switch v := v.(type) {
	case json.Number:
		return v.String()
	case string:
		if r.rows.tidy {
			return tidy(v)
		}
	}
	return v
}

// jsonPrice returns the member price: an object, a number, or a text as in a CSV file.
func (r *Reader) jsonPrice(v any) (any, error) {
	o, ok := v.(map[string]any)
	if !ok {
		if v == nil {
			return v, nil
		}
		o = map[string]any{"amount": v}
	}
	currency, _ := o["currency"].(string)
	if amount, ok := o["amount"]; ok {
		c := jsonCell(amount)
		p, err := r.price(c, cell{text: currency})
		if err != nil {
			return nil, fmt.Errorf("%q %w", c.text, err)
		}
		o["amount"] = p.amount
		if p.currency != "" {
			o["currency"] = p.currency
		}
	}
	return o, nil
}

// price reads a cell with an amount and one with a currency.
func (r *Reader) price(amount, currency cell) (price, error) {
	if oneLine(currency.text) == pence {
		return price{}, errPence
	}
	code := strings.ToUpper(oneLine(currency.text))
	if code != "" && catalog.CurrencyDigits(code) < 0 {
		if c, err := currencyOf(code, r.format.Currency); err == nil && catalog.CurrencyDigits(c) >= 0 {
			code = c
		}
	}
	known := code
	if known == "" {
		known = r.format.Currency
	}
	decimal := r.format.Decimal
	if amount.plain || !r.rows.tidy && r.csv != nil {
		decimal = "."
	}
	if !r.rows.tidy && r.csv != nil { // as catalog export writes it
		return price{amount.text, known}, nil
	}
	p, err := parsePrice(amount.text, decimal, known)
	switch {
	case err != nil:
		return p, err
	case p.currency == "":
		p.currency = known
	case code != "" && p.currency != code:
		return p, fmt.Errorf("has the currency %s, and the column for the currency has %s", p.currency, code)
	}
	_, fraction, _ := strings.Cut(p.amount, ".")
	if digits := catalog.CurrencyDigits(p.currency); digits >= 0 && len(fraction) > digits {
		return p, fmt.Errorf("has more digits after the decimal point than %s, which has %d; round the prices in the file", p.currency, digits)
	}
	return p, nil
}

// rowBuilder makes the merge patch of a row.
type rowBuilder struct {
	*Reader
	row   *Row
	cells rowCells
	patch map[string]any
	tags  []string // categories that become tags
}

// build makes the merge patch of the row from the columns that are read.
func (r *Reader) build(row *Row, cells rowCells) {
	b := &rowBuilder{Reader: r, row: row, cells: cells, patch: map[string]any{}}
	for i := range catalog.Fields {
		f := &catalog.Fields[i]
		var err error
		switch f.Kind {
		case catalog.KindMoney:
			err = b.price(f)
		case catalog.KindMap:
			b.attributes(f)
		case catalog.KindList: // comes after the category, whose further paths can become tags
		default:
			err = b.text(f)
		}
		if err != nil {
			row.Err = err
			break
		}
	}
	b.list(catalog.FieldByName("tags"))
	for _, s := range r.sources {
		if c, ok := cells(s); ok && strings.ContainsRune(c.text, utf8.RuneError) {
			b.note("column %s has \uFFFD in place of a character that was lost; export the file again in UTF-8", s.From)
		}
	}
	if id := b.firstText(idColumn); id != "" {
		b.patch[idColumn] = id
	}
	if row.Skipped = b.continuation(); row.Skipped != "" || row.Err != nil {
		row.Notes = nil
		return
	}
	text, err := marshal(b.patch)
	if err != nil {
		row.Err = err
		return
	}
	if row.finish(text); row.Err != nil {
		row.Err = b.explain(row.Err)
	}
}

// continuation reports whether the row belongs to the product of the row before it, such
// as a row for an image: it has the same SKU and no name.
func (b *rowBuilder) continuation() string {
	sku := b.firstText("sku")
	name := b.firstText("name")
	named := slices.ContainsFunc(b.sources, func(s source) bool { return s.To == "name" })
	if sku != "" && strings.EqualFold(sku, b.rows.lastSKU) && b.rows.lastName && named && name == "" {
		return continuationRows
	}
	b.rows.lastSKU, b.rows.lastName = sku, name != ""
	return ""
}

// explain adds to an error of the server's rules the part of the file that may be its cause.
func (b *rowBuilder) explain(err error) error {
	if b.firstText("sku") == "" && b.firstText(idColumn) == "" {
		return fmt.Errorf("%w; the row has a blank cell in the column for it", err)
	}
	var refusal *catalog.Refusal
	refuses := func(field string) bool {
		return errors.As(err, &refusal) && slices.ContainsFunc(refusal.Fields, func(f catalog.FieldError) bool { return f.Field == field })
	}
	switch {
	case !refuses(idColumn):
	case len(b.format.Mapping.Columns) > 0:
		err = fmt.Errorf("%w; if the column has the numbers of another system, map it to sku, or leave it out", err)
	default:
		flag, _ := mapFlag(b.header, likelyFields(b.header))
		err = fmt.Errorf("%w; if the column has the numbers of another system, give %s", err, cmp.Or(suggestion(b.header), flag))
	}
	if refuses("gtin") {
		if gtin, _ := b.patch["gtin"].(string); len(gtin) == 11 && validGTIN("0"+gtin) {
			err = fmt.Errorf("%w; a spreadsheet may have removed the 0 before it", err)
		}
		err = fmt.Errorf("%w; give -invalid-gtin skip to leave out such GTINs", err)
	}
	return err
}

// sourcesOf returns the columns of a field.
func (r *Reader) sourcesOf(to string) []source {
	var of []source
	for _, s := range r.sources {
		if s.To == to {
			of = append(of, s)
		}
	}
	return of
}

// firstText returns the first text of a column for a field that is not empty.
func (b *rowBuilder) firstText(to string) string {
	for _, s := range b.sourcesOf(to) {
		if c, ok := b.cells(s); ok {
			if text := b.transform(s, c.text, oneLine); text != "" {
				return text
			}
		}
	}
	return ""
}

// transform returns the text of a cell with the changes of its column.
func (b *rowBuilder) transform(s source, text string, tidy func(string) string) string {
	for _, t := range s.Transform {
		text = transforms[t](text)
	}
	if b.rows.tidy {
		text = withoutApostrophe(tidy(text))
	}
	return text
}

// text reads a field of one text.
func (b *rowBuilder) text(f *catalog.Field) error {
	tidy := oneLine
	if f.Kind == catalog.KindProse {
		tidy = keepLines
	}
	var present []source
	var names []string // names of the category
	leftOut := false
	for _, s := range b.sourcesOf(f.Name) {
		c, ok := b.cells(s)
		if !ok {
			continue
		}
		if c.object && c.text == "" {
			return fmt.Errorf("column %s: is an object, not a text; name one of its members in -map, such as %s.name", s.From, s.From)
		}
		if c.object {
			c.list = nil
		}
		present = append(present, s)
		text := b.transform(s, c.text, tidy)
		if f.Name == "sku" || f.Name == "gtin" {
			var err error
			if text, err = b.unspoiled(text); err != nil {
				return fmt.Errorf("column %s: %w", s.From, err)
			}
		}
		if f.Name == "gtin" {
			text = b.gtin(s, text, &leftOut)
		}
		if f.Name == "category" && b.rows.tidy {
			names = append(names, b.category(s, c, text)...)
			continue
		}
		if text == "" {
			continue
		}
		if text = b.short(s, f, f.Name, text); text != "" {
			b.patch[f.Name] = text
			return nil
		}
		leftOut = true
	}
	if len(names) > 0 {
		if text := b.short(present[0], f, f.Name, strings.Join(names, "/")); text != "" {
			b.patch[f.Name] = text
			return nil
		}
		leftOut = true
	}
	if len(present) > 0 && !leftOut && !f.Required && b.emptyPolicy(present[0]) == EmptyClear {
		b.patch[f.Name] = nil
	}
	return nil
}

// emptyPolicy returns what an empty cell of a column means.
func (b *rowBuilder) emptyPolicy(s source) string {
	if s.Empty != "" {
		return s.Empty
	}
	return b.format.Empty.of(s.To, EmptyClear)
}

// short returns a text that is within the limit of its field, or the whole one if a
// longer one is to be refused.
func (b *rowBuilder) short(s source, f *catalog.Field, name, text string) string {
	length := utf8.RuneCountInString(text)
	if length <= f.MaxLen {
		return text
	}
	long := b.format.Long
	if f.Name == "sku" { // two SKUs that are cut can be the same
		long.All = LongRefuse
	}
	policy := cmp.Or(s.Long, long.of(s.To, LongRefuse))
	switch policy {
	case LongCut:
		b.note("%s was cut from %d to %d characters", name, length, f.MaxLen)
		return strings.TrimSpace(string([]rune(text)[:f.MaxLen]))
	case LongSkip:
		b.note("%s was left out: it has %d characters, and at most %d are allowed", name, length, f.MaxLen)
		return ""
	}
	return text
}

func (b *rowBuilder) note(format string, args ...any) {
	b.row.Notes = append(b.row.Notes, fmt.Sprintf(format, args...))
}

// price reads the price of a row.
func (b *rowBuilder) price(f *catalog.Field) error {
	p := map[string]any{}
	var currency cell
	for _, s := range b.sourcesOf(currencyColumn) {
		if c, ok := b.cells(s); ok && oneLine(c.text) != "" {
			currency = c
			break
		}
	}
	for _, s := range b.sourcesOf(f.Name) {
		c, ok := b.cells(s)
		if !ok || oneLine(c.text) == "" {
			continue
		}
		if c.currency != "" {
			currency = cell{text: c.currency}
		}
		if unescaped := stripHTML(c.text); unescaped != c.text && b.rows.tidy {
			c.text = unescaped
		}
		found, err := b.Reader.price(c, currency)
		if err != nil {
			return fmt.Errorf("column %s: price %q %w", s.From, oneLine(c.text), err)
		}
		p["amount"] = found.amount
		if found.currency != "" {
			p["currency"] = found.currency
		}
		break
	}
	if p["amount"] == nil && oneLine(currency.text) != "" {
		p["currency"] = strings.ToUpper(oneLine(currency.text))
	}
	if len(p) > 0 {
		b.patch[f.Name] = p
	}
	return nil
}

// attributes reads the columns attributes.NAME, and those with names and values.
func (b *rowBuilder) attributes(f *catalog.Field) {
	attributes := map[string]any{}
	for _, s := range b.sources {
		name, ok := strings.CutPrefix(s.To, attributePrefix)
		if !ok && s.To != attributesField {
			continue
		}
		c, present := b.cells(s)
		if !present {
			continue
		}
		switch {
		case ok:
			b.attribute(attributes, f, s, name, c)
		case s.NameFrom != "":
			text := c.text
			if s.Separator != "" {
				text = strings.Join(b.entries(s, c, ""), ", ")
			}
			if name := oneLine(c.name); name != "" && oneLine(text) != "" {
				b.attribute(attributes, f, s, name, cell{text: text})
			}
		default:
			for _, p := range pairs(s, b.entries(s, c, ",")) {
				b.attribute(attributes, f, s, p.name, cell{text: p.value})
			}
		}
	}
	if len(attributes) > 0 {
		b.patch[f.Name] = attributes
	}
}

// pair is an attribute in an entry NAME=VALUE.
type pair struct{ name, value string }

// pairs returns the attributes in the entries of a cell. An entry without a name belongs
// to the value of the one before it, and so does a further value of the same attribute.
func pairs(s source, entries []string) []pair {
	var found []pair
	for _, entry := range entries {
		name, value, named := strings.Cut(entry, cmp.Or(s.Pair, "="))
		if !named {
			if len(found) > 0 {
				found[len(found)-1].value += cmp.Or(s.Separator, ",") + entry
			}
			continue
		}
		if s.Pair != "" {
			value, _, _ = strings.Cut(value, s.Pair)
		}
		name, value = oneLine(name), strings.TrimSpace(value)
		i := slices.IndexFunc(found, func(p pair) bool { return p.name == name })
		switch {
		case name == "", value == "", slices.Contains(s.Except, name):
		case i >= 0:
			found[i].value += ", " + value
		default:
			found = append(found, pair{name, value})
		}
	}
	return found
}

// attribute reads the value of an attribute. In a file that catalog export wrote, an
// empty pair of quotes is an empty value, and an empty cell no attribute.
func (b *rowBuilder) attribute(to map[string]any, f *catalog.Field, s source, name string, c cell) {
	text := c.text
	if c.list != nil {
		text = strings.Join(b.entries(s, c, ""), ", ")
	}
	text = b.transform(s, text, keepLines)
	short := b.short(s, f, name, text)
	switch {
	case short != "":
		to[name] = short
	case text != "": // left out
	case c.quoted && !b.rows.tidy:
		to[name] = ""
	case b.emptyPolicy(s) == EmptyClear:
		to[name] = nil
	}
}

// list reads the columns of a list.
func (b *rowBuilder) list(f *catalog.Field) {
	entries := []string{}
	clears := false
	for _, s := range b.sourcesOf(f.Name) {
		c, ok := b.cells(s)
		if !ok {
			continue
		}
		clears = clears || b.emptyPolicy(s) == EmptyClear
		for _, entry := range b.entries(s, c, listSeparator) {
			if entry = b.short(s, f, f.Name, wire.NormalizeText(f, b.transform(s, entry, oneLine))); entry != "" {
				entries = append(entries, entry)
			}
		}
	}
	for _, tag := range b.tags {
		if utf8.RuneCountInString(tag) <= f.MaxLen {
			entries = append(entries, tag)
		}
	}
	var unique []string
	for _, entry := range entries {
		if !slices.Contains(unique, entry) {
			unique = append(unique, entry)
		}
	}
	switch {
	case len(unique) > 0:
		b.patch[f.Name] = unique
	case clears:
		b.patch[f.Name] = []string{}
	}
}

// entries returns the entries of a cell: those of a JSON list, or those between the
// separators of the column.
func (b *rowBuilder) entries(s source, c cell, separator string) []string {
	if c.list != nil {
		var entries []string
		for _, e := range c.list {
			entries = append(entries, e.text)
		}
		return entries
	}
	switch {
	case c.text == "":
		return nil
	case s.Separator != "":
		return splitQuoted(c.text, s.Separator)
	case separator == "":
		return nil
	}
	return splitEscaped(c.text, separator)
}

// listSeparator is between the entries of a list in one cell. In an entry, \| is a
// vertical bar and \\ a backslash.
const listSeparator = "|"

var escapeEntry = strings.NewReplacer(`\`, `\\`, listSeparator, `\`+listSeparator)

// splitEscaped splits s at the separators that have no backslash before them.
func splitEscaped(s, separator string) []string {
	var entries []string
	var entry strings.Builder
	for i := 0; i < len(s); {
		switch rest := s[i:]; {
		case rest[0] == '\\' && strings.HasPrefix(rest[1:], separator):
			entry.WriteString(separator)
			i += 1 + len(separator)
		case strings.HasPrefix(rest, `\\`):
			entry.WriteByte('\\')
			i += 2
		case strings.HasPrefix(rest, separator):
			entries = append(entries, entry.String())
			entry.Reset()
			i += len(separator)
		default:
			entry.WriteByte(rest[0])
			i++
		}
	}
	return append(entries, entry.String())
}

var (
	// quoteOpens matches an entry whose last quote opens a text: it stands where the entry, a
	// name of its path, or the value of its attribute begins.
	quoteOpens = regexp.MustCompile(`(^|[>/=:])\s*"[^"]*$`)
	// quoteCloses matches an entry whose first quote closes such a text.
	quoteCloses = regexp.MustCompile(`^[^"]*"\s*($|[>/])`)
	quotedText  = regexp.MustCompile(`(^|[>/=:])(\s*)"([^"]+)"(\s*)($|[>/])`)
)

// splitQuoted splits s at the separators that are neither escaped nor in a text in quotes,
// as in: Books > "Maps, atlases", New. Such texts lose their quotes; other quotes, such as
// those of inches, stay.
func splitQuoted(s, separator string) []string {
	parts := splitEscaped(s, separator)
	if !strings.Contains(s, `"`) {
		return parts
	}
	var entries []string
	for len(parts) > 0 {
		entry, n := parts[0], 1
		if quoteOpens.MatchString(entry) {
			if end := slices.IndexFunc(parts[1:], func(p string) bool { return strings.Contains(p, `"`) }); end >= 0 && quoteCloses.MatchString(parts[1+end]) {
				n = end + 2
				entry = strings.Join(parts[:n], separator)
			}
		}
		for before := ""; before != entry; { // the match of one text ends where the next begins
			before, entry = entry, quotedText.ReplaceAllString(entry, "$1$2$3$4$5")
		}
		entries, parts = append(entries, entry), parts[n:]
	}
	return entries
}

const (
	// slashInName stands for a slash in the name of a category, because / separates the
	// names: the division slash, which looks the same.
	slashInName = "\u2215"
	// escapedSlash marks a slash of a name while a path is split. No text has it.
	escapedSlash = "\x00"
)

// pathSeparators are the characters between the names of a category, besides /.
const pathSeparators = ">»›→"

// category returns the names of the path in a cell. Of several paths the first counts.
func (b *rowBuilder) category(s source, c cell, text string) []string {
	var paths []string
	switch {
	case c.list != nil:
		paths = b.entries(s, c, "")
		for i, p := range paths {
			paths[i] = html.UnescapeString(p)
		}
	case s.Separator != "":
		paths = splitQuoted(html.UnescapeString(text), s.Separator)
	default:
		paths = splitPaths(html.UnescapeString(text)) // the semicolon of &amp; separates nothing
	}
	var first []string
	for _, p := range paths {
		names := splitPath(p, s.Path)
		if len(names) > 0 && s.Root != "" && fold(names[0]) == fold(s.Root) {
			names = names[1:]
		}
		switch {
		case len(names) == 0:
		case first == nil, len(names) > len(first) && slices.Equal(names[:len(first)], first):
			first = names // a path that continues the first one includes it
		case slices.Equal(names, first[:min(len(names), len(first))]):
		case b.format.OtherCategories == OtherTags:
			b.tags = append(b.tags, names[len(names)-1])
		default:
			b.note("category %q was left out: a product has one category, the first", strings.Join(names, "/"))
		}
	}
	return first
}

// splitPaths splits the categories in a cell. Vertical bars, semicolons and line breaks
// are between them; commas only if the parts are paths that begin with the same name, or if
// they stand between letters, because names have commas, too, with a blank behind them.
func splitPaths(s string) []string {
	if strings.ContainsAny(s, "|;\n") {
		return strings.FieldsFunc(s, func(r rune) bool { return r == '|' || r == ';' || r == '\n' })
	}
	parts := strings.Split(s, ",")
	if len(parts) == 1 || !strings.Contains(s, ", ") && (lettersAround(parts) || !slices.ContainsFunc(parts, func(p string) bool { return len(splitPath(p, "")) < 2 })) {
		return parts // texts have a blank after a comma, so these commas separate categories
	}
	first := splitPath(parts[0], "")
	for _, p := range parts {
		names := splitPath(p, "")
		if len(names) == 0 || fold(names[0]) != fold(first[0]) || len(names) == 1 && !strings.ContainsFunc(s, isPathSeparator) {
			return []string{s}
		}
	}
	return parts
}

// lettersAround reports whether each of the separators that were between the parts stood
// between letters.
func lettersAround(parts []string) bool {
	for i, p := range parts {
		first, _ := utf8.DecodeRuneInString(p)
		last, _ := utf8.DecodeLastRuneInString(p)
		if i > 0 && !unicode.IsLetter(first) || i < len(parts)-1 && !unicode.IsLetter(last) {
			return false
		}
	}
	return true
}

func isPathSeparator(r rune) bool { return r == '/' || strings.ContainsRune(pathSeparators, r) }

// splitPath returns the names of a path, without empty ones. A slash is part of a name
// after a backslash, and if another separator is given or used.
func splitPath(s, separator string) []string {
	s = strings.ReplaceAll(s, `\/`, escapedSlash)
	s = strings.ReplaceAll(strings.ReplaceAll(s, "->", ">"), "=>", ">")
	separators := "/"
	if separator != "" {
		separators = separator
	} else if strings.ContainsAny(s, pathSeparators) {
		separators = pathSeparators
	}
	var names []string
	for name := range strings.FieldsFuncSeq(s, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
		name = strings.ReplaceAll(strings.ReplaceAll(oneLine(name), escapedSlash, slashInName), "/", slashInName)
		if strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsSpace(r) }) {
			names = append(names, name)
		}
	}
	return names
}
