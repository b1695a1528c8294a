package bleve

import (
	"cmp"
	"math"
	"slices"

	"github.com/RoaringBitmap/roaring/v2"
)

// matches are the products of a segment that match a query.
type matches struct {
	products *roaring.Bitmap
	words    [][]weightedSet // sets of products by word of the query
	exact    []weightedSet
}

// weightedSet is a set of products and the weight that it adds to the score of
// each product in it.
type weightedSet struct {
	weight   int
	products *roaring.Bitmap
}

// match returns the products of a segment that match the plan.
func (p queryPlan) match(s segmentSnapshot) (m matches, err error) {
	m.products = s.DocNumbersLive()
	if p.hasText {
		if err := p.matchText(s, &m); err != nil {
			return m, err
		}
	}
	for _, filter := range p.filters {
		if m.products.IsEmpty() {
			break
		}
		set, err := s.productsWith(filter...)
		if err != nil {
			return m, err
		}
		m.products.And(set)
	}
	return m, nil
}

// matchText keeps the products in m that match enough words or an exact match, and sets the weighted
// sets of m.
func (p queryPlan) matchText(s segmentSnapshot, m *matches) (err error) {
	var required [][]weightedSet
	for _, w := range p.words {
		sets, err := s.weightedSets(w.clauses)
		if err != nil {
			return err
		}
		if !w.optional {
			if w.weight > 0 {
				sets = append(sets, weightedSet{w.weight, union(sets)})
			}
			required = append(required, sets)
		}
		m.words = append(m.words, sets)
		if p.atLeast == 0 && !w.optional && len(sets) == 0 {
			break // no product matches all words
		}
	}
	if m.exact, err = s.weightedSets(p.exactMatches); err != nil {
		return err
	}
	set := union(m.exact)
	switch {
	case p.atLeast > 0:
		set.Or(inAtLeast(p.atLeast, required))
	case len(required) > 0:
		set.Or(inAll(required))
	}
	m.products.And(set)
	return nil
}

// inAll returns the products that match all words.
func inAll(words [][]weightedSet) (all *roaring.Bitmap) {
	// The rarest word comes first: the sets of the others may be large, and only their common part
	// with the few products that are left is computed.
	words = slices.SortedStableFunc(slices.Values(words), func(a, b []weightedSet) int { return cmp.Compare(size(a), size(b)) })
	for i, sets := range words {
		if i == 0 {
			all = union(sets)
		} else {
			all = intersect(all, sets)
		}
		if all.IsEmpty() {
			break
		}
	}
	return all
}

// inAtLeast returns the products that match n of the words or more.
func inAtLeast(n int, words [][]weightedSet) *roaring.Bitmap {
	some := make([]*roaring.Bitmap, n) // the products that match at least 1, 2 … of the words so far
	for i := range some {
		some[i] = roaring.New()
	}
	for _, sets := range words {
		for i := n - 1; i > 0; i-- {
			some[i].Or(intersect(some[i-1], sets))
		}
		some[0].Or(union(sets))
	}
	return some[n-1]
}

// size returns the number of products of the sets; one that is in several sets counts several times.
func size(sets []weightedSet) (n uint64) {
	for _, s := range sets {
		n += s.products.GetCardinality()
	}
	return n
}

// intersect returns the products that are in one of the sets.
func intersect(products *roaring.Bitmap, sets []weightedSet) *roaring.Bitmap {
	all := make([]*roaring.Bitmap, len(sets))
	for i, s := range sets {
		all[i] = roaring.And(products, s.products)
	}
	return roaring.FastOr(all...)
}

// weightedSets returns the set of products of each clause, without empty sets.
func (s segmentSnapshot) weightedSets(clauses []clause) (all []weightedSet, _ error) {
	for _, c := range clauses {
		set, err := s.productsWith(c.fieldTerms)
		if err != nil {
			return nil, err
		}
		if !set.IsEmpty() {
			all = append(all, weightedSet{c.boost, set})
		}
	}
	return all, nil
}

// union returns the products that are in one of the sets.
func union(sets []weightedSet) *roaring.Bitmap {
	all := make([]*roaring.Bitmap, len(sets))
	for i, s := range sets {
		all[i] = s.products
	}
	return roaring.FastOr(all...)
}

// addScores adds the weights of the sets of each product to scores, which is indexed by product. It
// iterates set by set, which is many times faster than product by product. It reports whether it has
// added scores only to products that match.
func (m matches) addScores(scores []uint32) (onlyMatching bool) {
	onlyMatching = true
	matching := m.products.GetCardinality()
	var buffer [256]uint32
	for _, sets := range append(m.words, m.exact) {
		for _, s := range sets {
			products := s.products
			if products.GetCardinality() > 4*matching {
				products = roaring.And(products, m.products) // faster than adding scores that are of no use
			} else {
				onlyMatching = false
			}
			i := products.ManyIterator()
			for n := i.NextMany(buffer[:]); n > 0; n = i.NextMany(buffer[:]) {
				for _, product := range buffer[:n] {
					scores[product] += uint32(s.weight)
				}
			}
		}
	}
	return onlyMatching
}

// top returns at most n of the products: those of the sets with the highest weights. When a set has
// too many, it returns the lowest-numbered of them.
func (m matches) top(n int) matches {
	if m.products.GetCardinality() <= uint64(n) {
		return m
	}
	var sets []weightedSet
	for _, all := range append(m.words, m.exact) {
		sets = append(sets, all...)
	}
	slices.SortStableFunc(sets, func(a, b weightedSet) int { return cmp.Compare(b.weight, a.weight) })
	top := matches{products: roaring.New()}
	for _, s := range sets {
		more := roaring.And(s.products, m.products)
		more.AndNot(top.products)
		if room := n - int(top.products.GetCardinality()); more.GetCardinality() > uint64(room) {
			end, _ := more.Select(uint32(room)) // cannot fail: more has more than room products
			more.RemoveRange(uint64(end), math.MaxUint32+1)
		}
		top.products.Or(more)
	}
	for i, s := range sets {
		sets[i].products = roaring.And(s.products, top.products)
	}
	top.exact = sets
	return top
}

// productsWith returns the products that match one of the elements, deleted and replaced ones included.
// The caller must not modify the result.
func (s segmentSnapshot) productsWith(all ...fieldTerms) (*roaring.Bitmap, error) {
	var sets []*roaring.Bitmap
	for _, t := range all {
		if t.all {
			set, err := s.productsWithAll(t)
			if err != nil {
				return nil, err
			}
			sets = append(sets, set)
			continue
		}
		dict, err := s.dictionary(t.field)
		if err != nil {
			return nil, err
		}
		for _, term := range t.terms {
			set, err := dict.products(term)
			if err != nil {
				return nil, err
			}
			if !set.IsEmpty() {
				sets = append(sets, set)
			}
		}
	}
	switch len(sets) {
	case 0:
		return noProducts, nil
	case 1:
		return sets[0], nil
	}
	return roaring.FastOr(sets...), nil
}

// productsWithAll returns the products that have all terms of t.
func (s segmentSnapshot) productsWithAll(t fieldTerms) (*roaring.Bitmap, error) {
	dict, err := s.dictionary(t.field)
	if err != nil {
		return nil, err
	}
	var all *roaring.Bitmap
	for i, term := range t.terms {
		set, err := dict.products(term)
		if err != nil {
			return nil, err
		}
		if i == 0 {
			all = set
		} else if all = roaring.And(all, set); all.IsEmpty() {
			break
		}
	}
	return all, nil
}
