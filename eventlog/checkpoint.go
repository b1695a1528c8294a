package eventlog

import (
	"crypto/sha256"
	"encoding/binary"
	"math"

	"catalog"
)

// Checkpoint is the progress of a view in one shard of the events topic.
type Checkpoint struct {
	catalog.Position       // position of the last applied event
	Offset           int64 // offset of the next record of the partition

	// Contents states which products the shard has at Position, according to its
	// events. A search index on a local disk stores it, to check at the next start
	// that it holds all these products. Views do not store it.
	Contents Contents
}

// Contents states which existing products a shard has, and their versions. It is
// derived from events and snapshots, never from the store that it describes.
type Contents struct {
	Products int64
	Digest   uint64 // sum of the hashes of id and version of each product
}

// UnknownContents are not equal to those of any shard, nor are contents derived from
// them.
var UnknownContents = Contents{Products: math.MinInt32}

// Add adds a product that exists.
func (c *Contents) Add(id catalog.ID, version int64) {
	c.Products++
	c.Digest += hashVersion(id, version)
}

// After returns the contents after the events, which follow each other. Each
// applied event replaces the version before its own.
func (c Contents) After(events []catalog.Event) Contents {
	for _, e := range events {
		if e.Outcome == catalog.Changed || e.Outcome == catalog.Deleted {
			c.Products--
			c.Digest -= hashVersion(e.Product.ID, e.Product.Version-1)
		}
		if e.Outcome == catalog.Created || e.Outcome == catalog.Changed {
			c.Add(e.Product.ID, e.Product.Version)
		}
	}
	return c
}

// Plus returns the contents of two shards together.
func (c Contents) Plus(other Contents) Contents {
	return Contents{c.Products + other.Products, c.Digest + other.Digest}
}

func hashVersion(id catalog.ID, version int64) uint64 {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(id[:], uint64(version)))
	return binary.BigEndian.Uint64(sum[:])
}

// ViewGenerations states which generations of a view exist. A rebuild creates the
// next generation beside the live one, fills it from PostgreSQL and switches to it.
type ViewGenerations struct {
	Live            int64 // generation that is read and written
	Standby         int64 // generation that is also written; equal to Live if there is none
	StandbyComplete bool  // Standby has all products of Live
	ReadBoth        bool  // reads use both generations and return the newer version
}
