// Package bleve implements reader.Index with an index on the local disk. It is the only importer of
// bleve. DESIGN.md describes the mechanism.
//
// The package uses bleve's storage engine, scorch, for terms, values and their merging on disk. It
// does not use bleve's query engine: which products match, and in which order, is computed here on
// bitmaps of products (match.go, collect.go). So the order of products depends on the products
// alone, not on the rest of the catalogue or on the layout on disk, and pages stay consistent while
// products are written.
//
// A query's text is data: it is split into words, and no character in it is an operator. The index
// stores whole products, so that a page comes from one snapshot of the index.
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
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"
	bolt "go.etcd.io/bbolt/errors"
	"golang.org/x/sync/semaphore"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/textsearch"
)

// format is raised when the content of an index document changes. An index of another format is
// rebuilt from the events.
const format = "14"

// Keys of the values that the index stores beside the documents.
const (
	keyFormat      = "format"
	keyCheckpoints = "progress"
)

// lockTimeout is how long Open waits for another process to release the index.
const lockTimeout = "1s"

// closeTimeout is how long Close waits for the last batches to reach the disk. Batches that do not
// reach it are read from the event log again.
const closeTimeout = 2 * time.Second

// maxUnsynced is the size, in bytes, of the documents that are in the index and not on disk yet. Writes
// wait beyond it. Scorch holds them in memory, and once more while it merges them to a file.
const maxUnsynced = 8 << 20

// Index is an open index.
type Index struct {
	store    *scorch.Scorch
	workers  *index.AnalysisQueue
	onDisk   bool
	unsynced *semaphore.Weighted // bytes that may still be written before older ones are on disk
	columns  *columns
	scores   scoreBuffers
	slots    *slots
	rules    *textsearch.Rules

	writing     sync.Mutex
	checkpoints map[int32]eventlog.Checkpoint // checkpoints by shard, as stored; guarded by writing
}

// Open opens the index in dir and creates it when there is none. An empty dir keeps the index in
// memory.
//
// An index that cannot be read, has another format or does not hold the products that its checkpoints
// state is removed and created empty. It then has no checkpoints, so that the reader feeds it all
// events. An index that another process has open is an error.
func Open(dir string, log *slog.Logger) (*Index, error) {
	x, err := open(dir)
	switch {
	case err == nil || dir == "":
		return x, err
	case errors.Is(err, bolt.ErrTimeout):
		return nil, fmt.Errorf("the search index in %s is in use by another process: %w", dir, err)
	}
	log.Warn("search index discarded: unusable", "dir", dir, "err", err)
	if err := removeFiles(dir); err != nil {
		return nil, fmt.Errorf("remove the search index: %w", err)
	}
	return open(dir)
}

func open(dir string) (*Index, error) {
	workers := index.NewAnalysisQueue(1)
	x := &Index{workers: workers, unsynced: semaphore.NewWeighted(maxUnsynced), checkpoints: map[int32]eventlog.Checkpoint{}, columns: newColumns(), slots: newSlots(), rules: textsearch.DefaultRules()}
	store, err := scorch.NewScorch(scorch.Name, map[string]any{
		"path":              dir,
		"bolt_timeout":      lockTimeout,
		"eventCallbackName": eventCallback,
		// A batch can be searched as soon as it is in memory. Scorch writes it to disk later,
		// together with its checkpoints: after a crash the reader applies the missing events again.
		// To wait for the disk would gain nothing.
		"unsafe_batch":       true,
		"numSnapshotsToKeep": 1,
		// The cost of a search grows with the number of segments, that of writes with the number of times
		// that a product is merged. With a floor far below the size of the large segments, small ones are
		// merged with each other first.
		"scorchMergePlanOptions": map[string]any{"MaxSegmentsPerTier": 6, "SegmentsPerMergeTask": 8, "FloorSegmentSize": 200},
		"scorchPersisterOptions": map[string]any{
			"PersisterNapTimeMSec":      0, // persistPause replaces this pause
			"PersisterNapUnderNumFiles": 100,
		},
	}, workers)
	if err == nil {
		x.store = store.(*scorch.Scorch)
		persistPauses.Store(x.store, make(chan struct{}, 1))
		if err = x.store.Open(); err != nil {
			x.endPersistPauses()
		}
	}
	if err != nil {
		workers.Close()
		return nil, fmt.Errorf("open the search index: %w", err)
	}
	if err = x.loadCheckpoints(); err == nil {
		err = x.checkContents()
	}
	if err != nil {
		x.Close()
		return nil, err
	}
	x.onDisk = dir != ""
	return x, nil
}

