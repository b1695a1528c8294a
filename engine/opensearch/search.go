package opensearch

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
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
	req, err := textsearch.NewRequest(q)
	if err != nil {
		return catalog.Page{}, err
	}
	page, err := x.find(ctx, req)
	if err == nil && q.Highlight {
		page.Highlights = newHighlighter(req.Query.Text, req.Plan.Words, page.Items).HighlightAll(page.Items)
	}
	return page, err
}

// Suggest returns completions of text, or a *catalog.Refusal.
func (x *Index) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	return textsearch.Suggest(text, limit, func(req textsearch.Request, lastWord string) (catalog.Page, *textsearch.Highlighter, error) {
		page, err := x.find(ctx, req)
		if err != nil {
			return page, nil, err
		}
		var last []textsearch.Word
		if i := slices.IndexFunc(req.Plan.Words, func(w textsearch.Word) bool { return w.Word == lastWord }); i >= 0 {
			last = req.Plan.Words[i : i+1]
		}
		return page, newHighlighter(req.Query.Text, last, page.Items), nil
	})
}

// find returns the page of req from the live generation. A page of large products has fewer than the
// limit of the query.
func (x *Index) find(ctx context.Context, req textsearch.Request) (page catalog.Page, _ error) {
	var response searchResponse
	limit := req.Query.Limit
	search := func(ctx context.Context) error {
		for {
			err := x.client.call(ctx, http.MethodPost, "/"+x.base+"/_search?allow_partial_search_results=false", searchBody(req, limit), &response)
			if limit == 1 || !errors.Is(err, errTooLarge) {
				return err
			}
			limit = fewer(limit)
		}
	}
	err := x.breaker.Do(ctx, x.probe, func(ctx context.Context) error {
		err := search(ctx)
		if isErrorType(err, errTypeShardsFailed) { // the alias may have moved to another generation meanwhile
			err = search(ctx)
		}
		return err
	})
	if err != nil {
		if isErrorType(err, errTypeNoIndex) {
			err = fmt.Errorf("%w: %w", errNoIndex, catalog.ErrUnavailable)
		}
		return page, fmt.Errorf("search: %w", err)
	}
	page.Total = response.Hits.Total.Value
	bytes := 0
	for i, h := range response.Hits.Hits {
		if i == limit || bytes >= catalog.MaxPageBytes {
			last, err := cursorKey(req.Order, response.Hits.Hits[i-1], page.Items[i-1])
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
func cursorKey(o textsearch.SortOrder, h hit, p catalog.Product) (last textsearch.CursorKey, err error) {
	last.ID = p.ID
	if len(h.Sort) == 0 {
		return last, fmt.Errorf("product %s was returned without its sort values", p.ID)
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

// decodeFacets returns the facets of a response. OpenSearch lists values by descending count.
func decodeFacets(facets []textsearch.Facet, response searchResponse) (all []catalog.Facet) {
	for i, f := range facets {
		counted := f.Facet
		for _, b := range response.Aggregations[strconv.Itoa(i)].Buckets {
			if value, ok := f.Value(b.Key); ok {
				counted.Values = append(counted.Values, catalog.FacetValue{Value: value, Count: b.Count})
			}
		}
		all = append(all, counted)
	}
	return all
}

// newHighlighter returns a highlighter of words. OpenSearch does not return the terms that a word
// matched with edits, so they are found among the stems of the products.
func newHighlighter(text string, words []textsearch.Word, products []catalog.Product) *textsearch.Highlighter {
	stems := map[string]bool{}
	for _, p := range products {
		for _, f := range textsearch.FieldsOf(p) {
			switch f.Name {
			case textsearch.Name, textsearch.Labels, textsearch.Text:
				for _, s := range f.Terms {
					stems[s] = true
				}
			}
		}
	}
	h := textsearch.NewHighlighter(text)
	for _, w := range words {
		matched := []string{textsearch.Stem(w.Word)}
		for s := range stems {
			if w.MaxEdits > 0 && textsearch.WithinEdits(matched[0], s, w.MaxEdits) {
				matched = append(matched, s)
			}
		}
		h.AddMatched(w.Word, matched...)
	}
	return h
}
