package textsearch

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Limits of the words that are compared by edit distance, in characters. The cost of a comparison
// grows with the length of the word.
const (
	maxFuzzyLength      = 24 // longest word that a search may match with edits
	maxSuggestionLength = 16 // longest word that DidYouMean corrects: every term of a field is compared
)

// WithinEdits reports whether b is at most maxEdits edits away from a. An edit inserts, deletes or
// replaces one character, or swaps two adjacent ones. Both words must begin with the same character.
func WithinEdits(a, b string, maxEdits int) bool {
	from, to := []rune(a), []rune(b)
	if len(from) == 0 || len(to) == 0 || from[0] != to[0] || len(from)-len(to) > maxEdits || len(to)-len(from) > maxEdits {
		return false
	}
	// Three rows of the Damerau-Levenshtein matrix: current[j+1] is the distance between the first
	// i+1 characters of a and the first j+1 characters of b; previous and beforePrevious are the
	// rows for i and i-1 characters of a.
	beforePrevious, previous, current := make([]int, len(to)+1), make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range previous {
		previous[j] = j
	}
	for i, r := range from {
		current[0] = i + 1
		for j, s := range to {
			cost := 1
			if r == s {
				cost = 0
			}
			current[j+1] = min(previous[j]+cost, previous[j+1]+1, current[j]+1)
			if i > 0 && j > 0 && r == to[j-1] && s == from[i-1] {
				current[j+1] = min(current[j+1], beforePrevious[j-1]+1)
			}
		}
		beforePrevious, previous, current = previous, current, beforePrevious
	}
	return previous[len(to)] <= maxEdits
}

// maxEdits returns how many edits a search allows for a word: 0 below 4 characters, 1 below 8,
// else 2. Short words get none because most are one edit from another word. A word with a digit
// gets none because a different number is a different thing.
func maxEdits(word string) int {
	length := utf8.RuneCountInString(word)
	switch {
	case length < 4 || length > maxFuzzyLength || strings.ContainsFunc(word, unicode.IsNumber):
		return 0
	case length < 8:
		return 1
	}
	return 2
}

// MaxEditsForSuggestion returns how many edits DidYouMean allows when it corrects a word that no
// product has: 1 for 3 characters, else 2. It allows more than a search, and the first character may
// differ too.
func MaxEditsForSuggestion(word string) int {
	length := utf8.RuneCountInString(word)
	switch {
	case length < 3 || length > maxSuggestionLength || strings.ContainsFunc(word, unicode.IsNumber):
		return 0
	case length == 3:
		return 1
	}
	return 2
}
