package kafka

import (
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/metrics"
)

// logMetrics are the metrics of a Log. The label consumer is writer, view, index or
// gateway; topic is the name without the prefix.
type logMetrics struct {
	process       *prometheus.HistogramVec // labels: topic, consumer
	owned         *prometheus.GaugeVec     // label: consumer
	takeovers     *prometheus.CounterVec   // label: consumer
	stoppedShards *prometheus.GaugeVec     // label: consumer
	stoppedShard  *prometheus.GaugeVec     // labels: consumer, topic, partition
	stuckShards   *prometheus.GaugeVec     // label: consumer
	retries       *prometheus.CounterVec   // label: consumer
	lags          lags
}

func newMetrics(reg prometheus.Registerer) *logMetrics {
	m := &logMetrics{
		process: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "messaging_process_duration_seconds", Help: "Time in which a consumer handled a batch of records, retries included.",
			Buckets: metrics.Seconds,
		}, []string{"messaging_destination_name", "consumer"}),
		owned: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_shards_owned", Help: "Shards that this process consumes. Over all processes, writer and view have each shard once.",
		}, []string{"consumer"}),
		takeovers: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_shard_takeovers_total", Help: "Shards begun: at the start, when the group assigns them to this process, or again after an error. A steady rate means that processes lose their shards.",
		}, []string{"consumer"}),
		stoppedShards: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_shards_stopped", Help: "Shards that are stopped because their next record is missing or invalid. Should be 0; an operator must act, and the log has the reason.",
		}, []string{"consumer"}),
		stoppedShard: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_shard_stopped", Help: "1 for each shard that is stopped; the series exists only while the shard is stopped.",
		}, []string{"consumer", "topic", "partition"}),
		stuckShards: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_shards_stuck", Help: "Shards that have work and have not moved for 30 s: an engine does not respond, or a call hangs. Should be 0; the log and /readyz have the reason.",
		}, []string{"consumer"}),
		retries: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "catalog_kafka_retries_total", Help: "Retries of starting a shard or of handling a batch. They grow while an engine is down.",
		}, []string{"consumer"}),
		lags: lags{
			records: prometheus.NewDesc("catalog_kafka_lag_records",
				"Records of the partition that are not handled yet; at least so many, while the buffer of the process is full.", []string{"consumer", "topic", "partition"}, nil),
			seconds: prometheus.NewDesc("catalog_kafka_lag_seconds",
				"Age of the oldest record that has arrived and is not handled yet; 0 when there is none.", []string{"consumer", "topic", "partition"}, nil),
			all: map[*partitionLag]struct{}{},
		},
	}
	reg.MustRegister(m.process, m.owned, m.takeovers, m.stoppedShards, m.stoppedShard, m.stuckShards, m.retries, &m.lags)
	return m
}

// consumerMetrics are the metrics of one consumer.
type consumerMetrics struct {
	process            prometheus.Observer
	owned, stopped     prometheus.Gauge
	stuck              prometheus.Gauge
	takeovers, retries prometheus.Counter
}

func (m *logMetrics) consumer(name, topic string) consumerMetrics {
	return consumerMetrics{
		process: m.process.WithLabelValues(topic, name), owned: m.owned.WithLabelValues(name), stopped: m.stoppedShards.WithLabelValues(name), stuck: m.stuckShards.WithLabelValues(name),
		takeovers: m.takeovers.WithLabelValues(name), retries: m.retries.WithLabelValues(name),
	}
}

// lags exports the lag of every assigned partition. It computes them at a scrape, so
// that the lag of a consumer that is stuck grows.
type lags struct {
	records, seconds *prometheus.Desc

	mu  sync.Mutex
	all map[*partitionLag]struct{}
}

func (l *lags) add(p *partitionLag) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[p] = struct{}{}
}

func (l *lags) remove(p *partitionLag) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.all, p)
}

// Describe implements prometheus.Collector.
func (l *lags) Describe(to chan<- *prometheus.Desc) {
	to <- l.records
	to <- l.seconds
}

// Collect implements prometheus.Collector.
func (l *lags) Collect(to chan<- prometheus.Metric) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for p := range l.all {
		records, age := p.lag(time.Now())
		to <- prometheus.MustNewConstMetric(l.records, prometheus.GaugeValue, float64(records), p.labels...)
		to <- prometheus.MustNewConstMetric(l.seconds, prometheus.GaugeValue, age.Seconds(), p.labels...)
	}
}

// partitionLag is the progress of the worker of a partition. It keeps its
// values between two sessions, so that the lag of a shard that cannot begin
// does not disappear.
type partitionLag struct {
	labels []string // values of the labels consumer, topic and partition

	buffer atomic.Pointer[fetchBuffer] // nil before the first session
	next   atomic.Int64                // offset of the first record that is not handled
	taken  atomic.Int64                // timestamp, in nanoseconds, of the first record taken from the buffer and not handled; 0 for none
}

// lag returns the number of records that are not handled, and the age of the oldest
// of those that have arrived.
func (p *partitionLag) lag(now time.Time) (records int64, age time.Duration) {
	b := p.buffer.Load()
	if b == nil {
		return 0, 0
	}
	oldest, ok := b.oldest()
	if taken := p.taken.Load(); taken != 0 {
		oldest, ok = time.Unix(0, taken), true
	}
	if ok {
		age = max(now.Sub(oldest), 0)
	}
	return b.lag(p.next.Load()), age
}

func partitionLabel(p int32) string { return strconv.Itoa(int(p)) }
