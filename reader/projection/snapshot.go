package projection

import (
	"slices"

	"catalog"
	"catalog/eventlog"
)

// snapshot is a snapshot that a shard started from. The journal reads its products
// while they change, so some are newer than the seq at which the events continue.
// Until the events have reached the end of the snapshot, older versions of its
// products are dropped, and the contents of the shard are unknown.
type snapshot struct {
	products map[catalog.ID]productVersion
	next     int64 // seq of the first event after the end of the snapshot
}

type productVersion struct {
	version int64
	exists  bool
}

// newer removes the products of which the snapshot, or events after it, have a newer
// version, and remembers the versions of the others.
func (s *snapshot) newer(products []catalog.Product) []catalog.Product {
	return slices.DeleteFunc(products, func(p catalog.Product) bool {
		if p.Version < s.products[p.ID].version {
			return true
		}
		s.products[p.ID] = productVersion{p.Version, p.Exists()}
		return false
	})
}

func (s *snapshot) contents() (c eventlog.Contents) {
	for id, p := range s.products {
		if p.exists {
			c.Add(id, p.version)
		}
	}
	return c
}

// newChange returns the change by events, which bring the shard to the checkpoint. The
// contents in to are those before the events.
func (c *EventConsumer) newChange(events []catalog.Event, to eventlog.Checkpoint) Change {
	c.mu.Lock()
	defer c.mu.Unlock()
	products := eventlog.LastVersions(events)
	s := c.snapshots[to.Shard]
	switch {
	case s == nil:
		to.Contents = to.Contents.After(events)
	case to.Seq+1 < s.next:
		products, to.Contents = s.newer(products), eventlog.UnknownContents
	default:
		products = s.newer(products)
		to.Contents = s.contents()
	}
	return Change{Products: products, Events: events, To: to}
}
