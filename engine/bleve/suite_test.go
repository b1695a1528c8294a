package bleve_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"catalog"
	"catalog/engine/bleve"
	"catalog/engine/enginetest"
	"catalog/eventlog"
	"catalog/reader"
)

func openIndex(t *testing.T, dir string) *bleve.Index {
	t.Helper()
	x, err := bleve.Open(dir, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

func TestIndexOnDisk(t *testing.T) {
	enginetest.TestIndex(t, func(t *testing.T) reader.Index {
		x := openIndex(t, filepath.Join(t.TempDir(), "index"))
		t.Cleanup(func() { x.Close() })
		return x
	})
}

func TestIndexInMemory(t *testing.T) {
	enginetest.TestIndex(t, func(t *testing.T) reader.Index {
		x := openIndex(t, "")
		t.Cleanup(func() { x.Close() })
		return x
	})
}

func TestReopen(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "index")
	has := func(t *testing.T, x *bleve.Index, products, shards int) {
		t.Helper()
		page, err := x.Search(t.Context(), catalog.Query{Limit: 1})
		if err != nil {
			t.Fatal(err)
		}
		progress, err := x.Checkpoints(t.Context())
		if err != nil || page.Total != int64(products) || len(progress) != shards {
			t.Fatalf("there are %d products of %d shards, %v; want %d of %d", page.Total, len(progress), err, products, shards)
		}
	}
	x := openIndex(t, dir)
	p := catalog.Product{ID: catalog.DerivedID("p"), Version: 1, ProductData: catalog.ProductData{Name: "Chair", Price: catalog.Money{Currency: "EUR"}}}
	if err := x.Apply(t.Context(), []catalog.Product{p}, []eventlog.Checkpoint{{Position: catalog.Position{Shard: 3, Seq: 5}}}); err != nil {
		t.Fatal(err)
	}
	if err := x.Close(); err != nil {
		t.Fatal(err)
	}
	t.Run("products and progress are kept", func(t *testing.T) {
		x := openIndex(t, dir)
		defer x.Close()
		has(t, x, 1, 1)
	})
	t.Run("an index that cannot be read is begun again", func(t *testing.T) {
		if err := os.WriteFile(filepath.Join(dir, "root.bolt"), []byte("nonsense"), 0o600); err != nil {
			t.Fatal(err)
		}
		x := openIndex(t, dir)
		defer x.Close()
		has(t, x, 0, 0)
	})
}
