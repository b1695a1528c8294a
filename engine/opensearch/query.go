package opensearch

import (
	"encoding/binary"
	"strconv"
	"strings"
	"unicode"

	"catalog"
	"catalog/internal/textsearch"
)

// clause is a JSON object of OpenSearch's query language. The text of a query only ever becomes a
// value in it, never an operator.
type clause = map[string]any

// searchBody returns the body of a search for a page of at most limit products. It asks for one more,
// to tell whether there is a next page.
func searchBody(req textsearch.Request, limit int) clause {
	sort, after := sortClauses(req.Order, req.After)
	body := clause{"size": limit + 1, "track_total_hits": true, "_source": []string{fieldProduct}, "query": buildQuery(req.Plan), "sort": sort}
	if after != nil {
		body["search_after"] = after
	}
	if len(req.Facets) > 0 {
		aggregations := clause{}
		for i, f := range req.Facets {
			aggregations[strconv.Itoa(i)] = facetAggregation(f)
		}
		body["aggs"] = aggregations
	}
	return body
}

// buildQuery translates a plan.
func buildQuery(p textsearch.Plan) clause {
	filters := []clause{termQuery(fieldState, stateProduct)}
	for _, f := range p.Filters {
		filters = append(filters, filterClause(f))
	}
	if p.MinPrice != "" {
		filters = append(filters, clause{"range": clause{textsearch.Price: clause{"gte": p.MinPrice, "lte": p.MaxPrice}}})
	}
	query := clause{"filter": filters}
	if p.HasText {
		query["must"] = textQuery(p)
	}
	return clause{"bool": query}
}

// textQuery matches documents that have enough of the words or an exact match.
func textQuery(p textsearch.Plan) clause {
	var required, optional, alternatives []clause
	for _, w := range p.Words {
		switch q := anyOf(w.Clauses); {
		case w.Optional:
			optional = append(optional, q)
		case w.Weight > 0:
			required = append(required, clause{"bool": clause{"must": q, "should": constantScore(q, w.Weight)}})
		default:
			required = append(required, q)
		}
	}
	if len(required) > 0 {
		words := clause{"bool": clause{"must": required}}
		if p.AtLeast > 0 {
			words = clause{"bool": clause{"should": required, "minimum_should_match": p.AtLeast}}
		}
		alternatives = append(alternatives, words)
	}
	query := clause{"must": anyOf(p.ExactMatches, alternatives...)}
	if len(optional) > 0 {
		query["should"] = optional
	}
	return clause{"bool": query}
}

// constantScore matches as q does, with one score.
func constantScore(q clause, score int) clause {
	return clause{"constant_score": clause{"filter": q, "boost": score}}
}

// countBody returns the body of a search that counts the documents of each word of the plan.
func countBody(p textsearch.Plan) clause {
	words := clause{}
	for i, w := range p.Words {
		words[strconv.Itoa(i)] = anyOf(w.Clauses)
	}
	p.HasText = false
	return clause{"size": 0, "track_total_hits": false, "query": buildQuery(p), "aggs": clause{countAggregation: clause{"filters": clause{"filters": words}}}}
}

// countAggregation is the name of the aggregation of countBody.
const countAggregation = "words"

// termQuery matches documents that have exactly this term.
func termQuery(field, value string) clause {
	return clause{"term": clause{field: clause{"value": value}}}
}

func filterClause(q textsearch.TermQuery) clause {
	switch {
	case q.All != nil:
		var all []clause
		for _, term := range q.All {
			all = append(all, termQuery(q.Field, term))
		}
		return clause{"bool": clause{"filter": all}}
	case q.Field == textsearch.ID:
		return termQuery(fieldID, q.Term)
	case q.Prefix:
		return clause{"prefix": clause{q.Field: clause{"value": q.Term}}}
	case q.MaxEdits > 0: // the first character must match: it is seldom wrong, and the search is faster
		return clause{"fuzzy": clause{q.Field: clause{"value": q.Term, "fuzziness": q.MaxEdits, "prefix_length": 1, "rewrite": "constant_score"}}}
	}
	return termQuery(q.Field, q.Term)
}

// anyOf matches documents that match one of the clauses. The score is the sum of their boosts.
func anyOf(clauses []textsearch.Clause, others ...clause) clause {
	all := others
	for _, c := range clauses {
		all = append(all, constantScore(filterClause(c.TermQuery), c.Boost))
	}
	return clause{"bool": clause{"should": all, "minimum_should_match": 1}}
}

// sortClauses translates the order of a page and where it begins.
func sortClauses(o textsearch.SortOrder, last *textsearch.CursorKey) (sort []clause, after []any) {
	direction := func(descending bool) string {
		if descending {
			return "desc"
		}
		return "asc"
	}
	field := o.Field
	if field == "" {
		field = "_score"
	}
	sort = []clause{{field: clause{"order": direction(o.Descending)}}, {fieldID: clause{"order": direction(o.IDDescending)}}}
	switch {
	case last == nil:
	case o.Field == "" && len(last.Key) == 4:
		after = []any{binary.BigEndian.Uint32(last.Key), last.ID.String()}
	default:
		after = []any{string(last.Key), last.ID.String()}
	}
	return sort, after
}

// facetAggregation counts documents by the values of a facet, and lists the spellings of each value.
// Each shard returns ten times as many values as the facet has, so that the most frequent values of
// all shards are among them.
func facetAggregation(f textsearch.Facet) clause {
	values := clause{"field": keyField(f.IndexField), "size": textsearch.MaxFacetValues, "shard_size": 10 * textsearch.MaxFacetValues, "collect_mode": "breadth_first"}
	spellings := clause{"field": f.IndexField, "size": 1}
	if f.IndexField == textsearch.Tag {
		spellings["size"] = maxSpellings
	}
	if f.Prefix != "" { // terms with the prefix, except those of hashes
		include := escapeRegexp(f.Prefix) + "([^" + escapeRegexp(textsearch.HashMark) + "].*)?"
		values["include"], spellings["include"] = include, include
	}
	return clause{"terms": values, "aggs": clause{"spellings": clause{"terms": spellings}}}
}

// maxSpellings is how many tags are listed of the products that have one tag. The spellings of that tag
// are among them, and those of other tags. A product has at most one value of each other facet.
const maxSpellings = catalog.MaxTags

// escapeRegexp returns a regular expression of OpenSearch that matches text literally.
func escapeRegexp(text string) string {
	var b strings.Builder
	for _, r := range text {
		if !unicode.IsLetter(r) && !unicode.IsDigit(r) {
			b.WriteByte('\\')
		}
		b.WriteRune(r)
	}
	return b.String()
}
