//go:build unix

package daemon_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"catalog/internal/daemon"
)

func TestPrivateFiles(t *testing.T) { // not parallel: it changes the umask of the process
	old := syscall.Umask(0o022)
	defer syscall.Umask(old)
	daemon.PrivateFiles()
	folder := filepath.Join(t.TempDir(), "folder")
	if err := os.Mkdir(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]os.FileMode{folder: 0o700, file: 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s has the mode %v, %v; want %v", path, info.Mode(), err, want)
		}
	}
}
