package sqlite_test

import (
	"path/filepath"
	"testing"

	"catalog/catalogtest"
	"catalog/reader"
	"catalog/sqlite"
)

func TestView(t *testing.T) {
	catalogtest.TestView(t, func(t *testing.T) reader.View {
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return sqlite.NewView(db)
	})
}
