package textsearch

import "unicode/utf8"

// prefixLengths returns the lengths, in characters, to which the prefixes of words are indexed. A
// search for words with a prefix looks up the indexed prefixes of the next length that begin with
// it. These are few, however many words there are.
func prefixLengths() []int { return []int{3, 7, 12} }

// prefixTerms returns the terms of the prefixes of words.
func prefixTerms(words []string) []string {
	all := make([]string, 0, 2*len(words))
	for _, w := range words {
		all = appendPrefixTerms(all, w)
	}
	return all
}

// appendPrefixTerms appends a term for each prefix of word, up to the first length that covers the
// whole word.
func appendPrefixTerms(all []string, word string) []string {
	count := 0
	lengths := prefixLengths()
	for i := range word {
		if count == lengths[0] {
			all = append(all, prefixTerm(lengths[0], word[:i]))
			if lengths = lengths[1:]; len(lengths) == 0 {
				return all
			}
		}
		count++
	}
	return append(all, prefixTerm(lengths[0], word))
}

// prefixTerm marks a prefix with the length that it is indexed for, since the prefixes of all
// lengths share a field.
func prefixTerm(length int, prefix string) string { return string(rune('a'+length)) + prefix }

// prefixQueries returns where to look for words that begin with prefix. A prefix longer than the
// longest indexed one is looked up among the words themselves.
func prefixQueries(prefix string) (all []TermQuery) {
	length := utf8.RuneCountInString(prefix)
	fields, term := wordFields(), prefix
	for _, l := range prefixLengths() {
		if length <= l {
			fields, term = []string{NamePrefixes, OtherPrefixes}, prefixTerm(l, prefix)
			break
		}
	}
	for _, field := range fields {
		all = append(all, TermQuery{Field: field, Term: term, Prefix: true})
	}
	return all
}
