package reader

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

type metrics struct {
	applied *prometheus.CounterVec   // events, by consumer
	dropped *prometheus.CounterVec   // events that had been applied before, by consumer
	gaps    *prometheus.CounterVec   // holes in the log, by consumer
	delay   *prometheus.HistogramVec // settled → applied, by consumer
	write   prometheus.Histogram     // products in a write to the index
	cache   *prometheus.CounterVec   // look-ups and failures, by result

	differing *prometheus.GaugeVec // products that differ from the truth, by store
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		applied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_events_applied_total", Help: "Events applied.",
		}, []string{"consumer"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_events_dropped_total", Help: "Events that had been applied before.",
		}, []string{"consumer"}),
		gaps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_gaps_total", Help: "Times that events were missing from the log. Should be 0; each was healed from the journal.",
		}, []string{"consumer"}),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_reader_delay_seconds", Help: "Time from the settling of an event until it was applied.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"consumer"}),
		write: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_reader_index_write_products", Help: "Products written to the index at once.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 12),
		}),
		cache: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_cache_total", Help: "Look-ups in the cache (hit, miss), those not made because it was away (passed), and failures of look-ups and writes (error).",
		}, []string{"result"}),
	}
	m.differing = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_reader_products_differing", Help: "Products that differed from the truth when they were last compared, by store. Should be 0; catalog verify -repair makes them right.",
	}, []string{"store"})
	reg.MustRegister(m.differing, m.applied, m.dropped, m.gaps, m.delay, m.write, m.cache)
	return m
}

// observe measures how long events took from their settling until now.
func (r *Reader) observe(consumer string, settled []time.Time) {
	now, delay := r.now(), r.metrics.delay.WithLabelValues(consumer)
	for _, t := range settled {
		delay.Observe(now.Sub(t).Seconds())
	}
}
