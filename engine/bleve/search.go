// Package search finds products with an index on the disk of this process. It
// is the only importer of bleve, and implements reader.Index.
//
// bleve keeps words and values on the disk and merges them; what is found, and
// in which order, is decided here, on sets of products (find.go, page.go). So
// an order depends on the products alone, not on what else is in the catalogue
// or how it lies on the disk: pages hold while products are written.
//
// What people type is data: it is cut into words, and no character of it has a
// meaning. The whole product is kept in the index, so that a page of results
// comes from one place and is one state of the catalogue.
package bleve

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"
	bolt "go.etcd.io/bbolt/errors"

	"catalog"
	"catalog/eventlog"
)

// format is raised when what is written to the index changes. An index of
// another format is made anew from the events.
const format = "8"

// Keys of what is stored beside the products.
const (
	keyFormat   = "format"
	keyProgress = "progress"
)

// Index is an open index.
type Index struct {
	store   *scorch.Scorch
	workers *index.AnalysisQueue
	disk    bool // it is not in memory alone
	zeros   zeros
	turns   chan struct{} // of those who search, as many at once as there are processors: more would slow each other

	writing  sync.Mutex
	progress map[int32]eventlog.Checkpoint // what is stored; guarded by writing
}

// Open opens the index in the folder, or makes it. One that cannot be read, or
// is of another format, is removed and begun again: its Progress is then empty,
// and the reader feeds it from the start. One that another process has open is
// an error. dir "" is an index in memory.
func Open(dir string, log *slog.Logger) (*Index, error) {
	x, err := open(dir)
	switch {
	case err == nil || dir == "":
		return x, err
	case errors.Is(err, bolt.ErrTimeout):
		return nil, fmt.Errorf("the search index in %s is in use by another process: %w", dir, err)
	}
	log.Warn("the search index cannot be used; it is made anew", "dir", dir, "err", err)
	if err := remove(dir); err != nil {
		return nil, fmt.Errorf("remove the search index: %w", err)
	}
	return open(dir)
}

func open(dir string) (*Index, error) {
	workers := index.NewAnalysisQueue(1)
	x := &Index{workers: workers, progress: map[int32]eventlog.Checkpoint{}, turns: make(chan struct{}, runtime.GOMAXPROCS(0))}
	store, err := scorch.NewScorch(scorch.Name, map[string]any{
		"path":              dir,
		"bolt_timeout":      "1s",
		"eventCallbackName": observer,
		// A batch is visible when it is in memory, and written to the disk soon
		// after, together with the progress it belongs to: what a crash takes is
		// read from the log again. Waiting for the disk would gain nothing.
		"unsafe_batch":       true,
		"numSnapshotsToKeep": 1,
		// A search costs about as much as there are segments to look into: a third
		// of those that there would be else, for a quarter more work.
		"scorchMergePlanOptions": map[string]any{"MaxSegmentsPerTier": 4, "SegmentsPerMergeTask": 8, "FloorSegmentSize": 10_000},
		"scorchPersisterOptions": map[string]any{
			"PersisterNapTimeMSec":      50, // merge small batches in memory, before they become files
			"PersisterNapUnderNumFiles": 100,
		},
	}, workers)
	if err == nil {
		x.store = store.(*scorch.Scorch)
		err = x.store.Open()
	}
	if err != nil {
		workers.Close()
		return nil, fmt.Errorf("open the search index: %w", err)
	}
	if err := x.load(); err != nil {
		x.Close()
		return nil, err
	}
	x.disk = dir != ""
	return x, nil
}

