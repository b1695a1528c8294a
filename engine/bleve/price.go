package bleve

import (
	"math"
	"strings"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"catalog/internal/textsearch"
)

// Prices are looked for as text of fixed width. A range of it can hold as many
// terms as there are prices, so the first digits are terms too, and a range is a
// few coarse terms in its middle and ever finer ones towards its ends.

// priceLevels are how many digits are terms beside all of them: down to 10,000s,
// to 100s and to ones.
func priceLevels() []int { return []int{11, 13, 15} }

// pricePlace is where a number of digits of prices is looked for: the field, and
// what its terms begin with.
func pricePlace(digits int) (field, mark string) {
	if digits == textsearch.Digits {
		return textsearch.Price, ""
	}
	return fieldPrices, string(rune('a' + digits))
}

// coarse are the terms of the first digits of a price.
func coarse(price string) (all []string) {
	for _, digits := range priceLevels() {
		_, mark := pricePlace(digits)
		all = append(all, mark+price[:digits])
	}
	return all
}

// between lists the terms that together find the prices from low to high, both
// of them included.
func between(r *scorch.IndexSnapshot, low, high string) ([]place, error) {
	var parts []place
	add := func(digits int, from, to string, fromToo, toToo bool) error {
		if from > to {
			return nil
		}
		field, mark := pricePlace(digits)
		from, to = mark+from, mark+to
		p, every := place{field: field}, limit(math.MaxInt)
		all, err := every.of(r.FieldDictRange(field, []byte(from), []byte(to)))
		for _, t := range all {
			if (fromToo || t != from) && (toToo || t != to) && t <= to {
				p.terms = append(p.terms, t)
			}
		}
		parts = append(parts, p)
		return err
	}
	parent := 0
	for _, digits := range append(priceLevels(), textsearch.Digits) {
		last := digits == textsearch.Digits
		var err error
		if low[:parent] == high[:parent] { // the ends are still in one coarse term
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
