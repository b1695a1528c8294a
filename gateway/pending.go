package gateway

import (
	"context"
	"sync"
	"time"

	"catalog"
)

// pendingCommands passes the event of a command to the requests that wait for it.
type pendingCommands struct {
	mu      sync.Mutex
	waiters map[catalog.ID][]chan catalog.Event
}

func newPendingCommands() *pendingCommands {
	return &pendingCommands{waiters: map[catalog.ID][]chan catalog.Event{}}
}

// add returns a channel that receives the event of the command if the event is
// published from now on. The caller must call remove when it no longer waits.
func (p *pendingCommands) add(command catalog.ID) (event <-chan catalog.Event, remove func()) {
	ch := make(chan catalog.Event, 1)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiters[command] = append(p.waiters[command], ch)
	return ch, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		left := p.waiters[command]
		for i := range left {
			if left[i] == ch {
				left = append(left[:i:i], left[i+1:]...)
				break
			}
		}
		if p.waiters[command] = left; len(left) == 0 {
			delete(p.waiters, command)
		}
	}
}

// publish passes the events to the requests that wait for them.
func (p *pendingCommands) publish(events []catalog.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		for _, ch := range p.waiters[e.Command] {
			select {
			case ch <- e:
			default: // the waiter has the event already: events may come twice
			}
		}
	}
}

// waitForEvent waits at most wait for the event of a command and reports whether
// it came. With a wait of 0 it never returns the event, even when the event is
// there: respond-async has one response, not one that depends on a race.
func (g *Gateway) waitForEvent(ctx context.Context, event <-chan catalog.Event, wait time.Duration) (catalog.Event, bool) {
	if wait == 0 {
		return catalog.Event{}, false
	}
	deadline := time.Now().Add(wait)
	timeout := time.NewTimer(wait)
	defer timeout.Stop()
	stopping := g.stopping.Done()
	for {
		select {
		case e := <-event:
			return e, true
		case <-stopping:
			stopping = nil
			timeout.Reset(min(time.Until(deadline), shutdownWait))
		case <-timeout.C:
			return catalog.Event{}, false
		case <-ctx.Done():
			return catalog.Event{}, false
		}
	}
}