var errFormat = errors.New("the search index has another format")

// loadCheckpoints checks the format of the index and reads its checkpoints. It writes the format to
// a new index.
func (x *Index) loadCheckpoints() error {
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
			return fmt.Errorf("no format is stored beside %d products: %w", n, errors.Join(err, errFormat))
		}
		return x.store.SetInternal([]byte(keyFormat), []byte(format))
	default:
		return fmt.Errorf("format %q, want %q: %w", stored, format, errFormat)
	}
	value, err := r.GetInternal([]byte(keyCheckpoints))
	if err != nil {
		return fmt.Errorf("read the checkpoints of the search index: %w", err)
	}
	for ; len(value) >= checkpointSize; value = value[checkpointSize:] {
		c := decodeCheckpoint(value)
		x.checkpoints[c.Shard] = c
	}
	return nil
}

// checkContents returns an error unless the index holds exactly the products that its checkpoints
// state.
func (x *Index) checkContents() error {
	var want eventlog.Contents
	for _, c := range x.checkpoints {
		want = want.Plus(c.Contents)
	}
	got, err := x.contents()
	if err == nil && got != want {
		err = fmt.Errorf("the search index holds %d products with digest %x; its checkpoints state %d with digest %x", got.Products, got.Digest, want.Products, want.Digest)
	}
	return err
}

