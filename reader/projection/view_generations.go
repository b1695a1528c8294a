package projection

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
)

// leaseTTL is how long a process uses the generations that it read last. A
// shorter time makes a rebuild quicker (a switch takes six of it) and costs each
// process one small read more often.
const leaseTTL = 500 * time.Millisecond

// GenerationStore stores several generations of a view side by side, for all
// readers. Packages mongo and sqlite implement it.
type GenerationStore[V View] interface {
	// Generation returns the view of that generation, whether or not it exists.
	Generation(n int64) V

	// Generations returns which generations are in use; at first the zero value.
	Generations(ctx context.Context) (eventlog.ViewGenerations, error)

	// CompareAndSwap saves the generations in use if they are still what they
	// were. Otherwise it returns ErrFenced.
	CompareAndSwap(ctx context.Context, was, to eventlog.ViewGenerations) error

	// Create creates the generation, empty, and drops one that was there.
	Create(ctx context.Context, n int64) error

	// Drop removes the generation.
	Drop(ctx context.Context, n int64) error

	// Shared reports whether other processes may use these views too.
	Shared() bool
}

// GenerationalView is a view that can be rebuilt while it is read and written
// (a blue/green deployment of data). It reads the live generation and writes
// both the live and the standby one.
//
// Every process reads again which generations are in use once its last reading
// is older than leaseTTL. A change of the generations is therefore known
// everywhere after that time, and each step of a rebuild waits twice as long.
// This is why a standby that is filled from a snapshot misses nothing: when the
// snapshot begins, all processes already write to the standby too. Around the
// switch both generations are read and the newer version wins, so that of two
// readers none is ahead of the other. The previous generation is still written
// after the switch, and can take over again. A view that is not shared needs no
// waiting: a step takes a lock that reads and writes share.
type GenerationalView struct {
	store  generationStore
	shared bool

	inUse sync.RWMutex // held for reading during each call, unless the view is shared

	mu     sync.Mutex
	cached eventlog.ViewGenerations
	readAt time.Time // when cached was read; zero for never
}

// generationStore is a GenerationStore of any type of view.
type generationStore struct {
	generation     func(n int64) View
	generations    func(context.Context) (eventlog.ViewGenerations, error)
	compareAndSwap func(ctx context.Context, was, to eventlog.ViewGenerations) error
	create, drop   func(ctx context.Context, n int64) error
}

// NewGenerationalView returns the view of the live generation of s.
func NewGenerationalView[V View](s GenerationStore[V]) *GenerationalView {
	return &GenerationalView{shared: s.Shared(), store: generationStore{
		generation:     func(n int64) View { return s.Generation(n) },
		generations:    s.Generations,
		compareAndSwap: s.CompareAndSwap,
		create:         s.Create,
		drop:           s.Drop,
	}}
}

// current returns which generations are in use, as of at most leaseTTL ago.
func (v *GenerationalView) current(ctx context.Context) (eventlog.ViewGenerations, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if !v.readAt.IsZero() && (!v.shared || time.Since(v.readAt) < leaseTTL) {
		return v.cached, nil
	}
	since := time.Now()
	g, err := v.store.generations(ctx)
	if err == nil {
		v.cached, v.readAt = g, since
	}
	return g, err
}

// write calls f with the live generation and then with the standby.
func (v *GenerationalView) write(ctx context.Context, f func(View) error) error {
	defer v.enter()()
	g, err := v.current(ctx)
	if err == nil {
		err = f(v.store.generation(g.Live))
	}
	if err == nil && g.Standby != g.Live {
		err = f(v.store.generation(g.Standby))
	}
	return err
}

// Apply stores the products whose version is higher than the stored one.
func (v *GenerationalView) Apply(ctx context.Context, created, changed []catalog.Product) error {
	return v.write(ctx, func(view View) error { return view.Apply(ctx, created, changed) })
}

// SaveCheckpoints stores the checkpoints of shards.
func (v *GenerationalView) SaveCheckpoints(ctx context.Context, all []eventlog.Checkpoint) error {
	return v.write(ctx, func(view View) error { return view.SaveCheckpoints(ctx, all) })
}

// Product returns the product, or ErrNotFound. During a switch it returns the
// newer version of both generations.
func (v *GenerationalView) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	defer v.enter()()
	g, err := v.current(ctx)
	if err != nil {
		return catalog.Product{}, err
	}
	p, err := v.store.generation(g.Live).Product(ctx, id)
	if !g.ReadBoth || err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return p, err
	}
	if q, other := v.store.generation(g.Standby).Product(ctx, id); other == nil && q.Version > p.Version {
		return q, nil
	}
	return p, err
}

// live returns the live generation.
func (v *GenerationalView) live(ctx context.Context) (View, error) {
	g, err := v.current(ctx)
	return v.store.generation(g.Live), err
}

// Scan calls handle with all products of the live generation.
func (v *GenerationalView) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	view, err := v.live(ctx)
	if err != nil {
		return err
	}
	return view.Scan(ctx, handle)
}

// Overwrite replaces a wrong product of the live generation. It leaves the
// standby alone, which may hold the right one.
func (v *GenerationalView) Overwrite(ctx context.Context, was int64, p catalog.Product) error {
	view, err := v.live(ctx)
	if err != nil {
		return err
	}
	return view.Overwrite(ctx, was, p)
}

