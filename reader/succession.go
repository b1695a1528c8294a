package reader

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"catalog"
	"catalog/eventlog"
)

// Views keeps views beside one another, each a generation, for all readers.
// Packages mongo and sqlite implement it.
type GenerationStore[V View] interface {
	// Generation is the view of that generation. It need not be there.
	Generation(n int64) V

	// Generations answers which there are; at first the zero value.
	Generations(ctx context.Context) (eventlog.ViewGenerations, error)

	// Turn saves which there are, if they are still what they were. Else it
	// answers ErrFenced.
	CompareAndSwap(ctx context.Context, was, to eventlog.ViewGenerations) error

	// Clear makes the generation, empty.
	Create(ctx context.Context, n int64) error

	// Drop removes the generation.
	Drop(ctx context.Context, n int64) error

	// Shared says whether other processes may have these views too.
	Shared() bool
}

// Succession is a view that can be made anew while it is read and written: it is
// the live one of its generations.
//
// All processes do the same within a term, since whoever has not looked for that
// long looks first which generations there are. What is projected is written to
// the live one and then to the other one, until that is given up. So the other
// one can be filled from a snapshot that was begun a term later, and take over;
// and what was live before is kept true and can take over again. Around the
// moment of that, both are read: none of two readers, of whom one knows it
// already, is ahead of the other. A process that has the views for itself waits
// for what it is doing instead.
type GenerationalView struct {
	generation  func(n int64) View
	generations func(context.Context) (eventlog.ViewGenerations, error)
	turn        func(ctx context.Context, was, to eventlog.ViewGenerations) error
	clear, drop func(ctx context.Context, n int64) error
	shared      bool

	doing sync.RWMutex // held for reading by those who use a view, unless it is shared

	mu     sync.Mutex
	known  eventlog.ViewGenerations
	looked time.Time // when that was found out
}

// term is how long a process goes on without looking which generations there
// are.
const term = 500 * time.Millisecond

// NewSuccession makes a view of views.
func NewGenerationalView[V View](v GenerationStore[V]) *GenerationalView {
	return &GenerationalView{
		generation: func(n int64) View { return v.Generation(n) }, generations: v.Generations, turn: v.CompareAndSwap, clear: v.Create, drop: v.Drop, shared: v.Shared(),
	}
}

// now answers which generations there are, as it was at most a term ago.
func (s *GenerationalView) now(ctx context.Context) (eventlog.ViewGenerations, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.looked.IsZero() && (!s.shared || time.Since(s.looked) < term) {
		return s.known, nil
	}
	return s.look(ctx)
}

func (s *GenerationalView) look(ctx context.Context) (eventlog.ViewGenerations, error) {
	since := time.Now()
	g, err := s.generations(ctx)
	if err == nil {
		s.known, s.looked = g, since
	}
	return g, err
}

// both has f work on the live generation and then on the other one.
func (s *GenerationalView) both(ctx context.Context, f func(View) error) error {
	defer s.use()()
	g, err := s.now(ctx)
	if err == nil {
		err = f(s.generation(g.Live))
	}
	if err == nil && g.Standby != g.Live {
		err = f(s.generation(g.Standby))
	}
	return err
}

// Apply stores products that are newer.
func (s *GenerationalView) Apply(ctx context.Context, products []catalog.Product) error {
	return s.both(ctx, func(v View) error { return v.Apply(ctx, products) })
}

// Save stores the progress of a shard.
func (s *GenerationalView) SaveCheckpoint(ctx context.Context, p eventlog.Checkpoint) error {
	return s.both(ctx, func(v View) error { return v.SaveCheckpoint(ctx, p) })
}

// Product answers the product.
func (s *GenerationalView) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	defer s.use()()
	g, err := s.now(ctx)
	if err != nil {
		return catalog.Product{}, err
	}
	p, err := s.generation(g.Live).Product(ctx, id)
	if !g.ReadBoth || err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return p, err
	}
	if q, other := s.generation(g.Standby).Product(ctx, id); other == nil && q.Version > p.Version {
		return q, nil
	}
	return p, err
}

// live answers the generation that is read.
func (s *GenerationalView) live(ctx context.Context) (View, error) {
	g, err := s.now(ctx)
	return s.generation(g.Live), err
}

// Each shows all products.
func (s *GenerationalView) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	v, err := s.live(ctx)
	if err != nil {
		return err
	}
	return v.Scan(ctx, handle)
}

// Correct replaces a product that is wrong. The other generation may have it
// right.
func (s *GenerationalView) Overwrite(ctx context.Context, was int64, p catalog.Product) error {
	v, err := s.live(ctx)
	if err != nil {
		return err
	}
	return v.Overwrite(ctx, was, p)
}

