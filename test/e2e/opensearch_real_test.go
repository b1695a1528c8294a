//go:build real

package e2e

import (
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
)

// TestOpenSearch has two readers write to one index, rebuilds it while clients
// search, and kills OpenSearch.
func TestOpenSearch(t *testing.T) {
	address := freeport.Address()
	_, port, _ := net.SplitHostPort(address)
	own := startEngines(t, []string{"opensearch"}, "ENGINES_OPENSEARCH_PORT="+port)

	env := append(engineEnv(t), "CATALOG_OPENSEARCH_URL=http://"+address)
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
			var a response
			// On a busy machine the index may need longer than a read waits for it.
			eventually(t, "the search index has the write", func() bool {
				a = s.call("GET", "/api/v1/products?q="+text, "", "Catalog-Position", at)
				return a.status != http.StatusServiceUnavailable
			})
			if a.status != http.StatusOK || a.json(t)["total"] != want {
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
		own.kill("opensearch")
		at := s.must(http.StatusOK, "PATCH", product, `{"name":"Garden bench"}`).header.Get("Catalog-Position")
		eventually(t, "searches fail at once", func() bool {
			since := time.Now()
			a := s.call("GET", "/api/v1/products?q=garden", "")
			return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != "" && time.Since(since) < 200*time.Millisecond
		})
		if p := s.must(http.StatusOK, "GET", product, "", "Catalog-Position", at).json(t); p["name"] != "Garden bench" {
			t.Errorf("without OpenSearch: product = %v", p)
		}
		own.up()
		eventually(t, "search is back", func() bool {
			return s.call("GET", "/api/v1/products?q=garden", "", "Catalog-Position", at).status == http.StatusOK
		})
		finds("garden", at, 1)
		finds("reading", at, 0)
		equal()
	})
}
