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
type Views[V View] interface {
	// Generation is the view of that generation. It need not be there.
	Generation(n int64) V

	// Generations answers which there are; at first the zero value.
	Generations(ctx context.Context) (eventlog.Generations, error)

	// Turn saves which there are, if they are still what they were. Else it
	// answers ErrFenced.
	Turn(ctx context.Context, was, to eventlog.Generations) error

	// Clear makes the generation, empty.
	Clear(ctx context.Context, n int64) error

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
type Succession struct {
	generation  func(n int64) View
	generations func(context.Context) (eventlog.Generations, error)
	turn        func(ctx context.Context, was, to eventlog.Generations) error
	clear, drop func(ctx context.Context, n int64) error
	shared      bool

	doing sync.RWMutex // held for reading by those who use a view, unless it is shared

	mu     sync.Mutex
	known  eventlog.Generations
	looked time.Time // when that was found out
}

// term is how long a process goes on without looking which generations there
// are.
const term = 500 * time.Millisecond

// NewSuccession makes a view of views.
func NewSuccession[V View](v Views[V]) *Succession {
	return &Succession{
		generation: func(n int64) View { return v.Generation(n) }, generations: v.Generations, turn: v.Turn, clear: v.Clear, drop: v.Drop, shared: v.Shared(),
	}
}

// now answers which generations there are, as it was at most a term ago.
func (s *Succession) now(ctx context.Context) (eventlog.Generations, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.looked.IsZero() && (!s.shared || time.Since(s.looked) < term) {
		return s.known, nil
	}
	return s.look(ctx)
}

func (s *Succession) look(ctx context.Context) (eventlog.Generations, error) {
	since := time.Now()
	g, err := s.generations(ctx)
	if err == nil {
		s.known, s.looked = g, since
	}
	return g, err
}

// both has f work on the live generation and then on the other one.
func (s *Succession) both(ctx context.Context, f func(View) error) error {
	defer s.use()()
	g, err := s.now(ctx)
	if err == nil {
		err = f(s.generation(g.Live))
	}
	if err == nil && g.Also != g.Live {
		err = f(s.generation(g.Also))
	}
	return err
}

// Apply stores products that are newer.
func (s *Succession) Apply(ctx context.Context, products []catalog.Product) error {
	return s.both(ctx, func(v View) error { return v.Apply(ctx, products) })
}

// Save stores the progress of a shard.
func (s *Succession) Save(ctx context.Context, p eventlog.Progress) error {
	return s.both(ctx, func(v View) error { return v.Save(ctx, p) })
}

// Product answers the product.
func (s *Succession) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	defer s.use()()
	g, err := s.now(ctx)
	if err != nil {
		return catalog.Product{}, err
	}
	p, err := s.generation(g.Live).Product(ctx, id)
	if !g.Both || err != nil && !errors.Is(err, catalog.ErrNotFound) {
		return p, err
	}
	if q, other := s.generation(g.Also).Product(ctx, id); other == nil && q.Version > p.Version {
		return q, nil
	}
	return p, err
}

// live answers the generation that is read.
func (s *Succession) live(ctx context.Context) (View, error) {
	g, err := s.now(ctx)
	return s.generation(g.Live), err
}

// Each shows all products.
func (s *Succession) Each(ctx context.Context, handle func([]catalog.Product) error) error {
	v, err := s.live(ctx)
	if err != nil {
		return err
	}
	return v.Each(ctx, handle)
}

// Correct replaces a product that is wrong. The other generation may have it
// right.
func (s *Succession) Correct(ctx context.Context, was int64, p catalog.Product) error {
	v, err := s.live(ctx)
	if err != nil {
		return err
	}
	return v.Correct(ctx, was, p)
}

// Progress answers the progress saved for the shard.
func (s *Succession) Progress(ctx context.Context, shard int32) (eventlog.Progress, error) {
	v, err := s.live(ctx)
	if err != nil {
		return eventlog.Progress{}, err
	}
	return v.Progress(ctx, shard)
}

