package bleve

import (
	"context"
	"encoding/binary"
	"slices"
	"sync"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"catalog/internal/textsearch"
)

// columns keeps values of the products of segments in memory, in arrays indexed by product: facet values
// as numbers, and the beginnings of ids. Segments do not change, so a column is made when a search first
// needs it and stays until its segment is merged. The zero value is empty.
type columns struct {
	mu       sync.Mutex
	byKey    map[columnKey]*cachedColumn
	bytes    int64
	searches int64 // counts the uses of columns, to tell which one was used last
}

type columnKey struct {
	segment uint64
	field   string
	prefix  string // of the terms
}

type cachedColumn struct {
	value    any
	bytes    int64
	lastUsed int64
}

// maxColumnBytes is the size at which the columns that were not used for the longest time are removed.
// A million products need 8 bytes for their ids and 2 for each value of a facet.
const maxColumnBytes = 64 << 20

// get returns a column, which make makes when there is none.
func (c *columns) get(key columnKey, make func() (value any, bytes int64, err error)) (any, error) {
	if column := c.cached(key); column != nil {
		return column.value, nil
	}
	value, bytes, err := make()
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.byKey == nil {
		c.byKey = map[columnKey]*cachedColumn{}
	}
	c.remove(key) // another search may have made it at the same time
	c.searches++
	c.byKey[key] = &cachedColumn{value, bytes, c.searches}
	c.bytes += bytes
	for c.bytes > maxColumnBytes && len(c.byKey) > 1 {
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
	if column, ok := c.byKey[key]; ok {
		c.bytes -= column.bytes
		delete(c.byKey, key)
	}
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

// keep removes the columns of all segments but those of r.
func (c *columns) keep(r *scorch.IndexSnapshot) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for key := range c.byKey {
		if !slices.ContainsFunc(r.Segments(), func(s *scorch.SegmentSnapshot) bool { return s.Id() == key.segment }) {
			c.remove(key)
		}
	}
}

// ids returns the idPrefix of each product of a segment.
func (c *columns) ids(ctx context.Context, s segmentSnapshot) ([]uint64, error) {
	column, err := c.get(columnKey{segment: s.Id(), field: textsearch.ID}, func() (any, int64, error) {
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
