package catalog

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// Limits of a product, in characters (not bytes) and in numbers of entries.
const (
	MaxSKU            = 64
	MaxName           = 250
	MaxDescription    = 5_000
	MaxCategory       = 250
	MaxTags           = 50
	MaxTag            = 64
	MaxAttributes     = 100
	MaxAttributeKey   = 64
	MaxAttributeValue = 2_000
)

// Draft is what people say of a product. Name and price are required.
type ProductData struct {
	SKU         string // the shop's own number; "" for none, else unique
	Name        string
	Description string
	Price       Money
	Category    string            // path such as Furniture/Chairs; "" for none
	Tags        []string          // no duplicates; order is kept
	Attributes  map[string]string // such as width: 80
}

// Product is one product at one version.
type Product struct {
	ID ID
	ProductData
	Version   int64 // 1, 2, 3 …; 0 for a product that has never been
	Deleted   bool  // what is left of it is id, version and times: a tombstone
	CreatedAt time.Time
	UpdatedAt time.Time
	// PastPrices are those that LowestPrior looks at; oldest first, the last one
	// until the present price began.
	PastPrices []PastPrice
}

// Exists says whether p can be read: it was created and not deleted since.
func (p Product) Exists() bool { return p.Version > 0 && !p.Deleted }

// Equal says whether p and q are the same product at the same version, and say
// the same.
func (p Product) Equal(q Product) bool {
	return p.ID == q.ID && p.Version == q.Version && p.Deleted == q.Deleted && p.ProductData.Equal(q.ProductData) &&
		p.CreatedAt.Equal(q.CreatedAt) && p.UpdatedAt.Equal(q.UpdatedAt) &&
		slices.EqualFunc(p.PastPrices, q.PastPrices, func(a, b PastPrice) bool { return a.Money == b.Money && a.Until.Equal(b.Until) })
}

// Equal says whether d and e say the same. An absent and an empty list or map
// are the same.
func (d ProductData) Equal(e ProductData) bool {
	return d.SKU == e.SKU && d.Name == e.Name && d.Description == e.Description &&
		d.Price == e.Price && d.Category == e.Category &&
		slices.Equal(d.Tags, e.Tags) && maps.Equal(d.Attributes, e.Attributes)
}

// Validate is nil, or a *Refusal that names every field that breaks a rule.
func (d ProductData) Validate() error {
	e := &Refusal{}
	if d.SKU != "" {
		text(e, "sku", d.SKU, MaxSKU, line)
	}
	if d.Name == "" {
		e.Add("name", fmt.Sprintf("is missing; give 1 to %d characters", MaxName))
	} else {
		text(e, "name", d.Name, MaxName, line)
	}
	if d.Description != "" {
		text(e, "description", d.Description, MaxDescription, prose)
	}
	d.Price.check(e)
	if d.Category != "" {
		if r := wrong(d.Category, MaxCategory, line); r != "" {
			e.Add("category", r)
		} else if !path(d.Category) {
			e.Add("category", "must be names joined by single slashes, such as Furniture/Chairs")
		}
	}
	if len(d.Tags) > MaxTags {
		e.Add("tags", fmt.Sprintf("must have at most %d entries, not %d", MaxTags, len(d.Tags)))
	}
	for i, t := range d.Tags[:min(len(d.Tags), MaxTags)] {
		text(e, fmt.Sprintf("tags[%d]", i), t, MaxTag, line)
		if slices.Index(d.Tags, t) < i {
			e.Add(fmt.Sprintf("tags[%d]", i), fmt.Sprintf("%q is there twice", t))
		}
	}
	if len(d.Attributes) > MaxAttributes {
		e.Add("attributes", fmt.Sprintf("must have at most %d entries, not %d", MaxAttributes, len(d.Attributes)))
		return e.Err()
	}
	for _, k := range slices.Sorted(maps.Keys(d.Attributes)) {
		if r := wrong(k, MaxAttributeKey, line); r != "" {
			e.Add("attributes", fmt.Sprintf("the key %.80q %s", k, r))
		}
		if d.Attributes[k] != "" {
			text(e, "attributes."+strings.ToValidUTF8(k, "\uFFFD"), d.Attributes[k], MaxAttributeValue, prose)
		}
	}
	return e.Err()
}

// path says whether s is names joined by single slashes.
func path(s string) bool {
	for name := range strings.SplitSeq(s, "/") {
		if name == "" || strings.TrimSpace(name) != name {
			return false
		}
	}
	return true
}

func line(r rune) bool  { return !unicode.IsControl(r) }
func prose(r rune) bool { return r == '\n' || r == '\t' || r == '\r' || !unicode.IsControl(r) }

// text appends to e what is wrong with the text of a field.
func text(e *Refusal, field, s string, limit int, allowed func(rune) bool) {
	if r := wrong(s, limit, allowed); r != "" {
		e.Add(field, r)
	}
}

func wrong(s string, limit int, allowed func(rune) bool) string {
	switch {
	case !utf8.ValidString(s):
		return "is not valid UTF-8"
	case strings.TrimSpace(s) == "":
		return "must not be blank"
	case strings.TrimSpace(s) != s && !allowed('\n'):
		return "must not begin or end with blanks"
	case utf8.RuneCountInString(s) > limit:
		return fmt.Sprintf("must have at most %d characters, not %d", limit, utf8.RuneCountInString(s))
	case strings.ContainsFunc(s, func(r rune) bool { return !allowed(r) }):
		return "must not contain control characters"
	}
	return ""
}

// Patch is a wish to change some fields of a product: JSON merge patch
// (RFC 7396) on a Draft. A nil pointer leaves the field as it is.
type Patch struct {
	SKU         *string
	Name        *string
	Description *string
	Amount      *Decimal // price.amount
	Currency    *string  // price.currency
	Category    *string
	Tags        *[]string
	// ClearAttributes removes all attributes, before Attributes are set.
	ClearAttributes bool
	// Attributes sets those with a value and removes those with nil.
	Attributes map[string]*string
}

// Apply is d with the changes of p. It changes neither, and shares with d the
// lists and maps that p leaves as they are.
func (p Patch) Apply(d ProductData) ProductData {
	set := func(to *string, from *string) {
		if from != nil {
			*to = *from
		}
	}
	set(&d.SKU, p.SKU)
	set(&d.Name, p.Name)
	set(&d.Description, p.Description)
	set(&d.Price.Currency, p.Currency)
	set(&d.Category, p.Category)
	if p.Amount != nil {
		d.Price.Decimal = *p.Amount
	}
	if p.Tags != nil {
		d.Tags = slices.Clone(*p.Tags)
	}
	if !p.ClearAttributes && len(p.Attributes) == 0 {
		return d
	}
	attributes := make(map[string]string, len(d.Attributes)+len(p.Attributes))
	if !p.ClearAttributes {
		maps.Copy(attributes, d.Attributes)
	}
	for k, v := range p.Attributes {
		if v == nil {
			delete(attributes, k)
		} else {
			attributes[k] = *v
		}
	}
	d.Attributes = attributes
	return d
}
