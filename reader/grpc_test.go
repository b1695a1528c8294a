package reader_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
	"catalog/reader"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// getProducts calls GetProducts for products of these names at these seqs.
func getProducts(t *testing.T, h *readertest.Harness, names []string, seqs ...int64) []*catalogv1.ProductResult {
	t.Helper()
	var m catalogv1.GetProductsRequest
	for i, name := range names {
		id := catalog.DerivedID(name)
		m.Products = append(m.Products, &catalogv1.GetProductRequest{Id: id[:], Position: &catalogv1.Position{Seq: seqs[i]}})
	}
	r, err := reader.Server{Reader: h.Reader}.GetProducts(t.Context(), &m)
	if err != nil || len(r.GetResults()) != len(names) {
		t.Fatalf("GetProducts = %d results, %v; want %d", len(r.GetResults()), err, len(names))
	}
	return r.GetResults()
}

// describe returns a result as its version, -version for a tombstone, 0 for a
// product that does not exist, or "unknown".
func describe(t *testing.T, r *catalogv1.ProductResult) string {
	t.Helper()
	switch {
	case !r.GetKnown():
		return "unknown"
	case len(r.GetProduct()) == 0:
		return "0"
	}
	p, err := wire.DecodeProduct(r.GetProduct())
	if err != nil {
		t.Fatal(err)
	}
	if p.Deleted {
		return fmt.Sprint(-p.Version)
	}
	return fmt.Sprint(p.Version)
}

// wantProducts calls GetProducts until it returns these results. It calls more
// than once, because a busy machine may not read all products in time.
func wantProducts(t *testing.T, h *readertest.Harness, names []string, seqs []int64, want ...string) {
	t.Helper()
	for since := time.Now(); ; {
		got, wrong := getProducts(t, h, names, seqs...), ""
		for i := range want {
			if d := describe(t, got[i]); d != want[i] {
				wrong = fmt.Sprintf("%s at seq %d = %s; want %s", names[i], seqs[i], d, want[i])
			}
			if got[i].GetKnown() && got[i].GetPosition().GetSeq() != 4 {
				t.Fatalf("%s has seq %d; want 4", names[i], got[i].GetPosition().GetSeq())
			}
		}
		if wrong == "" {
			return
		}
		if time.Since(since) > time.Minute {
			t.Fatal(wrong)
		}
	}
}

func TestGetProducts(t *testing.T) {
	all := readertest.History(2)
	h := readertest.Start(t, readertest.Config{})
	h.Feed(t, 0, all...)
	q, r := all[0], all[1]
	q.Seq, q.Product.ID = 3, catalog.DerivedID("q")
	r.Seq, r.Outcome, r.Product = 4, catalog.Deleted, catalog.Product{ID: catalog.DerivedID("r"), Version: 2, Deleted: true, UpdatedAt: all[1].Product.UpdatedAt}
	h.Feed(t, 2, q, r)
	h.WantVersion(t, 4, 2) // p is cached now
	for _, cache := range []string{"one product cached", "all products cached"} {
		t.Run(cache, func(t *testing.T) {
			names, seqs := []string{"p", "r", "missing", "q", "p", "p"}, []int64{0, 0, 0, 4, 2, 5}
			wantProducts(t, h, names, seqs, "2", "-2", "0", "1", "2", "unknown") // the last position is not reached
		})
	}
	t.Run("products that take too long are left out", func(t *testing.T) {
		h.Cache.Edit(func() { delete(h.Cache.Cached, catalog.DerivedID("q")) })
		h.View.Hold = make(chan struct{})
		got := getProducts(t, h, []string{"p", "q"}, 0, 0)
		close(h.View.Hold)
		if p, q := describe(t, got[0]), describe(t, got[1]); p != "2" || q != "unknown" {
			t.Errorf("p = %s, q = %s; want 2, unknown", p, q)
		}
	})
	t.Run("products are read from the view while the cache is unavailable", func(t *testing.T) {
		h.Cache.Edit(func() { h.Cache.Unavailable = true })
		wantProducts(t, h, []string{"p", "q"}, []int64{0, 0}, "2", "1")
	})
}

// rebuildStream is the stream of a Rebuild call.
type rebuildStream struct {
	catalogv1.ReaderService_RebuildServer
	ctx context.Context
}

func (s rebuildStream) Context() context.Context { return s.ctx }

func TestServer_Rebuild(t *testing.T) {
	for _, c := range []struct {
		name string
		view projection.View
		want string
	}{
		{"a rollback without a previous generation", projection.NewGenerationalView(readertest.OpenSQLite(t)), "the view: there is no earlier view to roll back to"},
		{"a view without generations", readertest.NewView(t), "the engine of the view cannot keep two generations: nothing was changed"},
	} {
		t.Run(c.name+" is Aborted with the reason", func(t *testing.T) {
			h := readertest.Start(t, readertest.Config{View: c.view})
			r := &catalogv1.RebuildRequest{Stores: []string{"view"}, Action: catalogv1.RebuildAction_REBUILD_ACTION_ROLLBACK}
			err := reader.Server{Reader: h.Reader}.Rebuild(r, rebuildStream{ctx: t.Context()})
			if s := status.Convert(err); s.Code() != codes.Aborted || !strings.HasPrefix(s.Message(), c.want) {
				t.Errorf("Rebuild = %v; want Aborted: %s …", err, c.want)
			}
		})
	}
}
