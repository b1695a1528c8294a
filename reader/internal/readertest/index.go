package readertest

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"catalog"
	"catalog/eventlog"
)

// Index is an index that finds every product.
type Index struct {
	Endless bool // searches end only when their context does

	mu       sync.Mutex
	products map[catalog.ID]catalog.Product
	written  map[int32]eventlog.Checkpoint
}

// NewIndex returns an empty index.
func NewIndex() *Index {
	return &Index{products: map[catalog.ID]catalog.Product{}, written: map[int32]eventlog.Checkpoint{}}
}

// Apply stores products. Checkpoints does not return the checkpoints.
func (x *Index) Apply(_ context.Context, products []catalog.Product, checkpoints []eventlog.Checkpoint) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, c := range checkpoints {
		x.written[c.Shard] = c
	}
	for _, p := range products {
		x.products[p.ID] = p
	}
	return nil
}

// Overwrite stores products.
func (x *Index) Overwrite(ctx context.Context, products []catalog.Product) error {
	return x.Apply(ctx, products, nil)
}

// Checkpoints returns none.
func (x *Index) Checkpoints(context.Context) ([]eventlog.Checkpoint, error) { return nil, nil }

// Written returns the last checkpoint of the shard that was written.
func (x *Index) Written(shard int32) eventlog.Checkpoint {
	x.mu.Lock()
	defer x.mu.Unlock()
	return x.written[shard]
}

// Edit calls f with the products, tombstones included.
func (x *Index) Edit(f func(products map[catalog.ID]catalog.Product)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(x.products)
}

// Product returns the product.
func (x *Index) Product(_ context.Context, id catalog.ID) (catalog.Product, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p, ok := x.products[id]; ok && p.Exists() {
		return p, nil
	}
	return catalog.Product{}, catalog.ErrNotFound
}

// Size returns the number of products.
func (x *Index) Size(ctx context.Context) (products, bytes int64, err error) {
	page, err := x.Search(ctx, catalog.Query{})
	return int64(len(page.Items)), 0, err
}

// Scan calls handle with all products.
func (x *Index) Scan(_ context.Context, handle func([]catalog.Product) error) error {
	page, err := x.Search(context.Background(), catalog.Query{})
	return errors.Join(err, handle(page.Items))
}

// Suggest returns nothing.
func (x *Index) Suggest(ctx context.Context, _ string, _ int) (catalog.Suggestions, error) {
	_, err := x.Search(ctx, catalog.Query{})
	return catalog.Suggestions{}, err
}

// Search returns all products.
func (x *Index) Search(ctx context.Context, _ catalog.Query) (catalog.Page, error) {
	if x.Endless {
		<-ctx.Done()
		return catalog.Page{}, fmt.Errorf("search: %w", ctx.Err())
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var page catalog.Page
	for _, p := range x.products {
		if p.Exists() {
			page.Items = append(page.Items, p)
		}
	}
	return page, nil
}
