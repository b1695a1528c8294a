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

// answer is what a search answers.
type answer struct {
	Hits struct {
		Total struct {
			Value int64 `json:"value"`
		} `json:"total"`
		Hits []hit `json:"hits"`
	} `json:"hits"`
	Aggregations map[string]struct {
		Buckets []struct {
			Key   string `json:"key"`
			Count int64  `json:"doc_count"`
		} `json:"buckets"`
	} `json:"aggregations"`
}

// hit is a document that was found.
type hit struct {
	Source json.RawMessage   `json:"_source"`
	Sort   []json.RawMessage `json:"sort"`
}

// product is the product of a document.
func product(source json.RawMessage) (catalog.Product, error) {
	var d struct {
		Product []byte `json:"product"`
	}
	if err := json.Unmarshal(source, &d); err != nil {
		return catalog.Product{}, err
	}
	return wire.DecodeProduct(d.Product)
}

// stored is a document as it is stored.
type stored struct {
	Found       bool            `json:"found"`
	Version     int64           `json:"_version"`
	SeqNo       int64           `json:"_seq_no"`
	PrimaryTerm int64           `json:"_primary_term"`
	Source      json.RawMessage `json:"_source"`
}

// get reads the document of a product, as it was last written.
func (x *Index) get(ctx context.Context, number int, id catalog.ID) (d stored, err error) {
	err = x.client.call(ctx, http.MethodGet, "/"+x.kept(number)+"/_doc/"+id.String(), nil, &d)
	var r *refusal
	if errors.As(err, &r) && r.status == http.StatusNotFound && r.kind == "" {
		return stored{}, nil
	}
	return d, err
}

// Product answers the product as the index has it.
func (x *Index) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	g, err := x.look(ctx)
	if err == nil && g.live == 0 {
		err = errNone
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s of the search index: %w", id, err)
	}
	return x.product(ctx, g.live, id)
}

func (x *Index) product(ctx context.Context, number int, id catalog.ID) (p catalog.Product, err error) {
	d, err := x.get(ctx, number, id)
	switch {
	case err != nil:
	case !d.Found || string(d.Source) == "{}":
		err = catalog.ErrNotFound
	default:
		p, err = product(d.Source)
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s of the search index: %w", id, err)
	}
	return p, nil
}

// Each shows all products.
func (x *Index) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	g, err := x.look(ctx)
	if err == nil && g.live == 0 {
		err = errNone
	}
	if err != nil {
		return fmt.Errorf("all products of the search index: %w", err)
	}
	return x.each(ctx, g.live, handle)
}

// each shows the products of a generation page by page, in the order of their
// ids: whatever is written meanwhile, none is shown twice.
func (x *Index) each(ctx context.Context, number int, handle func([]catalog.Product) error) error {
	const page = 500
	var after []json.RawMessage
	for {
		body := map[string]any{"size": page, "query": is1(fieldState, there), "sort": []string{fieldID}, "track_total_hits": false}
		if after != nil {
			body["search_after"] = after
		}
		var found answer
		if err := x.client.call(ctx, http.MethodPost, "/"+x.kept(number)+"/_search?allow_partial_search_results=false", body, &found); err != nil {
			return fmt.Errorf("all products of the search index: %w", err)
		}
		products := make([]catalog.Product, len(found.Hits.Hits))
		for i, h := range found.Hits.Hits {
			var err error
			if products[i], err = product(h.Source); err != nil {
				return fmt.Errorf("all products of the search index: %w", err)
			}
			after = h.Sort
		}
		if err := handle(products); err != nil {
			return err
		}
		if len(products) < page {
			return nil
		}
	}
}