// Progress answers the progress saved for the shard.
func (s *GenerationalView) Checkpoint(ctx context.Context, shard int32) (eventlog.Checkpoint, error) {
	v, err := s.live(ctx)
	if err != nil {
		return eventlog.Checkpoint{}, err
	}
	return v.Checkpoint(ctx, shard)
}

// use lets step wait for those who use a view that is not shared.
func (s *GenerationalView) use() (done func()) {
	if s.shared {
		return func() {}
	}
	s.doing.RLock()
	return s.doing.RUnlock
}

// step saves which generations there are, and returns when all know.
func (s *GenerationalView) step(ctx context.Context, was, to eventlog.ViewGenerations) error {
	if !s.shared {
		s.doing.Lock()
		defer s.doing.Unlock()
	}
	if err := s.turn(ctx, was, to); err != nil {
		return err
	}
	s.mu.Lock()
	s.looked = time.Time{}
	s.mu.Unlock()
	if !s.shared {
		return nil
	}
	select {
	case <-time.After(2 * term):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Renew makes an empty generation beside the live one, in the place of another
// one that was there.
func (s *GenerationalView) CreateStandby(ctx context.Context) error {
	if err := s.DropPrevious(ctx); err != nil {
		return err
	}
	g, err := s.generations(ctx)
	if err != nil {
		return err
	}
	next := g
	next.Standby = g.Live + 1
	if err := s.clear(ctx, next.Standby); err != nil {
		return err
	}
	return s.step(ctx, g, next)
}

// errSuperseded says that somebody else has begun to make another generation.
var errSuperseded = fmt.Errorf("another rebuild has taken the place of this one: %w", errStays)

// beside answers the generation that Renew has made.
func (s *GenerationalView) beside(ctx context.Context) (View, error) {
	g, err := s.now(ctx)
	if err == nil && (g.Standby == g.Live || g.StandbyComplete) {
		err = errSuperseded
	}
	return s.generation(g.Standby), err
}

// Load stores products in the new generation.
func (s *GenerationalView) Load(ctx context.Context, products []catalog.Product) error {
	v, err := s.beside(ctx)
	if err != nil {
		return err
	}
	return v.Apply(ctx, products)
}

// EachBeside shows all products of the new generation.
func (s *GenerationalView) ScanStandby(ctx context.Context, handle func([]catalog.Product) error) error {
	v, err := s.beside(ctx)
	if err != nil {
		return err
	}
	return v.Scan(ctx, handle)
}

// ProductBeside answers a product of the new generation.
func (s *GenerationalView) StandbyProduct(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	v, err := s.beside(ctx)
	if err != nil {
		return catalog.Product{}, err
	}
	return v.Product(ctx, id)
}

// Switch lets the new generation, which is whole now, take the place of the live
// one. That is kept beside it.
func (s *GenerationalView) Switch(ctx context.Context, shards int) error {
	g, err := s.generations(ctx)
	if err != nil {
		return err
	}
	if g.Standby == g.Live || g.StandbyComplete {
		return errSuperseded
	}
	return s.swap(ctx, g, shards)
}

// Back lets what was live before the last Switch be live again.
func (s *GenerationalView) Rollback(ctx context.Context, shards int) error {
	g, err := s.generations(ctx)
	if err != nil {
		return err
	}
	if g.Standby == g.Live || !g.StandbyComplete {
		return fmt.Errorf("there is no earlier view to go back to: %w", catalog.ErrNotFound)
	}
	return s.swap(ctx, g, shards)
}

// swap swaps the live generation and the other one. Who is killed in between
// leaves both to be read, which the next one ends.
func (s *GenerationalView) swap(ctx context.Context, g eventlog.ViewGenerations, shards int) error {
	both := g
	if both.ReadBoth = true; both != g {
		if err := s.step(ctx, g, both); err != nil {
			return err
		}
	}
	// What the live one has reached is in the other one too.
	for shard := range int32(shards) {
		p, err := s.generation(g.Live).Checkpoint(ctx, shard)
		if err == nil && p.Offset > 0 {
			err = s.generation(g.Standby).SaveCheckpoint(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	swapped := eventlog.ViewGenerations{Live: g.Standby, Standby: g.Live, StandbyComplete: true, ReadBoth: true}
	if err := s.step(ctx, both, swapped); err != nil {
		return err
	}
	done := swapped
	done.ReadBoth = false
	return s.step(ctx, swapped, done)
}

// Forget gives up what is beside the live generation.
func (s *GenerationalView) DropPrevious(ctx context.Context) error {
	g, err := s.generations(ctx)
	if err != nil || g.Standby == g.Live {
		return err
	}
	if err := s.step(ctx, g, eventlog.ViewGenerations{Live: g.Live, Standby: g.Live}); err != nil {
		return err
	}
	return s.drop(ctx, g.Standby)
}
