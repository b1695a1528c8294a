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

// scanBatch is how many products Scan passes to one call of handle.
const scanBatch = 500

// Product returns the product with the given id as the index has it, or ErrNotFound.
func (x *Index) Product(_ context.Context, id catalog.ID) (p catalog.Product, err error) {
	err = x.read(func(r *scorch.IndexSnapshot) error {
		d, err := r.Document(docID(id))
		if err != nil {
			return err
		}
		if d == nil {
			return catalog.ErrNotFound
		}
		var encoded []byte
		d.VisitFields(func(f index.Field) {
			if f.Name() == fieldProduct {
				encoded = f.Value()
			}
		})
		p, err = wire.DecodeProduct(encoded)
		return err
	})
	if err != nil {
		return catalog.Product{}, fmt.Errorf("read product %s from the search index: %w", id, err)
	}
	return p, nil
}

// Scan calls handle with all products of one snapshot of the index, in batches.
func (x *Index) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	return x.read(func(r *scorch.IndexSnapshot) error {
		products := make([]catalog.Product, 0, scanBatch)
		for _, seg := range r.Segments() {
			s := segmentSnapshot{seg}
			for i := s.DocNumbersLive().Iterator(); i.HasNext(); {
				p, err := s.product(i.Next())
				if err != nil {
					return fmt.Errorf("scan the search index: %w", err)
				}
				if products = append(products, p); len(products) < scanBatch {
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

// read calls f with a snapshot of the index.
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

// withSlot waits for a search slot and calls f with a snapshot of the index.
func (x *Index) withSlot(ctx context.Context, f func(*scorch.IndexSnapshot) error) error {
	select {
	case x.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-x.slots }()
	return x.read(f)
}

// product reads and decodes a product of the segment.
func (s segmentSnapshot) product(doc uint32) (catalog.Product, error) {
	var encoded []byte
	if err := s.VisitDocument(uint64(doc), func(field string, _ byte, value []byte, _ []uint64) bool {
		if field == fieldProduct {
			encoded = bytes.Clone(value)
		}
		return encoded == nil
	}); err != nil {
		return catalog.Product{}, err
	}
	return wire.DecodeProduct(encoded)
}
