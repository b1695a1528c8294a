package reader

import (
	"context"
	"errors"
	"fmt"
	"time"

	"catalog"
)

// renewable is a view or an index that can be made anew beside itself.
type renewable interface {
	// Renew makes an empty one beside the live one. From then on what is applied
	// goes to both.
	Renew(ctx context.Context) error

	// Load stores products of a snapshot that was begun after Renew. What has
	// been applied since stays.
	Load(ctx context.Context, products []catalog.Product) error

	// EachBeside and ProductBeside show what the new one has.
	EachBeside(ctx context.Context, handle func([]catalog.Product) error) error
	ProductBeside(ctx context.Context, id catalog.ID) (catalog.Product, error)

	// Switch lets the new one take the place of the live one, which is kept
	// beside it. Back undoes that, or answers ErrNotFound.
	Switch(ctx context.Context, shards int) error
	Back(ctx context.Context, shards int) error

	// Forget gives up what is beside the live one.
	Forget(ctx context.Context) error
}

// errStays says that a rebuild has changed nothing, and people are told why.
var errStays = errors.New("all stays as it was")

// Rebuilding says what to do about a store and what was before it.
type Rebuilding int

// What can be done.
const (
	Anew   Rebuilding = iota // make it from the truth, beside the old one, and switch
	Back                     // go back to the one before
	Forget                   // give up the one before
)

// Rebuild makes the view or the index ("view", "index") from the truth while the
// old one is read and written, compares it with the truth, and switches. No read
// fails or goes back. Who is killed on the way leaves the old one live, or the
// new one, and what is beside it to the next Rebuild.
func (r *Reader) Rebuild(ctx context.Context, name string, do Rebuilding, progress func(step string, products, of int64)) error {
	if !r.rebuilding.TryLock() {
		return fmt.Errorf("another rebuild is under way: %w", errStays)
	}
	defer r.rebuilding.Unlock()
	for _, s := range r.stores() {
		n, ok := s.renewable.(renewable)
		if s.name != name || !ok {
			continue
		}
		starts, _, err := r.log.EventBounds(ctx)
		if err != nil {
			return err
		}
		switch do {
		case Back:
			return n.Back(ctx, len(starts))
		case Forget:
			return n.Forget(ctx)
		}
		since := time.Now()
		if err := r.rebuild(ctx, s, n, len(starts), progress); err != nil {
			return fmt.Errorf("rebuild the %s: %w", name, err)
		}
		r.logger.InfoContext(ctx, "made anew from the truth", "store", name, "seconds", time.Since(since).Seconds())
		return nil
	}
	return fmt.Errorf("the %s cannot be made anew beside itself: %w", name, errStays)
}

func (r *Reader) rebuild(ctx context.Context, s store, n renewable, shards int, progress func(step string, products, of int64)) error {
	if err := n.Renew(ctx); err != nil {
		return err
	}
	var loaded int64
	for shard := range int32(shards) {
		if _, err := r.journal.Snapshot(ctx, shard, nil, func(products []catalog.Product) error {
			loaded += int64(len(products))
			progress("make the "+s.name, loaded, 0)
			return n.Load(ctx, products)
		}); err != nil {
			return err
		}
	}
	differing := 0
	t, err := r.truth(ctx, Verification{
		Progress:   func(store string, products, of int64) { progress("compare the "+store, products, of) },
		Difference: func(Difference) { differing++ },
	})
	if err != nil {
		return err
	}
	s.keeps, s.each = func(int32) bool { return true }, n.EachBeside
	s.product = func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) {
		return found(n.ProductBeside(ctx, id))
	}
	if _, err := t.compare(ctx, s); err != nil {
		return err
	}
	if differing > 0 {
		return fmt.Errorf("the new one differs from the truth in %d products: %w", differing, errStays)
	}
	return n.Switch(ctx, shards)
}

// renewCache empties the cache of the shards that are kept here when another
// generation of the view has become the live one, until ctx ends.
func (r *Reader) renewCache(ctx context.Context, views *Succession) {
	last := int64(-1) // generation that the cache is filled from
	for first := true; ; first = false {
		if g, err := views.now(ctx); err == nil && !g.Both && g.Live != last {
			if !first {
				r.emptyCache(ctx)
			}
			last = g.Live
		}
		select {
		case <-time.After(term):
		case <-ctx.Done():
			return
		}
	}
}

func (r *Reader) emptyCache(ctx context.Context) {
	for _, shard := range r.projection.kept() {
		func() {
			defer r.turns.take(shard)()
			at, ok := r.projection.progress(shard)
			if !ok {
				return
			}
			if err := r.cache.Guard(ctx, shard); err != nil {
				r.failed(ctx, err)
			}
			r.guard.admit(ctx, shard, at.Offset)
		}()
	}
}
