package productfile

import (
	"fmt"
	"strings"
)

// maxParentBytes is the size of the cells of parents that a reader keeps. A parent is some
// rows above its variants, and a description has some KiB.
const maxParentBytes = 256 << 10

// parentRow is the part of a row that the rows that name it as their parent
// need.
type parentRow struct {
	keys    []string
	inherit []cell // cells of the columns of Mapping.Inherit
	skipped string // reason to skip the row, from a rule that holds for children, too
	size    int
}

// parentRows are the last rows that may be parents, by their keys.
type parentRows struct {
	byKey map[string]*parentRow
	rows  []*parentRow // rows, the oldest first
	size  int
}

// keepParent keeps the part of a skipped row that its children need. The oldest rows are dropped
// above maxParentBytes.
func (r *Reader) keepParent(cellOf func(column string) (cell, bool)) {
	m, p := &r.format.Mapping, &r.rows.parents
	row := &parentRow{}
	for _, k := range m.Keys {
		if c, ok := cellOf(k.From); ok && oneLine(c.text) != "" {
			row.keys = append(row.keys, k.Prefix+oneLine(c.text))
		}
	}
	if m.Parent == "" || len(row.keys) == 0 {
		return
	}
	for _, name := range m.Inherit {
		c, _ := cellOf(name)
		row.inherit = append(row.inherit, c)
		row.size += len(c.text)
	}
	for _, rule := range m.Skip {
		if c, ok := cellOf(rule.Column); ok && rule.Children && rule.applies(oneLine(c.text)) {
			row.skipped = rule.As
		}
	}
	if p.byKey == nil {
		p.byKey = map[string]*parentRow{}
	}
	for _, key := range row.keys {
		row.size += len(key)
		p.byKey[key] = row
	}
	p.rows = append(p.rows, row)
	for p.size += row.size; p.size > maxParentBytes; {
		oldest := p.rows[0]
		for _, key := range oldest.keys {
			if p.byKey[key] == oldest {
				delete(p.byKey, key)
			}
		}
		p.rows, p.size = p.rows[1:], p.size-oldest.size
	}
}

// inheritParent returns the cells with those of the row's parent where they are empty, and
// which rule leaves out the parent and its children.
func (r *Reader) inheritParent(row *Row, cells []cell) ([]cell, string) {
	m := &r.format.Mapping
	at := indexOf(r.header, m.Parent)
	if m.Parent == "" || at < 0 {
		return cells, ""
	}
	name := oneLine(cells[at].text)
	if name == "" {
		return cells, ""
	}
	parent := r.rows.parents.byKey[name]
	if parent == nil {
		row.Notes = append(row.Notes, fmt.Sprintf("%s %q is not in the rows above, so nothing was taken from it", m.Parent, name))
		return cells, ""
	}
	for i, column := range m.Inherit {
		if at := indexOf(r.header, column); at >= 0 && strings.TrimSpace(cells[at].text) == "" {
			cells[at] = parent.inherit[i]
		}
	}
	return cells, parent.skipped
}
