package program

import (
	"context"
	"errors"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/daemon"
	"catalog/internal/metrics/metricstest"
)

func TestReadiness(t *testing.T) {
	t.Parallel()
	reg := prometheus.NewRegistry()
	var fault error
	checks, _ := measureReadiness(reg, []daemon.Check{{Name: "kafka", Ping: func(context.Context) error { return fault }}})
	ready := func() float64 { return metricstest.Value(t, reg, "catalog_ready", "check", "kafka") }
	t.Run("a check sets its metric when it runs", func(t *testing.T) {
		for _, test := range []struct {
			fault error
			want  float64
		}{{nil, 1}, {errors.New("no broker responds"), 0}, {nil, 1}} {
			fault = test.fault
			if err := checks[0].Ping(t.Context()); !errors.Is(err, fault) {
				t.Errorf("Ping = %v, want %v", err, fault)
			}
			if v := ready(); v != test.want {
				t.Errorf("after %v the metric is %v, want %v", fault, v, test.want)
			}
		}
	})
	t.Run("a client that goes away changes nothing", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		fault = context.Canceled
		checks[0].Ping(ctx)
		if v := ready(); v != 1 {
			t.Errorf("the metric is %v, want 1", v)
		}
	})
}
