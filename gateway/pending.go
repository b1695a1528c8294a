package gateway

import (
	"context"
	"slices"
	"sync"
	"time"

	"catalog"
	"catalog/internal/memory"
)

// pendingCommands passes the event of a command to the requests that wait for it.
type pendingCommands struct {
	responses *memory.Share // holds the large products of events that requests have not yet sent

	mu      sync.Mutex
	waiters map[catalog.ID][]*waiter
}

// waiter is a request that waits for the event of a command.
type waiter struct {
	event chan catalog.Event // receives one event
	// product tells publish to leave the product in the event; else only its id,
	// version and state stay, which is all that an import needs.
	product bool
	held    int64 // bytes of the responses share that the event takes
}

func newPendingCommands(responses *memory.Share) *pendingCommands {
	return &pendingCommands{responses: responses, waiters: map[catalog.ID][]*waiter{}}
}

// add registers a request that waits for the event of the command, with its product or
// without. The event comes if it is published from now on. The caller must call remove
// when it needs neither the event nor its product any longer.
func (p *pendingCommands) add(command catalog.ID, product bool) (event <-chan catalog.Event, remove func()) {
	w := &waiter{event: make(chan catalog.Event, 1), product: product}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.waiters[command] = append(p.waiters[command], w)
	return w.event, func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		if w.held > 0 {
			p.responses.Release(w.held)
		}
		left := p.waiters[command]
		if i := slices.Index(left, w); i >= 0 {
			left = slices.Delete(left, i, i+1)
		}
		if p.waiters[command] = left; len(left) == 0 {
			delete(p.waiters, command)
		}
	}
}

// publish passes the events to the requests that wait for them. A large product for
// which the responses share has no room is left out of its event.
func (p *pendingCommands) publish(events []catalog.Event) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range events {
		for _, w := range p.waiters[e.Command] {
			if len(w.event) > 0 {
				continue // events may come twice
			}
			sent := e
			size := productSize(e.Product) * responseCopies
			switch {
			case !w.product:
				sent.Product = withoutData(e.Product)
			case w.held > 0 || size < smallResponse*responseCopies:
			case p.responses.TryAcquire(size):
				w.held = size
			default:
				sent.Product = withoutData(e.Product)
			}
			select {
			case w.event <- sent:
			default: // received already: events may come twice
			}
		}
	}
}

// withoutData returns the product without the data that clients choose.
func withoutData(p catalog.Product) catalog.Product {
	return catalog.Product{ID: p.ID, Version: p.Version, Deleted: p.Deleted}
}

// productSize returns about how many bytes the data of the product has.
func productSize(p catalog.Product) int64 {
	size := len(p.SKU) + len(p.GTIN) + len(p.Name) + len(p.Brand) + len(p.Description) + len(p.Category)
	for _, t := range p.Tags {
		size += len(t)
	}
	for k, v := range p.Attributes {
		size += len(k) + len(v)
	}
	return int64(size)
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
