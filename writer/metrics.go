package writer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/metrics"
)

// writerMetrics are the metrics of settled batches.
type writerMetrics struct {
	commands     map[catalog.Outcome]prometheus.Counter
	refusals     metrics.Children[catalog.Code, prometheus.Counter]
	priceChanges map[priceChange]prometheus.Counter
	batch, age   prometheus.Histogram

	settle, publish prometheus.Observer // durations of the steps

	published, republished, deadLetters prometheus.Counter

	products, productsBytes, journalEvents, journalBytes prometheus.Gauge
}

// priceChange is the direction in which an event changed the price of its product.
type priceChange string

const (
	priceUp       priceChange = "up"
	priceDown     priceChange = "down"
	priceCurrency priceChange = "currency" // amounts of two currencies do not compare
)

func newMetrics(reg prometheus.Registerer) *writerMetrics {
	commands := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catalog_writer_commands_total", Help: "Commands settled, by outcome. Refused commands are settled, too.",
	}, []string{"outcome"})
	refusals := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catalog_writer_refusals_total", Help: "Commands refused, by the code of the reason (docs/errors.md).",
	}, []string{"reason"})
	priceChanges := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catalog_writer_price_changes_total", Help: "Changes of a product's price: up, down, or to another currency.",
	}, []string{"direction"})
	steps := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "catalog_writer_step_duration_seconds", Help: "Time of a step: settle is a transaction of the store, with the batches of several shards; publish lasts until the events of one batch are stored in the log.",
		Buckets: metrics.Seconds,
	}, []string{"step"})
	m := &writerMetrics{
		commands: map[catalog.Outcome]prometheus.Counter{},
		refusals: metrics.Children[catalog.Code, prometheus.Counter]{New: func(c catalog.Code) prometheus.Counter {
			return refusals.WithLabelValues(string(c))
		}},
		priceChanges: map[priceChange]prometheus.Counter{},
		batch: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_writer_batch_commands", Help: "Commands settled in one transaction, of all its shards. More commands mean that they wait for each other: more throughput, longer waits.",
			Buckets: metrics.Sizes,
		}),
		age: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "catalog_writer_command_age_seconds", Help: "Time from the acceptance of a command at the gateway until it was settled.",
			Buckets: metrics.Delays,
		}),
		settle: steps.WithLabelValues("settle"), publish: steps.WithLabelValues("publish"),
		published: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_writer_published_events_total", Help: "Events published after their batch was settled.",
		}),
		republished: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_writer_republished_events_total", Help: "Events published from the journal at a takeover, because the previous owner of the shard had not published them.",
		}),
		deadLetters: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "catalog_writer_dead_letters_total", Help: "Records of the commands topic that could not be decoded. Should be 0; catalog dead-letters list shows them.",
		}),
	}
	m.products = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "catalog_products", Help: "Products in the store, tombstones of deleted ones included; an estimate, at most 30 s old. Every writer exports the same figure.",
	})
	m.productsBytes = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "catalog_products_bytes", Help: "Space of the products in PostgreSQL with all indexes; 0 with SQLite.",
	})
	m.journalEvents = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "catalog_journal_events", Help: "Events in the journal of the store; an estimate, at most 30 s old. Every writer exports the same figure.",
	})
	m.journalBytes = prometheus.NewGauge(prometheus.GaugeOpts{
		Name: "catalog_journal_bytes", Help: "Space of the journal in PostgreSQL with all indexes; 0 with SQLite.",
	})
	reg.MustRegister(m.products, m.productsBytes, m.journalEvents, m.journalBytes)
	reg.MustRegister(commands, refusals, priceChanges, steps, m.batch, m.age, m.published, m.republished, m.deadLetters)
	// A rate needs the 0 before the first event.
	for _, o := range []catalog.Outcome{catalog.Created, catalog.Changed, catalog.Deleted, catalog.Unchanged, catalog.Refused} {
		m.commands[o] = commands.WithLabelValues(string(o))
	}
	for _, c := range []catalog.Code{catalog.CodeInvalid, catalog.CodeNotFound, catalog.CodeExists, catalog.CodeVersion, catalog.CodeSKUTaken, catalog.CodeKeyReused} {
		m.refusals.Get(c)
	}
	for _, d := range []priceChange{priceUp, priceDown, priceCurrency} {
		m.priceChanges[d] = priceChanges.WithLabelValues(string(d))
	}
	return m
}

func (m *writerMetrics) setSizes(z eventlog.Sizes) {
	m.products.Set(float64(z.Products))
	m.productsBytes.Set(float64(z.ProductsBytes))
	m.journalEvents.Set(float64(z.JournalEvents))
	m.journalBytes.Set(float64(z.JournalBytes))
}

// committed records a transaction.
func (m *writerMetrics) committed(settled []eventlog.Settled, took time.Duration) {
	m.settle.Observe(took.Seconds())
	events := 0
	for _, s := range settled {
		events += len(s.Events)
	}
	m.batch.Observe(float64(events))
}

// settled records a settled batch. The oldest command is the exemplar of its age.
func (m *writerMetrics) settled(events []catalog.Event) {
	oldest := 0
	for i, e := range events {
		m.commands[e.Outcome].Inc()
		if e.Refusal != nil {
			m.refusals.Get(e.Refusal.Code).Inc()
		}
		if change, ok := priceChangeOf(e); ok {
			m.priceChanges[change].Inc()
		}
		if e.AcceptedAt.Before(events[oldest].AcceptedAt) {
			oldest = i
		}
	}
	for i, e := range events {
		trace := ""
		if i == oldest {
			trace = e.Trace
		}
		metrics.ObserveTrace(m.age, e.SettledAt.Sub(e.AcceptedAt).Seconds(), trace)
	}
}

// priceChangeOf returns how the event changed the price of its product, and false
// when it did not.
func priceChangeOf(e catalog.Event) (priceChange, bool) {
	past := e.Product.PastPrices
	if e.Outcome != catalog.Changed || len(past) == 0 {
		return "", false
	}
	last := past[len(past)-1]
	switch {
	case !last.Until.Equal(e.Product.UpdatedAt): // an earlier event ended that price
		return "", false
	case last.Currency != e.Product.Price.Currency:
		return priceCurrency, true
	case last.Cmp(e.Product.Price.Decimal) < 0:
		return priceUp, true
	}
	return priceDown, true
}
