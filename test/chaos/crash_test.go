package main

import (
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"catalog/engine/embedded"
	"catalog/engine/enginetest/freeport"
)

// TestCrash kills `catalog up`, all three services in one process on embedded
// engines, at each failpoint while clients send commands.
func TestCrash(t *testing.T) {
	dir := t.TempDir()
	program := filepath.Join(dir, "catalog")
	if out, err := exec.Command("go", "build", "-tags", "failpoint", "-o", program, "catalog/cmd/catalog").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	data := filepath.Join(dir, "data")
	api, writers := freeport.Address(), freeport.Address()
	p := &Process{Name: "catalog", Path: program, Dir: dir, Args: []string{"up", "-data", data, "-http", api, "-grpc", writers}}
	start := func() {
		t.Helper()
		if err := p.Start(""); err != nil {
			t.Fatal(err)
		}
		if err := p.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	start()
	defer func() { _ = p.Kill(syscall.SIGKILL) }()
	const seed = 1
	l := newLoad([]string{"http://" + api}, 100, 40, seed)
	w, err := newObserver(l, writers)
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	all := []*Process{p}
	var out strings.Builder
	defer func() { t.Log("\n" + out.String()) }()
	found, err := rounds(t.Context(), &table{out: &out}, l, w, 0, crashes(map[string][]*Process{"gateway": all, "writer": all, "reader": all}, 1, seed))
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	// The process has released the embedded log, so the test can read it.
	folder, err := embedded.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	brokers, err := folder.Kafka()
	if err != nil {
		t.Fatal(err)
	}
	if found.Topic, err = w.Topic(t.Context(), brokers, ""); err != nil {
		t.Fatal(err)
	}
	if err := report(&out, Check(l.history.all(), found)); err != nil {
		t.Error(err)
	}
}
