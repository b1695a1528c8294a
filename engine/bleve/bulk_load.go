package bleve

import (
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2/index/scorch"
)

// bulkPersistDelay is how much longer an index in bulk load waits before it writes to disk. Nothing
// searches it yet, so more batches can be merged in memory and fewer files have to be merged on disk:
// a rebuild of 100,000 products takes a seventh less CPU time.
const bulkPersistDelay = time.Second

// bulkLoads maps each *scorch.Scorch in bulk load to a chan struct{}. An element ends the present
// delay.
var bulkLoads sync.Map

// eventCallback is the name under which scorch finds the callback below. Scorch keeps callbacks in a
// registry of the process, and reads it when an index is opened.
const eventCallback = "catalog"

func init() {
	scorch.RegistryEventCallbacks[eventCallback] = func(e scorch.Event) bool {
		if e.Kind != scorch.EventKindPersisterProgress {
			return true
		}
		if hasten, ok := bulkLoads.Load(e.Scorch); ok {
			select {
			case <-time.After(bulkPersistDelay):
			case <-hasten.(chan struct{}):
			}
		}
		return true
	}
}

// startBulkLoad delays writes to disk until endBulkLoad is called.
func (x *Index) startBulkLoad() { bulkLoads.Store(x.store, make(chan struct{}, 1)) }

// hastenBulkLoad makes the index write to disk now.
func (x *Index) hastenBulkLoad() {
	if c, ok := bulkLoads.Load(x.store); ok {
		hasten(c.(chan struct{}))
	}
}

func (x *Index) endBulkLoad() {
	if c, ok := bulkLoads.LoadAndDelete(x.store); ok {
		hasten(c.(chan struct{}))
	}
}

func hasten(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default: // an element waits already
	}
}
