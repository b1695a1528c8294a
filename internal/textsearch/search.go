package textsearch

import (
	"context"
	"math/bits"
	"slices"

	"catalog"
)

// Engine finds products in one snapshot of an index.
type Engine interface {
	// Find returns the page of r.
	Find(ctx context.Context, r Request) (catalog.Page, error)
	// Count returns how many products that pass the filters of r match each of its words.
	Count(ctx context.Context, r Request) ([]int64, error)
}

// fewResults is how many products are too few for a search: related words are looked up too.
const fewResults = 5

// Search returns the page of r, and r with the plan that found it.
//
// A search widens step by step, and stops as soon as it has found something:
//
//  1. Products that have all words. When they are few, related words match too: compounds that end with a word, its
//     singular or plural, and identifiers that contain it.
//  2. A word that no product has may be misspelt, a part of an identifier or a part of a compound word.
//  3. So may all words.
//  4. Products that have most of the words, and at least half of them.
//
// The next pages of a search widen as the first page did; its cursor says how.
func Search(ctx context.Context, r Request, e Engine) (catalog.Page, Request, error) {
	if r.After != nil {
		r.Plan = r.Plan.Widen(r.After.Widened)
	}
	page, err := e.Find(ctx, r)
	if err != nil || !r.Plan.HasText || r.After != nil || page.Total >= fewResults || len(r.Plan.Words) == 0 {
		return page, r, err
	}
	strict := r
	set := related
	if page.Total == 0 {
		counts, err := e.Count(ctx, r)
		if err != nil {
			return page, r, err
		}
		for i, n := range counts {
			if n == 0 {
				set |= 1 << i
			}
		}
	}
	allWords := set | (1<<len(r.Plan.Words) - 1)
	for _, widened := range slices.Compact([]Widening{set, allWords}) {
		if widened == allWords && page.Total > 0 {
			break // nothing is missing
		}
		if r.Plan = strict.Plan.Widen(widened); !r.Plan.differs(strict.Plan) {
			continue
		}
		found, err := e.Find(ctx, r)
		if err != nil {
			return page, r, err
		}
		if found.Total > 0 {
			found.Corrections = r.Plan.corrections(found.Items)
			return found, r, nil
		}
	}
	if page.Total > 0 {
		return page, strict, nil
	}
	r.Plan = strict.Plan.Widen(set)
	return partial(ctx, r, e)
}

// differs reports whether p has other clauses than q, which has the same words.
func (p Plan) differs(q Plan) bool {
	return slices.ContainsFunc(p.Words, func(w Word) bool {
		i := slices.IndexFunc(q.Words, func(other Word) bool { return other.Word == w.Word })
		return len(w.Clauses) != len(q.Words[i].Clauses)
	})
}

// partial returns the products that match most words of r, and at least half of them. A rare word
// counts more than a frequent one. The page has no cursor.
func partial(ctx context.Context, r Request, e Engine) (catalog.Page, Request, error) {
	if len(r.Plan.Words) < 2 {
		return catalog.Page{}, r, nil
	}
	counts, err := e.Count(ctx, r)
	if err != nil {
		return catalog.Page{}, r, err
	}
	words, known, most := 0, 0, slices.Max(counts)
	r.Plan.Words = slices.Clone(r.Plan.Words)
	for i := range r.Plan.Words {
		if w := &r.Plan.Words[i]; !w.Optional {
			words++
			if counts[i] > 0 {
				known++
				w.Weight = rarityBoost * bits.Len64(uint64(most/counts[i]))
			}
		}
	}
	for r.Plan.AtLeast = min(known, words-1); 2*r.Plan.AtLeast >= words && r.Plan.AtLeast > 0; r.Plan.AtLeast-- {
		page, err := e.Find(ctx, r)
		if err != nil || page.Total > 0 {
			page.NextCursor = ""
			page.Match, page.Unmatched, page.Corrections = catalog.MatchPartial, r.Plan.unmatched(page.Items), r.Plan.corrections(page.Items)
			return page, r, err
		}
	}
	return catalog.Page{}, r, nil
}

// rarityBoost is the weight of a word in a partial match, for each time that it is half as frequent as
// the most frequent word. It exceeds what the clauses of a word add.
const rarityBoost = 1_000

// unmatched returns the words that the first of the products does not match.
func (p Plan) unmatched(products []catalog.Product) (all []string) {
	if len(products) == 0 {
		return nil
	}
	fields := map[string][]string{}
	for _, f := range FieldsOf(products[0]) {
		fields[f.Name] = f.Terms
	}
	for _, w := range p.Words {
		if !w.Optional && !slices.ContainsFunc(w.Clauses, func(c Clause) bool { return c.matches(fields[c.Field]) }) {
			all = append(all, w.Word)
		}
	}
	return all
}

// maxCorrected is the number of products in which corrections looks for the
// corrected words.
const maxCorrected = 10

// corrections returns the misspelt words of p, and the words of the products that they stand for.
func (p Plan) corrections(products []catalog.Product) (all []catalog.Correction) {
	for i, w := range p.Words {
		if !p.Widened.Has(i) || w.MaxEdits == 0 {
			continue
		}
		for _, product := range products[:min(len(products), maxCorrected)] {
			if word := similarWord(product, w); word != "" {
				if word != w.Word {
					all = append(all, catalog.Correction{Word: w.Word, Correction: word})
				}
				break
			}
		}
	}
	return all
}

// similarWord returns the word of a product that the misspelt word w stands for; "" for none.
func similarWord(p catalog.Product, w Word) string {
	texts := append([]string{p.Name, p.Brand, p.Category}, p.Tags...)
	for _, v := range p.Attributes {
		texts = append(texts, v)
	}
	stem := Stem(w.Word)
	for edits := range w.MaxEdits + 1 {
		for _, text := range append(texts, PlainText(p.Description)) {
			for _, word := range Tokenize(text) {
				if WithinEdits(stem, Stem(word), edits) {
					return word
				}
			}
		}
	}
	return ""
}
