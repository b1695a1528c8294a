package bleve_test

import (
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"catalog"
	"catalog/engine/bleve"
	"catalog/engine/enginetest"
	"catalog/reader"
)

var discardLog = slog.New(slog.DiscardHandler)

// open opens the index in dir, "" for memory, and closes it at the end of the test.
func open(tb testing.TB, dir string) *bleve.Index {
	tb.Helper()
	x, err := bleve.Open(dir, discardLog)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { x.Close() })
	return x
}

// apply applies products with a checkpoint at seq, according to which no others exist.
func apply(tb testing.TB, x *bleve.Index, seq int64, products ...catalog.Product) {
	tb.Helper()
	if err := x.Apply(tb.Context(), products, checkpoint(seq, products...)); err != nil {
		tb.Fatal(err)
	}
}

func TestIndex_onDisk(t *testing.T) {
	enginetest.TestIndex(t, func(t *testing.T) reader.Index { return open(t, filepath.Join(t.TempDir(), "index")) })
}

func TestIndex_inMemory(t *testing.T) {
	enginetest.TestIndex(t, func(t *testing.T) reader.Index { return open(t, "") })
}

func TestIndex_relevance(t *testing.T) {
	enginetest.TestRelevance(t, func(t *testing.T) reader.Index { return open(t, "") })
}

func TestOpen(t *testing.T) {
	wantContent := func(t *testing.T, x *bleve.Index, products int64, shards int) {
		t.Helper()
		page, err := x.Search(t.Context(), catalog.Query{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		checkpoints, err := x.Checkpoints(t.Context())
		if err != nil || page.Total != products || len(checkpoints) != shards {
			t.Fatalf("the index has %d products and %d checkpoints, %v; want %d and %d", page.Total, len(checkpoints), err, products, shards)
		}
	}
	// closed returns the folder of a closed index with one product.
	closed := func(t *testing.T) (dir string) {
		t.Helper()
		dir = filepath.Join(t.TempDir(), "index")
		x, err := bleve.Open(dir, discardLog)
		if err != nil {
			t.Fatal(err)
		}
		apply(t, x, 5, catalog.Product{ID: catalog.DerivedID("p"), Version: 1, ProductData: catalog.ProductData{Name: "Chair", Price: catalog.Money{Currency: "EUR"}}})
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		return dir
	}
	t.Run("a reopened index has its products and checkpoints", func(t *testing.T) {
		wantContent(t, open(t, closed(t)), 1, 1)
	})
	t.Run("an unreadable index is created again and other files are kept", func(t *testing.T) {
		dir := closed(t)
		other := filepath.Join(dir, "other")
		for _, name := range []string{filepath.Join(dir, "root.bolt"), other} {
			if err := os.WriteFile(name, []byte("nonsense"), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		wantContent(t, open(t, dir), 0, 0)
		if _, err := os.Stat(other); err != nil {
			t.Error(err)
		}
	})
	t.Run("an index of another format is created again", func(t *testing.T) {
		dir := closed(t)
		x, err := bleve.Open(dir, discardLog)
		if err != nil {
			t.Fatal(err)
		}
		if err := x.CloseWithFormat("0"); err != nil {
			t.Fatal(err)
		}
		wantContent(t, open(t, dir), 0, 0)
	})
	t.Run("an index that does not hold what its checkpoint states is created again", func(t *testing.T) {
		chair := catalog.Product{ID: catalog.DerivedID("p"), Version: 1, ProductData: catalog.ProductData{Name: "Chair"}}
		newer := chair
		newer.Version = 2
		for name, states := range map[string][]catalog.Product{
			"a product is missing":       {chair, {ID: catalog.DerivedID("q"), Version: 1}},
			"a product is too many":      nil,
			"a version is not the right": {newer},
		} {
			t.Run(name, func(t *testing.T) {
				dir := filepath.Join(t.TempDir(), "index")
				x, err := bleve.Open(dir, discardLog)
				if err != nil {
					t.Fatal(err)
				}
				if err := errors.Join(x.Apply(t.Context(), []catalog.Product{chair}, checkpoint(5, states...)), x.Close()); err != nil {
					t.Fatal(err)
				}
				wantContent(t, open(t, dir), 0, 0)
			})
		}
	})
	t.Run("an index in use by another process is an error", func(t *testing.T) {
		dir := filepath.Join(t.TempDir(), "index")
		open(t, dir)
		if _, err := bleve.Open(dir, discardLog); err == nil {
			t.Error("Open succeeds; want an error")
		}
	})
}
