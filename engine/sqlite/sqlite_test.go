package sqlite_test

import (
	"database/sql"
	"maps"
	"os"
	"path/filepath"
	"slices"
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

func TestOpen_earlierVersion(t *testing.T) {
	t.Parallel()
	dump, err := os.ReadFile("testdata/migration_3.sql")
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "catalog.db")
	earlier, err := sql.Open("sqlite", "file:"+path)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := earlier.ExecContext(t.Context(), string(dump)); err != nil {
		t.Fatal(err)
	}
	if err := earlier.Close(); err != nil {
		t.Fatal(err)
	}
	for _, opened := range []string{"first", "second"} {
		db, err := sqlite.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		s := sqlite.NewStore(db)
		if form, err := s.TextForm(t.Context()); err != nil || form != 0 {
			t.Errorf("TextForm = %d, %v; want 0", form, err)
		}
		owners, err := s.SKUs(t.Context(), []string{"lamp-1", "CHAIR", "Gone"})
		if err != nil {
			t.Fatal(err)
		}
		names := map[string]int{}
		for shard := range int32(8) {
			if _, err := s.Snapshot(t.Context(), shard, nil, func(page []catalog.Product) error {
				for _, p := range page {
					names[p.Name]++
					if p.Name == "Lampe a\u0300 poser" && !slices.Equal(db.Clashes(), []catalog.ID{p.ID}) {
						t.Errorf("Clashes of the %s opening = %v; want %s, whose SKU differs from an older one in case", opened, db.Clashes(), p.ID)
					}
					if (p.Name == "Lamp") != (p.ID == owners["lamp-1"]) || (p.Name == "Café chair") != (p.ID == owners["CHAIR"]) {
						t.Errorf("product %q has the id %s; the owners are %v", p.Name, p.ID, owners)
					}
				}
				return nil
			}); err != nil {
				t.Fatal(err)
			}
		}
		if want := map[string]int{"Lamp": 1, "Lampe a\u0300 poser": 1, "Café chair": 1, "No SKU": 1, "Cafe\u0301 table": 1, "Cafe\u0301 stool": 1, "Etage\u0301re": 1, "": 1}; !maps.Equal(names, want) || len(owners) != 2 {
			t.Errorf("products %v, owners of SKUs %v; want %v and two", names, owners, want)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

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

// Operators read the fields of a product with the JSON operators of SQLite.
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
