package opensearch

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"catalog"
	"catalog/internal/textsearch"
)

// probe searches for nothing. It fails when OpenSearch does not respond, and when it
// cannot search the index.
func (x *Index) probe(ctx context.Context) error {
	nothing := map[string]any{"size": 0, "terminate_after": 1, "track_total_hits": false}
	return x.client.call(ctx, http.MethodPost, "/"+x.base+"/_search?allow_partial_search_results=false", nothing, nil)
}

// Search returns a page of the products that match q, or a *catalog.Refusal.
func (x *Index) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	req, err := x.rules.NewRequest(q)
	if err != nil {
		return catalog.Page{}, err
	}
	page, req, err := textsearch.Search(ctx, req, x)
	if err == nil && q.Highlight {
		page.Highlights = textsearch.NewHighlighter(req.Query.Text, req.Plan.Words).HighlightAll(page.Items)
	}
	return page, err
}

// Suggest returns completions of text, or a *catalog.Refusal.
func (x *Index) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	return x.rules.Suggest(ctx, text, limit, x)
}

// search searches the live generation with one or several calls of call.
func (x *Index) search(ctx context.Context, call func(context.Context) error) error {
	err := x.breaker.Do(ctx, x.probe, func(ctx context.Context) error {
		err := call(ctx)
		if isErrorType(err, errTypeShardsFailed) { // the alias may have moved to another generation meanwhile
			err = call(ctx)
		}
		return err
	})
	if isErrorType(err, errTypeNoIndex) {
		err = fmt.Errorf("%w: %w", errNoIndex, catalog.ErrUnavailable)
	}
	if err != nil {
		err = fmt.Errorf("search: %w", err)
	}
	return err
}

// post sends the body of a search and decodes the response.
func (x *Index) post(ctx context.Context, body clause, response any) error {
	return x.client.call(ctx, http.MethodPost, "/"+x.base+"/_search?allow_partial_search_results=false", body, response)
}

// Count returns how many products that pass the filters of req match each of its words.
func (x *Index) Count(ctx context.Context, req textsearch.Request) ([]int64, error) {
	var response struct {
		Aggregations map[string]struct {
			Buckets map[string]struct {
				Count int64 `json:"doc_count"`
			} `json:"buckets"`
		} `json:"aggregations"`
	}
	if err := x.search(ctx, func(ctx context.Context) error { return x.post(ctx, countBody(req.Plan), &response) }); err != nil {
		return nil, err
	}
	counts := make([]int64, len(req.Plan.Words))
	for i := range counts {
		counts[i] = response.Aggregations[countAggregation].Buckets[strconv.Itoa(i)].Count
	}
	return counts, nil
}

// Find returns the page of req from the live generation. A page of large products has fewer than the
// limit of the query.
func (x *Index) Find(ctx context.Context, req textsearch.Request) (page catalog.Page, _ error) {
	var response searchResponse
	limit := req.Query.Limit
	if err := x.search(ctx, func(ctx context.Context) error {
		for {
			err := x.post(ctx, searchBody(req, limit), &response)
			if limit == 1 || !errors.Is(err, errTooLarge) {
				return err
			}
			limit = fewer(limit)
		}
	}); err != nil {
		return page, err
	}
	page.Total = response.Hits.Total.Value
	bytes := 0
	for i, h := range response.Hits.Hits {
		if i == limit || bytes >= catalog.MaxPageBytes {
			last, err := cursorKey(req, response.Hits.Hits[i-1], page.Items[i-1])
			if err != nil {
				return catalog.Page{}, fmt.Errorf("search: %w", err)
			}
			page.NextCursor = textsearch.EncodeCursor(req.Query, last)
			break
		}
		p, err := decodeProduct(h.Source)
		if err != nil {
			return catalog.Page{}, fmt.Errorf("search: %w", err)
		}
		page.Items = append(page.Items, p)
		bytes += p.Size()
	}
	page.Facets = decodeFacets(req.Facets, response)
	return page, nil
}

// fewer returns how many documents to ask for after errTooLarge.
func fewer(n int) int { return max(1, n/4) }

// cursorKey returns the position of a hit in the order of a page.
func cursorKey(req textsearch.Request, h hit, p catalog.Product) (last textsearch.CursorKey, err error) {
	last.ID, last.Widened = p.ID, req.Plan.Widened
	if len(h.Sort) == 0 {
		return last, fmt.Errorf("product %s was returned without its sort values", p.ID)
	}
	if req.Order.Field == "" {
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

// decodeFacets returns the facets of a response. OpenSearch lists values and spellings by descending
// count. A tag whose spellings are all rarer than maxSpellings other tags of its products is shown as
// its key.
func decodeFacets(facets []textsearch.Facet, response searchResponse) (all []catalog.Facet) {
	for i, f := range facets {
		counted := f.Facet
		for _, b := range response.Aggregations[strconv.Itoa(i)].Buckets {
			term := b.Key
			for _, s := range b.Spellings.Buckets {
				if textsearch.WithoutSpelling(s.Key) == b.Key {
					term = s.Key
					break
				}
			}
			if _, value, ok := f.Value(term); ok {
				counted.Values = append(counted.Values, catalog.FacetValue{Value: value, Count: b.Count})
			}
		}
		all = append(all, counted)
	}
	return all
}
