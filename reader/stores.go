package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"catalog"
	"catalog/eventlog"
)

// store is one that has copies of products.
type store struct {
	name      string
	keeps     func(shard int32) bool
	each      func(ctx context.Context, handle func([]catalog.Product) error) error   // nil for one that has only some
	product   func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) // false for one it need not have
	reach     func(ctx context.Context, at catalog.Position) error                    // waits until it has been applied
	mend      func(ctx context.Context, shard int32, differ []Difference) error       // makes them right
	deleted   bool                                                                    // tombstones are kept
	renewable any                                                                     // perhaps a renewable
}

func (r *Reader) stores() []store {
	keeps := func(shard int32) bool {
		_, ok := r.projection.progress(shard)
		return ok
	}
	reach := func(ctx context.Context, at catalog.Position) error { return await(ctx, r.viewed, at, r.look) }
	all := []store{
		{name: "view", renewable: r.view, keeps: keeps, each: r.view.Scan, reach: reach, mend: r.correctView, deleted: true,
			product: func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) {
				return found(r.view.Product(ctx, id))
			}},
		{name: "index", renewable: r.index, keeps: func(int32) bool { return true }, each: r.index.Scan, mend: r.correctIndex,
			reach: func(ctx context.Context, at catalog.Position) error { return await(ctx, r.found, at, nil) },
			product: func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) {
				return found(r.index.Product(ctx, id))
			}},
	}
	if r.cache == nil {
		return all
	}
	return slices.Insert(all, 1, store{name: "cache", keeps: keeps, reach: reach, mend: r.correctCache, deleted: true,
		product: func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) {
			p, ok, _, err := r.cache.Product(ctx, id)
			return p, ok, err
		}})
}

// found answers a product of a store that should have all.
func found(p catalog.Product, err error) (catalog.Product, bool, error) {
	if errors.Is(err, catalog.ErrNotFound) {
		err = nil
	}
	return p, true, err
}

// expect is how the store should have a product of the truth.
func (s store) expect(p catalog.Product) catalog.Product {
	if p.Deleted && !s.deleted {
		return catalog.Product{ID: p.ID}
	}
	return p
}

// correctView makes products of the view right, in the place of the projection
// of their shard.
func (r *Reader) correctView(ctx context.Context, shard int32, differ []Difference) error {
	return r.change(ctx, shard, differ, func() error {
		var older []catalog.Product
		for _, d := range differ {
			if d.Got.Version < d.Want.Version {
				older = append(older, d.Want)
			} else if err := r.view.Overwrite(ctx, d.Got.Version, d.Want); err != nil {
				return err
			}
		}
		return r.view.Apply(ctx, older)
	})
}

// correctCache has the cache forget products.
func (r *Reader) correctCache(ctx context.Context, shard int32, differ []Difference) error {
	return r.change(ctx, shard, differ, func() error { return nil })
}

// change makes a change of the view that is not an event's, between two of
// those.
func (r *Reader) change(ctx context.Context, shard int32, differ []Difference, make func() error) error {
	defer r.turns.take(shard)()
	at, ok := r.projection.progress(shard)
	if !ok {
		return fmt.Errorf("shard %d is no longer kept by this reader", shard)
	}
	var products []catalog.Product
	for _, d := range differ {
		products = append(products, d.Want)
	}
	if err := r.forget(ctx, shard, products); err != nil {
		return err
	}
	err := make()
	if err == nil && r.guard != nil {
		r.guard.admit(ctx, shard, at.Offset)
	}
	return err
}

// correctIndex makes products of the index right. What the feed brings
// meanwhile is newer, and comes after it.
func (r *Reader) correctIndex(ctx context.Context, _ int32, differ []Difference) error {
	r.indexing.Lock()
	defer r.indexing.Unlock()
	var products []catalog.Product
	for _, d := range differ {
		has, err := r.index.Product(ctx, d.Want.ID)
		if err != nil && !errors.Is(err, catalog.ErrNotFound) {
			return err
		}
		if has.ID = d.Want.ID; has.Equal(d.Got) { // else the feed has changed it
			products = append(products, d.Want)
		}
	}
	return r.index.Overwrite(ctx, products)
}

// turns lets one at a time change a shard of the view.
type turns struct {
	mu sync.Mutex
	of map[int32]*sync.Mutex
}

// take waits for the turn in a shard. It is given back by what it answers.
func (t *turns) take(shard int32) (give func()) {
	t.mu.Lock()
	if t.of == nil {
		t.of = map[int32]*sync.Mutex{}
	}
	turn := t.of[shard]
	if turn == nil {
		turn = &sync.Mutex{}
		t.of[shard] = turn
	}
	t.mu.Unlock()
	turn.Lock()
	return turn.Unlock
}

// inTurn is a consumer that works when it has its turn.
type inTurn struct {
	eventlog.Consumer[catalog.Event]
	turns *turns
}

// Begin begins the shard.
func (c inTurn) Begin(ctx context.Context, shard int32) (int64, error) {
	defer c.turns.take(shard)()
	return c.Consumer.Begin(ctx, shard)
}

// Handle handles records of a shard.
func (c inTurn) Handle(ctx context.Context, r eventlog.Records[catalog.Event]) error {
	defer c.turns.take(r.Shard)()
	return c.Consumer.Handle(ctx, r)
}
