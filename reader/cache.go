package reader

import (
	"context"
	"errors"
	"sync"
	"time"

	"catalog"
)

// owed are the products that the cache should have been given and was not,
// because it was slow or away. Until it has them it may have older ones.
type owed struct {
	mu       sync.Mutex
	versions map[catalog.ID]int64
}

// cached answers what the cache has. A cache that is slow, gone or owed the
// product has nothing.
func (r *Reader) cached(ctx context.Context, id catalog.ID) (catalog.Product, bool) {
	if r.cache == nil || r.owed.has(id) {
		return catalog.Product{}, false
	}
	ctx, cancel := context.WithTimeout(ctx, cacheWait)
	defer cancel()
	p, ok, err := r.cache.Product(ctx, id)
	switch {
	case err != nil && !errors.Is(err, context.Canceled):
		r.metrics.cache.WithLabelValues("error").Inc()
		r.logger.DebugContext(ctx, "cache passed by", "err", err)
	case ok:
		r.metrics.cache.WithLabelValues("hit").Inc()
	default:
		r.metrics.cache.WithLabelValues("miss").Inc()
	}
	return p, ok && err == nil
}

// fill puts products into the cache, which keeps the newest version of each. It
// answers whether it could.
func (r *Reader) fill(ctx context.Context, products []catalog.Product) bool {
	if r.cache == nil || len(products) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(ctx, 10*cacheWait)
	defer cancel()
	err := r.cache.Put(ctx, products)
	if err != nil {
		r.metrics.cache.WithLabelValues("error").Inc()
		r.logger.DebugContext(ctx, "cache not written", "products", len(products), "err", err)
	}
	return err == nil
}

// refresh puts new versions into the cache, or owes them to it.
func (r *Reader) refresh(ctx context.Context, products []catalog.Product) {
	if !r.fill(ctx, products) {
		r.owed.add(products)
	}
}

// payCache gives the cache what it is owed, until ctx ends.
func (r *Reader) payCache(ctx context.Context) {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		var products []catalog.Product
		for _, id := range r.owed.some(100) {
			if p, err := r.view.Product(ctx, id); err == nil {
				products = append(products, p)
			}
		}
		if len(products) > 0 && r.fill(ctx, products) {
			r.owed.paid(products)
		}
	}
}

func (o *owed) has(id catalog.ID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.versions[id]
	return ok
}

func (o *owed) add(products []catalog.Product) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.versions == nil {
		o.versions = map[catalog.ID]int64{}
	}
	for _, p := range products {
		o.versions[p.ID] = max(o.versions[p.ID], p.Version)
	}
}

// some answers at most n of the products.
func (o *owed) some(n int) []catalog.ID {
	o.mu.Lock()
	defer o.mu.Unlock()
	ids := make([]catalog.ID, 0, n)
	for id := range o.versions {
		if ids = append(ids, id); len(ids) == n {
			break
		}
	}
	return ids
}

func (o *owed) paid(products []catalog.Product) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range products {
		if p.Version >= o.versions[p.ID] {
			delete(o.versions, p.ID)
		}
	}
}
