package program

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/daemon"
	"catalog/internal/metrics"
)

const (
	// readinessInterval is the time between two runs of the readiness checks that keep
	// their metric up to date where no client asks for /readyz.
	readinessInterval = 5 * time.Second
	readinessTimeout  = time.Second // timeout of /readyz
)

// measureReadiness returns the checks, each of which sets its metric when it runs, so
// that the metric agrees with the last response of /readyz, and the part that runs
// them regularly.
func measureReadiness(reg prometheus.Registerer, checks []daemon.Check) ([]daemon.Check, daemon.Part) {
	ready := readyGauge(reg)
	checks = slices.Clone(checks)
	for i, c := range checks {
		gauge := ready.WithLabelValues(c.Name) // 0 until the first run
		checks[i].Ping = func(ctx context.Context) error {
			err := c.Ping(ctx)
			switch {
			case err == nil:
				gauge.Set(1)
			case !errors.Is(ctx.Err(), context.Canceled): // a client that went away says nothing about the engine
				gauge.Set(0)
			}
			return err
		}
	}
	return checks, daemon.Part{Name: "readiness", Run: func(ctx context.Context) error {
		interval := time.NewTicker(readinessInterval)
		defer interval.Stop()
		for {
			runChecks(ctx, checks)
			select {
			case <-interval.C:
			case <-ctx.Done():
				return nil
			}
		}
	}}
}

func readyGauge(reg prometheus.Registerer) *prometheus.GaugeVec {
	return metrics.Register(reg, prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "catalog_ready", Help: "1 if the check of /readyz passed when it ran last, at most 5 s ago; 0 if not. /readyz has the reason.",
	}, []string{"check"}))
}

func runChecks(ctx context.Context, checks []daemon.Check) {
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	var all sync.WaitGroup
	for _, c := range checks {
		all.Go(func() { _ = c.Ping(ctx) }) // Ping sets the metric
	}
	all.Wait()
}
