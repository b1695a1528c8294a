package catalog

import (
	"maps"
	"slices"
	"time"
)

// ProductData is what a client states about a product. Name and price are
// required; every other field may be empty. [Fields] describes each field.
type ProductData struct {
	SKU         string // the shop's own number; unique among products
	GTIN        string // barcode number: 8, 12, 13 or 14 digits with a valid check digit
	Name        string
	Brand       string
	Description string
	Price       Money
	Category    string            // path such as Furniture/Chairs
	Tags        []string          // no duplicates, in the client's order
	Attributes  map[string]string // such as width: 80
}

// Product is one product at one version.
type Product struct {
	ID ID
	ProductData
	Version   int64 // 1, 2, 3 …; 0 for a product that was never created
	Deleted   bool  // p is a tombstone: it has only ID, Version and the times
	CreatedAt time.Time
	UpdatedAt time.Time
	// PastPrices are the earlier prices that LowestPrior compares, oldest first.
	// The last one ended when the present price began.
	PastPrices []PastPrice
}

// productOverhead is about what a product takes beside its data and past prices:
// id, version and times.
const productOverhead = 64

// Exists reports whether p can be read: it was created and is not deleted.
func (p Product) Exists() bool { return p.Version > 0 && !p.Deleted }

// Size returns about how many bytes p takes in memory and as a record. Limits in
// bytes count it.
func (p Product) Size() int {
	return productOverhead + p.ProductData.Size() + pastPriceSize*len(p.PastPrices)
}

// Equal reports whether p and q are the same product at the same version with
// the same data, times and past prices.
func (p Product) Equal(q Product) bool {
	return p.ID == q.ID && p.Version == q.Version && p.Deleted == q.Deleted && p.ProductData.Equal(q.ProductData) &&
		p.CreatedAt.Equal(q.CreatedAt) && p.UpdatedAt.Equal(q.UpdatedAt) &&
		slices.EqualFunc(p.PastPrices, q.PastPrices, func(a, b PastPrice) bool { return a.Money == b.Money && a.Until.Equal(b.Until) })
}

// Size returns about how many bytes d takes in memory and as a record.
func (d ProductData) Size() int {
	n := 0
	for i := range Fields {
		n += Fields[i].size(&d)
	}
	return n
}

// Equal reports whether d and e have the same value in every field. An absent
// and an empty list or map are equal.
func (d ProductData) Equal(e ProductData) bool {
	for i := range Fields {
		if !Fields[i].equal(&d, &e) {
			return false
		}
	}
	return true
}

// Patch changes some fields of a product: a JSON merge patch (RFC 7396) on
// ProductData. A nil pointer leaves the field as it is.
type Patch struct {
	SKU         *string
	GTIN        *string
	Name        *string
	Brand       *string
	Description *string
	Amount      *Decimal // price.amount
	Currency    *string  // price.currency
	Category    *string
	Tags        *[]string
	// ClearAttributes removes all attributes, before Attributes are set.
	ClearAttributes bool
	// Attributes sets the attributes that have a value and removes those that have
	// nil.
	Attributes map[string]*string
}

// Apply returns d with the changes of p. It changes neither argument; the result
// shares with d the lists and maps that p does not change.
func (p Patch) Apply(d ProductData) ProductData {
	for i := range Fields {
		Fields[i].apply(&p, &d)
	}
	return d
}

// attributes returns the given attributes with the changes of p.
func (p *Patch) attributes(old map[string]string) map[string]string {
	attributes := make(map[string]string, len(old)+len(p.Attributes))
	if !p.ClearAttributes {
		maps.Copy(attributes, old)
	}
	for k, v := range p.Attributes {
		if v == nil {
			delete(attributes, k)
		} else {
			attributes[k] = *v
		}
	}
	return attributes
}
