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
	"runtime"
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"
	bolt "go.etcd.io/bbolt/errors"

	"catalog"
	"catalog/eventlog"
)

// format is raised when the content of an index document changes. An index of another format is
// rebuilt from the events.
const format = "9"

// Keys of the values that the index stores beside the documents.
const (
	keyFormat      = "format"
	keyCheckpoints = "progress"
)

// lockTimeout is how long Open waits for another process to release the index.
const lockTimeout = "1s"

// closeTimeout is how long Close waits for the last batches to reach the disk. Batches that did not
// are read from the event log again.
const closeTimeout = 2 * time.Second

// Index is an open index.
type Index struct {
	store   *scorch.Scorch
	workers *index.AnalysisQueue
	onDisk  bool
	scores  scoreBuffers
	slots   chan struct{} // one for each search that may run: as many as CPUs, since more would slow each other down

	writing     sync.Mutex
	checkpoints map[int32]eventlog.Checkpoint // by shard, as stored; guarded by writing
}

// Open opens the index in dir and creates it when there is none. An empty dir keeps the index in
// memory.
//
// An index that cannot be read or has another format is removed and created empty. It then has no
// checkpoints, so that the reader feeds it all events. An index that another process has open is an
// error.
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
	x := &Index{workers: workers, checkpoints: map[int32]eventlog.Checkpoint{}, slots: make(chan struct{}, runtime.GOMAXPROCS(0))}
	store, err := scorch.NewScorch(scorch.Name, map[string]any{
		"path":              dir,
		"bolt_timeout":      lockTimeout,
		"eventCallbackName": eventCallback,
		// A batch can be searched as soon as it is in memory. Scorch writes it to disk later,
		// together with its checkpoints: after a crash the reader applies the missing events again.
		// To wait for the disk would gain nothing.
		"unsafe_batch":       true,
		"numSnapshotsToKeep": 1,
		// The cost of a search grows with the number of segments. These options leave a third of the
		// segments of the defaults, for a quarter more work to merge them.
		"scorchMergePlanOptions": map[string]any{"MaxSegmentsPerTier": 4, "SegmentsPerMergeTask": 8, "FloorSegmentSize": 10_000},
		"scorchPersisterOptions": map[string]any{
			"PersisterNapTimeMSec":      50, // merge small batches in memory before they become files
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
	if err := x.loadCheckpoints(); err != nil {
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
	err = x.read(func(r *scorch.IndexSnapshot) error {
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
	x.endBulkLoad()
	if x.onDisk {
		x.flush()
	}
	if err := x.store.Close(); err != nil {
		return fmt.Errorf("close the search index: %w", err)
	}
	return nil
}

// flush waits until the batches applied so far are on disk, or closeTimeout has passed.
func (x *Index) flush() {
	written := make(chan struct{})
	b := index.NewBatch()
	b.SetInternal([]byte(keyFormat), []byte(format))
	b.SetPersistedCallback(func(error) { close(written) })
	if err := x.store.Batch(b); err != nil {
		return
	}
	select {
	case <-written:
	case <-time.After(closeTimeout):
	}
}

// Apply stores products, removes deleted ones and stores the checkpoints, all or nothing.
func (x *Index) Apply(_ context.Context, products []catalog.Product, checkpoints []eventlog.Checkpoint) error {
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
	if err := x.write(b); err != nil {
		return err
	}
	x.checkpoints = updated
	return nil
}

// Overwrite replaces products whatever their stored versions are. Concurrent calls are safe when
// their products differ.
func (x *Index) Overwrite(_ context.Context, products []catalog.Product) error {
	b, err := newBatch(products)
	if err != nil {
		return err
	}
	return x.write(b)
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

func (x *Index) write(b *index.Batch) error {
	if err := x.store.Batch(b); err != nil {
		return fmt.Errorf("write %d products to the search index: %w", len(b.IndexOps), err)
	}
	return nil
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

// checkpointSize is the length of a stored checkpoint in bytes: shard, seq and offset.
const checkpointSize = 4 + 8 + 8

func appendCheckpoint(b []byte, c eventlog.Checkpoint) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(c.Shard))
	b = binary.BigEndian.AppendUint64(b, uint64(c.Seq))
	return binary.BigEndian.AppendUint64(b, uint64(c.Offset))
}

func decodeCheckpoint(b []byte) eventlog.Checkpoint {
	return eventlog.Checkpoint{
		Position: catalog.Position{Shard: int32(binary.BigEndian.Uint32(b)), Seq: int64(binary.BigEndian.Uint64(b[4:]))},
		Offset:   int64(binary.BigEndian.Uint64(b[12:])),
	}
}

// docID returns the id of a product's document. Document ids sort as product ids do.
func docID(id catalog.ID) string { return string(id[:]) }
