package mongo

import (
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/event"

	"catalog/internal/metrics"
)

// poolMonitor counts the connections of the driver's pools, of which there is one
// for each server.
type poolMonitor struct {
	mu                                     sync.Mutex
	max                                    map[string]uint64 // by address of the server
	open, used, pending, handedOut, failed int64
	waited                                 time.Duration
}

func (p *poolMonitor) monitor() *event.PoolMonitor {
	p.max = map[string]uint64{}
	return &event.PoolMonitor{Event: p.record}
}

func (p *poolMonitor) record(e *event.PoolEvent) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch e.Type {
	case event.ConnectionPoolCreated:
		p.max[e.Address] = e.PoolOptions.MaxPoolSize
	case event.ConnectionPoolClosed:
		delete(p.max, e.Address)
	case event.ConnectionCreated:
		p.open++
	case event.ConnectionClosed:
		p.open--
	case event.ConnectionCheckOutStarted:
		p.pending++
	case event.ConnectionCheckOutFailed:
		p.pending--
		p.failed++
	case event.ConnectionCheckedOut:
		p.pending--
		p.used++
		p.handedOut++
		p.waited += e.Duration
	case event.ConnectionCheckedIn:
		p.used--
	}
}

func (p *poolMonitor) stats() metrics.PoolStats {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := metrics.PoolStats{Used: p.used, Idle: max(p.open-p.used, 0), Pending: p.pending, Acquired: p.handedOut, Waited: p.waited, Failed: p.failed}
	for _, n := range p.max {
		s.Max += int64(n)
	}
	return s
}