// removeFiles removes the files of the index in dir and leaves all other files.
func removeFiles(dir string) error {
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

// Size returns the number of products, and the space of the index on disk.
func (x *Index) Size(context.Context) (products, bytes int64, err error) {
	err = x.read(func(r snapshot) error {
		n, err := r.DocCount()
		products = int64(n)
		return err
	})
	if used, ok := x.store.StatsMap()["num_bytes_used_disk"].(uint64); ok {
		bytes = int64(used)
	}
	return products, bytes, err
}

// Close writes pending batches to disk and closes the index.
func (x *Index) Close() error {
	defer x.workers.Close()
	defer x.columns.keep(snapshot{})
	if x.onDisk {
		ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
		_ = x.sync(ctx) // batches that are not on disk are read from the event log again
		cancel()
	}
	x.endPersistPauses()
	if err := x.store.Close(); err != nil {
		return fmt.Errorf("close the search index: %w", err)
	}
	return nil
}

// sync waits until the batches applied so far are on disk.
func (x *Index) sync(ctx context.Context) error {
	if !x.onDisk {
		return nil
	}
	written := make(chan error, 1)
	b := index.NewBatch()
	b.SetInternal([]byte(keyFormat), []byte(format))
	b.SetPersistedCallback(func(err error) { written <- err })
	err := x.store.Batch(b)
	if err == nil {
		x.hastenPersist()
		select {
		case err = <-written:
		case <-ctx.Done():
			err = ctx.Err()
		}
	}
	if err != nil {
		return fmt.Errorf("write the search index to disk: %w", err)
	}
	return nil
}

// Apply stores products, removes deleted ones and stores the checkpoints, all or nothing.
func (x *Index) Apply(ctx context.Context, products []catalog.Product, checkpoints []eventlog.Checkpoint) error {
	b, err := newBatch(products)
	if err != nil {
		return err
	}
	x.writing.Lock()
	defer x.writing.Unlock()
	updated := maps.Clone(x.checkpoints)
	for _, c := range checkpoints {
		updated[c.Shard] = c
	}
	var value []byte
	for _, c := range updated {
		value = appendCheckpoint(value, c)
	}
	b.SetInternal([]byte(keyCheckpoints), value)
	if err := x.write(ctx, b); err != nil {
		return err
	}
	x.checkpoints = updated
	return nil
}

// Overwrite replaces products whatever their stored versions are. Concurrent calls are safe when
// their products differ.
func (x *Index) Overwrite(ctx context.Context, products []catalog.Product) error {
	for len(products) > 0 {
		n := fitting(products)
		b, err := newBatch(products[:n])
		if err == nil {
			err = x.write(ctx, b)
		}
		if err != nil {
			return err
		}
		products = products[n:]
	}
	return nil
}

// maxBatchWords is the number of words at which a batch of Overwrite ends. A batch needs about
// 1.5 KB of memory for each different word.
const maxBatchWords = 1 << 16

// fitting returns how many of the products, at least one, make a batch.
func fitting(products []catalog.Product) int {
	words := 0
	for i := range products {
		if words += products[i].WordCount(); words > maxBatchWords && i > 0 {
			return i
		}
	}
	return len(products)
}

// newBatch returns a batch that stores products and removes deleted ones.
func newBatch(products []catalog.Product) (*index.Batch, error) {
	b := index.NewBatch()
	for _, p := range products {
		if !p.Exists() {
			b.Delete(docID(p.ID))
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

// write writes a batch. It waits while maxUnsynced bytes of earlier ones are not on disk.
func (x *Index) write(ctx context.Context, b *index.Batch) error {
	size, err := int64(0), error(nil)
	if x.onDisk {
		size = min(batchSize(b), maxUnsynced)
		if !x.unsynced.TryAcquire(size) {
			x.hastenPersist()
			err = x.unsynced.Acquire(ctx, size)
		}
		b.SetPersistedCallback(func(error) { x.unsynced.Release(size) })
	}
	if err == nil {
		if err = x.store.Batch(b); err != nil {
			x.unsynced.Release(size)
		}
	}
	if err != nil {
		return fmt.Errorf("write %d products to the search index: %w", len(b.IndexOps), err)
	}
	return nil
}

// batchSize returns the size of the documents of a batch in bytes.
func batchSize(b *index.Batch) (n int64) {
	for _, d := range b.IndexOps {
		if d != nil { // not a deletion
			n += int64(d.Size())
		}
	}
	return n
}

// Checkpoints returns the checkpoint of each shard of which an event was applied.
func (x *Index) Checkpoints(context.Context) ([]eventlog.Checkpoint, error) {
	x.writing.Lock()
	defer x.writing.Unlock()
	var all []eventlog.Checkpoint
	for _, c := range x.checkpoints {
		all = append(all, c)
	}
	return all, nil
}

// checkpointSize is the length of a stored checkpoint in bytes: shard, seq, offset and contents.
const checkpointSize = 4 + 8 + 8 + 8 + 8

func appendCheckpoint(b []byte, c eventlog.Checkpoint) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(c.Shard))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Seq))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Offset))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Contents.Products))
	return binary.BigEndian.AppendUint64(b, c.Contents.Digest)
}

func decodeCheckpoint(b []byte) eventlog.Checkpoint {
	return eventlog.Checkpoint{
		Position: catalog.Position{Shard: int32(binary.BigEndian.Uint32(b)), Seq: int64(binary.BigEndian.Uint64(b[4:]))},
		Offset:   int64(binary.BigEndian.Uint64(b[12:])),
		Contents: eventlog.Contents{Products: int64(binary.BigEndian.Uint64(b[20:])), Digest: binary.BigEndian.Uint64(b[28:])},
	}
}

// docID returns the id of a product's document. Document ids sort as product ids do.
func docID(id catalog.ID) string { return string(id[:]) }
