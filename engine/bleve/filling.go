package bleve

import (
	"sync"
	"time"

	"github.com/blevesearch/bleve/v2/index/scorch"
)

// An index that is filled to take the place of another is written much and
// searched by nobody. So what is written waits longer for the disk: more of it is
// merged in memory, and fewer files have to be merged with one another. A rebuild
// of 100,000 products takes a seventh less of the processor.
const fillingWait = time.Second

// filling has the indexes that are filled: of *scorch.Scorch to chan struct{},
// which is closed when that ends.
var filling sync.Map

// observer is the name by which scorch knows what it is to call after each step.
// It is for the whole process, and wants to be told before the first index is
// opened.
const observer = "catalog"

func init() {
	scorch.RegistryEventCallbacks[observer] = func(e scorch.Event) bool {
		if e.Kind != scorch.EventKindPersisterProgress {
			return true
		}
		if end, ok := filling.Load(e.Scorch); ok {
			select {
			case <-time.After(fillingWait):
			case <-end.(chan struct{}):
			}
		}
		return true
	}
}

// fill says that the index is filled until filled is called.
func (x *Index) fill() { filling.Store(x.store, make(chan struct{})) }

func (x *Index) filled() {
	if end, ok := filling.LoadAndDelete(x.store); ok {
		close(end.(chan struct{}))
	}
}
