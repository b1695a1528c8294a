package bleve

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"

	"github.com/blevesearch/bleve/v2/index/scorch"
	index "github.com/blevesearch/bleve_index_api"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/textsearch"
	"catalog/internal/wire"
)

// A batch of Scan, which is one call of handle, ends at scanBatch products or scanBytes bytes of them.
const scanBatch, scanBytes = 500, eventlog.MaxPageBytes

// Product returns the product with the given id as the index has it, or ErrNotFound.
func (x *Index) Product(_ context.Context, id catalog.ID) (p catalog.Product, err error) {
	err = x.read(func(r snapshot) error {
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
	return x.read(func(r snapshot) error {
		products, size := make([]catalog.Product, 0, scanBatch), 0
		for _, s := range r.segments {
			for i := s.DocNumbersLive().Iterator(); i.HasNext(); {
				p, n, err := s.product(i.Next())
				if err != nil {
					return fmt.Errorf("scan the search index: %w", err)
				}
				products, size = append(products, p), size+n
				if len(products) < scanBatch && size < scanBytes {
					continue
				}
				if err := handle(products); err != nil {
					return err
				}
				clear(products) // lets the garbage collector free their texts
				if products, size = products[:0], 0; ctx.Err() != nil {
					return ctx.Err()
				}
			}
		}
		return handle(products)
	})
}

// contents returns which products the index holds.
func (x *Index) contents() (c eventlog.Contents, err error) {
	err = x.read(func(r snapshot) error {
		for _, s := range r.segments {
			for i := s.DocNumbersLive().Iterator(); i.HasNext(); {
				var id catalog.ID
				var version []byte
				if err := s.VisitDocument(uint64(i.Next()), func(field string, _ byte, value []byte, _ []uint64) bool {
					switch field {
					case textsearch.ID:
						copy(id[:], value)
					case fieldVersion:
						version = append(version, value...)
					}
					return version == nil
				}); err != nil {
					return err
				}
				if len(version) != 8 {
					return fmt.Errorf("product %s has no version", id)
				}
				c.Add(id, int64(binary.BigEndian.Uint64(version)))
			}
		}
		return nil
	})
	if err != nil {
		err = fmt.Errorf("read the products of the search index: %w", err)
	}
	return c, err
}

// read calls f with a snapshot of the index.
func (x *Index) read(f func(snapshot) error) error {
	r, err := x.store.Reader()
	if err != nil {
		return err
	}
	defer r.Close()
	s := r.(*scorch.IndexSnapshot)
	if s == nil {
		return scorch.ErrClosed
	}
	return f(newSnapshot(s))
}

// withSlot waits for a slot and calls f with a snapshot of the index.
func (x *Index) withSlot(ctx context.Context, kind int, f func(snapshot) error) error {
	if err := x.slots.acquire(ctx, kind); err != nil {
		return err
	}
	defer x.slots.release()
	return x.read(f)
}

// product reads and decodes a product of the segment. size is that of its encoding in bytes.
func (s segmentSnapshot) product(doc uint32) (p catalog.Product, size int, err error) {
	var encoded []byte
	if err := s.VisitDocument(uint64(doc), func(field string, _ byte, value []byte, _ []uint64) bool {
		if field == fieldProduct {
			encoded = bytes.Clone(value)
		}
		return encoded == nil
	}); err != nil {
		return p, 0, err
	}
	p, err = wire.DecodeProduct(encoded)
	return p, len(encoded), err
}
