//go:build real

package e2e

import (
	"errors"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
)

// openSearchServer is an OpenSearch that the test can kill.
type openSearchServer struct {
	t       *testing.T
	dir     string
	address string
}

// start starts the server on its data folder.
func (o *openSearchServer) start() {
	o.t.Helper()
	if out, err := o.script("up").CombinedOutput(); err != nil {
		o.t.Fatalf("%v\n%s", err, out)
	}
}

// script returns deploy/engines/up or down for this server alone.
func (o *openSearchServer) script(do string) *exec.Cmd {
	_, port, _ := net.SplitHostPort(o.address)
	c := exec.Command(filepath.Join("..", "..", "deploy", "engines", do))
	if do == "up" {
		c.Args = append(c.Args, "opensearch")
	}
	c.Env = append(os.Environ(), "ENGINES_DIR="+o.dir, "ENGINES_OPENSEARCH_PORT="+port, "CATALOG_TEST_OPENSEARCH_URL=")
	return c
}

// kill sends SIGKILL and waits until the process has ended.
func (o *openSearchServer) kill() {
	o.t.Helper()
	b, err := os.ReadFile(filepath.Join(o.dir, "opensearch.pid"))
	if err != nil {
		o.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		o.t.Fatal(err)
	}
	eventually(o.t, "OpenSearch has ended", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

// TestOpenSearch has two readers write to one index, rebuilds it while clients
// search, and kills OpenSearch.
func TestOpenSearch(t *testing.T) {
	o := &openSearchServer{t: t, dir: t.TempDir(), address: freeport.Address()}
	t.Cleanup(func() {
		if out, err := o.script("down").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	o.start()

	env := append(engineEnv(t), "CATALOG_OPENSEARCH_URL=http://"+o.address)
	migrate(t, env)
	writer, readers, api := freeport.Address(), []string{freeport.Address(), freeport.Address()}, freeport.Address()
	startProcess(t, env, "writer", "-grpc", writer)
	for _, at := range readers {
		startProcess(t, env, "reader", "-grpc", at, "-writer", writer)
	}
	startProcess(t, env, "gateway", "-http", api, "-writer", writer, "-reader", strings.Join(readers, ","))
	s := &server{t: t, api: "http://" + api}

	const n = 200
	s.importProducts(n)
	id, at := s.create(chair)
	product := "/api/v1/products/" + id
	finds := func(text, at string, want float64) {
		t.Helper()
		for range 4 { // both readers
			if a := s.must(http.StatusOK, "GET", "/api/v1/products?q="+text, "", "Catalog-Position", at); a.json(t)["total"] != want {
				t.Fatalf("search for %s finds %v products; want %v", text, a.json(t)["total"], want)
			}
		}
	}
	equal := func() {
		t.Helper()
		checkReadersEqual(t, n+1, readers...)
	}
	finds("folding", at, 1)
	at = s.must(http.StatusOK, "PATCH", product, `{"name":"Rocking chair"}`).header.Get("Catalog-Position")
	finds("rocking", at, 1)
	finds("folding", at, 0)
	equal()

	t.Run("a rebuild during searches fails none of them", func(t *testing.T) {
		var searches, wrong atomic.Int64
		stop := make(chan struct{})
		var clients sync.WaitGroup
		for range 2 {
			clients.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					searches.Add(1)
					if a := s.call("GET", "/api/v1/products?q=rocking", ""); a.status != http.StatusOK || !strings.Contains(a.body, `"total":1`) {
						wrong.Add(1)
					}
				}
			})
		}
		stdout, stderr, code := command(t, "rebuild", "-index", "-reader", readers[0])
		close(stop)
		clients.Wait()
		if code != 0 || !strings.Contains(stdout, "rebuilt the search index") {
			t.Fatalf("rebuild exits with %d:\n%s%s", code, stdout, stderr)
		}
		if searches.Load() < 10 || wrong.Load() > 0 {
			t.Errorf("%d searches, %d of them wrong", searches.Load(), wrong.Load())
		}
		at := s.must(http.StatusOK, "PATCH", product, `{"name":"Reading chair"}`).header.Get("Catalog-Position")
		finds("reading", at, 1)
		equal()
	})

	t.Run("after a kill and a restart the index has everything written meanwhile", func(t *testing.T) {
		o.kill()
		at := s.must(http.StatusOK, "PATCH", product, `{"name":"Garden bench"}`).header.Get("Catalog-Position")
		eventually(t, "searches fail at once", func() bool {
			since := time.Now()
			a := s.call("GET", "/api/v1/products?q=garden", "")
			return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" && time.Since(since) < 200*time.Millisecond
		})
		if p := s.must(http.StatusOK, "GET", product, "", "Catalog-Position", at).json(t); p["name"] != "Garden bench" {
			t.Errorf("without OpenSearch: product = %v", p)
		}
		o.start()
		eventually(t, "search is back", func() bool {
			return s.call("GET", "/api/v1/products?q=garden", "", "Catalog-Position", at).status == http.StatusOK
		})
		finds("garden", at, 1)
		finds("reading", at, 0)
		equal()
	})
}
