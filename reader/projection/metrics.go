package projection

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// ConsumerMetrics holds the metrics of the event consumers of one process, by
// consumer: view and index.
type ConsumerMetrics struct {
	applied *prometheus.CounterVec
	dropped *prometheus.CounterVec
	gaps    *prometheus.CounterVec
	delay   *prometheus.HistogramVec
	now     func() time.Time
}

// NewConsumerMetrics registers the metrics with reg. now is the clock for the
// delay of events.
func NewConsumerMetrics(reg prometheus.Registerer, now func() time.Time) *ConsumerMetrics {
	m := &ConsumerMetrics{
		now: now,
		applied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_events_applied_total", Help: "Events applied, by consumer (view, index).",
		}, []string{"consumer"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_events_dropped_total", Help: "Duplicate events dropped because they were already applied, by consumer (view, index).",
		}, []string{"consumer"}),
		gaps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_gaps_total", Help: "Gaps found in the events topic, by consumer (view, index). Should be 0; each gap is filled from the writer's journal.",
		}, []string{"consumer"}),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_reader_delay_seconds", Help: "Seconds from the commit of an event in the writer until it was applied, by consumer (view, index).",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 16),
		}, []string{"consumer"}),
	}
	reg.MustRegister(m.applied, m.dropped, m.gaps, m.delay)
	return m
}

// ObserveDelay records, for events that were settled at these times and that the
// consumer has just applied, how long that took.
func (m *ConsumerMetrics) ObserveDelay(consumer string, settledAt []time.Time) {
	now, delay := m.now(), m.delay.WithLabelValues(consumer)
	for _, t := range settledAt {
		delay.Observe(now.Sub(t).Seconds())
	}
}
