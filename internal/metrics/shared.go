package metrics

import "github.com/prometheus/client_golang/prometheus"

// Lookups counts the lookups of a cache.
type Lookups struct{ Hits, Misses, Bypasses prometheus.Counter }

// CacheLookups returns the counters of a tier: near, the gateway's memory, or redis.
func CacheLookups(reg prometheus.Registerer, tier string) Lookups {
	lookups := Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catalog_cache_lookups_total", Help: "Lookups of products in a cache: found, not found, or not asked for because the cache is off, failed a moment ago, or may be out of date.",
	}, []string{"tier", "result"}))
	return Lookups{
		Hits: lookups.WithLabelValues(tier, "hit"), Misses: lookups.WithLabelValues(tier, "miss"), Bypasses: lookups.WithLabelValues(tier, "bypass"),
	}
}

// Shed returns the counter of requests that are rejected for the reason.
func Shed(reg prometheus.Registerer, reason string) prometheus.Counter {
	return Register(reg, prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "catalog_requests_shed_total", Help: "Requests rejected because of too much work, by reason: too many requests of one kind, subscribers, or calls to one service at once, too many bytes of large requests and responses, a write backlog that is too old, or a disk that is almost full.",
	}, []string{"reason"})).WithLabelValues(reason)
}
