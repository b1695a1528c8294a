package reader

import (
	"context"
	"sync"

	"catalog"
)

// loads shares the work of those who ask for one product at once, and yet
// nobody is answered what was read before they came: who comes while the product
// is being loaded waits for the next load, together with all who come until
// then. So of each product there is one load at a time.
type loads struct {
	load func(ctx context.Context, id catalog.ID) (catalog.Product, error)

	mu      sync.Mutex
	running map[catalog.ID]*load
}

type load struct {
	done    chan struct{}
	product catalog.Product
	err     error
	next    *load // nil while nobody waits for it
}

func newLoads(f func(context.Context, catalog.ID) (catalog.Product, error)) *loads {
	return &loads{load: f, running: map[catalog.ID]*load{}}
}

// product loads the product. A load is nobody's in particular, so nobody's
// leaving ends it.
func (l *loads) product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	mine := l.join(context.WithoutCancel(ctx), id)
	select {
	case <-mine.done:
		return mine.product, mine.err
	case <-ctx.Done():
		return catalog.Product{}, ctx.Err()
	}
}

func (l *loads) join(ctx context.Context, id catalog.ID) *load {
	l.mu.Lock()
	defer l.mu.Unlock()
	now, busy := l.running[id]
	if !busy {
		mine := &load{done: make(chan struct{})}
		l.running[id] = mine
		go l.run(ctx, id, mine)
		return mine
	}
	if now.next == nil {
		now.next = &load{done: make(chan struct{})}
	}
	return now.next
}

// run does a load, and the next ones while somebody waits for them.
func (l *loads) run(ctx context.Context, id catalog.ID, now *load) {
	for now != nil {
		l.once(ctx, id, now)
		l.mu.Lock()
		if now = now.next; now != nil {
			l.running[id] = now
		} else {
			delete(l.running, id)
		}
		l.mu.Unlock()
	}
}

func (l *loads) once(ctx context.Context, id catalog.ID, now *load) {
	defer close(now.done)
	ctx, cancel := context.WithTimeout(ctx, maxWait)
	defer cancel()
	now.product, now.err = l.load(ctx, id)
}
