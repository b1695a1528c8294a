package eventlog

import (
	"slices"

	"catalog"
)

// SKUKeys returns the keys of SKUs, in order and without duplicates.
func SKUKeys(skus []string) []string {
	keys := make([]string, len(skus))
	for i, sku := range skus {
		keys[i] = catalog.SKUKey(sku)
	}
	slices.Sort(keys)
	return slices.Compact(keys)
}

// SKUOwners are products by their SKUs. No two products have one SKU, and a product owns
// the key of its SKU ([catalog.SKUKey]), so that no other gets an SKU that differs only in
// case. A product has no key only if an earlier version, for which case made a
// difference, has stored it: until `catalog migrate` sets its key, and afterwards if its
// key belongs to another product.
type SKUOwners struct {
	ByKey   map[string]catalog.ID // products that own their key, by key
	Without map[string]catalog.ID // products without a key, by SKU
}

// Add adds a product with an SKU and a key as they are stored, "" for none. It reports whether the
// product owns the key of its SKU. The key of a former SKU does not count.
func (o *SKUOwners) Add(id catalog.ID, sku, key string) bool {
	keyed := catalog.SKUKey(sku) == key
	switch {
	case sku == "":
	case keyed:
		set(&o.ByKey, key, id)
	default:
		set(&o.Without, sku, id)
	}
	return keyed
}

// FormerOwner is a product that had an SKU when it was deleted, and has not been created
// again.
type FormerOwner struct {
	Product    catalog.ID
	PastPrices []catalog.PastPrice
}

// set sets the value of a key in a map that may be nil.
func set[V any](m *map[string]V, key string, v V) {
	if *m == nil {
		*m = map[string]V{}
	}
	(*m)[key] = v
}

// Owner returns the product that has the SKU: exactly this one, or else one that differs
// only in case. It returns the zero ID if there is none.
func (o SKUOwners) Owner(sku string) catalog.ID {
	if id, ok := o.Without[sku]; ok {
		return id
	}
	return o.ByKey[catalog.SKUKey(sku)]
}

// Owners returns the products that have the SKUs, by SKU. SKUs that no product has are
// absent.
func (o SKUOwners) Owners(skus []string) map[string]catalog.ID {
	owners := make(map[string]catalog.ID, len(skus))
	for _, sku := range skus {
		if id := o.Owner(sku); id != (catalog.ID{}) {
			owners[sku] = id
		}
	}
	return owners
}

// move changes the SKU of a product. It changes nothing for an SKU of another product.
func (o *SKUOwners) move(id catalog.ID, from, to string) {
	if key := catalog.SKUKey(from); o.ByKey[key] == id {
		delete(o.ByKey, key)
	}
	if o.Without[from] == id {
		delete(o.Without, from)
	}
	if to != "" {
		set(&o.ByKey, catalog.SKUKey(to), id)
	}
}
