package sqlite_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"catalog/engine/enginetest"
	"catalog/engine/sqlite"
)

// open answers an empty database, closed at the end of the test.
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

func TestWhatIsInTheFileIsThereAfterOpeningItAgain(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "a b%20?#.db") // no sign in a path has a meaning
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
			t.Errorf("claim %d is of epoch %d", epoch+1, st.Epoch)
		}
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
		if err := db.Close(); err != nil {
			t.Fatal(err)
		}
		if err := s.Ping(t.Context()); err == nil {
			t.Error("a closed store can be read")
		}
	}
	if _, err := os.Stat(path); err != nil {
		t.Error(err)
	}
}

func TestOpenSaysWhichFileItCannotOpen(t *testing.T) {
	t.Parallel()
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte(strings.Repeat("not a database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{text, filepath.Join(t.TempDir(), "no", "such", "folder")} {
		_, err := sqlite.Open(t.Context(), path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open(%s) = %v; want one line that names the file", path, err)
		}
	}
}
