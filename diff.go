package catalog

import (
	"maps"
	"slices"
	"strings"
)

// Change is one value that differs between two versions of a product. From or
// To is "" where that version has no such value.
type Change struct {
	Field    string // path of the value: name, price.amount, attributes.width
	From, To string
}

// Diff lists the values that differ between from and to, in the order of the
// contract; attributes are sorted by key.
func Diff(from, to ProductData) []Change {
	var changes []Change
	add := func(path, a, b string) {
		if a != b {
			changes = append(changes, Change{Field: path, From: a, To: b})
		}
	}
	for i := range Fields {
		switch f := &Fields[i]; f.Kind {
		case KindMoney:
			add(f.Name+".amount", from.Price.amountOrNone(), to.Price.amountOrNone())
			add(f.Name+".currency", from.Price.Currency, to.Price.Currency)
		case KindList:
			add(f.Name, strings.Join(*f.List(&from), ", "), strings.Join(*f.List(&to), ", "))
		case KindMap:
			keys := maps.Clone(from.Attributes)
			if keys == nil {
				keys = map[string]string{}
			}
			maps.Copy(keys, to.Attributes)
			for _, k := range slices.Sorted(maps.Keys(keys)) {
				add(f.Name+"."+k, from.Attributes[k], to.Attributes[k])
			}
		default:
			add(f.Name, *f.Text(&from), *f.Text(&to))
		}
	}
	return changes
}

// amountOrNone returns the amount in decimal notation, or "" for the zero Money.
func (m Money) amountOrNone() string {
	if m.Currency == "" {
		return ""
	}
	return m.Amount()
}
