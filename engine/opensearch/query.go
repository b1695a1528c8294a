package opensearch

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"catalog"
	"catalog/internal/textsearch"
)

// clause is a part of a query of OpenSearch. Whatever people ask is a value in
// it, and never an operator.
type clause = map[string]any

// is1 finds what has exactly that term.
func is1(field, value string) clause { return clause{"term": clause{field: clause{"value": value}}} }

func having(p textsearch.TermQuery) clause {
	switch {
	case p.Field == textsearch.ID:
		return is1(fieldID, p.Term)
	case p.Prefix:
		return clause{"prefix": clause{p.Field: clause{"value": p.Term}}}
	case p.MaxEdits > 0: // people seldom miss the first letter, and the index is searched faster
		return clause{"fuzzy": clause{p.Field: clause{"value": p.Term, "fuzziness": p.MaxEdits, "prefix_length": 1, "rewrite": "constant_score"}}}
	}
	return is1(p.Field, p.Term)
}

// either finds what is in one of the tiers. The score is the sum of what they
// are worth.
func either(tiers []textsearch.Clause, others ...clause) clause {
	all := others
	for _, t := range tiers {
		all = append(all, clause{"constant_score": clause{"filter": having(t.TermQuery), "boost": t.Boost}})
	}
	return clause{"bool": clause{"should": all, "minimum_should_match": 1}}
}

// question is a plan as OpenSearch is asked.
func question(p textsearch.Plan) clause {
	filters := []clause{is1(fieldState, there)}
	for _, f := range p.Filters {
		filters = append(filters, having(f))
	}
	if p.Low != "" {
		filters = append(filters, clause{"range": clause{textsearch.Price: clause{"gte": p.Low, "lte": p.High}}})
	}
	b := clause{"filter": filters}
	if p.Text {
		var words []clause
		for _, w := range p.Words {
			words = append(words, either(w.Clauses))
		}
		var all []clause
		if len(words) > 0 {
			all = append(all, clause{"bool": clause{"must": words}})
		}
		b["must"] = either(p.ExactMatches, all...)
	}
	return clause{"bool": b}
}

// order is the order of a page as OpenSearch is asked, and where it begins.
func order(o textsearch.SortOrder, last *textsearch.CursorKey) (sort []clause, after []any) {
	way := func(descending bool) string {
		if descending {
			return "desc"
		}
		return "asc"
	}
	field := o.Field
	if field == "" {
		field = "_score"
	}
	sort = []clause{{field: clause{"order": way(o.Descending)}}, {fieldID: clause{"order": way(o.ByID)}}}
	switch {
	case last == nil:
	case o.Field == "" && len(last.Key) == 4:
		after = []any{binary.BigEndian.Uint32(last.Key), last.ID.String()}
	default:
		after = []any{string(last.Key), last.ID.String()}
	}
	return sort, after
}

// end is where a page ends with h.
func end(o textsearch.SortOrder, h hit, p catalog.Product) (last textsearch.CursorKey, err error) {
	last.ID = p.ID
	if len(h.Sort) == 0 {
		return last, fmt.Errorf("product %s was found without its place", p.ID)
	}
	if o.Field == "" {
		var score float64
		err = json.Unmarshal(h.Sort[0], &score)
		last.Key = binary.BigEndian.AppendUint32(nil, uint32(score))
		return last, err
	}
	var key string
	err = json.Unmarshal(h.Sort[0], &key)
	last.Key = []byte(key)
	return last, err
}

// Search answers a page of the products that match, or a *catalog.Refusal.
func (x *Index) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	q.Text = strings.TrimSpace(q.Text)
	if err := textsearch.ValidateQuery(q); err != nil {
		return catalog.Page{}, err
	}
	o, last, err := textsearch.ParseSort(q)
	if err != nil {
		return catalog.Page{}, err
	}
	plan := textsearch.NewPlan(q)
	page, err := x.find(ctx, q, plan, o, last, facets(q))
	if err == nil && q.Highlight {
		m := matcher(q.Text, plan.Words, page.Items)
		for _, item := range page.Items {
			page.Highlights = append(page.Highlights, m.Highlights(item))
		}
	}
	return page, err
}

