package sqlite_test

import (
	"database/sql"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"catalog"

	"catalog/engine/enginetest"
	"catalog/engine/sqlite"
	"catalog/eventlog"
)

// open opens an empty database until the end of the test.
func open(t testing.TB) *sqlite.DB {
	t.Helper()
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	return db
}

func TestStore(t *testing.T) {
	t.Parallel()
	enginetest.TestStore(t, func(t *testing.T) enginetest.Store { return sqlite.NewStore(open(t)) })
}

func TestOpen(t *testing.T) {
	t.Parallel()
	t.Run("the data is there when the file is opened again", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "a b%20?#.db") // special characters of URLs
		for epoch := range int64(3) {
			db, err := sqlite.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			s := sqlite.NewStore(db)
			if err := s.InitShards(t.Context(), 3); err != nil {
				t.Fatal(err)
			}
			st, err := s.Claim(t.Context(), 2)
			if err != nil {
				t.Fatal(err)
			}
			if st.Epoch != epoch+1 {
				t.Errorf("Claim %d = epoch %d; want %d", epoch+1, st.Epoch, epoch+1)
			}
			if err := s.Ping(t.Context()); err != nil {
				t.Error(err)
			}
			if err := db.Close(); err != nil {
				t.Fatal(err)
			}
			if err := s.Ping(t.Context()); err == nil {
				t.Error("Ping of a closed store = nil; want an error")
			}
		}
		if _, err := os.Stat(path); err != nil {
			t.Error(err)
		}
	})
	t.Run("an error names the file in one line", func(t *testing.T) {
		t.Parallel()
		text := filepath.Join(t.TempDir(), "text")
		if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
			t.Fatal(err)
		}
		for _, path := range []string{text, filepath.Join(t.TempDir(), "no", "such", "folder")} {
			_, err := sqlite.Open(t.Context(), path)
			if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
				t.Errorf("Open(%s) = %v; want one line with the path", path, err)
			}
		}
	})
}

// Operators read the fields of a product with the JSON operators of SQLite.
func TestOpen_writeLock(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	first, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer first.Close()
	other, err := sql.Open("sqlite", "file:"+path+"?_txlock=immediate")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	lock, err := other.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Rollback()
	second, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatalf("a file that another process writes to all the time: %v; want it opened", err)
	}
	if err := second.Close(); err != nil {
		t.Error(err)
	}
}

func TestStore_readableData(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "catalog.db")
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := sqlite.NewStore(db)
	if err := s.InitShards(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	st, err := s.Claim(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	id := catalog.DerivedID("p")
	d := catalog.ProductData{SKU: "A-1", Name: "Chair", Price: catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"}}
	if _, err := s.Settle(t.Context(), eventlog.Group{{
		Epoch: st.Epoch, To: 1, NextSeq: st.NextSeq, NextDeadLetter: st.NextDeadLetter,
		Commands: []catalog.Command{{ID: id, Product: id, Op: catalog.CreateProduct{Data: d}}},
	}}, time.Now()); err != nil {
		t.Fatal(err)
	}
	reader, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	var row string
	err = reader.QueryRowContext(t.Context(), `
		SELECT p.sku || ' ' || (data->>'name') || ' ' || (data->>'$.price.amount') || ' ' || outcome
		FROM products p JOIN journal j ON j.product = p.id AND j.version = p.version`).Scan(&row)
	if want := "A-1 Chair 149.90 created"; err != nil || row != want {
		t.Errorf("row = %q, %v; want %q", row, err, want)
	}
}
