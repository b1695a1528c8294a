package bleve

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/memory"
	"catalog/internal/textsearch"
)

// Generations is a search index that can be rebuilt while it is in use. A folder holds at most two
// generations of the index: the live one and a standby. Generations implements reader.Index and the
// reader's interface for rebuilds.
//
// Apply writes to both generations. So a standby can be filled from a snapshot and take over, and
// the previous generation stays up to date for a rollback, until it is dropped or the process ends.
type Generations struct {
	dir    string
	log    *slog.Logger
	memory *memory.Budget // memory of the columns

	writing         sync.RWMutex // held for writing by Apply and by changes of generations, for reading by Load
	mu              sync.RWMutex // guards the fields below; they change only while writing is held too
	live            *generation
	standby         *generation         // nil for none
	standbyComplete bool                // standby has all products of live
	applied         map[catalog.ID]bool // products that Apply has written to an incomplete standby; Load skips them
}

// generation is one index in the folder.
type generation struct {
	*Index
	number int
	users  sync.RWMutex // held for reading while the index is used, for writing to close it
}

// liveFile is the name of the file that holds the number of the live generation. Generation 0 is in
// the folder itself, the others in subfolders. Without the file, generation 0 is live.
const liveFile = "live"

// OpenGenerations opens the live index in dir and creates it when there is none. It removes other
// generations, which have missed the events since they were open. An empty dir keeps the index in
// memory.
func OpenGenerations(dir string, log *slog.Logger) (*Generations, error) {
	g := &Generations{dir: dir, log: log}
	number := 0
	if dir != "" {
		b, err := os.ReadFile(filepath.Join(dir, liveFile))
		if err == nil {
			_, err = fmt.Sscan(string(b), &number)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			log.Warn("live search index unknown: using the first", "dir", dir, "err", err)
		}
	}
	x, err := Open(g.path(number), log)
	if err != nil {
		return nil, err
	}
	g.live = &generation{Index: x, number: number}
	return g, g.removeUnused()
}

// SetRules sets how texts are searched. It must be called before the first search; the default is
// textsearch.DefaultRules.
func (g *Generations) SetRules(r *textsearch.Rules) { g.live.rules = r }

// SetMemory sets the budget of the memory that searches keep. It must be called before the first search; the
// default is a limit of the same size, without metrics.
func (g *Generations) SetMemory(b *memory.Budget) {
	g.memory = b
	g.live.columns.setMemory(b)
}

// path returns the folder of a generation.
func (g *Generations) path(number int) string {
	if g.dir == "" || number == 0 {
		return g.dir
	}
	return filepath.Join(g.dir, fmt.Sprintf("index-%d", number))
}

// removeUnused removes the files of all generations but live and standby.
func (g *Generations) removeUnused() error {
	if g.dir == "" {
		return nil
	}
	dirs, err := filepath.Glob(filepath.Join(g.dir, "index-*"))
	if err != nil {
		return err
	}
	for _, dir := range dirs {
		if dir != g.path(g.live.number) && (g.standby == nil || dir != g.path(g.standby.number)) {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}
	if g.live.number != 0 && (g.standby == nil || g.standby.number != 0) {
		err = errors.Join(err, removeFiles(g.dir))
	}
	if err != nil {
		return fmt.Errorf("remove unused search indexes: %w", err)
	}
	return nil
}

// Close closes all generations.
func (g *Generations) Close() error {
	g.writing.Lock()
	defer g.writing.Unlock()
	err := g.live.Close()
	if g.standby != nil {
		err = errors.Join(err, g.standby.Close())
	}
	return err
}

// Size returns the number of products in the live index, and its space on disk.
func (g *Generations) Size(ctx context.Context) (products, bytes int64, err error) {
	x, release := g.acquireLive()
	defer release()
	return x.Size(ctx)
}

var errNoStandby = fmt.Errorf("there is no standby search index: %w", catalog.ErrNotFound)

// acquireLive returns the live index, which stays open until release is called.
func (g *Generations) acquireLive() (x *Index, release func()) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	g.live.users.RLock()
	return g.live.Index, g.live.users.RUnlock
}

// acquireStandby returns the standby index, which stays open until release is called.
func (g *Generations) acquireStandby() (x *Index, release func(), err error) {
	g.mu.RLock()
	defer g.mu.RUnlock()
	if g.standby == nil {
		return nil, nil, errNoStandby
	}
	g.standby.users.RLock()
	return g.standby.Index, g.standby.users.RUnlock, nil
}

// Apply stores products in all generations, and checkpoints in those that are complete: a standby
// that is not gets its checkpoints from Switch.
func (g *Generations) Apply(ctx context.Context, products []catalog.Product, checkpoints []eventlog.Checkpoint) error {
	g.writing.Lock()
	defer g.writing.Unlock()
	if err := g.live.Apply(ctx, products, checkpoints); err != nil || g.standby == nil {
		return err
	}
	if g.standbyComplete {
		return g.standby.Apply(ctx, products, checkpoints)
	}
	for _, p := range products {
		g.applied[p.ID] = true
	}
	return g.standby.Overwrite(ctx, products)
}

// Overwrite replaces products in all generations, whatever their stored versions are.
func (g *Generations) Overwrite(ctx context.Context, products []catalog.Product) error {
	return g.Apply(ctx, products, nil)
}

// Checkpoints returns the checkpoints of the live index.
func (g *Generations) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	x, release := g.acquireLive()
	defer release()
	return x.Checkpoints(ctx)
}