// load reads what is stored beside the products. An index that was just made
// gets its format.
func (x *Index) load() error {
	r, err := x.store.Reader()
	if err != nil {
		return fmt.Errorf("open the search index: %w", err)
	}
	defer r.Close()
	stored, err := r.GetInternal([]byte(keyFormat))
	if err != nil {
		return fmt.Errorf("read the format of the search index: %w", err)
	}
	switch string(stored) {
	case format:
	case "":
		if n, err := r.DocCount(); err != nil || n > 0 {
			return fmt.Errorf("the search index has no format, but %d products: %w", n, errors.Join(err, errFormat))
		}
		return x.store.SetInternal([]byte(keyFormat), []byte(format))
	default:
		return fmt.Errorf("format %q, not %q: %w", stored, format, errFormat)
	}
	value, err := r.GetInternal([]byte(keyProgress))
	if err != nil {
		return fmt.Errorf("read the progress of the search index: %w", err)
	}
	for ; len(value) >= progressSize; value = value[progressSize:] {
		p := eventlog.Checkpoint{
			Position: catalog.Position{Shard: int32(binary.BigEndian.Uint32(value)), Seq: int64(binary.BigEndian.Uint64(value[4:]))},
			Offset:   int64(binary.BigEndian.Uint64(value[12:])),
		}
		x.progress[p.Shard] = p
	}
	return nil
}

var errFormat = errors.New("the search index is of another version")

// remove removes the index in the folder, and nothing else that is there.
func remove(dir string) error {
	files, err := filepath.Glob(filepath.Join(dir, "*.zap"))
	if err != nil {
		return err
	}
	for _, file := range append(files, filepath.Join(dir, "root.bolt")) {
		if err := os.Remove(file); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// closeWait is how long Close waits for the disk.
const closeWait = 2 * time.Second

// Close writes what is only in memory to the disk and closes the index.
func (x *Index) Close() error {
	defer x.workers.Close()
	x.filled()
	if x.disk {
		written := make(chan struct{})
		b := index.NewBatch()
		b.SetInternal([]byte(keyFormat), []byte(format))
		b.SetPersistedCallback(func(error) { close(written) })
		if err := x.store.Batch(b); err == nil {
			select {
			case <-written:
			case <-time.After(closeWait): // what is missing is read from the log again
			}
		}
	}
	if err := x.store.Close(); err != nil {
		return fmt.Errorf("close the search index: %w", err)
	}
	return nil
}

// Apply stores products, removes tombstones and stores the progress, all or
// nothing.
func (x *Index) Apply(_ context.Context, products []catalog.Product, progress []eventlog.Checkpoint) error {
	b, err := newBatch(products)
	if err != nil {
		return err
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	made := maps.Clone(x.progress)
	for _, p := range progress {
		made[p.Shard] = p
	}
	var value []byte
	for _, p := range made {
		value = binary.BigEndian.AppendUint32(value, uint32(p.Shard))
		value = binary.BigEndian.AppendUint64(value, uint64(p.Seq))
		value = binary.BigEndian.AppendUint64(value, uint64(p.Offset))
	}
	b.SetInternal([]byte(keyProgress), value)
	if err := x.write(b); err != nil {
		return err
	}
	x.progress = made
	return nil
}

// Correct puts products in the place of those that are wrong. Several may do so
// at once, each with other products.
func (x *Index) Overwrite(_ context.Context, products []catalog.Product) error {
	b, err := newBatch(products)
	if err != nil {
		return err
	}
	return x.write(b)
}

// newBatch stores products and removes tombstones.
func newBatch(products []catalog.Product) (*index.Batch, error) {
	b := index.NewBatch()
	for _, p := range products {
		if !p.Exists() {
			b.Delete(key(p.ID))
			continue
		}
		d, err := newDocument(p)
		if err != nil {
			return nil, fmt.Errorf("index product %s: %w", p.ID, err)
		}
		b.Update(d)
	}
	return b, nil
}

func (x *Index) write(b *index.Batch) error {
	if err := x.store.Batch(b); err != nil {
		return fmt.Errorf("write %d products to the search index: %w", len(b.IndexOps), err)
	}
	return nil
}

const progressSize = 4 + 8 + 8

// Progress answers the progress of each shard of which something was applied.
func (x *Index) Checkpoints(context.Context) ([]eventlog.Checkpoint, error) {
	x.writing.Lock()
	defer x.writing.Unlock()
	var all []eventlog.Checkpoint
	for _, p := range x.progress {
		all = append(all, p)
	}
	return all, nil
}

// key is what the index calls a product. Keys sort as ids do.
func key(id catalog.ID) string { return string(id[:]) }
