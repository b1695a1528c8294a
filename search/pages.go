package search

import (
	"encoding/json"
	"sync"

	"catalog"
)

// maxPages is how many answers are kept.
const maxPages = 256

// pages keeps the answers to what has been asked since the index was last
// written. Many people ask the same: the first page above all.
type pages struct {
	mu         sync.Mutex
	generation int
	answers    map[string]catalog.Page
}

// get answers the page that is kept for the query, and the generation to put
// another one with.
func (p *pages) get(q catalog.Query) (catalog.Page, int, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	page, ok := p.answers[key(q)]
	return page, p.generation, ok
}

// put keeps a page, unless the index has been written since its get.
func (p *pages) put(q catalog.Query, generation int, page catalog.Page) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if generation != p.generation {
		return
	}
	if p.answers == nil || len(p.answers) >= maxPages {
		p.answers = map[string]catalog.Page{}
	}
	p.answers[key(q)] = page
}

// forget is called when the index has been written.
func (p *pages) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.generation++
	p.answers = nil
}

func key(q catalog.Query) string {
	b, _ := json.Marshal(q) // strings and numbers cannot fail
	return string(b)
}
