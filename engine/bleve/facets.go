package bleve

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/RoaringBitmap/roaring/v2"
	segment "github.com/blevesearch/scorch_segment_api/v2"

	"catalog"
	"catalog/internal/textsearch"
)

const maxValues = 50 // of a facet

// counts counts products by what they have in fields.
type counts []count

// count counts by one field: by its terms that begin as they have to, without
// that beginning.
type count struct {
	facet        catalog.Facet
	field, begin string
	of           map[string]int64
}

func newCounts(q catalog.Query) (all counts) {
	if q.Facets {
		all = counts{newCount(textsearch.Category), newCount(textsearch.Tag), newCount(textsearch.Currency)}
	}
	for _, key := range q.FacetAttributes {
		c := newCount(textsearch.Attributes)
		c.facet, c.begin = catalog.Facet{Field: "attribute", Attribute: key}, textsearch.AttributeTerm(key, "")
		all = append(all, c)
	}
	return all
}

func newCount(field string) count {
	return count{facet: catalog.Facet{Field: field}, field: field, of: map[string]int64{}}
}

// add counts the products of a segment: value by value where there are few
// values, or the values are a part of those of their field, else product by
// product.
func (all counts) add(ctx context.Context, s part, products *roaring.Bitmap) error {
	for _, c := range all {
		dict, err := s.Segment().Dictionary(c.field)
		if err != nil {
			return err
		}
		if c.begin == "" && uint64(dict.Cardinality())*8 >= products.GetCardinality() {
			err = c.byProduct(ctx, s, products)
		} else {
			err = c.byValue(ctx, dict, products)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (c count) byProduct(ctx context.Context, s part, products *roaring.Bitmap) error {
	values := s.values(c.field)
	for i, n := products.Iterator(), 0; i.HasNext(); n++ {
		if n%1_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		if err := values(i.Next(), func(_ string, value []byte) { c.of[string(value)]++ }); err != nil {
			return err
		}
	}
	return nil
}

func (c count) byValue(ctx context.Context, dict segment.TermDictionary, products *roaring.Bitmap) error {
	var from, to []byte
	if c.begin != "" {
		from, to = []byte(c.begin), []byte(c.begin+"\xff") // no text has that byte
	}
	terms := termsOf(dict, from, to)
	for n := 0; ; n++ {
		e, err := terms.Next()
		if e == nil || err != nil {
			return err
		}
		if n%1_000 == 0 && ctx.Err() != nil {
			return ctx.Err()
		}
		set, err := postings(dict, e.Term)
		if err != nil {
			return err
		}
		value := e.Term[len(c.begin):]
		if n := set.AndCardinality(products); n > 0 && !strings.HasPrefix(value, textsearch.Hashed) {
			c.of[value] += int64(n)
		}
	}
}

// facets lists the values, the most frequent first.
func (all counts) facets() (facets []catalog.Facet) {
	for _, c := range all {
		f := c.facet
		for value, n := range c.of {
			f.Values = append(f.Values, catalog.FacetValue{Value: value, Count: n})
		}
		slices.SortFunc(f.Values, func(a, b catalog.FacetValue) int {
			return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Value, b.Value))
		})
		f.Values = f.Values[:min(len(f.Values), maxValues)]
		facets = append(facets, f)
	}
	return facets
}
