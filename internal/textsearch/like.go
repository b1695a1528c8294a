package textsearch

// Like says whether b is at most so many errors away from a, with the same first
// letter: letters that are wrong, missing, too many, or swapped with the next.
func WithinEdits(a, b string, errors int) bool {
	from, to := []rune(a), []rune(b)
	if len(from) == 0 || len(to) == 0 || from[0] != to[0] || len(from)-len(to) > errors || len(to)-len(from) > errors {
		return false
	}
	// Distances between the beginnings of both: of all of to, for the last
	// letters of from.
	before, last, next := make([]int, len(to)+1), make([]int, len(to)+1), make([]int, len(to)+1)
	for j := range last {
		last[j] = j
	}
	for i, r := range from {
		next[0] = i + 1
		for j, s := range to {
			cost := 1
			if r == s {
				cost = 0
			}
			next[j+1] = min(last[j]+cost, last[j+1]+1, next[j]+1)
			if i > 0 && j > 0 && r == to[j-1] && s == from[i-1] {
				next[j+1] = min(next[j+1], before[j-1]+1)
			}
		}
		before, last, next = last, next, before
	}
	return last[len(to)] <= errors
}
