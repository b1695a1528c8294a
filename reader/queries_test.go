package reader_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/reader"
	"catalog/reader/internal/readertest"
)

func TestSearch_timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := readertest.New(reader.Deps{Index: &readertest.Index{Endless: true}})
		for name, query := range map[string]func(context.Context) error{
			"Search":  func(ctx context.Context) error { _, err := r.Search(ctx, catalog.Query{}); return err },
			"Suggest": func(ctx context.Context) error { _, err := r.Suggest(ctx, "oak", 5); return err },
		} {
			since := time.Now()
			if err := query(t.Context()); !errors.Is(err, catalog.ErrTooSlow) || time.Since(since) != time.Second {
				t.Errorf("%s = %v after %v; want ErrTooSlow after 1 s", name, err, time.Since(since))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if err := query(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s = %v for a caller with a shorter deadline; want %v", name, err, context.DeadlineExceeded)
			}
			cancel()
		}
	})
}

// heldIndex is an index whose searches wait until they are released.
type heldIndex struct {
	*readertest.Index
	searching atomic.Int64
	release   chan struct{}
}

func (x *heldIndex) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	x.searching.Add(1)
	defer x.searching.Add(-1)
	select {
	case <-x.release:
		return x.Index.Search(ctx, q)
	case <-ctx.Done():
		return catalog.Page{}, ctx.Err()
	}
}

func TestSearch_resultsInMemory(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		index := &heldIndex{Index: readertest.NewIndex(), release: make(chan struct{})}
		r := readertest.New(reader.Deps{Index: index})
		const callers, limit = 50, 8
		errs := make(chan error, callers)
		for range callers {
			go func() { _, err := r.Search(t.Context(), catalog.Query{}); errs <- err }()
		}
		synctest.Wait()
		if n := index.searching.Load(); n != limit {
			t.Errorf("%d searches may hold a page of the largest size at once; want %d", n, limit)
		}
		close(index.release)
		for range callers {
			if err := <-errs; err != nil {
				t.Errorf("Search = %v once there is room for its page; want nil", err)
			}
		}
	})
}

func TestSearch_duration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		registry := prometheus.NewRegistry()
		r := readertest.New(reader.Deps{Index: &readertest.Index{Endless: true}, Registry: registry})
		const callers, limit = 50, 8 // the others wait for memory
		var calls sync.WaitGroup
		for range callers {
			calls.Go(func() {
				if _, err := r.Search(t.Context(), catalog.Query{}); !errors.Is(err, catalog.ErrTooSlow) {
					t.Errorf("Search = %v; want ErrTooSlow", err)
				}
			})
		}
		calls.Wait()
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range families {
			if f.GetName() == "catalog_search_duration_seconds" {
				h := f.GetMetric()[0].GetHistogram()
				if n, mean := h.GetSampleCount(), h.GetSampleSum()/callers; n != callers || mean != 1 {
					t.Errorf("%d queries took %v s on average; want %d that took 1 s, of which %d waited for memory", n, mean, callers, callers-limit)
				}
				return
			}
		}
		t.Error("the queries are not measured")
	})
}

func TestProducts_size(t *testing.T) {
	const products, size = 60, 800_000
	product := func(i int) catalog.Product {
		return catalog.Product{ID: catalog.DerivedID(fmt.Sprint(i)), Version: 1, ProductData: catalog.ProductData{Description: strings.Repeat("x", size)}}
	}
	var ids []catalog.ID
	var all []catalog.Product
	for i := range products {
		all = append(all, product(i))
		ids = append(ids, all[i].ID)
	}
	for name, fill := range map[string]func(*testing.T, *readertest.Harness){
		"cached": func(_ *testing.T, h *readertest.Harness) {
			h.Cache.Edit(func() {
				for _, p := range all {
					h.Cache.Cached[p.ID] = p
				}
			})
		},
		"not cached": func(t *testing.T, h *readertest.Harness) {
			if err := h.View.Apply(t.Context(), all, nil); err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run("products that are "+name+" are returned up to a size", func(t *testing.T) {
			h := readertest.Start(t, readertest.Config{})
			fill(t, h)
			readertest.Eventually(t, func() error { // on a busy machine, none is read in time
				got := 0
				for _, encoded := range h.Products(t.Context(), slices.Clone(ids)) {
					got += len(encoded)
				}
				if got > 12*size {
					t.Errorf("Products = %d bytes; want at most a few MiB", got)
				}
				if got == 0 {
					return catalog.ErrTooSlow
				}
				return nil
			}, catalog.ErrTooSlow)
		})
	}
}
