package bleve

import (
	"math"
	"strings"

	"catalog/internal/textsearch"
)

// A price range can cover as many terms as there are prices. So the index also has the first digits
// of each price as terms, and a range is looked up as a few coarse terms in its middle and finer
// terms towards its ends.

// pricePrefixLengths returns the numbers of digits that are terms of their own: prices by 10,000, by
// 100 and by 1 unit.
func pricePrefixLengths() []int { return []int{11, 13, 15} }

// priceField returns the field that holds prices cut to a number of digits, and the mark that
// distinguishes them from prices cut to other lengths.
func priceField(digits int) (field, mark string) {
	if digits == textsearch.PriceDigits {
		return textsearch.Price, ""
	}
	return fieldPricePrefixes, string(rune('a' + digits))
}

// pricePrefixes returns the terms of the first digits of a price.
func pricePrefixes(price string) (all []string) {
	for _, digits := range pricePrefixLengths() {
		_, mark := priceField(digits)
		all = append(all, mark+price[:digits])
	}
	return all
}

// priceRange returns the terms that together match the prices from low to high, both included.
func priceRange(r snapshot, low, high string) ([]fieldTerms, error) {
	var parts []fieldTerms
	add := func(digits int, from, to string, includeFrom, includeTo bool) error {
		if from > to {
			return nil
		}
		field, mark := priceField(digits)
		from, to = mark+from, mark+to
		part := fieldTerms{field: field}
		all, err := lookUp(r, field, math.MaxInt, nil, []byte(from), []byte(to+"\x00")) // the first term after to
		for _, t := range all {
			if (includeFrom || t != from) && (includeTo || t != to) {
				part.terms = append(part.terms, t)
			}
		}
		parts = append(parts, part)
		return err
	}
	parent := 0 // the number of digits of the level above
	for _, digits := range append(pricePrefixLengths(), textsearch.PriceDigits) {
		last := digits == textsearch.PriceDigits
		var err error
		if low[:parent] == high[:parent] { // both ends are in one term of the level above
			err = add(digits, low[:digits], high[:digits], last, last)
		} else if err = add(digits, low[:digits], low[:parent]+strings.Repeat("9", digits-parent), last, true); err == nil {
			err = add(digits, high[:parent]+strings.Repeat("0", digits-parent), high[:digits], true, last)
		}
		if err != nil {
			return nil, err
		}
		parent = digits
	}
	return parts, nil
}
