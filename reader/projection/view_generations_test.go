package projection_test

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/reader/projection"
)

// memoryGenerations stores generations in memory, for several processes.
type memoryGenerations struct {
	mu    sync.Mutex
	inUse eventlog.ViewGenerations
	views map[int64]*failingView
}

func newMemoryGenerations() *memoryGenerations {
	g := &memoryGenerations{views: map[int64]*failingView{}}
	_ = g.Create(context.Background(), 0)
	return g
}

func (g *memoryGenerations) Generation(n int64) *failingView {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.views[n]
}

func (g *memoryGenerations) Generations(context.Context) (eventlog.ViewGenerations, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.inUse, nil
}

func (g *memoryGenerations) CompareAndSwap(_ context.Context, was, to eventlog.ViewGenerations) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.inUse != was {
		return catalog.ErrFenced
	}
	g.inUse = to
	return nil
}

func (g *memoryGenerations) Create(_ context.Context, n int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.views[n] = newMemoryView()
	return nil
}

func (g *memoryGenerations) Drop(_ context.Context, n int64) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.views, n)
	return nil
}

func (g *memoryGenerations) Shared() bool { return true }

func product(version int64) catalog.Product {
	return catalog.Product{ID: catalog.DerivedID("p"), Version: version}
}

func wantProduct(t *testing.T, v interface {
	Product(context.Context, catalog.ID) (catalog.Product, error)
}, version int64) {
	t.Helper()
	if p, err := v.Product(t.Context(), catalog.DerivedID("p")); err != nil || p.Version != version {
		t.Errorf("Product = version %d, %v; want version %d", p.Version, err, version)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestGenerationalView(t *testing.T) {
	t.Run("another process writes to the standby before CreateStandby returns", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newMemoryGenerations()
			rebuilding, other := projection.NewGenerationalView(g), projection.NewGenerationalView(g)
			must(t, other.Apply(t.Context(), []catalog.Product{product(1)}, nil)) // it knows the generations now
			since := time.Now()
			must(t, rebuilding.CreateStandby(t.Context()))
			if took := time.Since(since); took != time.Second {
				t.Errorf("CreateStandby took %v; want 1 s, twice the lease", took)
			}
			must(t, other.Apply(t.Context(), []catalog.Product{product(2)}, nil))
			wantProduct(t, g.Generation(0), 2)
			wantProduct(t, g.Generation(1), 2)
		})
	})
	t.Run("after a switch reads come from the standby, and after a rollback from the previous one", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newMemoryGenerations()
			v := projection.NewGenerationalView(g)
			must(t, v.Apply(t.Context(), []catalog.Product{product(1)}, nil))
			must(t, v.SaveCheckpoints(t.Context(), []eventlog.Checkpoint{checkpoint(0, 1, 1)}))
			must(t, v.CreateStandby(t.Context()))
			must(t, v.Load(t.Context(), []catalog.Product{product(1)}))
			must(t, v.Switch(t.Context()))
			if in, _ := g.Generations(t.Context()); in != (eventlog.ViewGenerations{Live: 1, Standby: 0, StandbyComplete: true}) {
				t.Errorf("Generations = %+v; want 1 live and 0 complete", in)
			}
			if all, err := v.Checkpoints(t.Context()); err != nil || len(all) != 1 || all[0] != checkpoint(0, 1, 1) {
				t.Errorf("Checkpoints = %+v, %v; want those of the previous generation", all, err)
			}
			must(t, v.Overwrite(t.Context(), 1, product(7))) // Overwrite changes the live generation alone
			wantProduct(t, v, 7)
			must(t, v.Rollback(t.Context()))
			wantProduct(t, v, 1)
		})
	})
	t.Run("during a switch the newer version of both generations is read", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newMemoryGenerations()
			v := projection.NewGenerationalView(g)
			must(t, v.CreateStandby(t.Context()))
			must(t, g.Generation(0).Apply(t.Context(), []catalog.Product{product(1)}, nil))
			must(t, g.Generation(1).Apply(t.Context(), []catalog.Product{product(2)}, nil))
			wantProduct(t, v, 1)
			switched := make(chan error)
			go func() { switched <- v.Switch(t.Context()) }()
			time.Sleep(600 * time.Millisecond) // the first of three changes, which lasts 1 s, is known
			wantProduct(t, v, 2)
			must(t, <-switched)
			wantProduct(t, v, 2)
		})
	})
	t.Run("a rebuild that another one replaced can load and switch no more", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			g := newMemoryGenerations()
			first, second := projection.NewGenerationalView(g), projection.NewGenerationalView(g)
			must(t, first.CreateStandby(t.Context()))
			must(t, second.CreateStandby(t.Context()))
			must(t, second.Switch(t.Context()))
			if err := first.Load(t.Context(), []catalog.Product{product(1)}); err == nil {
				t.Error("Load = nil; want an error")
			}
			if err := first.Switch(t.Context()); err == nil {
				t.Error("Switch = nil; want an error")
			}
		})
	})
	t.Run("without a previous generation Rollback is ErrNotFound", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := projection.NewGenerationalView(newMemoryGenerations())
			if err := v.Rollback(t.Context()); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("Rollback = %v; want ErrNotFound", err)
			}
			must(t, v.CreateStandby(t.Context()))
			if err := v.Rollback(t.Context()); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("Rollback = %v with an incomplete standby; want ErrNotFound", err)
			}
			must(t, v.DropPrevious(t.Context()))
			must(t, v.DropPrevious(t.Context())) // has nothing to drop
		})
	})
}