// Checkpoints returns the saved checkpoints of the live generation.
func (v *GenerationalView) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	view, err := v.live(ctx)
	if err != nil {
		return nil, err
	}
	return view.Checkpoints(ctx)
}

// enter registers a call on a view that is not shared. change waits until leave
// is called.
func (v *GenerationalView) enter() (leave func()) {
	if v.shared {
		return func() {}
	}
	v.inUse.RLock()
	return v.inUse.RUnlock
}

// change saves which generations are in use, and returns when all processes know.
func (v *GenerationalView) change(ctx context.Context, was, to eventlog.ViewGenerations) error {
	if !v.shared {
		v.inUse.Lock()
		defer v.inUse.Unlock()
	}
	if err := v.store.compareAndSwap(ctx, was, to); err != nil {
		return err
	}
	v.mu.Lock()
	v.readAt = time.Time{}
	v.mu.Unlock()
	if !v.shared {
		return nil
	}
	select {
	case <-time.After(2 * leaseTTL):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// CreateStandby creates an empty standby, in place of one that exists.
func (v *GenerationalView) CreateStandby(ctx context.Context) error {
	if err := v.DropPrevious(ctx); err != nil {
		return err
	}
	g, err := v.store.generations(ctx)
	if err != nil {
		return err
	}
	next := g
	next.Standby = g.Live + 1
	if err := v.store.create(ctx, next.Standby); err != nil {
		return err
	}
	return v.change(ctx, g, next)
}

// errSuperseded is returned by a rebuild whose standby another rebuild replaced.
var errSuperseded = errors.New("another rebuild has started and replaced this one; the live view is unchanged")

// standby returns the generation that CreateStandby created.
func (v *GenerationalView) standby(ctx context.Context) (View, error) {
	g, err := v.current(ctx)
	if err == nil && (g.Standby == g.Live || g.StandbyComplete) {
		err = errSuperseded
	}
	return v.store.generation(g.Standby), err
}

// Load stores products in the standby.
func (v *GenerationalView) Load(ctx context.Context, products []catalog.Product) error {
	view, err := v.standby(ctx)
	if err != nil {
		return err
	}
	return view.Apply(ctx, products, nil)
}

// ScanStandby calls handle with all products of the standby.
func (v *GenerationalView) ScanStandby(ctx context.Context, handle func([]catalog.Product) error) error {
	view, err := v.standby(ctx)
	if err != nil {
		return err
	}
	return view.Scan(ctx, handle)
}

// StandbyProduct returns a product of the standby, or ErrNotFound.
func (v *GenerationalView) StandbyProduct(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	view, err := v.standby(ctx)
	if err != nil {
		return catalog.Product{}, err
	}
	return view.Product(ctx, id)
}

// Switch makes the complete standby the live generation. The previous live
// generation becomes the standby.
func (v *GenerationalView) Switch(ctx context.Context) error {
	g, err := v.store.generations(ctx)
	if err != nil {
		return err
	}
	if g.Standby == g.Live || g.StandbyComplete {
		return errSuperseded
	}
	return v.swap(ctx, g)
}

// Rollback makes the generation live again that was live before the last Switch.
// It returns ErrNotFound when there is none.
func (v *GenerationalView) Rollback(ctx context.Context) error {
	g, err := v.store.generations(ctx)
	if err != nil {
		return err
	}
	if g.Standby == g.Live || !g.StandbyComplete {
		return fmt.Errorf("there is no earlier view to roll back to: %w", catalog.ErrNotFound)
	}
	return v.swap(ctx, g)
}

// swap swaps the live generation and the standby. A process that dies during the
// swap leaves both generations to be read, until the next swap completes.
func (v *GenerationalView) swap(ctx context.Context, g eventlog.ViewGenerations) error {
	both := g
	if both.ReadBoth = true; both != g {
		if err := v.change(ctx, g, both); err != nil {
			return err
		}
	}
	failpoint.Here(failpoint.ReaderRebuilding)
	// The standby has applied everything that the live generation has.
	all, err := v.store.generation(g.Live).Checkpoints(ctx)
	if err != nil {
		return err
	}
	if len(all) > 0 {
		if err := v.store.generation(g.Standby).SaveCheckpoints(ctx, all); err != nil {
			return err
		}
	}
	failpoint.Here(failpoint.ReaderRebuilding)
	swapped := eventlog.ViewGenerations{Live: g.Standby, Standby: g.Live, StandbyComplete: true, ReadBoth: true}
	if err := v.change(ctx, both, swapped); err != nil {
		return err
	}
	failpoint.Here(failpoint.ReaderRebuilding)
	done := swapped
	done.ReadBoth = false
	return v.change(ctx, swapped, done)
}

// DropPrevious drops the standby: the generation before the last Switch, or one
// that a rebuild did not complete. It does nothing when there is none.
func (v *GenerationalView) DropPrevious(ctx context.Context) error {
	g, err := v.store.generations(ctx)
	if err != nil || g.Standby == g.Live {
		return err
	}
	if err := v.change(ctx, g, eventlog.ViewGenerations{Live: g.Live, Standby: g.Live}); err != nil {
		return err
	}
	return v.store.drop(ctx, g.Standby)
}
