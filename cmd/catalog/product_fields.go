package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"catalog"
	"catalog/internal/wire"
)

// fieldFlags holds the flags of a product's fields, one for each entry of
// catalog.Fields.
type fieldFlags struct {
	values map[string]*stringsFlag // values by the name of the field
	given  map[string]bool         // fields whose flag is on the command line
}

// stringsFlag is a flag that may be given several times.
type stringsFlag []string

func (s *stringsFlag) String() string { return strings.Join(*s, ", ") }

func (s *stringsFlag) Set(v string) error {
	*s = append(*s, v)
	return nil
}

// flagName returns the name of a field's flag. Flags for one entry of a list or map are
// in the singular: -tag, -attribute.
func flagName(f *catalog.Field) string {
	if f.Kind == catalog.KindList || f.Kind == catalog.KindMap {
		return strings.TrimSuffix(f.Name, "s")
	}
	return f.Name
}

func (v *fieldFlags) declare(fs *flag.FlagSet) {
	v.values = map[string]*stringsFlag{}
	for i := range catalog.Fields {
		f := &catalog.Fields[i]
		usage := f.Help + ", such as " + f.Example
		switch f.Kind {
		case catalog.KindProse:
			usage = f.Help
		case catalog.KindMoney:
			usage = f.Help + ", such as '" + f.Example + "'"
		case catalog.KindList:
			usage += "; may be given several times"
		case catalog.KindMap:
			usage = "`key=value`; " + usage + "; may be given several times; key= removes the entry"
		}
		v.values[f.Name] = new(stringsFlag)
		fs.Var(v.values[f.Name], flagName(f), usage)
	}
}

// visit notes which flags are on the command line: an empty value clears a field,
// while an absent flag leaves it unchanged.
func (v *fieldFlags) visit(fs *flag.FlagSet) {
	v.given = map[string]bool{}
	fs.Visit(func(set *flag.Flag) {
		for i := range catalog.Fields {
			if f := &catalog.Fields[i]; flagName(f) == set.Name {
				v.given[f.Name] = true
			}
		}
	})
}

// text returns the value of a field's flag: the last one, if it is given several times.
func (v *fieldFlags) text(field string) string {
	if all := *v.values[field]; len(all) > 0 {
		return all[len(all)-1]
	}
	return ""
}

// pairs returns the entries of a flag of key=value pairs.
func (v *fieldFlags) pairs(f *catalog.Field) (map[string]string, error) {
	pairs := map[string]string{}
	for _, s := range *v.values[f.Name] {
		key, value, ok := strings.Cut(s, "=")
		if !ok {
			return nil, wrongUsage("-%s %q is not key=value", flagName(f), s)
		}
		pairs[key] = value
	}
	return pairs, nil
}

// patch returns the flags as a merge patch of the product.
func (v *fieldFlags) patch() (json.RawMessage, error) {
	patch := map[string]any{}
	for i := range catalog.Fields {
		f := &catalog.Fields[i]
		if !v.given[f.Name] {
			continue
		}
		switch f.Kind {
		case catalog.KindMoney:
			amount, currency, ok := strings.Cut(v.text(f.Name), " ")
			price := map[string]string{"amount": amount}
			if ok {
				price["currency"] = strings.TrimSpace(currency)
			}
			patch[f.Name] = price
		case catalog.KindList:
			patch[f.Name] = *v.values[f.Name]
		case catalog.KindMap:
			pairs, err := v.pairs(f)
			if err != nil {
				return nil, err
			}
			entries := map[string]any{}
			for key, value := range pairs {
				entries[key] = nullIfEmpty(value)
			}
			patch[f.Name] = entries
		default:
			patch[f.Name] = v.text(f.Name)
			if !f.Required {
				patch[f.Name] = nullIfEmpty(v.text(f.Name))
			}
		}
	}
	return json.Marshal(patch)
}

// nullIfEmpty returns s, or nil if it is empty: null clears a field in a merge patch.
func nullIfEmpty(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// print prints a product, one line for each field that is set.
func (p *productCall) print(item catalog.Product) error {
	if p.json {
		return p.encode(wire.ProductToJSON(item, catalog.BeforeLastReduction))
	}
	t := tabwriter.NewWriter(p.out, 0, 0, 2, ' ', 0)
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(t, "%s\t%s\n", name, strings.ReplaceAll(value, "\n", " "))
		}
	}
	line("id", item.ID.String())
	for i := range catalog.Fields {
		switch f := &catalog.Fields[i]; f.Kind {
		case catalog.KindMoney:
			line(f.Name, money(item.Price))
			if lowest, ok := item.LowestPrior(catalog.BeforeLastReduction); ok {
				line("lowest in 30 days", money(lowest))
			}
		case catalog.KindList:
			line(f.Name, strings.Join(*f.List(&item.ProductData), ", "))
		case catalog.KindMap:
			for _, k := range slices.Sorted(maps.Keys(item.Attributes)) {
				line(k, item.Attributes[k])
			}
		default:
			line(f.Name, *f.Text(&item.ProductData))
		}
	}
	line("version", fmt.Sprint(item.Version))
	line("changed", item.UpdatedAt.Format("2006-01-02 15:04:05 MST"))
	return t.Flush()
}

func money(m catalog.Money) string { return m.Amount() + " " + m.Currency }
