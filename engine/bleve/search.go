package bleve

import (
	"context"
	"fmt"
	"math"

	"catalog"
	"catalog/internal/textsearch"
)

// maxTerms is the largest number of terms of the index that the words of a text may stand for
// together. Usual texts need a few hundred. The limit bounds the cost of a text whose words are
// prefixes of, or similar to, very many others.
const maxTerms termBudget = 4_000

// maxSKUs is how many of maxTerms may be SKUs that begin with the whole text.
const maxSKUs = 500

// Search returns a page of the products that match q, or a *catalog.Refusal. Text without a letter
// or digit matches only a product with exactly that name or SKU.
func (x *Index) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	req, err := x.rules.NewRequest(q)
	if err != nil {
		return catalog.Page{}, err
	}
	var page catalog.Page
	kind := searchSlot
	if req.Plan.HasIdentifier() {
		kind = lookUpSlot
	}
	err = x.withSlot(ctx, kind, func(r snapshot) (err error) {
		strict := req
		if page, req, err = textsearch.Search(ctx, req, finder{x, r, 0}); err != nil {
			return err
		}
		if strict.Plan.HasText && strict.After == nil && (page.Total == 0 || page.Match == catalog.MatchPartial) {
			page.DidYouMean, err = x.didYouMean(ctx, r, strict)
		}
		return err
	})
	if err == nil && q.Highlight {
		page.Highlights = textsearch.NewHighlighter(req.Query.Text, req.Plan.Words).HighlightAll(page.Items)
	}
	if err != nil && ctx.Err() == nil {
		err = fmt.Errorf("search: %w", err)
	}
	return page, err
}

// finder implements textsearch.Engine with a snapshot of the index.
type finder struct {
	x             *Index
	r             snapshot
	maxCandidates int // see Index.find
}

func (f finder) Find(ctx context.Context, req textsearch.Request) (catalog.Page, error) {
	p, err := resolve(f.r, req.Plan)
	if err != nil {
		return catalog.Page{}, err
	}
	return f.x.find(ctx, f.r, req, p, f.maxCandidates)
}

func (f finder) Count(ctx context.Context, req textsearch.Request) ([]int64, error) {
	p, err := resolve(f.r, req.Plan)
	if err != nil {
		return nil, err
	}
	filters := p
	filters.hasText = false
	counts := make([]int64, len(p.words))
	for _, s := range f.r.segments {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		m, err := filters.match(s)
		if err != nil {
			return nil, err
		}
		for i, w := range p.words {
			sets, err := s.weightedSets(w.clauses)
			if err != nil {
				return nil, err
			}
			counts[i] += int64(m.products.AndCardinality(union(sets)))
		}
	}
	return counts, nil
}

// find returns the page of req from one snapshot. With maxCandidates > 0 it ranks only that many
// products of each segment, those with the best clauses; 0 ranks all.
func (x *Index) find(ctx context.Context, r snapshot, req textsearch.Request, p queryPlan, maxCandidates int) (catalog.Page, error) {
	c := newCollector(req, x)
	facets := newFacetCounters(req.Facets)
	x.columns.keep(r)
	for _, s := range r.segments {
		if err := ctx.Err(); err != nil {
			return catalog.Page{}, err
		}
		m, err := p.match(s)
		if err != nil {
			return catalog.Page{}, err
		}
		if m.products.IsEmpty() {
			continue
		}
		candidates := m
		if maxCandidates > 0 {
			candidates = m.top(maxCandidates)
		}
		if err := c.collect(ctx, s, candidates); err != nil {
			return catalog.Page{}, err
		}
		if err := facets.count(ctx, x.columns, s, m.products); err != nil {
			return catalog.Page{}, err
		}
	}
	return c.page(req, facets)
}

// fieldTerms stands for the products that have one of the terms in the field, or all of them.
type fieldTerms struct {
	field string
	terms []string
	all   bool
}

// clause adds boost to the score of the products that have one of the terms.
type clause struct {
	boost int
	fieldTerms
}

// queryPlan is a textsearch.Plan whose term queries are resolved to terms of the index, such as the
// terms one edit away from a word.
type queryPlan struct {
	filters      [][]fieldTerms // a product must match one element of each filter
	hasText      bool
	words        []queryWord // a product must match a clause of each word that is not optional
	atLeast      int         // number of these words that a product must match; 0 for all
	exactMatches []clause    // a product that matches one of these need not match the words
}

// queryWord is a word of a text and its clauses.
type queryWord struct {
	clauses  []clause
	optional bool // the word only adds to scores
	weight   int  // added to the score of a product that matches the word
}

// resolve looks up the terms of a plan in the index.
func resolve(r snapshot, plan textsearch.Plan) (queryPlan, error) {
	p := queryPlan{hasText: plan.HasText, atLeast: plan.AtLeast}
	for _, f := range plan.Filters {
		terms, err := []string{f.Term}, error(nil)
		if f.Prefix {
			if terms, err = withPrefix(r, f.Field, f.Term, math.MaxInt); err != nil {
				return p, err
			}
		}
		p.filters = append(p.filters, []fieldTerms{{field: f.Field, terms: terms}})
	}
	if plan.MinPrice != "" {
		prices, err := priceRange(r, plan.MinPrice, plan.MaxPrice)
		if err != nil {
			return p, err
		}
		p.filters = append(p.filters, prices)
	}
	left := maxTerms
	for _, c := range plan.ExactMatches {
		if c.Field == textsearch.ID {
			id, err := catalog.ParseID(c.Term)
			if err != nil {
				return p, err
			}
			c.Term = docID(id)
		}
		terms := []string{c.Term}
		if c.Prefix {
			found, err := withPrefix(r, c.Field, c.Term, maxSKUs)
			if err != nil {
				return p, err
			}
			terms = left.take(found)
		}
		p.exactMatches = append(p.exactMatches, clause{c.Boost, fieldTerms{field: c.Field, terms: terms}})
	}
	for i, w := range plan.Words {
		share := left / termBudget(len(plan.Words)-i) // the part of its share that a word does not use goes to the next words
		left -= share
		clauses, err := resolveWord(r, w, &share)
		if err != nil {
			return p, err
		}
		p.words = append(p.words, queryWord{clauses, w.Optional, w.Weight})
		left += share
	}
	return p, nil
}

// resolveWord looks up the terms of the clauses of a word, within the budget.
func resolveWord(r snapshot, w textsearch.Word, budget *termBudget) (clauses []clause, _ error) {
	similar := map[string]*similarTerms{} // similar terms by term; the clauses of a word have the same term
	for _, c := range w.Clauses {
		terms, err := []string{c.Term}, error(nil)
		switch {
		case c.All != nil:
			terms = c.All
		case c.Prefix:
			terms, err = withPrefix(r, c.Field, c.Term, int(*budget))
			terms = budget.take(terms)
		case c.MaxEdits > 0:
			if similar[c.Term] == nil {
				similar[c.Term] = &similarTerms{term: c.Term, maxEdits: w.MaxEdits, limit: int(maxTerms)}
			}
			terms, err = similar[c.Term].within(r, c.Field, c.MaxEdits)
			terms = budget.take(terms)
		}
		if err != nil {
			return nil, err
		}
		clauses = append(clauses, clause{c.Boost, fieldTerms{c.Field, terms, c.All != nil}})
	}
	return clauses, nil
}