// use lets step wait for those who use a view that is not shared.
func (s *Succession) use() (done func()) {
	if s.shared {
		return func() {}
	}
	s.doing.RLock()
	return s.doing.RUnlock
}

// step saves which generations there are, and returns when all know.
func (s *Succession) step(ctx context.Context, was, to eventlog.Generations) error {
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
func (s *Succession) Renew(ctx context.Context) error {
	if err := s.Forget(ctx); err != nil {
		return err
	}
	g, err := s.generations(ctx)
	if err != nil {
		return err
	}
	next := g
	next.Also = g.Live + 1
	if err := s.clear(ctx, next.Also); err != nil {
		return err
	}
	return s.step(ctx, g, next)
}

// errSuperseded says that somebody else has begun to make another generation.
var errSuperseded = fmt.Errorf("another rebuild has taken the place of this one: %w", errStays)

// beside answers the generation that Renew has made.
func (s *Succession) beside(ctx context.Context) (View, error) {
	g, err := s.now(ctx)
	if err == nil && (g.Also == g.Live || g.Whole) {
		err = errSuperseded
	}
	return s.generation(g.Also), err
}

// Load stores products in the new generation.
func (s *Succession) Load(ctx context.Context, products []catalog.Product) error {
	v, err := s.beside(ctx)
	if err != nil {
		return err
	}
	return v.Apply(ctx, products)
}

// EachBeside shows all products of the new generation.
func (s *Succession) EachBeside(ctx context.Context, handle func([]catalog.Product) error) error {
	v, err := s.beside(ctx)
	if err != nil {
		return err
	}
	return v.Each(ctx, handle)
}

// ProductBeside answers a product of the new generation.
func (s *Succession) ProductBeside(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	v, err := s.beside(ctx)
	if err != nil {
		return catalog.Product{}, err
	}
	return v.Product(ctx, id)
}

// Switch lets the new generation, which is whole now, take the place of the live
// one. That is kept beside it.
func (s *Succession) Switch(ctx context.Context, shards int) error {
	g, err := s.generations(ctx)
	if err != nil {
		return err
	}
	if g.Also == g.Live || g.Whole {
		return errSuperseded
	}
	return s.swap(ctx, g, shards)
}

// Back lets what was live before the last Switch be live again.
func (s *Succession) Back(ctx context.Context, shards int) error {
	g, err := s.generations(ctx)
	if err != nil {
		return err
	}
	if g.Also == g.Live || !g.Whole {
		return fmt.Errorf("there is no earlier view to go back to: %w", catalog.ErrNotFound)
	}
	return s.swap(ctx, g, shards)
}

// swap swaps the live generation and the other one. Who is killed in between
// leaves both to be read, which the next one ends.
func (s *Succession) swap(ctx context.Context, g eventlog.Generations, shards int) error {
	both := g
	if both.Both = true; both != g {
		if err := s.step(ctx, g, both); err != nil {
			return err
		}
	}
	// What the live one has reached is in the other one too.
	for shard := range int32(shards) {
		p, err := s.generation(g.Live).Progress(ctx, shard)
		if err == nil && p.Offset > 0 {
			err = s.generation(g.Also).Save(ctx, p)
		}
		if err != nil {
			return err
		}
	}
	swapped := eventlog.Generations{Live: g.Also, Also: g.Live, Whole: true, Both: true}
	if err := s.step(ctx, both, swapped); err != nil {
		return err
	}
	done := swapped
	done.Both = false
	return s.step(ctx, swapped, done)
}

// Forget gives up what is beside the live generation.
func (s *Succession) Forget(ctx context.Context) error {
	g, err := s.generations(ctx)
	if err != nil || g.Also == g.Live {
		return err
	}
	if err := s.step(ctx, g, eventlog.Generations{Live: g.Live, Also: g.Live}); err != nil {
		return err
	}
	return s.drop(ctx, g.Also)
}
