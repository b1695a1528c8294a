package reader

import (
	"context"
	"fmt"
	"sync"

	"catalog"
)

// coalescingLoader merges concurrent loads of one product: each product has at
// most one running load. A caller that arrives during a load waits for the next
// one, together with all that arrive until then, so it never gets a value that
// was read before its call.
type coalescingLoader struct {
	load  func(ctx context.Context, id catalog.ID) (catalog.Product, error)
	slots chan struct{} // has an element for each running load, at most maxLoads

	mu      sync.Mutex
	running map[catalog.ID]*productLoad
}

// productLoad is one load of a product and its result.
type productLoad struct {
	done    chan struct{} // closed when product and err are set
	product catalog.Product
	err     error
	next    *productLoad // nil while no caller waits for it
}

func newCoalescingLoader(load func(context.Context, catalog.ID) (catalog.Product, error)) *coalescingLoader {
	return &coalescingLoader{load: load, slots: make(chan struct{}, maxLoads), running: map[catalog.ID]*productLoad{}}
}

// product loads the product. When ctx ends, the load goes on for the other
// callers.
func (l *coalescingLoader) product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	load := l.join(context.WithoutCancel(ctx), id)
	select {
	case <-load.done:
		return load.product, load.err
	case <-ctx.Done():
		return catalog.Product{}, ctx.Err()
	}
}

// join returns the next load of the product, and starts it if none is running.
func (l *coalescingLoader) join(ctx context.Context, id catalog.ID) *productLoad {
	l.mu.Lock()
	defer l.mu.Unlock()
	current, busy := l.running[id]
	if !busy {
		first := &productLoad{done: make(chan struct{})}
		l.running[id] = first
		go l.run(ctx, id, first)
		return first
	}
	if current.next == nil {
		current.next = &productLoad{done: make(chan struct{})}
	}
	return current.next
}

// run runs a load, and then the next ones while callers wait for them.
func (l *coalescingLoader) run(ctx context.Context, id catalog.ID, current *productLoad) {
	for current != nil {
		l.runOne(ctx, id, current)
		l.mu.Lock()
		if current = current.next; current != nil {
			l.running[id] = current
		} else {
			delete(l.running, id)
		}
		l.mu.Unlock()
	}
}

func (l *coalescingLoader) runOne(ctx context.Context, id catalog.ID, load *productLoad) {
	defer close(load.done)
	ctx, cancel := context.WithTimeout(ctx, positionTimeout)
	defer cancel()
	select {
	case l.slots <- struct{}{}:
		load.product, load.err = l.load(ctx, id)
		<-l.slots
	case <-ctx.Done():
		load.err = fmt.Errorf("%d products are being read: %w", maxLoads, catalog.ErrOverloaded)
	}
}
