package audit

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
	"catalog/internal/failpoint"
)

// maxLoads is the number of shards that a rebuild loads concurrently.
const maxLoads = 2

// A rebuild waits for an engine that is unavailable for awayLimit at most: the writer cuts
// off a snapshot that is not read for two minutes. It tries again after firstPause, then
// after twice the pause before, up to longestPause.
const (
	awayLimit    = 100 * time.Second
	firstPause   = 100 * time.Millisecond
	longestPause = 2 * time.Second
)

// untilAvailable calls f until it returns nil or an error other than ErrUnavailable.
func untilAvailable(ctx context.Context, f func() error) error {
	since := time.Now()
	for pause := firstPause; ; pause = min(2*pause, longestPause) {
		err := f()
		if !errors.Is(err, catalog.ErrUnavailable) || time.Since(since) > awayLimit {
			return err
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return err
		}
	}
}

// errUnchanged says that a rebuild failed before it changed anything that
// queries read.
var errUnchanged = errors.New("nothing was changed")

// RebuildAction says what Rebuild does.
type RebuildAction int

// The actions of Rebuild.
const (
	RebuildNew          RebuildAction = iota // build a new generation beside the live one and switch to it
	RebuildRollback                          // switch back to the previous generation
	RebuildDropPrevious                      // drop the previous generation
)

// rebuildable is a replica of which a second generation, the standby, can be
// built while the live one is in use.
type rebuildable interface {
	// CreateStandby creates an empty standby. From then on events are applied to
	// both generations.
	CreateStandby(ctx context.Context) error

	// Load stores products of a snapshot that began after CreateStandby. Newer
	// versions, which events brought meanwhile, stay. Calls for different products
	// may run concurrently.
	Load(ctx context.Context, products []catalog.Product) error

	// ScanStandby and StandbyProduct read the standby.
	ScanStandby(ctx context.Context, handle func([]catalog.Product) error) error
	StandbyProduct(ctx context.Context, id catalog.ID) (catalog.Product, error)

	// Switch makes the standby the live generation and keeps the previous one.
	Switch(ctx context.Context) error

	// Rollback undoes Switch, or returns ErrNotFound.
	Rollback(ctx context.Context) error

	// DropPrevious drops the generation beside the live one.
	DropPrevious(ctx context.Context) error
}

// rebuiltReplica is a replica that is being rebuilt.
type rebuiltReplica struct {
	replica replica
	standby rebuildable
}

// asStandby returns the standby as a replica, to compare it with the journal.
func (r rebuiltReplica) asStandby() replica {
	s := r.replica
	s.owns = func(int32) bool { return true }
	s.scan = r.standby.ScanStandby
	s.product = held(r.standby.StandbyProduct)
	return s
}

// progressFunc is called with the step of a rebuild, the number of products done,
// and their total, or 0 while the total is unknown.
type progressFunc func(step string, products, of int64)

// Rebuild applies the action to the stores ("view", "index"). For RebuildNew it
// builds new generations from the journal while the live ones are read and
// written, compares them with the journal, and switches. It waits for an engine that
// is away, for awayLimit at most. No read fails or goes back in version. A process that dies during a rebuild leaves the old or the
// new generation live, and an incomplete standby to the next Rebuild.
func (a *Auditor) Rebuild(ctx context.Context, stores []string, action RebuildAction, progress func(step string, products, of int64)) error {
	if !a.rebuilding.TryLock() {
		return fmt.Errorf("another rebuild is running; try again when it has ended: %w", errUnchanged)
	}
	defer a.rebuilding.Unlock()
	shards, err := a.shards(ctx)
	if err != nil {
		return err
	}
	replicas, err := a.rebuildableReplicas(stores)
	if err != nil {
		return err
	}
	for _, r := range replicas {
		switch action {
		case RebuildRollback:
			err = r.standby.Rollback(ctx)
		case RebuildDropPrevious:
			err = r.standby.DropPrevious(ctx)
		}
		if err != nil {
			return fmt.Errorf("the %s: %w", r.replica.name, err)
		}
	}
	if action != RebuildNew {
		return nil
	}
	since := time.Now()
	if err := a.rebuild(ctx, replicas, shards, progress); err != nil {
		return fmt.Errorf("rebuild the %s: %w", strings.Join(stores, " and the "), err)
	}
	a.deps.Logger.InfoContext(ctx, "stores rebuilt from the journal", "stores", stores, "seconds", time.Since(since).Seconds())
	return nil
}

