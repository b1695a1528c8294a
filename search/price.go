package search

import (
	"strconv"
	"strings"

	"github.com/blevesearch/bleve/v2"
	"github.com/blevesearch/bleve/v2/search/query"
)

// Prices are looked for as text of fixed width: 15 digits before the point and
// nine behind. A range of it can hold as many terms as there are prices, so the
// first digits are indexed too, and a range is a few coarse terms in its middle
// and ever finer ones towards its ends.

const priceDigits = 24

// priceLevels are how many digits are indexed beside all of them: down to
// 10,000s, to 100s and to ones.
var priceLevels = []int{11, 13, 15}

func priceField(digits int) string { return "price" + strconv.Itoa(digits) }

// between lists queries that together find the prices from low to high, both
// of them included.
func between(low, high string) []query.Query {
	var parts []query.Query
	add := func(digits int, from, to string, fromToo, toToo bool) {
		if from > to || from == to && !(fromToo && toToo) {
			return
		}
		field := priceField(digits)
		if digits == priceDigits {
			field = fieldPrice
		}
		parts = append(parts, in(field, 0, bleve.NewTermRangeInclusiveQuery(from, to, &fromToo, &toToo)))
	}
	levels := append(append([]int{}, priceLevels...), priceDigits)
	parent := 0
	for i, digits := range levels {
		last := i == len(levels)-1
		if low[:parent] == high[:parent] { // the ends are still in one coarse term
			add(digits, low[:digits], high[:digits], last, last)
		} else {
			add(digits, low[:digits], low[:parent]+strings.Repeat("9", digits-parent), last, true)
			add(digits, high[:parent]+strings.Repeat("0", digits-parent), high[:digits], true, last)
		}
		parent = digits
	}
	return parts
}
