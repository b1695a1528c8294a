package readertest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"catalog"
	"catalog/internal/wire"
)

// Cache is a cache of one shard that can fail. Set the fields inside Edit.
type Cache struct {
	Unavailable  bool       // Product and Fill fail
	Damaged      catalog.ID // the product whose entry cannot be read
	Fenced       bool       // another process holds the lease
	OnInvalidate func()
	Cached       map[catalog.ID]catalog.Product

	mu          sync.Mutex
	fillAllowed bool
	revision    int                 // the number of invalidations; a ticket is the revision at which it was issued
	changing    map[catalog.ID]bool // invalidated since the last AllowFill
}

var (
	errUnavailable = fmt.Errorf("the cache does not reply: %w", catalog.ErrUnavailable)
	errDamaged     = errors.New("the entry cannot be read")
)

// NewCache returns an empty cache.
func NewCache() *Cache {
	return &Cache{changing: map[catalog.ID]bool{}, Cached: map[catalog.ID]catalog.Product{}}
}

// Edit calls f while no call of the cache runs.
func (c *Cache) Edit(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// Product returns a product or a ticket.
func (c *Cache) Product(ctx context.Context, id catalog.ID) (catalog.Product, bool, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.Cached[id]
	switch {
	case ctx.Err() != nil:
		return catalog.Product{}, false, "", ctx.Err()
	case c.Unavailable:
		return catalog.Product{}, false, "", errUnavailable
	case id == c.Damaged:
		return catalog.Product{}, false, "", errDamaged
	case ok:
		return p, true, "", nil
	case !c.fillAllowed || c.changing[id]:
		return p, false, "", nil
	}
	return p, false, fmt.Sprint(c.revision), nil
}

// Products returns the cached products, encoded.
func (c *Cache) Products(ctx context.Context, ids []catalog.ID) (map[catalog.ID][]byte, error) {
	all := map[catalog.ID][]byte{}
	for _, id := range ids {
		p, found, _, err := c.Product(ctx, id)
		if err == nil && found && p.Version > 0 {
			all[id], err = wire.EncodeProduct(p)
		} else if found {
			all[id] = nil
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

// Fill stores a product unless its ticket is outdated.
func (c *Cache) Fill(_ context.Context, ticket string, p catalog.Product) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Unavailable {
		return errUnavailable
	}
	if ticket == fmt.Sprint(c.revision) && !c.changing[p.ID] {
		c.Cached[p.ID] = p
	}
	return nil
}

// Acquire empties the cache.
func (c *Cache) Acquire(context.Context, int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fillAllowed = false
	clear(c.Cached)
	return nil
}

// Invalidate removes products.
func (c *Cache) Invalidate(_ context.Context, _ int32, products []catalog.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.Fenced {
		return catalog.ErrFenced
	}
	c.revision++
	for _, id := range products {
		c.changing[id] = true
		delete(c.Cached, id)
	}
	if c.OnInvalidate != nil {
		c.OnInvalidate()
	}
	return nil
}

// AllowFill lets products be stored.
func (c *Cache) AllowFill(context.Context, int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.fillAllowed = true
	clear(c.changing)
	return nil
}

// Release does nothing.
func (c *Cache) Release(int32) {}

// RenewLeases waits until ctx ends.
func (c *Cache) RenewLeases(ctx context.Context) { <-ctx.Done() }
