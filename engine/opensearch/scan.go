package opensearch

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"catalog"
	"catalog/internal/wire"
)

// scanBatch is how many products Scan reads with one call.
const scanBatch = 500

// searchResponse is the response to a search.
type searchResponse struct {
	Hits struct {
		Total struct {
			Value int64 `json:"value"`
		} `json:"total"`
		Hits []hit `json:"hits"`
	} `json:"hits"`
	Aggregations map[string]struct {
		Buckets []struct {
			Key       string `json:"key"`
			Count     int64  `json:"doc_count"`
			Spellings struct {
				Buckets []struct {
					Key string `json:"key"`
				} `json:"buckets"`
			} `json:"spellings"`
		} `json:"buckets"`
	} `json:"aggregations"`
}

// hit is a document that a search found.
type hit struct {
	Source json.RawMessage   `json:"_source"`
	Sort   []json.RawMessage `json:"sort"`
}

// decodeProduct returns the product in the source of a document.
func decodeProduct(source json.RawMessage) (catalog.Product, error) {
	var d struct {
		Product []byte `json:"product"`
	}
	if err := json.Unmarshal(source, &d); err != nil {
		return catalog.Product{}, err
	}
	return wire.DecodeProduct(d.Product)
}

// storedDocument is a document as OpenSearch returns it by its id.
type storedDocument struct {
	Found       bool            `json:"found"`
	Version     int64           `json:"_version"`
	SeqNo       int64           `json:"_seq_no"`
	PrimaryTerm int64           `json:"_primary_term"`
	Source      json.RawMessage `json:"_source"`
}

// get reads the document of a product, including writes that are not refreshed yet.
func (x *Index) get(ctx context.Context, generation int, id catalog.ID) (d storedDocument, err error) {
	err = x.client.call(ctx, http.MethodGet, "/"+x.activeAlias(generation)+"/_doc/"+id.String(), nil, &d)
	var e *responseError
	if errors.As(err, &e) && e.status == http.StatusNotFound && e.kind == "" {
		return storedDocument{}, nil
	}
	return d, err
}

// Product returns the product with the given id as the live generation has it, or ErrNotFound.
func (x *Index) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	live, err := x.liveGeneration(ctx)
	if err != nil {
		return catalog.Product{}, fmt.Errorf("read product %s from the search index: %w", id, err)
	}
	return x.product(ctx, live, id)
}

func (x *Index) product(ctx context.Context, generation int, id catalog.ID) (p catalog.Product, err error) {
	d, err := x.get(ctx, generation, id)
	switch {
	case err != nil:
	case !d.Found || string(d.Source) == "{}":
		err = catalog.ErrNotFound
	default:
		p, err = decodeProduct(d.Source)
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("read product %s from the search index: %w", id, err)
	}
	return p, nil
}

// Scan calls handle with all products of the live generation, in batches.
func (x *Index) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	live, err := x.liveGeneration(ctx)
	if err != nil {
		return fmt.Errorf("scan the search index: %w", err)
	}
	return x.scan(ctx, live, handle)
}

// scan reads the products of a generation in the order of their ids, so that none is returned twice
// while others are written.
func (x *Index) scan(ctx context.Context, generation int, handle func([]catalog.Product) error) error {
	var after []json.RawMessage
	for batch := scanBatch; ; {
		body := map[string]any{"size": batch, "query": termQuery(fieldState, stateProduct), "sort": []string{fieldID}, "track_total_hits": false}
		if after != nil {
			body["search_after"] = after
		}
		var response searchResponse
		err := x.client.call(ctx, http.MethodPost, "/"+x.activeAlias(generation)+"/_search?allow_partial_search_results=false", body, &response)
		if batch > 1 && errors.Is(err, errTooLarge) {
			batch = fewer(batch)
			continue
		}
		if err != nil {
			return fmt.Errorf("scan the search index: %w", err)
		}
		products := make([]catalog.Product, len(response.Hits.Hits))
		for i, h := range response.Hits.Hits {
			var err error
			if products[i], err = decodeProduct(h.Source); err != nil {
				return fmt.Errorf("scan the search index: %w", err)
			}
			after = h.Sort
		}
		if err := handle(products); err != nil {
			return err
		}
		if len(products) < batch {
			return nil
		}
	}
}
