package bleve

import (
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2/index/scorch"
)

// persistPause is how long an index waits after a write to disk before it writes again. What is written
// to the index in the meantime becomes one file: with shorter pauses, most of the work is to merge small
// files. Nothing waits for the disk but Close, a switch of generations, and writers when maxUnsynced bytes
// are not on disk; these end the pause.
const persistPause = time.Second

// persistPauses maps each open *scorch.Scorch to a chan struct{}. An element ends the present pause.
var persistPauses sync.Map

// eventCallback is the name under which scorch finds the callback below. Scorch keeps callbacks in a
// registry of the process, and reads it when an index is opened.
const eventCallback = "catalog"

func init() {
	scorch.RegistryEventCallbacks[eventCallback] = func(e scorch.Event) bool {
		if e.Kind != scorch.EventKindPersisterProgress {
			return true
		}
		if end, ok := persistPauses.Load(e.Scorch); ok {
			select {
			case <-time.After(persistPause):
			case <-end.(chan struct{}):
			}
		}
		return true
	}
}

// hastenPersist makes the index write to disk now.
func (x *Index) hastenPersist() {
	if end, ok := persistPauses.Load(x.store); ok {
		select {
		case end.(chan struct{}) <- struct{}{}:
		default: // the channel has an element already
		}
	}
}

// endPersistPauses makes the index write to disk without pauses, which Close waits for.
func (x *Index) endPersistPauses() {
	x.hastenPersist()
	persistPauses.Delete(x.store)
}