// find asks OpenSearch.
func (x *Index) find(ctx context.Context, q catalog.Query, p textsearch.Plan, o textsearch.SortOrder, last *textsearch.CursorKey, facets []catalog.Facet) (page catalog.Page, _ error) {
	sort, after := order(o, last)
	body := clause{"size": q.Limit + 1, "track_total_hits": true, "_source": []string{fieldProduct}, "query": question(p), "sort": sort}
	if after != nil {
		body["search_after"] = after
	}
	if len(facets) > 0 {
		counts := clause{}
		for i, f := range facets {
			counts[strconv.Itoa(i)] = count(f)
		}
		body["aggs"] = counts
	}
	var found answer
	ask := func(ctx context.Context) error {
		return x.client.call(ctx, http.MethodPost, "/"+x.base+"/_search?allow_partial_search_results=false", body, &found)
	}
	err := x.engine.Do(ctx, x.Ping, func(ctx context.Context) error {
		err := ask(ctx)
		if is(err, noShard) { // the generation may have been given up since it was looked up
			err = ask(ctx)
		}
		return err
	})
	if err != nil {
		if is(err, noIndex) {
			err = fmt.Errorf("%w: %w", errNone, catalog.ErrUnavailable)
		}
		return page, fmt.Errorf("search: %w", err)
	}
	page.Total = found.Hits.Total.Value
	for i, h := range found.Hits.Hits {
		if i == q.Limit {
			last, err := end(o, found.Hits.Hits[i-1], page.Items[i-1])
			if err != nil {
				return catalog.Page{}, fmt.Errorf("search: %w", err)
			}
			page.NextCursor = textsearch.EncodeCursor(q, last)
			break
		}
		p, err := product(h.Source)
		if err != nil {
			return catalog.Page{}, fmt.Errorf("search: %w", err)
		}
		page.Items = append(page.Items, p)
	}
	for i, f := range facets {
		for _, b := range found.Aggregations[strconv.Itoa(i)].Buckets {
			value := b.Key
			if f.Attribute != "" || f.Field == attribute {
				value = strings.TrimPrefix(value, textsearch.AttributeTerm(f.Attribute, ""))
			}
			f.Values = append(f.Values, catalog.FacetValue{Value: value, Count: b.Count})
		}
		page.Facets = append(page.Facets, f)
	}
	return page, nil
}

const attribute = "attribute"

// facets are those that the query asks for.
func facets(q catalog.Query) (all []catalog.Facet) {
	if q.Facets {
		for _, field := range []string{textsearch.Category, textsearch.Tag, textsearch.Currency} {
			all = append(all, catalog.Facet{Field: field})
		}
	}
	for _, key := range q.FacetAttributes {
		all = append(all, catalog.Facet{Field: attribute, Attribute: key})
	}
	return all
}

const maxValues = 50 // of a facet

// count counts by the values of a facet. A shard tells more than are asked for,
// so that those that come first in all are among them.
func count(f catalog.Facet) clause {
	if f.Field != attribute {
		return clause{"terms": clause{"field": f.Field, "size": maxValues, "shard_size": 10 * maxValues}}
	}
	begin := literal(textsearch.AttributeTerm(f.Attribute, ""))
	return clause{"terms": clause{"field": textsearch.Attributes, "size": maxValues, "shard_size": 10 * maxValues, "include": begin + "([^" + literal(textsearch.Hashed) + "].*)?"}}
}

// literal is a regular expression of OpenSearch's that stands for the text.
func literal(text string) string {
	var b strings.Builder
	for _, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}

// matcher makes a matcher of words that products were found by. The stems that
// they may stand for are those of the products.
func matcher(text string, looked []textsearch.Word, products []catalog.Product) *textsearch.Highlighter {
	stems := map[string]bool{}
	for _, p := range products {
		for _, f := range textsearch.FieldsOf(p) {
			switch f.Name {
			case textsearch.Name, textsearch.Path, textsearch.Text:
				for _, s := range f.Terms {
					stems[s] = true
				}
			}
		}
	}
	m := textsearch.NewHighlighter(text)
	for _, w := range looked {
		own := []string{textsearch.Stem(w.Word)}
		for s := range stems {
			if w.MaxEdits > 0 && textsearch.WithinEdits(own[0], s, w.MaxEdits) {
				own = append(own, s)
			}
		}
		m.AddMatched(w.Word, own...)
	}
	return m
}

// Suggest answers what the text may become, or a *catalog.Refusal.
func (x *Index) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	return textsearch.Suggest(text, limit, func(q catalog.Query, last string) (catalog.Page, *textsearch.Highlighter, error) {
		plan := textsearch.NewPlan(q)
		page, err := x.find(ctx, q, plan, textsearch.SortOrder{Descending: true}, nil, []catalog.Facet{{Field: textsearch.Category}})
		if err != nil {
			return page, nil, err
		}
		var looked []textsearch.Word
		if i := slices.IndexFunc(plan.Words, func(w textsearch.Word) bool { return w.Word == last }); i >= 0 {
			looked = plan.Words[i : i+1]
		}
		return page, matcher(q.Text, looked, page.Items), nil
	})
}
