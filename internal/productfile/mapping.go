package productfile

import (
	"bytes"
	"cmp"
	"embed"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"

	"catalog"
)

// Columns of files that are not named like a field: the id identifies a product, the
// currency belongs to the price, and each attribute has a column.
const (
	idColumn        = "id"
	currencyColumn  = "currency"
	attributesField = "attributes"
	attributePrefix = attributesField + "."
	// reasonColumn is the first column of a file of refused rows. It is never read.
	reasonColumn = "reason"
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

// isTarget reports whether to is the name of a field's column, of an attribute's, or of
// all attributes.
func isTarget(to string) bool {
	attribute, ok := strings.CutPrefix(to, attributePrefix)
	return ok && attribute != "" || to == attributesField || slices.Contains(Columns(), to)
}

// Policies say what an empty cell, or a text above its limit, means: for all columns, and
// for those of single fields.
type Policies struct {
	All    string
	Fields map[string]string // policy by field, or by attributes.NAME
}

// Policies of empty cells.
const (
	EmptyClear = "clear" // the field is cleared; name and price, which every product has, are kept
	EmptyKeep  = "keep"  // the field stays as it is
)

// Policies of texts above their limit.
const (
	LongRefuse = "refuse" // the row is refused
	LongCut    = "cut"    // the text is cut at the limit
	LongSkip   = "skip"   // the text is left out
)

// Policies of GTINs that are not valid.
const (
	InvalidRefuse = "refuse" // the row is refused
	InvalidSkip   = "skip"   // the GTIN is left out
)

// What the second and further categories of a cell become.
const (
	OtherNoted = "note" // they are left out, and the import says so
	OtherTags  = "tags" // they become tags
)

// ParsePolicies parses "POLICY,field=POLICY,…", each of which must be one of allowed.
func ParsePolicies(name, s string, allowed ...string) (Policies, error) {
	p := Policies{Fields: map[string]string{}}
	if s == "" {
		return p, nil
	}
	for part := range strings.SplitSeq(s, ",") {
		field, policy, one := strings.Cut(part, "=")
		if !one {
			field, policy = "", field
		}
		field, policy = strings.TrimSpace(field), strings.TrimSpace(policy)
		switch {
		case !slices.Contains(allowed, policy):
			return p, fmt.Errorf("%s must be %s, not %q; give it for all columns, or as field=%s", name, strings.Join(allowed, " or "), policy, allowed[0])
		case one && !isTarget(field):
			return p, fmt.Errorf("%s: %q is not a field; the fields are %s and %sNAME", name, field, strings.Join(Columns(), ", "), attributePrefix)
		case one:
			p.Fields[field] = policy
		default:
			p.All = policy
		}
	}
	return p, nil
}

// of returns the policy of a field, or otherwise.
func (p Policies) of(field, otherwise string) string {
	for _, policy := range []string{p.Fields[field], p.All} {
		if policy != "" {
			return policy
		}
	}
	return otherwise
}

// Mapping assigns the columns of a file to fields, as a YAML file of -mapping does. The
// presets are such files.
type Mapping struct {
	// Delimiter, Encoding, Decimal and Currency are those of the format, unless it has
	// its own.
	Delimiter string `yaml:"delimiter"`
	Encoding  string `yaml:"encoding"`
	Decimal   string `yaml:"decimal"`
	Currency  string `yaml:"currency"`

	// Columns are the columns that are read. The cells of several columns for the
	// category are joined to one path, those for tags to one list; of those for any
	// other field, the first one that is not empty counts.
	Columns []Column `yaml:"columns"`

	// Optional makes all columns optional.
	Optional bool `yaml:"optional"`

	// Nulls are texts that stand for an empty cell, such as N/A.
	Nulls []string `yaml:"nulls"`

	// Group is a column whose cell is the same in all rows of one product, such as its
	// variants; of several, the first one that the file has. The columns of Inherit take
	// the cell of the first row of the group where theirs is empty.
	Group   []string `yaml:"group"`
	Inherit []string `yaml:"inherit"`

	// Each is a member of the objects of a JSON file with a list, such as the variants of a
	// product. Each entry is a row, and stands in place of the list.
	Each string `yaml:"each"`

	// Parent is a column that names a row above, which is skipped, by the cell in one of the
	// columns of Keys. The columns of Inherit take the cell of that row where theirs is empty.
	Parent string `yaml:"parent"`
	Keys   []Key  `yaml:"keys"`

	// Skip are the rows that are not products.
	Skip []SkipRule `yaml:"skip"`
}

// Column is a column of a mapping.
type Column struct {
	From string `yaml:"from"` // name of the column; a path, in a JSON file
	To   string `yaml:"to"`   // name of the field, attributes.NAME, or attributes

	// Optional makes it no error if the file lacks the column.
	Optional bool `yaml:"optional"`

	// Append are columns whose cells are appended, each after a hyphen: the options of
	// variants that have only the SKU of their product.
	Append []string `yaml:"append"`

	// Separator is between the entries of a cell: of categories, tags, or attributes of
	// the form NAME=VALUE. Without it, tags are separated by |.
	Separator string `yaml:"separator"`

	// Path is between the names of a category. Without it, both > and / are.
	Path string `yaml:"path"`

	// Root is a first name of each category that is left out.
	Root string `yaml:"root"`

	// NameFrom is the column with the name of the attribute, for attributes.
	NameFrom string `yaml:"nameFrom"`

	// Pair is between name and value of an attribute in an entry. Without it, = is. Text after a
	// second one is left out.
	Pair string `yaml:"pair"`

	// Except are the names of attributes that are not read.
	Except []string `yaml:"except"`

	// Transform are the changes of a cell, in order: trim, strip-html, line-breaks,
	// lower, upper or cut.
	Transform []string `yaml:"transform"`

	// Empty, Long and Invalid are the policies of the column.
	Empty   string `yaml:"empty"`
	Long    string `yaml:"long"`
	Invalid string `yaml:"invalid"`
}

// Key is a column whose cell, after a prefix, is the name of its row in the column Parent.
type Key struct {
	From   string `yaml:"from"`
	Prefix string `yaml:"prefix"`
}

// SkipRule describes rows that are not products: those whose cell in Column, or an entry
// between commas in it, is in Is; and those whose cell is not in IsNot. "" stands for an
// empty cell.
type SkipRule struct {
	Column string   `yaml:"column"`
	Is     []string `yaml:"is"`
	IsNot  []string `yaml:"isNot"`
	As     string   `yaml:"as"` // what the rows are, such as "image rows"

	// Children makes the rule describe the rows that name such a row as their parent, too.
	Children bool `yaml:"children"`
}

// applies reports whether the rule describes a row with the given cell.
func (r *SkipRule) applies(cell string) bool {
	if len(r.IsNot) > 0 && !slices.Contains(r.IsNot, cell) || slices.Contains(r.Is, cell) {
		return true
	}
	for entry := range strings.SplitSeq(cell, ",") {
		if entry = strings.TrimSpace(entry); entry != "" && slices.Contains(r.Is, entry) {
			return true
		}
	}
	return false
}

// transforms are the changes of a cell by name. cut is a policy; line-breaks reads \n as a
// line break.
var transforms = map[string]func(string) string{
	"trim": strings.TrimSpace, "strip-html": stripHTML, "lower": strings.ToLower, "upper": strings.ToUpper,
	"line-breaks": func(s string) string { return strings.ReplaceAll(s, `\n`, "\n") },
	"cut":         func(s string) string { return s },
}

//go:embed presets/*.yaml
var presetFiles embed.FS

// Presets returns the names of the presets.
func Presets() []string {
	files, _ := presetFiles.ReadDir("presets") // embedded, so it exists
	var names []string
	for _, f := range files {
		names = append(names, strings.TrimSuffix(f.Name(), ".yaml"))
	}
	return names
}

// Preset returns the mapping for the files of a well-known system.
func Preset(name string) (Mapping, error) {
	text, err := presetFiles.ReadFile(path.Join("presets", name+".yaml"))
	if err != nil {
		return Mapping{}, fmt.Errorf("-preset %q is unknown; the presets are %s", name, strings.Join(Presets(), ", "))
	}
	return ParseMapping(text)
}

// LoadMapping reads the mapping in a YAML file.
func LoadMapping(name string) (Mapping, error) {
	text, err := os.ReadFile(name)
	if err != nil {
		return Mapping{}, err
	}
	m, err := ParseMapping(text)
	if err != nil {
		return m, fmt.Errorf("%s: %w", name, err)
	}
	return m, nil
}

// ParseMapping parses a YAML file of -mapping.
func ParseMapping(text []byte) (Mapping, error) {
	var m Mapping
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return m, err
	}
	if len(m.Columns) == 0 {
		return m, errors.New("has no columns")
	}
	for i := range m.Columns {
		c := &m.Columns[i]
		switch {
		case c.From == "":
			return m, fmt.Errorf("column %d has no name; give from: COLUMN", i+1)
		case !isTarget(c.To):
			return m, notField("column "+c.From, c.To)
		case c.Empty != "" && c.Empty != EmptyClear && c.Empty != EmptyKeep:
			return m, fmt.Errorf("column %s: empty must be %s or %s, not %q", c.From, EmptyClear, EmptyKeep, c.Empty)
		case c.Long != "" && c.Long != LongRefuse && c.Long != LongCut && c.Long != LongSkip:
			return m, fmt.Errorf("column %s: long must be %s, %s or %s, not %q", c.From, LongRefuse, LongCut, LongSkip, c.Long)
		case c.Invalid != "" && c.Invalid != InvalidRefuse && c.Invalid != InvalidSkip:
			return m, fmt.Errorf("column %s: invalid must be %s or %s, not %q", c.From, InvalidRefuse, InvalidSkip, c.Invalid)
		}
		for _, t := range c.Transform {
			if transforms[t] == nil {
				return m, fmt.Errorf("column %s: transform %q is unknown; there are trim, strip-html, line-breaks, lower, upper and cut", c.From, t)
			}
			if t == "cut" && c.Long == "" {
				c.Long = LongCut
			}
		}
	}
	switch {
	case len(m.Inherit) > 0 && len(m.Group) == 0 && m.Parent == "":
		return m, errors.New("inherit needs a group, the column whose cell is the same in the rows of one product, or a parent, the column that names another row")
	case m.Parent != "" && (len(m.Keys) == 0 || len(m.Group) > 0):
		return m, errors.New("parent needs keys, the columns by which it names a row, and no group")
	}
	return m, nil
}

