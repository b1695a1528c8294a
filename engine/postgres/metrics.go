package postgres

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"
)

func newRetries() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "catalog_postgres_settle_retries_total",
		Help: "Transactions repeated because a concurrent transaction took the same SKU or caused a deadlock.",
	})
}

// poolMetrics exports the statistics of a connection pool.
type poolMetrics struct {
	pool                          *pgxpool.Pool
	connections, waited, acquires *prometheus.Desc
}

func newPoolMetrics(pool *pgxpool.Pool) poolMetrics {
	return poolMetrics{
		pool: pool,
		connections: prometheus.NewDesc("catalog_postgres_connections",
			"Connections to PostgreSQL by state: busy, idle.", []string{"state"}, nil),
		waited: prometheus.NewDesc("catalog_postgres_wait_seconds_total",
			"Time spent waiting for a connection to PostgreSQL.", nil, nil),
		acquires: prometheus.NewDesc("catalog_postgres_acquires_total",
			"Connections taken from the pool, one per statement or transaction.", nil, nil),
	}
}

// Describe implements prometheus.Collector.
func (m poolMetrics) Describe(to chan<- *prometheus.Desc) {
	to <- m.connections
	to <- m.waited
	to <- m.acquires
}

// Collect implements prometheus.Collector.
func (m poolMetrics) Collect(to chan<- prometheus.Metric) {
	st := m.pool.Stat()
	to <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(st.AcquiredConns()), "busy")
	to <- prometheus.MustNewConstMetric(m.connections, prometheus.GaugeValue, float64(st.IdleConns()), "idle")
	to <- prometheus.MustNewConstMetric(m.waited, prometheus.CounterValue, st.EmptyAcquireWaitTime().Seconds())
	to <- prometheus.MustNewConstMetric(m.acquires, prometheus.CounterValue, float64(st.AcquireCount()))
}
