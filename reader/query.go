package reader

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"time"

	"catalog"
	"catalog/internal/wire"
)

// maxWait is how long a query waits for a position, and for the view.
const maxWait = 2 * time.Second

// maxSearch is how long the index has for one question. It takes milliseconds.
const maxSearch = time.Second

// Product answers the product as it was at the position or later, or
// ErrNotFound, or ErrBehind when the view does not get there in time.
func (r *Reader) Product(ctx context.Context, id catalog.ID, at catalog.Position) (catalog.Product, error) {
	p, err := r.product(ctx, id, at)
	if err == nil && !p.Exists() {
		return catalog.Product{}, catalog.ErrNotFound
	}
	return p, err
}

func (r *Reader) product(ctx context.Context, id catalog.ID, at catalog.Position) (catalog.Product, error) {
	if at.Seq > 0 {
		if err := await(ctx, r.viewed, at, r.look); err != nil {
			return catalog.Product{}, err
		}
	}
	return r.loads.product(ctx, id)
}

// maxSeveral is how long one question for several products waits for those that
// the cache does not have: few should wait for what others ask.
const maxSeveral = 20 * time.Millisecond

// Products answers of the products what can be told soon, by id, as
// wire.EncodeProduct has them: what is in the cache is passed on as it is. One
// that does not exist is empty, or a tombstone. It changes the order of the ids.
func (r *Reader) Products(ctx context.Context, ids []catalog.ID) map[catalog.ID][]byte {
	known := r.cachedOf(ctx, ids)
	if known == nil {
		known = make(map[catalog.ID][]byte, len(ids))
	}
	ctx, cancel := context.WithTimeout(ctx, maxSeveral)
	defer cancel()
	var mu sync.Mutex
	var loads sync.WaitGroup
	slices.SortFunc(ids, func(a, b catalog.ID) int { return bytes.Compare(a[:], b[:]) })
	ids = slices.DeleteFunc(slices.Compact(ids), func(id catalog.ID) bool { _, ok := known[id]; return ok })
	for _, id := range ids {
		loads.Go(func() {
			var encoded []byte
			p, err := r.loads.product(ctx, id)
			if err == nil {
				encoded, err = wire.EncodeProduct(p)
			}
			if err == nil || errors.Is(err, catalog.ErrNotFound) {
				mu.Lock()
				defer mu.Unlock()
				known[id] = encoded
			}
		})
	}
	loads.Wait()
	return known
}

// load answers what the view has of the product now, from the cache where that
// knows.
func (r *Reader) load(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	p, found, ticket := r.cached(ctx, id)
	if !found {
		err := r.engine.Do(ctx, r.probe, func(ctx context.Context) (err error) {
			p, err = r.view.Product(ctx, id)
			return err
		})
		switch {
		case errors.Is(err, catalog.ErrNotFound):
			p = catalog.Product{ID: id}
		case err != nil:
			return p, err
		}
		r.fill(ctx, ticket, p)
	}
	if p.Version == 0 {
		return p, catalog.ErrNotFound
	}
	return p, nil
}

// look finds out how far the view is in a shard, which another reader may
// keep. However many want to know, the view is asked once at a time.
func (r *Reader) look(ctx context.Context, shard int32) error {
	_, err, _ := r.looks.Do(strconv.Itoa(int(shard)), func() (any, error) {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), maxWait)
		defer cancel()
		return nil, r.engine.Do(ctx, r.probe, func(ctx context.Context) error {
			_, err := r.projected(ctx, shard)
			return err
		})
	})
	return err
}

// probe asks the view for little, to see whether it answers.
func (r *Reader) probe(ctx context.Context) error {
	_, err := r.view.Checkpoint(ctx, 0)
	return err
}

// Search answers a page of the products that match, as they were at the
// positions or later.
func (r *Reader) Search(ctx context.Context, q catalog.Query, at ...catalog.Position) (catalog.Page, error) {
	if err := r.awaitAll(ctx, at); err != nil {
		return catalog.Page{}, err
	}
	return ask(ctx, func(ctx context.Context) (catalog.Page, error) { return r.index.Search(ctx, q) })
}

// Suggest answers what the text of a person who is still typing may become, as
// things were at the positions or later.
func (r *Reader) Suggest(ctx context.Context, text string, limit int, at ...catalog.Position) (catalog.Suggestions, error) {
	if err := r.awaitAll(ctx, at); err != nil {
		return catalog.Suggestions{}, err
	}
	return ask(ctx, func(ctx context.Context) (catalog.Suggestions, error) { return r.index.Suggest(ctx, text, limit) })
}

// ask asks the index, or answers ErrSlow after maxSearch: a question that is
// given up leaves room for others.
func ask[Answer any](ctx context.Context, index func(context.Context) (Answer, error)) (Answer, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, maxSearch, catalog.ErrTooSlow)
	defer cancel()
	a, err := index(ctx)
	if errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(ctx), catalog.ErrTooSlow) {
		err = catalog.ErrTooSlow
	}
	return a, err
}

// awaitAll waits until the index has all that was at the positions.
func (r *Reader) awaitAll(ctx context.Context, at []catalog.Position) error {
	for _, p := range at {
		if err := await(ctx, r.found, p, nil); err != nil {
			return err
		}
	}
	return nil
}

// await waits until the position has been applied, a little shorter than the
// caller does, so that the caller hears why.
func await(ctx context.Context, m *marks, at catalog.Position, look func(context.Context, int32) error) error {
	if ok, _ := m.reached(at); ok {
		return nil
	}
	wait := maxWait
	if deadline, ok := ctx.Deadline(); ok {
		wait = min(wait, time.Until(deadline)*9/10)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	return m.wait(ctx, at, look)
}
