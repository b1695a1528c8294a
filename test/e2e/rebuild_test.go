package e2e

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// importProducts imports n products.
func (s *server) importProducts(n int) {
	s.t.Helper()
	var rows strings.Builder
	for i := range n {
		fmt.Fprintf(&rows, `{"sku":"SKU-%d","name":"Chair %d","price":{"amount":"%d.90","currency":"EUR"},"tags":["t%d"]}`+"\n", i, i, i+1, i%7)
	}
	file := filepath.Join(s.t.TempDir(), "products.ndjson")
	if err := os.WriteFile(file, []byte(rows.String()), 0o600); err != nil {
		s.t.Fatal(err)
	}
	if _, stderr, code := command(s.t, "import", "-server", s.api, file); code != 0 {
		s.t.Fatalf("import exits with %d:\n%s", code, stderr)
	}
}

// checkStoresEqual fails the test unless all stores equal the writer's store.
func (s *server) checkStoresEqual(products int) {
	s.t.Helper()
	stdout, stderr, code := command(s.t, "verify", "-reader", s.grpc)
	checkVerifyOutput(s.t, products, "view equal, index equal", stdout, stderr, code)
}

// checkVerifyOutput fails the test unless verify has exited with 0 and reported
// that many products and these stores.
func checkVerifyOutput(t testing.TB, products int, stores, stdout, stderr string, code int) {
	t.Helper()
	if want := fmt.Sprintf("%d products: %s\n", products, stores); code != 0 || stdout != want {
		t.Fatalf("verify exits with %d:\n%s%s\nwant\n%s", code, stdout, stderr, want)
	}
}

// TestRebuild_lost deletes the index, which the reader then builds from the log or
// a snapshot, and rebuilds view and index by one command.
func TestRebuild_lost(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s := up(t, dataDir(t))
	s.importProducts(n)
	s.checkStoresEqual(n)
	_ = s.stop(syscall.SIGKILL)
	if err := os.RemoveAll(filepath.Join(s.data, "index")); err != nil {
		t.Fatal(err)
	}
	s.start()
	s.checkStoresEqual(n)
	since := time.Now()
	stdout, stderr, code := command(t, "rebuild", "-reader", s.grpc)
	if code != 0 || !strings.Contains(stdout, "rebuilt the view in") || !strings.Contains(stdout, "rebuilt the search index of") {
		t.Fatalf("rebuild exits with %d:\n%s%s", code, stdout, stderr)
	}
	t.Logf("view and index of %d products rebuilt in %v", n, time.Since(since))
	s.checkStoresEqual(n)
	if stdout, stderr, code := command(t, "rebuild", "-rollback", "-reader", s.grpc); code != 0 {
		t.Fatalf("rebuild -rollback exits with %d:\n%s%s", code, stdout, stderr)
	}
	s.checkStoresEqual(n)
}

// TestRebuild_killed kills the whole system during a rebuild, at several moments.
// Then it runs a complete rebuild while clients read and write.
func TestRebuild_killed(t *testing.T) {
	t.Parallel()
	const n = 20_000
	s := up(t, dataDir(t))
	s.importProducts(n)
	interrupted := 0 // rebuilds that were interrupted
	for _, after := range []time.Duration{100 * time.Millisecond, 500 * time.Millisecond, time.Second, 2 * time.Second} {
		c := exec.Command(program, "rebuild", "-reader", s.grpc)
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-time.After(after): // at a different step each time
		case <-t.Context().Done():
		}
		_ = s.stop(syscall.SIGKILL)
		if c.Wait() != nil {
			interrupted++
		}
		s.start()
		s.checkStoresEqual(n)
	}
	if interrupted < 2 {
		t.Errorf("void: only %d rebuilds were interrupted", interrupted)
	}

	// Then a complete rebuild under reads and writes, none of which may fail.
	var busy sync.WaitGroup
	var reads atomic.Int64
	done := make(chan struct{})
	ongoing := func() bool {
		select {
		case <-done:
			return false
		default:
			return true
		}
	}
	id, at := s.create(`{"name":"Busy","price":{"amount":"1","currency":"EUR"}}`)
	s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at)
	get := func(path string) {
		r, err := http.Get(s.api + path)
		if err != nil {
			t.Error(err)
			return
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		if r.StatusCode != http.StatusOK {
			t.Errorf("GET %s = %d: %s", path, r.StatusCode, b)
		}
		reads.Add(1)
	}
	busy.Go(func() {
		for i := 0; ongoing(); i++ {
			a := s.call("PATCH", "/api/v1/products/"+id, fmt.Sprintf(`{"description":"%d"}`, i))
			if a.status != http.StatusOK && a.status != http.StatusAccepted { // 202 on a slow machine
				t.Errorf("PATCH = %d: %s", a.status, a.body)
			}
		}
	})
	busy.Go(func() {
		for ongoing() {
			get("/api/v1/products/" + id)
			get("/api/v1/products?q=chair&limit=3")
		}
	})
	stdout, stderr, code := command(t, "rebuild", "-reader", s.grpc)
	close(done)
	busy.Wait()
	if code != 0 {
		t.Fatalf("rebuild exits with %d:\n%s%s", code, stdout, stderr)
	}
	if reads.Load() < 20 {
		t.Errorf("void: only %d reads", reads.Load())
	}
	s.checkStoresEqual(n + 1)
}
