package mongo

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.mongodb.org/mongo-driver/v2/event"

	"catalog/internal/metrics"
	"catalog/internal/metrics/metricstest"
)

func TestPool(t *testing.T) {
	t.Run("connections, waits and failed waits follow the events of the driver", func(t *testing.T) {
		var p poolMonitor
		record := p.monitor().Event
		reg := prometheus.NewRegistry()
		if err := metrics.Pool(reg, "mongodb", p.stats); err != nil {
			t.Fatal(err)
		}
		record(&event.PoolEvent{Type: event.ConnectionPoolCreated, Address: "a", PoolOptions: &event.MonitorPoolOptions{MaxPoolSize: 100}})
		for range 2 {
			record(&event.PoolEvent{Type: event.ConnectionCreated, Address: "a"})
			record(&event.PoolEvent{Type: event.ConnectionCheckOutStarted, Address: "a"})
			record(&event.PoolEvent{Type: event.ConnectionCheckedOut, Address: "a", Duration: time.Second})
		}
		record(&event.PoolEvent{Type: event.ConnectionCheckedIn, Address: "a"})
		for range 2 {
			record(&event.PoolEvent{Type: event.ConnectionCheckOutStarted, Address: "a"})
		}
		record(&event.PoolEvent{Type: event.ConnectionCheckOutFailed, Address: "a"})
		for name, want := range map[string]float64{
			"db_client_connection_count": 2, "db_client_connection_max": 100, "db_client_connection_pending_requests": 1,
			"db_client_connection_wait_time_seconds": 2, "db_client_connection_timeouts_total": 1,
		} {
			if v := metricstest.Value(t, reg, name, "db_client_connection_pool_name", "mongodb"); v != want {
				t.Errorf("%s = %v, want %v", name, v, want)
			}
		}
		for state, want := range map[string]float64{"used": 1, "idle": 1} {
			if v := metricstest.Value(t, reg, "db_client_connection_count", "db_client_connection_state", state); v != want {
				t.Errorf("%s connections = %v, want %v", state, v, want)
			}
		}
	})
}
