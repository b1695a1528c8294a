package projection

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/metrics"
)

// ConsumerMetrics holds the metrics of the event consumers of one process, by
// consumer: view and index.
type ConsumerMetrics struct {
	applied  *prometheus.CounterVec
	dropped  *prometheus.CounterVec
	gaps     *prometheus.CounterVec
	rejected *prometheus.CounterVec
	delay    *prometheus.HistogramVec
	write    prometheus.Histogram
	batch    *prometheus.HistogramVec
	steps    *prometheus.HistogramVec
	now      func() time.Time
}

// NewConsumerMetrics registers the metrics with reg. now is the clock for the
// delay of events.
func NewConsumerMetrics(reg prometheus.Registerer, now func() time.Time) *ConsumerMetrics {
	m := &ConsumerMetrics{
		now: now,
		applied: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_events_applied_total", Help: "Events applied to the view or the index.",
		}, []string{"consumer"}),
		dropped: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_events_dropped_total", Help: "Duplicate events dropped because they were already applied. Takeovers and restarts cause some.",
		}, []string{"consumer"}),
		gaps: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_gaps_total", Help: "Gaps found in the events topic. Should be 0; each gap is filled from the writer's journal.",
		}, []string{"consumer"}),
		rejected: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_reader_events_rejected_total", Help: "Records of the events topic that are no events of the journal. Should be 0; they are skipped, and another program has written them or damaged the topic.",
		}, []string{"consumer"}),
		delay: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_view_delay_seconds", Help: "Time from the commit of an event in the writer until reads return it (view) or searches find it (index). The objective is 1 s.",
			Buckets: metrics.Delays,
		}, []string{"consumer"}),
		write: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_write_readable_seconds", Help: "Time from the acceptance of a command by a gateway until reads return its result. 99.9 % within 1 s is an objective.",
			Buckets: metrics.Delays,
		}),
		batch: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_reader_batch_events", Help: "Events applied together to the view or the index.",
			Buckets: metrics.Sizes,
		}, []string{"consumer"}),
		steps: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "catalog_reader_step_duration_seconds", Help: "Time of a step for one batch: invalidate the cache, write the products, save the checkpoint.",
			Buckets: metrics.Seconds,
		}, []string{"consumer", "step"}),
	}
	for _, consumer := range []string{"view", "index"} { // the counters start at 0, so that the first event is an increase
		m.applied.WithLabelValues(consumer)
		m.dropped.WithLabelValues(consumer)
		m.gaps.WithLabelValues(consumer)
		m.rejected.WithLabelValues(consumer)
		m.delay.WithLabelValues(consumer)
	}
	reg.MustRegister(m.applied, m.dropped, m.gaps, m.rejected, m.delay, m.write, m.batch, m.steps)
	return m
}

// Settled is the part of an event that the metrics need.
type Settled struct {
	Accepted time.Time // when a gateway accepted its command
	At       time.Time // when the writer settled it
	Trace    string    // traceparent of its command
}

// ObserveDelay records, for events that the consumer has just applied together, how
// long ago they were settled and, for the view, accepted. The oldest one is the
// exemplar.
func (m *ConsumerMetrics) ObserveDelay(consumer string, events []Settled) {
	if len(events) == 0 {
		return
	}
	now, delay, oldest := m.now(), m.delay.WithLabelValues(consumer), 0
	for i, e := range events {
		if e.At.Before(events[oldest].At) {
			oldest = i
		}
	}
	for i, e := range events {
		trace := ""
		if i == oldest {
			trace = e.Trace
		}
		metrics.ObserveTrace(delay, now.Sub(e.At).Seconds(), trace)
		if consumer == "view" {
			metrics.ObserveTrace(m.write, now.Sub(e.Accepted).Seconds(), trace)
		}
	}
	m.batch.WithLabelValues(consumer).Observe(float64(len(events)))
}

// Step returns the metric of a step of the consumer, in seconds.
func (m *ConsumerMetrics) Step(consumer, step string) prometheus.Observer {
	return m.steps.WithLabelValues(consumer, step)
}
