package sqlite_test

import (
	"path/filepath"
	"testing"

	"catalog/engine/enginetest"
	"catalog/engine/sqlite"
	"catalog/reader/projection"
)

func TestView(t *testing.T) {
	enginetest.TestView(t, func(t *testing.T) projection.View {
		db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "test.db"))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { db.Close() })
		return sqlite.NewView(db)
	})
}
