package gateway

import (
	"context"
	"errors"
	"time"

	"github.com/failsafe-go/failsafe-go/bulkhead"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/internal/metrics"
)

// share is the part of the gateway's work that one kind of request may have: a number
// of requests at once, and a queue in which others wait for a moment. So many or slow
// requests of one kind do not keep the others from the services and engines.
type share struct {
	name  string
	limit int
	wait  time.Duration // the longest wait in the queue; 0 for none
	slots bulkhead.Bulkhead[any]

	active, queued prometheus.Gauge
	shed           prometheus.Counter
}

// shares are the shares of all kinds of requests. Change streams have a limit of their
// own, in the change feed.
type shares struct {
	reads     *share // reads of single products, from the reader
	positions *share // of all kinds that wait for a position which the reader may not have reached
	lists     *share // lists and searches
	suggest   *share // suggestions
	history   *share // histories and old versions, from the writer
	receipts  *share // receipts of commands, from the writer
	writes    *share
	imports   *share // windows of imports that are being settled
	open      *share // imports in progress
}

func newShares(cfg Config, reg prometheus.Registerer) shares {
	m := newShareMetrics(reg)
	return shares{
		reads:     m.share("reads", maxReads, queueTimeout),
		positions: m.share("positions", maxPositionReads, queueTimeout),
		lists:     m.share("lists", cfg.MaxConcurrentQueries, queueTimeout),
		suggest:   m.share("suggestions", cfg.MaxConcurrentQueries, queueTimeout),
		history:   m.share("history", cfg.MaxConcurrentQueries, queueTimeout),
		receipts:  m.share("receipts", maxReceipts, queueTimeout),
		writes:    m.share("writes", cfg.MaxConcurrentWrites, 0),
		imports:   m.share("windows", cfg.MaxConcurrentWindows, windowQueueTimeout),
		open:      m.share("imports", maxImports, 0),
	}
}

// shareMetrics makes the metrics of shares.
type shareMetrics struct {
	reg                   prometheus.Registerer
	limit, active, queued *prometheus.GaugeVec
}

func newShareMetrics(reg prometheus.Registerer) shareMetrics {
	m := shareMetrics{
		reg: reg,
		limit: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_gateway_share_limit", Help: "Requests of a kind that the gateway handles at once; others wait for a moment or are rejected.",
		}, []string{"kind"}),
		active: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_gateway_share_active", Help: "Requests of a kind in progress, of catalog_gateway_share_limit.",
		}, []string{"kind"}),
		queued: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "catalog_gateway_share_queued", Help: "Requests of a kind that wait because as many as may be are in progress.",
		}, []string{"kind"}),
	}
	reg.MustRegister(m.limit, m.active, m.queued)
	return m
}

func (m shareMetrics) share(name string, limit int, wait time.Duration) *share {
	m.limit.WithLabelValues(name).Set(float64(limit))
	return &share{
		name: name, limit: limit, wait: wait, slots: bulkhead.New[any](uint(limit)),
		active: m.active.WithLabelValues(name), queued: m.queued.WithLabelValues(name), shed: metrics.Shed(m.reg, name),
	}
}

// acquire takes a slot of the share. When none is free, it waits at most s.wait, since a
// request that waits longer finishes too late for its client, and returns a busy problem.
func (s *share) acquire(ctx context.Context) (release func(), err error) {
	if !s.slots.TryAcquirePermit() {
		s.queued.Inc()
		err := s.slots.AcquirePermitWithMaxWait(ctx, s.wait)
		s.queued.Dec()
		switch {
		case errors.Is(err, bulkhead.ErrFull):
			s.shed.Inc()
			return nil, problem(catalog.CodeBusy, "")
		case err != nil:
			return nil, err
		}
	}
	s.active.Inc()
	return func() {
		s.active.Dec()
		s.slots.ReleasePermit()
	}, nil
}

// do calls f with a slot of the share.
func (s *share) do(ctx context.Context, f func() error) error {
	release, err := s.acquire(ctx)
	if err != nil {
		return err
	}
	defer release()
	return f()
}
