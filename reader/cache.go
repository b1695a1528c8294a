package reader

import (
	"context"
	"sync"
	"time"

	"catalog"
)

const (
	cacheWait  = 20 * time.Millisecond  // for the cache: slower than that, the view is quicker
	cacheRest  = 100 * time.Millisecond // for which a cache that has failed is left alone, so that few wait for it
	cachePay   = 100                    // products given back at once
	cacheWrite = 10 * cacheWait
)

// cached answers what the cache has. A cache that is slow, gone or owed the
// product has nothing.
func (r *Reader) cached(ctx context.Context, id catalog.ID) (catalog.Product, bool) {
	if r.cache == nil {
		return catalog.Product{}, false
	}
	if r.rests() || r.owed.has(id) {
		r.metrics.cache.WithLabelValues("passed").Inc()
		return catalog.Product{}, false
	}
	asking, cancel := context.WithTimeout(ctx, cacheWait)
	defer cancel()
	p, ok, err := r.cache.Product(asking, id)
	switch {
	case err != nil:
		if ctx.Err() == nil { // it was the cache, and not the caller who has left
			r.failed(ctx, err)
		}
		return catalog.Product{}, false
	case ok:
		r.metrics.cache.WithLabelValues("hit").Inc()
	default:
		r.metrics.cache.WithLabelValues("miss").Inc()
	}
	return p, ok
}

// fill gives the cache a product that it did not have. It keeps the newer one
// if it has one by now.
func (r *Reader) fill(ctx context.Context, p catalog.Product) {
	if r.cache != nil && !r.rests() {
		r.put(ctx, []catalog.Product{p})
	}
}

// refresh gives the cache new versions, or owes them to it.
func (r *Reader) refresh(ctx context.Context, products []catalog.Product) {
	if r.cache == nil || !r.rests() && r.put(ctx, products) {
		return
	}
	if r.owed.add(products) {
		r.logger.WarnContext(ctx, "the cache cannot be written; it is passed by for what it has missed")
	}
}

// put writes to the cache, and says whether it could.
func (r *Reader) put(ctx context.Context, products []catalog.Product) bool {
	ctx, cancel := context.WithTimeout(ctx, cacheWrite)
	defer cancel()
	if err := r.cache.Put(ctx, products); err != nil {
		r.failed(ctx, err)
		return false
	}
	return true
}

// failed leaves the cache alone for a while.
func (r *Reader) failed(ctx context.Context, err error) {
	r.metrics.cache.WithLabelValues("error").Inc()
	r.resting.Store(time.Now().Add(cacheRest).UnixNano())
	r.logger.DebugContext(ctx, "cache passed by", "err", err)
}

func (r *Reader) rests() bool { return time.Now().UnixNano() < r.resting.Load() }

// payCache gives the cache what it is owed, until ctx ends.
func (r *Reader) payCache(ctx context.Context) {
	tick := time.NewTicker(cacheRest)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			for r.pay(ctx) {
			}
		case <-ctx.Done():
			return
		}
	}
}

// pay gives the cache some of what it is owed. It says whether there is more
// that it may take now.
func (r *Reader) pay(ctx context.Context) bool {
	var products []catalog.Product
	for _, id := range r.owed.some(cachePay) {
		p, err := r.view.Product(ctx, id)
		if err != nil {
			break
		}
		products = append(products, p)
	}
	if len(products) == 0 || !r.put(ctx, products) {
		return false
	}
	paid, left := r.owed.paid(products)
	if paid > 0 && left == 0 {
		r.logger.InfoContext(ctx, "the cache has all that it had missed")
	}
	return paid > 0 && left > 0
}

// owed are the products of which the cache should have been given a version
// and was not, because it was slow or away. Until it has it, it may have an
// older one. Who stops while something is owed leaves it to the entries' time
// to live.
type owed struct {
	mu       sync.Mutex
	versions map[catalog.ID]int64
}

func newOwed() *owed { return &owed{versions: map[catalog.ID]int64{}} }

func (o *owed) len() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return len(o.versions)
}

func (o *owed) has(id catalog.ID) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	_, ok := o.versions[id]
	return ok
}

// add says whether these are the first.
func (o *owed) add(products []catalog.Product) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	first := len(o.versions) == 0
	for _, p := range products {
		o.versions[p.ID] = max(o.versions[p.ID], p.Version)
	}
	return first
}

// some answers at most n of the products.
func (o *owed) some(n int) []catalog.ID {
	o.mu.Lock()
	defer o.mu.Unlock()
	ids := make([]catalog.ID, 0, n)
	for id := range o.versions {
		if len(ids) == n {
			break
		}
		ids = append(ids, id)
	}
	return ids
}

// paid takes the products off, and answers how many were owed no newer version
// and how many are left.
func (o *owed) paid(products []catalog.Product) (paid, left int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, p := range products {
		if v, ok := o.versions[p.ID]; ok && p.Version >= v {
			delete(o.versions, p.ID)
			paid++
		}
	}
	return paid, len(o.versions)
}
