package opensearch

import (
	"context"
	"net/http"
)

// Size returns the number of products in the live index, and its space on disk with all replicas.
func (x *Index) Size(ctx context.Context) (products, bytes int64, err error) {
	var count struct {
		Hits struct {
			Total struct {
				Value int64 `json:"value"`
			} `json:"total"`
		} `json:"hits"`
	}
	query := map[string]any{"size": 0, "track_total_hits": true, "query": termQuery(fieldState, stateProduct)}
	if err := x.client.call(ctx, http.MethodPost, "/"+x.base+"/_search", query, &count); err != nil {
		return 0, 0, err
	}
	var stats struct {
		All struct {
			Total struct {
				Store struct {
					Bytes int64 `json:"size_in_bytes"`
				} `json:"store"`
			} `json:"total"`
		} `json:"_all"`
	}
	if err := x.client.call(ctx, http.MethodGet, "/"+x.base+"/_stats/store", nil, &stats); err != nil {
		return 0, 0, err
	}
	return count.Hits.Total.Value, stats.All.Total.Store.Bytes, nil
}
