package catalog

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// SKUKey returns the form of an SKU that is unique among products: SKUs that differ only
// in case have one key. [strings.EqualFold] holds for them.
func SKUKey(sku string) string {
	if strings.ContainsFunc(sku, func(r rune) bool { return r >= utf8.RuneSelf }) {
		return strings.Map(lowestFold, sku)
	}
	return strings.ToLower(sku)
}

// lowestFold returns one letter for all letters that differ only in case: the lowest, or
// its small letter in ASCII.
func lowestFold(r rune) rune {
	lowest := r
	for next := unicode.SimpleFold(r); next != r; next = unicode.SimpleFold(next) {
		lowest = min(lowest, next)
	}
	if lowest < utf8.RuneSelf {
		return unicode.ToLower(lowest)
	}
	return lowest
}