func notField(where, to string) error {
	return fmt.Errorf("%s: %q is not a field; the fields are %s, %sNAME and %s", where, to, strings.Join(Columns(), ", "), attributePrefix, attributesField)
}

// ParseMap parses the columns of -map: "field=column,…". A column whose name has a comma,
// a quote or blanks around it stands in quotes: sku="Item, no".
func ParseMap(s string) ([]Column, error) {
	var columns []Column
	for rest := strings.TrimSpace(s); rest != ""; {
		to, after, ok := strings.Cut(rest, "=")
		if !ok || strings.Contains(to, ",") {
			return nil, fmt.Errorf("-map: %q is not field=column", rest)
		}
		var from string
		after = strings.TrimLeft(after, " ")
		if quoted, ok := strings.CutPrefix(after, `"`); ok {
			if from, rest, ok = cutQuoted(quoted); !ok {
				return nil, fmt.Errorf(`-map: %q has no closing quote, or text after it; write field="column"`, after)
			}
		} else {
			from, rest, _ = strings.Cut(after, ",")
			from = strings.TrimSpace(from)
		}
		switch to = strings.Trim(strings.TrimSpace(to), `"`); {
		case !isTarget(to) && isTarget(from):
			return nil, fmt.Errorf("-map: the field stands before its column: %s=%s", from, to)
		case !isTarget(to):
			return nil, notField("-map", to)
		}
		columns = append(columns, Column{From: from, To: to})
		rest = strings.TrimSpace(rest)
	}
	return columns, nil
}