// Search searches the live index.
func (g *Generations) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	x, release := g.acquireLive()
	defer release()
	return x.Search(ctx, q)
}

// Suggest returns completions of text from the live index.
func (g *Generations) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	x, release := g.acquireLive()
	defer release()
	return x.Suggest(ctx, text, limit)
}

// Product returns a product of the live index, or ErrNotFound.
func (g *Generations) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	x, release := g.acquireLive()
	defer release()
	return x.Product(ctx, id)
}

// Scan calls handle with all products of the live index.
func (g *Generations) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	x, release := g.acquireLive()
	defer release()
	return x.Scan(ctx, handle)
}

// CreateStandby creates an empty standby and drops the one before.
func (g *Generations) CreateStandby(ctx context.Context) error {
	if err := g.DropPrevious(ctx); err != nil {
		return err
	}
	g.writing.Lock()
	defer g.writing.Unlock()
	number := g.live.number + 1
	x, err := Open(g.path(number), g.log)
	if err != nil {
		return err
	}
	x.rules = g.live.rules
	x.columns.setMemory(g.memory)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.standby, g.standbyComplete, g.applied = &generation{Index: x, number: number}, false, map[catalog.ID]bool{}
	return nil
}

// Load stores products of a snapshot in the standby, except those that Apply has written since
// CreateStandby, which are newer.
func (g *Generations) Load(ctx context.Context, products []catalog.Product) error {
	g.writing.RLock()
	defer g.writing.RUnlock()
	if g.standby == nil || g.standbyComplete {
		return errNoStandby
	}
	var missing []catalog.Product
	for _, p := range products {
		if p.Exists() && !g.applied[p.ID] {
			missing = append(missing, p)
		}
	}
	return g.standby.Overwrite(ctx, missing)
}

// ScanStandby calls handle with all products of the standby.
func (g *Generations) ScanStandby(ctx context.Context, handle func([]catalog.Product) error) error {
	x, release, err := g.acquireStandby()
	if err != nil {
		return err
	}
	defer release()
	return x.Scan(ctx, handle)
}

// StandbyProduct returns a product of the standby, or ErrNotFound.
func (g *Generations) StandbyProduct(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	x, release, err := g.acquireStandby()
	if err != nil {
		return catalog.Product{}, err
	}
	defer release()
	return x.Product(ctx, id)
}

// Switch makes the standby live. The caller has loaded it completely. The previous live index becomes
// the standby.
func (g *Generations) Switch(ctx context.Context) error {
	if err := g.syncStandby(ctx); err != nil {
		return err
	}
	g.writing.Lock()
	defer g.writing.Unlock()
	if g.standby == nil || g.standbyComplete {
		return errNoStandby
	}
	return g.swap(ctx)
}

// syncStandby writes the standby to disk, while Apply goes on.
func (g *Generations) syncStandby(ctx context.Context) error {
	x, release, err := g.acquireStandby()
	if err != nil {
		return err
	}
	defer release()
	return x.sync(ctx)
}

// Rollback makes the index live that was live before the last Switch.
func (g *Generations) Rollback(ctx context.Context) error {
	g.writing.Lock()
	defer g.writing.Unlock()
	if g.standby == nil || !g.standbyComplete {
		return fmt.Errorf("there is no previous search index: %w", catalog.ErrNotFound)
	}
	return g.swap(ctx)
}

// swap exchanges live and standby. The caller holds writing. The standby is on disk, with the
// checkpoints of the live index, before liveFile names it.
func (g *Generations) swap(ctx context.Context) error {
	checkpoints, err := g.live.Checkpoints(ctx)
	if err != nil {
		return err
	}
	if err := g.standby.Apply(ctx, nil, checkpoints); err != nil {
		return err
	}
	if err := g.standby.sync(ctx); err != nil {
		return err
	}
	failpoint.Here(failpoint.ReaderRebuilding)
	if g.dir != "" {
		if err := g.writeLiveFile(g.standby.number); err != nil {
			return fmt.Errorf("switch the search index: %w", err)
		}
	}
	failpoint.Here(failpoint.ReaderRebuilding)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.live, g.standby, g.standbyComplete, g.applied = g.standby, g.live, true, nil
	return nil
}

// writeLiveFile replaces liveFile by a rename, so that a crash leaves the old or the new number. The
// directories are written to disk too, with the names of the files.
func (g *Generations) writeLiveFile(number int) error {
	name := filepath.Join(g.dir, liveFile)
	if err := os.WriteFile(name+".new", fmt.Appendln(nil, number), 0o600); err != nil {
		return err
	}
	if err := errors.Join(syncFile(g.path(number)), syncFile(name+".new"), syncFile(g.dir)); err != nil {
		return err
	}
	if err := os.Rename(name+".new", name); err != nil {
		return err
	}
	return syncFile(g.dir)
}

// syncFile waits until a file or directory is on disk.
func syncFile(name string) error {
	f, err := os.Open(name)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// DropPrevious closes and removes the standby, if there is one.
func (g *Generations) DropPrevious(context.Context) error {
	g.writing.Lock()
	defer g.writing.Unlock()
	g.mu.Lock()
	dropped := g.standby
	g.standby, g.standbyComplete, g.applied = nil, false, nil
	g.mu.Unlock()
	if dropped == nil {
		return nil
	}
	dropped.users.Lock() // waits for running searches
	defer dropped.users.Unlock()
	return errors.Join(dropped.Close(), g.removeUnused())
}
