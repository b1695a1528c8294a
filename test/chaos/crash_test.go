package main

import (
	"database/sql"
	"log/slog"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/embedded"
	"catalog/engine/enginetest/freeport"
	"catalog/engine/kafka"
	"catalog/engine/sqlite"
	"catalog/internal/failpoint"
	"catalog/internal/repair"
	"catalog/internal/wire"
)

// TestCrash kills `catalog up`, all three services in one process on embedded engines, at
// failpoints.
func TestCrash(t *testing.T) {
	program := filepath.Join(t.TempDir(), "catalog")
	if out, err := exec.Command("go", "build", "-tags", "failpoint", "-o", program, "catalog/cmd/catalog").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Run("no promise is broken when it dies at each failpoint while clients send commands", func(t *testing.T) {
		t.Parallel()
		crashUnderLoad(t, program)
	})
	t.Run("texts of an earlier version are normalized once, over a death in the middle", func(t *testing.T) {
		t.Parallel()
		crashNormalizing(t, program)
	})
}

func crashUnderLoad(t *testing.T, program string) {
	dir := t.TempDir()
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

// crashNormalizing starts `catalog up` with the file of an earlier version, kills it
// between two pages of the products whose texts it normalizes, and starts it again.
func crashNormalizing(t *testing.T, program string) {
	dir := t.TempDir()
	data := filepath.Join(dir, "data")
	file := filepath.Join(data, "catalog.db")
	dump, err := os.ReadFile("../../engine/sqlite/testdata/migration_3.sql")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(data, 0o700); err != nil {
		t.Fatal(err)
	}
	earlier, err := sql.Open("sqlite", "file:"+file)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := earlier.ExecContext(t.Context(), string(dump)); err != nil {
		t.Fatal(err)
	}
	if err := earlier.Close(); err != nil {
		t.Fatal(err)
	}
	adoptTopics(t, data)
	api, writers := freeport.Address(), freeport.Address()
	p := &Process{Name: "catalog", Path: program, Dir: dir, Args: []string{"up", "-data", data, "-http", api, "-grpc", writers}}
	defer func() { _ = p.Kill(syscall.SIGKILL) }()

	// Texts are normalized shard by shard, and three shards have products to change.
	if err := p.Start(string(failpoint.WriterCommitted) + ":2"); err != nil {
		t.Fatal(err)
	}
	if err := p.Died(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names, form := storedNames(t, file); form != 0 || names["Café stool"] > 0 || names["No SKU"] != 2 {
		t.Fatalf("after the kill the versions of products are %v, the form of texts %d; want a part of the products at version 2, and form 0", names, form)
	}

	if err := p.Start(""); err != nil {
		t.Fatal(err)
	}
	if err := p.Ready(t.Context()); err != nil {
		t.Fatal(err)
	}
	const done = "texts of stored products normalized"
	for end := time.Now().Add(patience); ; {
		logs, err := os.ReadFile(filepath.Join(dir, "catalog.log"))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(logs), done) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the log does not have %q after %v:\n%s", done, patience, logs)
		}
		time.Sleep(20 * time.Millisecond)
	}
	// The view and the index follow.
	if out, err := exec.CommandContext(t.Context(), program, "verify", "-reader", writers).CombinedOutput(); err != nil {
		t.Errorf("catalog verify: %v\n%s", err, out)
	}
	if err := p.Kill(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	want := map[string]int64{"Lamp": 1, "Lampe à poser": 2, "Café chair": 1, "No SKU": 2, "Café table": 2, "Café stool": 2, "Etagére": 2, "": 2}
	if names, form := storedNames(t, file); form != wire.TextForm || !maps.Equal(names, want) {
		t.Errorf("versions of products %v, form of texts %d; want %v and %d", names, form, want, wire.TextForm)
	}
}

// adoptTopics creates the topics of a data folder that has only the file of its store, and
// makes the store belong to them.
func adoptTopics(t *testing.T, data string) {
	t.Helper()
	folder, err := embedded.Open(data)
	if err != nil {
		t.Fatal(err)
	}
	defer folder.Close()
	brokers, err := folder.Kafka()
	if err != nil {
		t.Fatal(err)
	}
	log, err := kafka.Open(t.Context(), kafka.Config{Brokers: brokers, Replicas: 1}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	if err := log.CreateTopics(t.Context(), embedded.Shards); err != nil {
		t.Fatal(err)
	}
	db, err := sqlite.Open(t.Context(), folder.Path("catalog.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	store := sqlite.NewStore(db)
	plan, err := repair.Examine(t.Context(), store, log, repair.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if err := plan.Apply(t.Context(), store, log); err != nil {
		t.Fatal(err)
	}
}

// storedNames returns the versions of the products in an SQLite file by their names, and
// the form of the texts in the file.
func storedNames(t *testing.T, file string) (versions map[string]int64, form int) {
	t.Helper()
	db, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	s := sqlite.NewStore(db)
	if form, err = s.TextForm(t.Context()); err != nil {
		t.Fatal(err)
	}
	versions = map[string]int64{}
	for shard := range int32(embedded.Shards) {
		if _, err := s.Snapshot(t.Context(), shard, nil, func(page []catalog.Product) error {
			for _, p := range page {
				versions[p.Name] = p.Version
			}
			return nil
		}); err != nil {
			t.Fatal(err)
		}
	}
	return versions, form
}