// cutQuoted returns the text before the closing quote, in which "" is a quote, and the text after
// the comma that follows it.
func cutQuoted(s string) (text, rest string, ok bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] != '"':
			b.WriteByte(s[i])
		case i+1 < len(s) && s[i+1] == '"':
			b.WriteByte('"')
			i++
		default:
			rest = strings.TrimSpace(s[i+1:])
			rest, comma := strings.CutPrefix(rest, ",")
			return b.String(), rest, comma || rest == ""
		}
	}
	return "", "", false
}

// Override returns the mapping with columns in place of its own for the same fields.
func (m Mapping) Override(columns []Column) Mapping {
	m.Columns = slices.DeleteFunc(slices.Clone(m.Columns), func(c Column) bool {
		return slices.ContainsFunc(columns, func(o Column) bool { return o.To == c.To })
	})
	m.Columns = append(m.Columns, columns...)
	return m
}

// source is a column of a file that is read into a field.
type source struct {
	Column
	index    int   // index of the column; -1 in a JSON file
	nameFrom int   // index of NameFrom, or -1
	appended []int // indexes of Append
}

// errRename is the remedy for columns with the same name.
var errRename = errors.New("rename one of them in the file")

// resolve returns the columns to read from a CSV file with the given header.
func (m Mapping) resolve(header []string) ([]source, error) {
	columns := m.Columns
	byName := len(columns) == 0
	if byName {
		columns = namedColumns(header)
	}
	var sources []source
	for _, c := range columns {
		i := indexOf(header, c.From)
		if i < 0 {
			if c.Optional || m.Optional {
				continue
			}
			if strings.Contains(c.From, "=") {
				return nil, fmt.Errorf("there is no column %q for %s; put commas between the columns: -map field=column,field=column", c.From, c.To)
			}
			return nil, fmt.Errorf("there is no column %q for %s; the columns are: %s", c.From, c.To, strings.Join(header, ", "))
		}
		if slices.Index(header[i+1:], header[i]) >= 0 && header[i] != "" {
			return nil, fmt.Errorf("%q is the name of several columns; %w", header[i], errRename)
		}
		if j := slices.IndexFunc(sources, func(s source) bool { return s.To == c.To }); byName && j >= 0 {
			return nil, fmt.Errorf("%s has more than one column; name one of them in -map", c.To)
		}
		s := source{Column: c, index: i, nameFrom: -1}
		if c.NameFrom != "" {
			if s.nameFrom = indexOf(header, c.NameFrom); s.nameFrom < 0 {
				continue
			}
		}
		for _, name := range c.Append {
			if i := indexOf(header, name); i >= 0 {
				s.appended = append(s.appended, i)
			}
		}
		sources = append(sources, s)
	}
	if !identifies(sources) {
		return nil, fmt.Errorf("no column is mapped to sku or id, which identify the product of a row; give %s; the columns are: %s", cmp.Or(suggestion(header), "-map sku=COLUMN or -preset"), strings.Join(header, ", "))
	}
	return sources, nil
}

