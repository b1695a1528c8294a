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
)

// Folder is an index that can be made anew while it is used: the live one of at
// most two in a folder. It implements reader.Index.
//
// What is applied is written to both. So the other one can be filled with a
// snapshot and take over, and what was live before is kept true and can take
// over again, until it is given up or the process ends.
type Generations struct {
	dir string
	log *slog.Logger

	writing sync.RWMutex // held while an index is written, or which there are changes; for reading, by those who load
	mu      sync.RWMutex
	live    *member
	also    *member             // nil for none
	whole   bool                // also has all that live has
	changed map[catalog.ID]bool // written to also by Apply, and so not by Load
}

// member is one of the indexes of a folder.
type member struct {
	*Index
	number int
	use    sync.RWMutex // held for reading by those who use it
}

// liveFile holds the number of the live index. Without it, or with 0, that is in
// the folder itself, else in one of its own there.
const liveFile = "live"

// OpenFolder opens the live index of the folder, or makes it. Others that are
// there are removed: they have missed what came since. "" is in memory.
func OpenGenerations(dir string, log *slog.Logger) (*Generations, error) {
	f := &Generations{dir: dir, log: log}
	number := 0
	if dir != "" {
		b, err := os.ReadFile(filepath.Join(dir, liveFile))
		if err == nil {
			_, err = fmt.Sscan(string(b), &number)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			log.Warn("it cannot be read which search index is the live one; the first is taken", "dir", dir, "err", err)
		}
	}
	x, err := Open(f.path(number), log)
	if err != nil {
		return nil, err
	}
	f.live = &member{Index: x, number: number}
	return f, f.sweep()
}

func (f *Generations) path(number int) string {
	if f.dir == "" || number == 0 {
		return f.dir
	}
	return filepath.Join(f.dir, fmt.Sprintf("index-%d", number))
}

// sweep removes indexes that are not in use.
func (f *Generations) sweep() error {
	if f.dir == "" {
		return nil
	}
	others, err := filepath.Glob(filepath.Join(f.dir, "index-*"))
	if err != nil {
		return err
	}
	used := func(m *member) string {
		if m == nil {
			return ""
		}
		return f.path(m.number)
	}
	for _, other := range others {
		if other != used(f.live) && other != used(f.also) {
			err = errors.Join(err, os.RemoveAll(other))
		}
	}
	if f.live.number != 0 && (f.also == nil || f.also.number != 0) {
		err = errors.Join(err, remove(f.dir))
	}
	if err != nil {
		return fmt.Errorf("remove what is left of other search indexes: %w", err)
	}
	return nil
}

// Close closes what is open.
func (f *Generations) Close() error {
	f.writing.Lock()
	defer f.writing.Unlock()
	err := f.live.Close()
	if f.also != nil {
		err = errors.Join(err, f.also.Close())
	}
	return err
}

// using answers the live index, or the other one, which is not closed before
// done is called.
func (f *Generations) using(other bool) (x *Index, done func(), err error) {
	f.mu.RLock()
	defer f.mu.RUnlock()
	m := f.live
	if other {
		if m = f.also; m == nil {
			return nil, nil, errNone
		}
	}
	m.use.RLock()
	return m.Index, m.use.RUnlock, nil
}

var errNone = fmt.Errorf("there is no other search index: %w", catalog.ErrNotFound)

// Apply stores products and progress.
func (f *Generations) Apply(ctx context.Context, products []catalog.Product, progress []eventlog.Checkpoint) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	if err := f.live.Apply(ctx, products, progress); err != nil || f.also == nil {
		return err
	}
	if !f.whole {
		for _, p := range products {
			f.changed[p.ID] = true
		}
	}
	return f.also.Apply(ctx, products, progress)
}

// Correct puts products in the place of those that are wrong.
func (f *Generations) Overwrite(ctx context.Context, products []catalog.Product) error {
	return f.Apply(ctx, products, nil)
}

// Progress answers how far the live index is.
func (f *Generations) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	x, done, _ := f.using(false)
	defer done()
	return x.Checkpoints(ctx)
}

