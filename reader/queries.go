package reader

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"catalog"
	"catalog/internal/wire"
)

// Product returns the product as of the position or later. It returns
// ErrNotFound, or ErrStale when the view does not reach the position in time.
func (r *Reader) Product(ctx context.Context, id catalog.ID, at catalog.Position) (catalog.Product, error) {
	if at.Seq > 0 {
		if err := r.positions.WaitForView(ctx, at); err != nil {
			return catalog.Product{}, err
		}
	}
	p, err := r.loader.product(ctx, id)
	if err == nil && !p.Exists() {
		return catalog.Product{}, catalog.ErrNotFound
	}
	return p, err
}

// Products returns those of the products that it can read within multiGetTimeout
// and that fit into maxProductsBytes, by id, encoded by wire.EncodeProduct: cached
// products are passed on without decoding. The encoding of a product that does not
// exist is empty or a tombstone. It reorders ids.
func (r *Reader) Products(ctx context.Context, ids []catalog.ID) map[catalog.ID][]byte {
	slices.SortFunc(ids, func(a, b catalog.ID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.Compact(ids)
	known, size := r.cachedProducts(ctx, ids)
	ids = slices.DeleteFunc(ids, func(id catalog.ID) bool { _, ok := known[id]; return ok })
	ctx, cancel := context.WithTimeout(ctx, multiGetTimeout)
	defer cancel()
	var mu sync.Mutex
	var loads sync.WaitGroup
	if size >= maxProductsBytes {
		return known
	}
	for _, id := range ids {
		loads.Go(func() {
			var encoded []byte
			p, err := r.loader.product(ctx, id)
			if err == nil {
				encoded, err = wire.EncodeProduct(p)
			}
			mu.Lock()
			defer mu.Unlock()
			if (err == nil || errors.Is(err, catalog.ErrNotFound)) && size < maxProductsBytes {
				known[id] = encoded
				size += len(encoded)
			}
		})
	}
	loads.Wait()
	return known
}

// cachedProducts returns those of the products that the cache holds, encoded, and
// their size in bytes, until that reaches maxProductsBytes.
func (r *Reader) cachedProducts(ctx context.Context, ids []catalog.ID) (known map[catalog.ID][]byte, size int) {
	known = make(map[catalog.ID][]byte, len(ids))
	for n := firstProducts; len(ids) > 0 && size < maxProductsBytes; {
		n = min(n, len(ids))
		for id, encoded := range r.cache.products(ctx, ids[:n]) {
			known[id] = encoded
			size += len(encoded)
		}
		ids = ids[n:]
		average := max(1, size/max(1, len(known)))
		n = max(1, (maxProductsBytes-size)/average)
	}
	return known, size
}

// load returns the product as the view holds it now, from the cache if the
// cache has it.
func (r *Reader) load(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	p, found, ticket := r.cache.product(ctx, id)
	if !found {
		var err error
		p, err = r.view.product(ctx, id)
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			p = catalog.Product{ID: id}
		case err != nil:
			return p, err
		}
		r.cache.fill(ctx, ticket, p)
	}
	if p.Version == 0 {
		return p, catalog.ErrNotFound
	}
	return p, nil
}

// Search returns a page of the products that match the query, as of the
// positions or later.
func (r *Reader) Search(ctx context.Context, q catalog.Query, at ...catalog.Position) (catalog.Page, error) {
	return queryIndex(ctx, r, kindOf(q), at, func(ctx context.Context) (catalog.Page, error) {
		return r.index.Search(ctx, q)
	})
}

// Suggest returns completions of a text that is being typed, at most limit of
// each kind, as of the positions or later.
func (r *Reader) Suggest(ctx context.Context, text string, limit int, at ...catalog.Position) (catalog.Suggestions, error) {
	return queryIndex(ctx, r, queryKind{kind: "suggest"}, at, func(ctx context.Context) (catalog.Suggestions, error) {
		return r.index.Suggest(ctx, text, limit)
	})
}

// queryIndex waits until the index has applied the positions and calls query. It
// cancels the query after searchTimeout and returns ErrTooSlow, so that the index
// has capacity for other queries. It returns ErrUnavailable while the index is
// being filled, since a page would lack products.
//
// The result counts as held in memory, with its size, until it is sent. The wait for that memory is
// part of the query's time.
func queryIndex[Result interface{ Size() int }](ctx context.Context, r *Reader, kind queryKind, at []catalog.Position, query func(context.Context) (Result, error)) (Result, error) {
	if err := r.readiness.checkIndex(ctx); err != nil {
		return *new(Result), fmt.Errorf("%w: %w", err, catalog.ErrUnavailable)
	}
	for _, position := range at {
		if err := r.positions.WaitForIndex(ctx, position); err != nil {
			return *new(Result), err
		}
	}
	defer r.metrics.observe(ctx, kind, time.Now())
	queryCtx, cancel := context.WithTimeoutCause(ctx, searchTimeout, catalog.ErrTooSlow)
	defer cancel()
	result, err := *new(Result), r.results.Acquire(queryCtx, catalog.MaxPageBytes)
	if err == nil {
		result, err = query(queryCtx)
		held := int64(min(result.Size(), catalog.MaxPageBytes))
		r.results.Release(catalog.MaxPageBytes - held)
		whenSent(ctx, func() { r.results.Release(held) })
	}
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(queryCtx), catalog.ErrTooSlow) {
		err = catalog.ErrTooSlow
	}
	return result, err
}