// resolveJSON returns the members to read from the objects of a JSON file.
func (m Mapping) resolveJSON() ([]source, error) {
	var sources []source
	for _, c := range m.Columns {
		sources = append(sources, source{Column: c, index: -1, nameFrom: -1})
	}
	if !identifies(sources) {
		return nil, errors.New("-map has no column for sku or id, which identify the product of a row; give -map sku=NAME,…")
	}
	return sources, nil
}

func identifies(sources []source) bool {
	return slices.ContainsFunc(sources, func(s source) bool { return s.To == idColumn || s.To == "sku" })
}

// namedColumns returns the columns of a header that have the name of a field.
func namedColumns(header []string) []Column {
	var columns []Column
	for _, name := range header {
		if attribute, ok := cutAttribute(name); ok {
			columns = append(columns, Column{From: name, To: attributePrefix + attribute})
			continue
		}
		if to := fold(name); slices.Contains(Columns(), to) {
			columns = append(columns, Column{From: name, To: to})
		}
	}
	return columns
}

// cutAttribute returns the name of the attribute of a column attributes.NAME.
func cutAttribute(column string) (string, bool) {
	prefix, attribute, ok := strings.Cut(column, ".")
	return attribute, ok && attribute != "" && fold(prefix) == attributesField
}

// indexOf returns the index of the column with a name, compared without case and blanks
// if none is the same, or -1.
func indexOf(header []string, name string) int {
	if i := slices.Index(header, name); i >= 0 {
		return i
	}
	return slices.IndexFunc(header, func(h string) bool { return fold(h) == fold(name) })
}
