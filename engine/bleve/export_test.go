package bleve

import (
	"errors"
	"strings"

	index "github.com/blevesearch/bleve_index_api"

	"catalog"
	"catalog/internal/memory"
	"catalog/internal/textsearch"
)

// CountTerms returns how many terms of the index the plan of q has.
func (x *Index) CountTerms(q catalog.Query) (n int, err error) {
	q.Text = strings.TrimSpace(q.Text)
	err = x.read(func(r snapshot) error {
		p, err := resolve(r, textsearch.DefaultRules().NewPlan(q).Widen(0x8fff))
		for _, w := range append(p.words, queryWord{clauses: p.exactMatches}) {
			for _, c := range w.clauses {
				n += len(c.terms)
			}
		}
		for _, filter := range p.filters {
			for _, t := range filter {
				n += len(t.terms)
			}
		}
		return err
	})
	return n, err
}

// CloseWithFormat closes the index after it has stored another format, as another version of this
// package would.
func (x *Index) CloseWithFormat(format string) error {
	written := make(chan error, 1)
	b := index.NewBatch()
	b.SetInternal([]byte(keyFormat), []byte(format))
	b.SetPersistedCallback(func(err error) { written <- err })
	if err := errors.Join(x.store.Batch(b), <-written); err != nil {
		return err
	}
	x.onDisk = false // flush would store the format of this version
	return x.Close()
}

// SetColumns removes all columns and sets the share of new ones.
func (x *Index) SetColumns(share *memory.Share) *memory.Share {
	x.columns.keep(snapshot{})
	x.columns.share = share
	return share
}

// SetMaxColumnBytes removes all columns and limits the size of new ones.
func (x *Index) SetMaxColumnBytes(n int64) {
	x.columns.keep(snapshot{})
	x.columns.maxBytes = n
}
