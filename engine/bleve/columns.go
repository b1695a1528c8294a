package bleve

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"

	"golang.org/x/sync/semaphore"

	"catalog/internal/memory"
	"catalog/internal/textsearch"
)

// columns keeps values of the products of segments in memory, in arrays indexed by product: facet values
// as numbers, and the beginnings of ids. Segments do not change, so a column is made when a search first
// needs it and stays until its segment is merged, or until the memory is needed for other columns.
type columns struct {
	maxBytes int64               // limit of one column: maxColumnBytes, less in tests
	making   *semaphore.Weighted // one column is made at a time, so that searches do not make the same one

	mu       sync.Mutex
	share    *memory.Share
	byKey    map[columnKey]*cachedColumn
	searches int64 // counts the uses of columns, to tell which one was used last
}

type columnKey struct {
	segment uint64
	field   string
	prefix  string // prefix of the terms
}

type cachedColumn struct {
	value    any
	bytes    int64
	lastUsed int64
}

// columnsBytes is the memory of all columns of a process. Beyond it, the columns that were not used for the
// longest time are removed. A million products need 8 bytes each for their ids, and 1 or 2 for each value of
// a facet with up to 254 or 65,534 values: 18 MiB with two tags each and all facets.
const columnsBytes = 24 << 20

// maxColumnBytes is the size of the largest column. Values that take more are counted in the index itself,
// which takes longer.
const maxColumnBytes = 16 << 20

func newColumns() *columns {
	c := &columns{maxBytes: maxColumnBytes, making: semaphore.NewWeighted(1), byKey: map[columnKey]*cachedColumn{}}
	c.setMemory(nil)
	return c
}

// setMemory sets the budget that the columns belong to. It is called before the first search.
func (c *columns) setMemory(b *memory.Budget) { c.share = b.Share("index.columns", columnsBytes) }

// get returns a column, which make makes when there is none.
func (c *columns) get(ctx context.Context, key columnKey, make func() (value any, bytes int64, err error)) (any, error) {
	if column := c.cached(key); column != nil {
		return column.value, nil
	}
	if err := c.making.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer c.making.Release(1)
	if column := c.cached(key); column != nil { // another search has made the column
		return column.value, nil
	}
	value, bytes, err := make()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.searches++
	c.byKey[key] = &cachedColumn{value, bytes, c.searches}
	for full := c.share.Hold(bytes); full && len(c.byKey) > 1; full = c.share.Held() >= c.share.Bytes() {
		c.removeOldest()
	}
	return value, nil
}

func (c *columns) cached(key columnKey) *cachedColumn {
	c.mu.Lock()
	defer c.mu.Unlock()
	column := c.byKey[key]
	if column != nil {
		c.searches++
		column.lastUsed = c.searches
	}
	return column
}

func (c *columns) remove(key columnKey) {
	c.share.Release(c.byKey[key].bytes)
	delete(c.byKey, key)
}

func (c *columns) removeOldest() {
	var oldest columnKey
	lastUsed := c.searches + 1
	for key, column := range c.byKey {
		if column.lastUsed < lastUsed {
			oldest, lastUsed = key, column.lastUsed
		}
	}
	c.remove(oldest)
}

// keep removes the columns of all segments but those of r; the zero snapshot has none.
func (c *columns) keep(r snapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.byKey {
		if !slices.ContainsFunc(r.segments, func(s segmentSnapshot) bool { return s.Id() == key.segment }) {
			c.remove(key)
		}
	}
}

// ids returns the idPrefix of each product of a segment.
func (c *columns) ids(ctx context.Context, s segmentSnapshot) ([]uint64, error) {
	column, err := c.get(ctx, columnKey{segment: s.Id(), field: textsearch.ID}, func() (any, int64, error) {
		ids := make([]uint64, s.FullSize())
		for product := range ids {
			if product%1_000 == 0 && ctx.Err() != nil {
				return nil, 0, ctx.Err()
			}
			id, err := s.DocID(uint64(product))
			if err != nil {
				return nil, 0, err
			}
			ids[product] = idPrefix(id)
		}
		return ids, int64(8 * len(ids)), nil
	})
	if err != nil {
		return nil, err
	}
	return column.([]uint64), nil
}

// idPrefix returns the first eight bytes of a document id as a number. Ids sort by it, except those that
// begin alike.
func idPrefix(id []byte) uint64 { return binary.BigEndian.Uint64(id) }
