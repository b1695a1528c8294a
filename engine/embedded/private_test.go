package embedded_test

import (
	"os"
	"testing"

	"catalog/engine/embedded"
)

func TestOpen_private(t *testing.T) {
	t.Run("a data folder that was open to others is closed to them", func(t *testing.T) {
		folder := t.TempDir()
		if err := os.Chmod(folder, 0o755); err != nil {
			t.Fatal(err)
		}
		dir, err := embedded.Open(folder)
		if err != nil {
			t.Fatal(err)
		}
		defer dir.Close()
		if info, err := os.Stat(folder); err != nil || info.Mode().Perm() != 0o700 {
			t.Errorf("the folder has the mode %v, %v; want 0700", info.Mode(), err)
		}
	})
}
