package reader

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"catalog"
)

// renewable is a view or an index that can be made anew beside itself.
type rebuildable interface {
	// Renew makes an empty one beside the live one. From then on what is applied
	// goes to both.
	CreateStandby(ctx context.Context) error

	// Load stores products of a snapshot that was begun after Renew. What has
	// been applied since stays. Several may load at once, each other products.
	Load(ctx context.Context, products []catalog.Product) error

	// EachBeside and ProductBeside show what the new one has.
	ScanStandby(ctx context.Context, handle func([]catalog.Product) error) error
	StandbyProduct(ctx context.Context, id catalog.ID) (catalog.Product, error)

	// Switch lets the new one take the place of the live one, which is kept
	// beside it. Back undoes that, or answers ErrNotFound.
	Switch(ctx context.Context, shards int) error
	Rollback(ctx context.Context, shards int) error

	// Forget gives up what is beside the live one.
	DropPrevious(ctx context.Context) error
}

// errStays says that a rebuild has changed nothing.
var errStays = errors.New("all stays as it was")

// Rebuilding says what to do about a store and what was before it.
type RebuildAction int

// What can be done.
const (
	RebuildNew          RebuildAction = iota // make it from the truth, beside the old one, and switch
	RebuildRollback                          // go back to the one before
	RebuildDropPrevious                      // give up the one before
)

// Rebuild makes stores ("view", "index") from the truth while the old ones are
// read and written, compares them with the truth, and switches. No read fails or
// goes back. Who is killed on the way leaves an old one live, or the new one, and
// what is beside it to the next Rebuild.
func (r *Reader) Rebuild(ctx context.Context, stores []string, do RebuildAction, report func(step string, products, of int64)) error {
	if !r.rebuilding.TryLock() {
		return fmt.Errorf("another rebuild is under way: %w", errStays)
	}
	defer r.rebuilding.Unlock()
	starts, _, err := r.log.EventOffsets(ctx)
	if err != nil {
		return err
	}
	var some []rebuilt
	for _, s := range r.stores() {
		if !slices.Contains(stores, s.name) {
			continue
		}
		n, ok := s.renewable.(rebuildable)
		if !ok {
			return fmt.Errorf("the %s cannot be made anew beside itself: %w", s.name, errStays)
		}
		some = append(some, rebuilt{s, n})
	}
	for _, s := range some {
		switch do {
		case RebuildRollback:
			err = s.Rollback(ctx, len(starts))
		case RebuildDropPrevious:
			err = s.DropPrevious(ctx)
		}
		if err != nil {
			return fmt.Errorf("the %s: %w", s.name, err)
		}
	}
	if do != RebuildNew {
		return nil
	}
	since := time.Now()
	if err := r.rebuild(ctx, some, len(starts), report); err != nil {
		return fmt.Errorf("rebuild the %s: %w", strings.Join(stores, " and the "), err)
	}
	r.logger.InfoContext(ctx, "made anew from the truth", "stores", stores, "seconds", time.Since(since).Seconds())
	return nil
}

// rebuilt is a store, and what is made beside it.
type rebuilt struct {
	store
	rebuildable
}

func (r *Reader) rebuild(ctx context.Context, some []rebuilt, shards int, progress func(step string, products, of int64)) error {
	for _, s := range some {
		if err := s.CreateStandby(ctx); err != nil {
			return err
		}
	}
	t := r.newTruth(shards, Verification{})
	if err := fill(ctx, t, some, progress); err != nil {
		return err
	}
	if err := equal(ctx, t, some, progress); err != nil {
		return err
	}
	for _, s := range some {
		if err := s.Switch(ctx, shards); err != nil {
			return err
		}
	}
	return nil
}

// fillers is how many load at once: a writer serves no more.
const fillers = 2

// fill loads all products of the truth.
func fill(ctx context.Context, t *truth, some []rebuilt, progress func(step string, products, of int64)) error {
	shards := make(chan int32, len(t.all))
	for shard := range t.all {
		shards <- int32(shard)
	}
	close(shards)
	var mu sync.Mutex
	var loaded int64
	load := func(ctx context.Context, products []catalog.Product) error {
		for _, s := range some {
			if err := s.Load(ctx, products); err != nil {
				return err
			}
		}
		mu.Lock()
		defer mu.Unlock()
		loaded += int64(len(products))
		progress("load the truth", loaded, 0)
		return nil
	}
	all, ctx := errgroup.WithContext(ctx)
	for range fillers {
		all.Go(func() error {
			for shard := range shards {
				if err := t.read(ctx, shard, func(products []catalog.Product) error { return load(ctx, products) }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return all.Wait()
}

// equal compares what was made with the truth.
func equal(ctx context.Context, t *truth, some []rebuilt, progress func(step string, products, of int64)) error {
	var mu sync.Mutex
	looked := make([]int64, len(some))
	all, ctx := errgroup.WithContext(ctx)
	for i, s := range some {
		all.Go(func() error {
			differing := 0
			mine := *t
			mine.Verification = Verification{
				Difference: func(Difference) { differing++ },
				Progress: func(_ string, products, of int64) {
					mu.Lock()
					defer mu.Unlock()
					looked[i] = products
					var sum int64
					for _, n := range looked {
						sum += n
					}
					progress("compare with the truth", sum, of*int64(len(some)))
				},
			}
			made := s.store
			made.keeps, made.each = func(int32) bool { return true }, s.ScanStandby
			made.product = func(ctx context.Context, id catalog.ID) (catalog.Product, bool, error) {
				return found(s.StandbyProduct(ctx, id))
			}
			if _, err := mine.compare(ctx, made); err != nil {
				return err
			}
			if differing > 0 {
				return fmt.Errorf("the new %s differs from the truth in %d products: %w", s.name, differing, errStays)
			}
			return nil
		})
	}
	return all.Wait()
}

// renewCache empties the cache of the shards that are kept here when another
// generation of the view has become the live one, until ctx ends.
func (r *Reader) renewCache(ctx context.Context, views *GenerationalView) {
	last := int64(-1) // generation that the cache is filled from
	for first := true; ; first = false {
		if g, err := views.now(ctx); err == nil && !g.ReadBoth && g.Live != last {
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
			if err := r.cache.Acquire(ctx, shard); err != nil {
				r.failed(ctx, err)
			}
			r.guard.admit(ctx, shard, at.Offset)
		}()
	}
}
