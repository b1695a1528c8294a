package audit

import (
	"context"
	"errors"

	"catalog"
)

// replica is a store that holds copies of products.
type replica struct {
	name string

	// owns reports whether this process is responsible for the shard.
	owns func(shard int32) bool

	// scan calls handle with all products; nil for a cache, which has only some.
	scan func(ctx context.Context, handle func([]catalog.Product) error) error

	// product returns the product, or false if the replica need not hold it and
	// does not.
	product func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error)

	// wait waits until the replica has applied the events up to the position.
	wait func(ctx context.Context, at catalog.Position) error

	// repair replaces products with those of the journal.
	repair func(ctx context.Context, shard int32, differences []Difference) error

	// tombstones says that deleted products are kept as tombstones.
	tombstones bool

	// rebuildable is nil for a replica that cannot be rebuilt beside itself.
	rebuildable rebuildable
}

// expect returns a product of the journal as the replica should hold it.
func (r replica) expect(p catalog.Product) catalog.Product {
	if p.Deleted && !r.tombstones {
		return catalog.Product{ID: p.ID}
	}
	return p
}

// replicas returns the replicas of this reader.
func (a *Auditor) replicas() []replica {
	if a.deps.Cache == nil {
		return []replica{a.viewReplica(), a.indexReplica()}
	}
	return []replica{a.viewReplica(), a.cacheReplica(), a.indexReplica()}
}

func (a *Auditor) viewReplica() replica {
	standby, _ := a.deps.View.(rebuildable)
	return replica{
		name: "view", tombstones: true, rebuildable: standby,
		owns: a.deps.Projector.Owns, wait: a.deps.Positions.WaitForView,
		scan: a.deps.View.Scan, product: held(a.deps.View.Product), repair: a.repairView,
	}
}

func (a *Auditor) cacheReplica() replica {
	return replica{
		name: "cache", tombstones: true,
		owns: a.deps.Projector.Owns, wait: a.deps.Positions.WaitForView,
		product: func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) {
			p, ok, _, err := a.deps.Cache.Product(ctx, id)
			return p, ok, err
		},
		repair: a.repairCache,
	}
}

func (a *Auditor) indexReplica() replica {
	standby, _ := a.deps.Index.(rebuildable)
	return replica{
		name: "index", rebuildable: standby,
		owns: func(int32) bool { return true }, wait: a.deps.Positions.WaitForIndex,
		scan: a.deps.Index.Scan, product: held(a.deps.Index.Product), repair: a.repairIndex,
	}
}

// held adapts the Product method of a store that should hold all products: it
// returns version 0 for a product that is not found.
func held(product func(context.Context, catalog.ID) (catalog.Product, error)) func(context.Context, catalog.ID) (catalog.Product, bool, error) {
	return func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) {
		p, err := product(ctx, id)
		if errors.Is(err, catalog.ErrNotFound) {
			err = nil
		}
		return p, true, err
	}
}

// repairView corrects products of the view.
func (a *Auditor) repairView(ctx context.Context, shard int32, differences []Difference) error {
	return a.deps.Projector.Correct(ctx, shard, ids(differences), func() error {
		var outdated []catalog.Product
		for _, d := range differences {
			if d.Got.Version < d.Want.Version {
				outdated = append(outdated, d.Want)
			} else if err := a.deps.View.Overwrite(ctx, d.Got.Version, d.Want); err != nil {
				return err
			}
		}
		return a.deps.View.Apply(ctx, nil, outdated)
	})
}

// repairCache invalidates products in the cache.
func (a *Auditor) repairCache(ctx context.Context, shard int32, differences []Difference) error {
	return a.deps.Projector.Correct(ctx, shard, ids(differences), func() error { return nil })
}

// repairIndex corrects products of the index that no event has changed since
// they were compared. Events that come later bring newer versions.
func (a *Auditor) repairIndex(ctx context.Context, _ int32, differences []Difference) error {
	return a.deps.Indexer.Correct(func() error {
		var products []catalog.Product
		for _, d := range differences {
			p, err := a.deps.Index.Product(ctx, d.Want.ID)
			if err != nil && !errors.Is(err, catalog.ErrNotFound) {
				return err
			}
			if p.ID = d.Want.ID; p.Equal(d.Got) {
				products = append(products, d.Want)
			}
		}
		return a.deps.Index.Overwrite(ctx, products)
	})
}

func ids(differences []Difference) []catalog.ID {
	ids := make([]catalog.ID, len(differences))
	for i, d := range differences {
		ids[i] = d.Want.ID
	}
	return ids
}
