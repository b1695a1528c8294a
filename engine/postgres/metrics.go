package postgres

import (
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/metrics"
)

func newRetries() prometheus.Counter {
	return prometheus.NewCounter(prometheus.CounterOpts{
		Name: "catalog_writer_settle_retries_total",
		Help: "Transactions of PostgreSQL repeated because a concurrent transaction took the same SKU or caused a deadlock.",
	})
}

// poolStats returns the function that reads the statistics of the pool.
func poolStats(pool *pgxpool.Pool) func() metrics.PoolStats {
	return func() metrics.PoolStats {
		st := pool.Stat()
		return metrics.PoolStats{
			Idle: int64(st.IdleConns()), Used: int64(st.AcquiredConns()), Max: int64(st.MaxConns()), Pending: metrics.Unknown,
			Acquired: st.AcquireCount(), Waited: st.AcquireDuration(), Failed: st.CanceledAcquireCount(),
		}
	}
}
