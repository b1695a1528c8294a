package textsearch

import (
	"math"
	"strconv"
	"strings"
)

// measures are units of one quantity, and how many of the smallest of them each one is.
var measures = []map[string]float64{
	{"l": 1000, "dl": 100, "cl": 10, "ml": 1},
	{"kg": 1e6, "g": 1e3, "mg": 1},
	{"m": 1000, "cm": 10, "mm": 1},
}

// equalMeasures returns the other words for a number with its unit: 75cl and 750ml for 0.75l.
func equalMeasures(word string) (all []string) {
	digits := strings.TrimRight(word, "dcmklg")
	unit := word[len(digits):]
	if unit == "" || !endsWithDigit(digits) {
		return nil
	}
	n, err := strconv.ParseFloat(digits, 64)
	if err != nil || n == 0 {
		return nil
	}
	for _, units := range measures {
		for other, size := range units {
			if units[unit] == 0 || other == unit {
				continue
			}
			// The smallest measures are thousandths of a millilitre or milligram.
			equal := math.Round(n*units[unit]*1000) / 1000 / size
			if text := strconv.FormatFloat(equal, 'f', -1, 64); equal > 0 && len(text) <= maxMeasure {
				all = append(all, text+other)
			}
		}
	}
	return all
}

// maxMeasure is how many characters the number of an equal measure has at most.
const maxMeasure = 6
