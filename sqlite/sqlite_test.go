package sqlite

import (
	"path/filepath"
	"testing"
	"time"
)

func TestOpen(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a b%20?#.db")
	for range 2 {
		start := time.Now()
		db, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		t.Log(time.Since(start))
		if err := db.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	}
}
