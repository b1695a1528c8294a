package metrics

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Unknown is the value of a figure that a driver does not report.
const Unknown = -1

// PoolStats are the figures of a pool of connections. Figures may be Unknown.
type PoolStats struct {
	Idle, Used, Max int64 // connections
	Pending         int64 // callers that wait for a connection
	Acquired        int64 // connections handed out, ever
	Waited          time.Duration
	Failed          int64 // waits that ended without a connection, ever
}

// Pool registers the metrics of a pool of connections. name is the name of the engine: postgresql,
// mongodb or redis. stats is called at each scrape and must not wait.
func Pool(reg prometheus.Registerer, name string, stats func() PoolStats) error {
	labels := prometheus.Labels{"db_client_connection_pool_name": name}
	return reg.Register(pool{
		stats: stats,
		count: prometheus.NewDesc("db_client_connection_count",
			"Open connections to an engine, used or idle. Those to Redis are shared by all commands.", []string{"db_client_connection_state"}, labels),
		max: prometheus.NewDesc("db_client_connection_max",
			"Connections to an engine that may be open at once; when all are used, callers wait.", nil, labels),
		pending: prometheus.NewDesc("db_client_connection_pending_requests",
			"Callers that wait for a connection.", nil, labels),
		wait: prometheus.NewDesc("db_client_connection_wait_time_seconds",
			"Time that callers waited for a connection; it has no buckets. The count is that of connections handed out.", nil, labels),
		timeouts: prometheus.NewDesc("db_client_connection_timeouts_total",
			"Callers that got no connection in time.", nil, labels),
	})
}

type pool struct {
	stats                               func() PoolStats
	count, max, pending, wait, timeouts *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (p pool) Describe(to chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{p.count, p.max, p.pending, p.wait, p.timeouts} {
		to <- d
	}
}

// Collect implements prometheus.Collector.
func (p pool) Collect(to chan<- prometheus.Metric) {
	s := p.stats()
	gauge := func(d *prometheus.Desc, v int64, labels ...string) {
		if v != Unknown {
			to <- prometheus.MustNewConstMetric(d, prometheus.GaugeValue, float64(v), labels...)
		}
	}
	gauge(p.count, s.Used, "used")
	gauge(p.count, s.Idle, "idle")
	gauge(p.max, s.Max)
	gauge(p.pending, s.Pending)
	if s.Acquired != Unknown {
		to <- prometheus.MustNewConstHistogram(p.wait, uint64(s.Acquired), s.Waited.Seconds(), nil)
	}
	if s.Failed != Unknown {
		to <- prometheus.MustNewConstMetric(p.timeouts, prometheus.CounterValue, float64(s.Failed))
	}
}