// rebuildableReplicas returns the replicas of these names.
func (a *Auditor) rebuildableReplicas(stores []string) ([]rebuiltReplica, error) {
	var some []rebuiltReplica
	for _, r := range a.replicas() {
		if !slices.Contains(stores, r.name) {
			continue
		}
		if r.rebuildable == nil {
			return nil, fmt.Errorf("the engine of the %s cannot keep two generations: %w", r.name, errUnchanged)
		}
		some = append(some, rebuiltReplica{replica: r, standby: r.rebuildable})
	}
	return some, nil
}

func (a *Auditor) rebuild(ctx context.Context, replicas []rebuiltReplica, shards int, progress progressFunc) error {
	for _, r := range replicas {
		if err := r.standby.CreateStandby(ctx); err != nil {
			return err
		}
		failpoint.Here(failpoint.ReaderRebuilding)
	}
	source := newSourceDigest(a.deps.Journal, shards, Verification{})
	if err := loadStandbys(ctx, source, replicas, progress); err != nil {
		return err
	}
	if err := compareStandbys(ctx, source, replicas, progress); err != nil {
		return err
	}
	failpoint.Here(failpoint.ReaderRebuilding)
	for _, r := range replicas {
		if err := r.standby.Switch(ctx); err != nil {
			return err
		}
	}
	return nil
}

// loadStandbys loads all products of the journal into the standbys.
func loadStandbys(ctx context.Context, source *sourceDigest, replicas []rebuiltReplica, progress progressFunc) error {
	shards := make(chan int32, len(source.all))
	for shard := range source.all {
		shards <- int32(shard)
	}
	close(shards)
	var mu sync.Mutex
	var loaded int64
	load := func(ctx context.Context, products []catalog.Product) error {
		for _, r := range replicas {
			if err := untilAvailable(ctx, func() error { return r.standby.Load(ctx, products) }); err != nil {
				return err
			}
		}
		failpoint.Here(failpoint.ReaderRebuilding)
		mu.Lock()
		defer mu.Unlock()
		loaded += int64(len(products))
		progress("load from the journal", loaded, 0)
		return nil
	}
	group, ctx := errgroup.WithContext(ctx)
	for range maxLoads {
		group.Go(func() error {
			for shard := range shards {
				if err := source.read(ctx, shard, func(products []catalog.Product) error { return load(ctx, products) }); err != nil {
					return err
				}
			}
			return nil
		})
	}
	return group.Wait()
}

// compareStandbys compares the standbys with the journal, and returns an error if
// a product differs.
func compareStandbys(ctx context.Context, source *sourceDigest, replicas []rebuiltReplica, progress progressFunc) error {
	var mu sync.Mutex
	compared := make([]int64, len(replicas))
	report := func(i int, products, of int64) {
		mu.Lock()
		defer mu.Unlock()
		compared[i] = products
		var sum int64
		for _, n := range compared {
			sum += n
		}
		progress("compare with the journal", sum, of*int64(len(replicas)))
	}
	group, ctx := errgroup.WithContext(ctx)
	for i, r := range replicas {
		group.Go(func() error {
			differing := 0
			own := *source
			own.Verification = Verification{
				Difference: func(Difference) { differing++ },
				Progress:   func(_ string, products, of int64) { report(i, products, of) },
			}
			err := untilAvailable(ctx, func() error {
				differing = 0
				_, err := own.compare(ctx, r.asStandby())
				return err
			})
			if err != nil {
				return err
			}
			if differing > 0 {
				return fmt.Errorf("%d products of the new %s differ from the journal: %w", differing, r.replica.name, errUnchanged)
			}
			return nil
		})
	}
	return group.Wait()
}