// Search finds products.
func (f *Generations) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	x, done, _ := f.using(false)
	defer done()
	return x.Search(ctx, q)
}

// Suggest answers what a text may become.
func (f *Generations) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	x, done, _ := f.using(false)
	defer done()
	return x.Suggest(ctx, text, limit)
}

// Product answers a product.
func (f *Generations) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	x, done, _ := f.using(false)
	defer done()
	return x.Product(ctx, id)
}

// Each shows all products.
func (f *Generations) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	x, done, _ := f.using(false)
	defer done()
	return x.Scan(ctx, handle)
}

// Renew makes an empty index beside the live one, in the place of another one
// that was there.
func (f *Generations) CreateStandby(ctx context.Context) error {
	if err := f.DropPrevious(ctx); err != nil {
		return err
	}
	f.writing.Lock()
	defer f.writing.Unlock()
	number := f.live.number + 1
	x, err := Open(f.path(number), f.log)
	if err != nil {
		return err
	}
	x.fill()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.also, f.whole, f.changed = &member{Index: x, number: number}, false, map[catalog.ID]bool{}
	return nil
}

// Load stores products of a snapshot in the new index, but for those that have
// been applied since Renew.
func (f *Generations) Load(ctx context.Context, products []catalog.Product) error {
	f.writing.RLock()
	defer f.writing.RUnlock()
	if f.also == nil || f.whole {
		return errNone
	}
	var kept []catalog.Product
	for _, p := range products {
		if p.Exists() && !f.changed[p.ID] {
			kept = append(kept, p)
		}
	}
	return f.also.Overwrite(ctx, kept)
}

// EachBeside shows all products of the new index.
func (f *Generations) ScanStandby(ctx context.Context, handle func([]catalog.Product) error) error {
	x, done, err := f.using(true)
	if err != nil {
		return err
	}
	defer done()
	return x.Scan(ctx, handle)
}

// ProductBeside answers a product of the new index.
func (f *Generations) StandbyProduct(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	x, done, err := f.using(true)
	if err != nil {
		return catalog.Product{}, err
	}
	defer done()
	return x.Product(ctx, id)
}

// Switch lets the new index, which is whole now, take the place of the live one.
// That is kept beside it.
func (f *Generations) Switch(ctx context.Context, _ int) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.also == nil || f.whole {
		return errNone
	}
	f.also.filled()
	return f.swap(ctx)
}

// Back lets what was live before the last Switch be live again.
func (f *Generations) Rollback(ctx context.Context, _ int) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	if f.also == nil || !f.whole {
		return fmt.Errorf("there is no earlier search index to go back to: %w", catalog.ErrNotFound)
	}
	return f.swap(ctx)
}

func (f *Generations) swap(ctx context.Context) error {
	reached, err := f.live.Checkpoints(ctx)
	if err != nil {
		return err
	}
	if err := f.also.Apply(ctx, nil, reached); err != nil {
		return err
	}
	if f.dir != "" {
		// A crash leaves the one or the other.
		name := filepath.Join(f.dir, liveFile)
		if err := os.WriteFile(name+".new", fmt.Appendln(nil, f.also.number), 0o600); err != nil {
			return fmt.Errorf("switch the search index: %w", err)
		}
		if err := os.Rename(name+".new", name); err != nil {
			return fmt.Errorf("switch the search index: %w", err)
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.live, f.also, f.whole, f.changed = f.also, f.live, true, nil
	return nil
}

// Forget gives up what is beside the live index.
func (f *Generations) DropPrevious(context.Context) error {
	f.writing.Lock()
	defer f.writing.Unlock()
	f.mu.Lock()
	gone := f.also
	f.also, f.whole, f.changed = nil, false, nil
	f.mu.Unlock()
	if gone == nil {
		return nil
	}
	gone.use.Lock() // until nobody uses it
	defer gone.use.Unlock()
	return errors.Join(gone.Close(), f.sweep())
}
