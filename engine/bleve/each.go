package bleve

import (
	"bytes"
	"context"
	"fmt"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
	"catalog/internal/wire"
)

// Product answers the product as the index has it.
func (x *Index) Product(_ context.Context, id catalog.ID) (p catalog.Product, err error) {
	err = x.read(func(r *scorch.IndexSnapshot) error {
		d, err := r.Document(key(id))
		if err != nil {
			return err
		}
		if d == nil {
			return catalog.ErrNotFound
		}
		var whole []byte
		d.VisitFields(func(f index.Field) {
			if f.Name() == fieldProduct {
				whole = f.Value()
			}
		})
		p, err = wire.DecodeProduct(whole)
		return err
	})
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s of the search index: %w", id, err)
	}
	return p, nil
}

// Each shows all products of one state of the index.
func (x *Index) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	const page = 500
	return x.read(func(r *scorch.IndexSnapshot) error {
		products := make([]catalog.Product, 0, page)
		for _, seg := range r.Segments() {
			s := part{seg}
			for i := s.DocNumbersLive().Iterator(); i.HasNext(); {
				p, err := s.product(i.Next())
				if err != nil {
					return fmt.Errorf("all products of the search index: %w", err)
				}
				if products = append(products, p); len(products) < page {
					continue
				}
				if err := handle(products); err != nil {
					return err
				}
				if products = products[:0]; ctx.Err() != nil {
					return ctx.Err()
				}
			}
		}
		return handle(products)
	})
}

// read has f read one state of the index.
func (x *Index) read(f func(*scorch.IndexSnapshot) error) error {
	r, err := x.store.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	snapshot := r.(*scorch.IndexSnapshot)
	if snapshot == nil {
		return scorch.ErrClosed
	}
	return f(snapshot)
}

// inTurn has f read one state of the index when it is its turn.
func (x *Index) inTurn(ctx context.Context, f func(*scorch.IndexSnapshot) error) error {
	select {
	case x.turns <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-x.turns }()
	return x.read(f)
}

// product reads the whole product from the segment.
func (s part) product(doc uint32) (catalog.Product, error) {
	var whole []byte
	if err := s.VisitDocument(uint64(doc), func(field string, _ byte, value []byte, _ []uint64) bool {
		if field == fieldProduct {
			whole = bytes.Clone(value)
		}
		return whole == nil
	}); err != nil {
		return catalog.Product{}, err
	}
	return wire.DecodeProduct(whole)
}
