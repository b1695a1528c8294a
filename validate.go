package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Validate returns nil, or a *Refusal that lists every field that breaks a
// rule.
func (d ProductData) Validate() error {
	r := &Refusal{}
	d.validate(r)
	return r.Err()
}

func (d ProductData) validate(r *Refusal) {
	for i := range Fields {
		switch f := &Fields[i]; f.Kind {
		case KindMoney:
			d.Price.validate(r)
		case KindList:
			f.validateList(r, *f.List(&d))
		case KindMap:
			f.validateMap(r, d.Attributes)
		default:
			f.validateText(r, *f.Text(&d))
		}
	}
}

// Validate returns nil, or a *Refusal that lists every field that would break a rule in
// any product that p is applied to. A price without a currency is not checked, because
// its number of digits depends on the currency of the product.
func (p Patch) Validate() error {
	r := &Refusal{}
	p.validateRemovals(r)
	if p.Currency == nil {
		p.Amount = nil
	}
	p.Apply(ProductData{Name: "x", Price: Money{Currency: "EUR"}}).validate(r)
	return r.Err()
}

// validateRemovals checks the names of removed attributes, which no product shows after
// the patch was applied. Without it, a patch could be larger than the log stores.
func (p Patch) validateRemovals(r *Refusal) {
	f := FieldByName("attributes")
	removed := make(map[string]string, len(p.Attributes))
	for k, v := range p.Attributes {
		if v == nil {
			removed[k] = ""
		}
	}
	f.validateMap(r, removed)
}

// Check returns what is wrong with s as a value of a text field, such as "must
// not be blank", or "" when s is valid. It lets a query parameter keep the rules
// of the field that it filters by.
func (f *Field) Check(s string) string {
	reason := checkText(s, f.Kind, f.MaxLen)
	if reason == "" && f.rule != nil {
		reason = f.rule(s)
	}
	return reason
}

func (f *Field) validateText(r *Refusal, s string) {
	switch {
	case s == "" && f.Required:
		r.Add(f.Name, fmt.Sprintf("is missing; give 1 to %d characters", f.MaxLen))
	case s != "":
		if reason := f.Check(s); reason != "" {
			r.Add(f.Name, reason)
		}
	}
}

func (f *Field) validateList(r *Refusal, list []string) {
	if len(list) > f.MaxEntries {
		r.Add(f.Name, fmt.Sprintf("must have at most %d entries, not %d", f.MaxEntries, len(list)))
	}
	for i, s := range list[:min(len(list), f.MaxEntries)] {
		if reason := checkText(s, KindLine, f.MaxLen); reason != "" {
			r.Add(fmt.Sprintf("%s[%d]", f.Name, i), reason)
		}
		if slices.Index(list, s) < i {
			r.Add(fmt.Sprintf("%s[%d]", f.Name, i), fmt.Sprintf("repeats %.80q; list each entry once", s))
		}
	}
}

func (f *Field) validateMap(r *Refusal, m map[string]string) {
	if len(m) > f.MaxEntries {
		r.Add(f.Name, fmt.Sprintf("must have at most %d entries, not %d", f.MaxEntries, len(m)))
		return
	}
	for _, k := range slices.Sorted(maps.Keys(m)) {
		if reason := checkText(k, KindLine, f.MaxKeyLen); reason != "" {
			r.Add(f.Name, fmt.Sprintf("has the key %.80q, which %s", k, reason))
		}
		if m[k] == "" {
			continue
		}
		if reason := checkText(m[k], KindProse, f.MaxLen); reason != "" {
			r.Add(f.Name+"."+strings.ToValidUTF8(k, "\uFFFD"), reason)
		}
	}
}

// checkText returns which rule of its kind s breaks, or "".
func checkText(s string, kind Kind, maxLen int) string {
	length := utf8.RuneCountInString(s)
	switch {
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	case strings.TrimSpace(s) == "":
		return "must not be blank"
	case kind == KindLine && strings.TrimSpace(s) != s:
		return "must not begin or end with spaces"
	case length > maxLen:
		return fmt.Sprintf("must have at most %d characters, not %d", maxLen, length)
	}
	if i := strings.IndexFunc(s, func(r rune) bool {
		return unicode.IsControl(r) && (kind == KindLine || !strings.ContainsRune("\n\t\r", r))
	}); i >= 0 {
		r, _ := utf8.DecodeRuneInString(s[i:])
		return fmt.Sprintf("must not contain control characters, such as U+%04X here", r)
	}
	return ""
}

// checkPath returns what is wrong with the path of a category, or "".
func checkPath(s string) string {
	for name := range strings.SplitSeq(s, "/") {
		if name == "" || strings.TrimSpace(name) != name {
			return "must be names joined by single slashes, such as Furniture/Chairs"
		}
	}
	return ""
}
