package writer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
)

type metrics struct {
	commands    *prometheus.CounterVec // by outcome
	seconds     prometheus.Histogram
	batch       prometheus.Histogram
	wait        prometheus.Histogram
	published   prometheus.Counter
	republished prometheus.Counter
	deadLetters prometheus.Counter
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		commands: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_writer_commands_total", Help: "Commands settled, by outcome.",
		}, []string{"outcome"}),
		seconds: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_writer_settle_seconds", Help: "Duration of the transaction of a batch.",
			Buckets: prometheus.ExponentialBuckets(0.0005, 2, 14),
		}),
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_writer_batch_events", Help: "Events settled in one transaction.",
			Buckets: prometheus.ExponentialBuckets(1, 2, 11),
		}),
		wait: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_writer_wait_seconds", Help: "Time from the acceptance of a command until it was settled.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}),
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_writer_published_events_total", Help: "Events published after their batch was settled.",
		}),
		republished: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_writer_republished_events_total", Help: "Events published from the journal at a takeover.",
		}),
		deadLetters: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_writer_dead_letters_total", Help: "Records of the commands topic that could not be decoded.",
		}),
	}
	reg.MustRegister(m.commands, m.seconds, m.batch, m.wait, m.published, m.republished, m.deadLetters)
	return m
}

// settled records a settled batch.
func (m *metrics) settled(events []catalog.Event, took time.Duration) {
	m.seconds.Observe(took.Seconds())
	m.batch.Observe(float64(len(events)))
	for _, e := range events {
		m.commands.WithLabelValues(string(e.Outcome)).Inc()
		m.wait.Observe(e.SettledAt.Sub(e.AcceptedAt).Seconds())
	}
}
