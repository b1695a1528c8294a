package bleve

import (
	"strings"

	"github.com/blevesearch/bleve/v2/index/scorch"

	"catalog"
)

// Terms is how many terms of the index a query is looked for by.
func (x *Index) Terms(q catalog.Query) (n int, err error) {
	q.Text = strings.TrimSpace(q.Text)
	err = x.read(func(r *scorch.IndexSnapshot) error {
		p, err := newPlan(r, q)
		for _, w := range append(p.words, wanted{tiers: p.whole}) {
			for _, t := range w.tiers {
				n += len(t.terms)
			}
		}
		for _, places := range p.filters {
			for _, place := range places {
				n += len(place.terms)
			}
		}
		return err
	})
	return n, err
}
