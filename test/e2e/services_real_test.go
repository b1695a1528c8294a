//go:build real

package e2e

import (
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"catalog/engine/enginetest/freeport"
)

func TestServices(t *testing.T) {
	env := engineEnv(t)
	migrate(t, env)
	writers, readers, api := freeport.Address(), freeport.Address(), freeport.Address()
	writer := startProcess(t, env, "writer", "-grpc", writers)
	reader := startProcess(t, env, "reader", "-grpc", readers, "-writer", writers, "-index", filepath.Join(t.TempDir(), "index"))
	gateway := startProcess(t, env, "gateway", "-http", api, "-writer", writers, "-reader", readers)

	s := &server{t: t, api: "http://" + api}
	// A small file: FerretDB, in place of MongoDB, scans where MongoDB uses an index.
	stdout, stderr, code := command(t, append(append([]string{"import", "-server", s.api}, mapping...), filepath.Join("..", "..", "examples", "furniture.csv"))...)
	if code != 0 || !strings.Contains(stdout, ": 90 created, ") {
		t.Fatalf("import exits with %d:\n%s%s", code, stdout, stderr)
	}
	id, at := s.create(chair)
	path := "/api/v1/products/" + id
	s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at)
	at = s.must(http.StatusOK, "PATCH", path, `{"price":{"amount":"99"}}`).header.Get("Catalog-Position")
	for range 3 { // first from the view, then from the cache
		if p := s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at).json(t); p["version"] != 2.0 {
			t.Fatalf("version = %v; want 2", p["version"])
		}
		if p := s.must(http.StatusOK, "GET", path, "").json(t); p["version"] != 2.0 {
			t.Fatalf("version from the cache = %v; want 2", p["version"])
		}
	}
	at = s.must(http.StatusNoContent, "DELETE", path, "").header.Get("Catalog-Position")
	s.must(http.StatusNotFound, "GET", path, "", "Catalog-Position", at)
	s.must(http.StatusNotFound, "GET", path, "")
	eventually(t, "all products are found", func() bool {
		return s.must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").json(t)["total"] == 90.0
	})
	for _, p := range []*process{gateway, reader, writer} {
		p.stop()
	}
}
