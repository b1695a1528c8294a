package reader

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/metrics"
)

// queryMetrics are the metrics of the search index.
type queryMetrics struct {
	duration        metrics.Children[queryKind, prometheus.Observer]
	products, bytes prometheus.Gauge
}

// queryKind has the labels of the duration of a query.
type queryKind struct {
	kind   string
	facets bool
}

func newQueryMetrics(reg prometheus.Registerer) *queryMetrics {
	duration := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "catalog_search_duration_seconds", Help: "Time of a query of the search index, without the wait for a position: text has words, exact a GTIN, list neither, suggest completes words. Queries that fail count, too.",
		Buckets: metrics.Seconds,
	}, []string{"kind", "facets"})
	m := &queryMetrics{
		duration: metrics.Children[queryKind, prometheus.Observer]{New: func(k queryKind) prometheus.Observer {
			return duration.WithLabelValues(k.kind, strconv.FormatBool(k.facets))
		}},
		products: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catalog_index_products", Help: "Products in the search index, without deleted ones; at most 30 s old. Each reader has all of them.",
		}),
		bytes: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "catalog_index_bytes", Help: "Space of the search index on disk; at most 30 s old.",
		}),
	}
	reg.MustRegister(duration, m.products, m.bytes)
	return m
}

// observe records a query that began at start.
func (m *queryMetrics) observe(ctx context.Context, k queryKind, start time.Time) {
	metrics.Observe(ctx, m.duration.Get(k), time.Since(start).Seconds())
}

func kindOf(q catalog.Query) queryKind {
	k := queryKind{"list", len(q.Facets)+len(q.FacetAttributes) > 0}
	switch {
	case q.Text != "":
		k.kind = "text"
	case q.GTIN != "":
		k.kind = "exact"
	}
	return k
}
