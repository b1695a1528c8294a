package e2e

import (
	"encoding/json"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

func dataDir(t testing.TB) string { return filepath.Join(t.TempDir(), "data") }

func TestTour(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	created := s.must(http.StatusCreated, "POST", "/api/v1/products", chair)
	id := created.json(t)["id"].(string)
	path := "/api/v1/products/" + id
	position := created.header.Get("Catalog-Position")
	if created.header.Get("ETag") != `"1"` || created.header.Get("Location") != path || position == "" || created.header.Get("Command-Id") == "" {
		t.Errorf("headers of the created product: %v", created.header)
	}

	t.Run("a read that carries the position sees the write", func(t *testing.T) {
		for _, where := range []string{path, "/api/v1/products?q=folding"} {
			if a := s.must(http.StatusOK, "GET", where, "", "Catalog-Position", position); !strings.Contains(a.body, id) {
				t.Errorf("GET %s does not see the product: %s", where, a.body)
			}
		}
	})
	t.Run("facets, highlights, didYouMean and suggestions", func(t *testing.T) {
		a := s.must(http.StatusOK, "GET", "/api/v1/products?q=seat+fold&highlight=true&facet=width&facet=height", "", "Catalog-Position", position).json(t)
		b, _ := json.Marshal([]any{a["facets"], a["highlights"]})
		want := `[[{"attribute":"width","field":"attribute","values":[{"count":1,"value":"45"}]},{"attribute":"height","field":"attribute","values":[]}],` +
			`{"` + id + `":{"description":[{"text":"Beech, with a "},{"match":true,"text":"seat"},{"text":" of paper cord."}],"name":[{"match":true,"text":"Folding"},{"text":" chair"}]}}]`
		if string(b) != want {
			t.Errorf("facets and highlights = %s\nwant %s", b, want)
		}
		if got := s.must(http.StatusOK, "GET", "/api/v1/products?q=xolding+chair", "", "Catalog-Position", position).json(t); got["match"] != "partial" || got["didYouMean"] != "folding chair" {
			t.Errorf("search for xolding chair = %v; want a partial match and didYouMean", got)
		}
		b, _ = json.Marshal(s.must(http.StatusOK, "GET", "/api/v1/suggest?q=folding+ch", "", "Catalog-Position", position).json(t))
		if !strings.HasPrefix(string(b), `{"categories":[{"count":1,"value":"Furniture/Chairs"}],"products":[{`) || !strings.HasSuffix(string(b), `"texts":["folding chair"]}`) {
			t.Errorf("suggestions = %s", b)
		}
	})
	t.Run("a conditional read of the known version gets 304", func(t *testing.T) {
		s.must(http.StatusNotModified, "GET", path, "", "If-None-Match", `"1"`)
	})
	t.Run("a patch changes only the fields that it names", func(t *testing.T) {
		a := s.must(http.StatusOK, "PATCH", path, `{"price":{"amount":"129.95"},"attributes":{"width":null,"colour":"black"}}`, "Content-Type", "application/merge-patch+json", "If-Match", `"1"`)
		p := a.json(t)
		if p["version"] != 2.0 || p["price"].(map[string]any)["amount"] != "129.95" || p["name"] != "Folding chair" {
			t.Errorf("patched product: %s", a.body)
		}
		if attributes := p["attributes"].(map[string]any); len(attributes) != 1 || attributes["colour"] != "black" {
			t.Errorf("patched attributes: %v", attributes)
		}
	})
	t.Run("a write with an old version is refused", func(t *testing.T) {
		a := s.must(http.StatusPreconditionFailed, "PATCH", path, `{"name":"x"}`, "If-Match", `"1"`)
		if a.json(t)["code"] != "version_mismatch" {
			t.Error(a.body)
		}
	})
	t.Run("a receipt has the result of a command", func(t *testing.T) {
		r := s.must(http.StatusOK, "GET", "/api/v1/commands/"+created.header.Get("Command-Id"), "").json(t)
		if r["status"] != "applied" || r["outcome"] != "created" || r["productId"] != id {
			t.Errorf("receipt: %v", r)
		}
	})
	t.Run("respond-async returns a receipt that settles", func(t *testing.T) {
		a := s.must(http.StatusAccepted, "PATCH", path, `{"name":"Stacking chair"}`, "Prefer", "respond-async")
		r := s.must(http.StatusOK, "GET", a.header.Get("Location")+"?wait=10", "").json(t)
		if r["status"] != "applied" || r["version"] != 3.0 {
			t.Errorf("receipt: %v", r)
		}
	})
	t.Run("history lists the changed fields of each version", func(t *testing.T) {
		h := s.must(http.StatusOK, "GET", path+"/history", "").json(t)["items"].([]any)
		if len(h) != 3 || !strings.Contains(strings.Join(strings.Fields(s.must(http.StatusOK, "GET", path+"/history?limit=1", "").body), ""), `{"field":"name","from":"Foldingchair","to":"Stackingchair"}`) {
			t.Errorf("history: %v", h)
		}
	})
	t.Run("PUT creates and replaces; an equal PUT makes no version", func(t *testing.T) {
		other := "/api/v1/products/01920000-0000-7000-8000-000000000001"
		body := `{"name":"Lamp","price":{"amount":"20","currency":"EUR"}}`
		s.must(http.StatusCreated, "PUT", other, body, "If-None-Match", "*")
		s.must(http.StatusPreconditionFailed, "PUT", other, body, "If-None-Match", "*")
		if a := s.must(http.StatusOK, "PUT", other, body); a.header.Get("ETag") != `"1"` {
			t.Errorf("an equal PUT made version %s", a.header.Get("ETag"))
		}
	})
	t.Run("a deleted product is neither read nor found", func(t *testing.T) {
		a := s.must(http.StatusNoContent, "DELETE", path, "")
		at := a.header.Get("Catalog-Position")
		s.must(http.StatusNotFound, "GET", path, "", "Catalog-Position", at)
		if list := s.must(http.StatusOK, "GET", "/api/v1/products?q=CHA-7", "", "Catalog-Position", at); list.json(t)["total"] != 0.0 {
			t.Errorf("search still finds the product: %s", list.body)
		}
		s.must(http.StatusNotFound, "DELETE", path, "")
	})
	t.Run("the console and the API documentation are served", func(t *testing.T) {
		for path, text := range map[string]string{"/": "<title>Catalog</title>", "/docs/": "swagger", "/swagger/index.html": "swagger", "/openapi.json": `"openapi":"3.1.0"`, "/app.js": "./api.js", "/api.js": "Catalog-Position"} {
			if a := s.must(http.StatusOK, "GET", path, ""); !strings.Contains(a.body, text) {
				t.Errorf("GET %s has no %q", path, text)
			}
		}
	})
}

func TestDataDir_restart(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	for _, end := range []struct {
		name   string
		signal syscall.Signal
	}{{"a clean stop", syscall.SIGTERM}, {"kill -9", syscall.SIGKILL}} {
		t.Run("data survive "+end.name, func(t *testing.T) {
			id, at := s.create(strings.Replace(chair, "CHA-7", end.name, 1))
			since := time.Now()
			err := s.stop(end.signal)
			if end.signal == syscall.SIGTERM && (err != nil || time.Since(since) > 30*time.Second) {
				t.Fatalf("SIGTERM: %v after %v\n%s", err, time.Since(since), s.log())
			}
			s.start()
			if got := s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at).json(t)["name"]; got != "Folding chair" {
				t.Fatalf("name = %v; want Folding chair", got)
			}
			eventually(t, "the product is found", func() bool {
				return s.must(http.StatusOK, "GET", "/api/v1/products?q=folding&limit=100", "").json(t)["total"].(float64) >= 1
			})
		})
	}
}

func TestDataDir_inUse(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	_, stderr, code := command(t, "up", "-data", s.data, "-http", "127.0.0.1:0", "-grpc", "127.0.0.1:0", "-admin", "127.0.0.1:0")
	// One line follows the one that is logged at each start.
	if code != 1 || !strings.Contains(stderr, "in use") || strings.Count(strings.TrimSpace(stderr), "\n") > 1 {
		t.Fatalf("exit code %d, stderr:\n%s", code, stderr)
	}
}

func TestAdminPort(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	id, at := s.create(chair)
	s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at)
	admin := &server{t: t, api: s.admin}
	metrics := admin.must(http.StatusOK, "GET", "/metrics", "").body
	for _, name := range []string{
		`http_server_request_duration_seconds_count{http_request_method="POST",http_response_status_code="201",http_route="/api/v1/products"} 1`,
		"catalog_kafka_lag_records", "catalog_view_delay_seconds", "catalog_writer_commands_total", "rpc_server_call_duration_seconds",
	} {
		if !strings.Contains(metrics, name) {
			t.Errorf("no metric %s", name)
		}
	}
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("SIGTERM: %v", err)
	}
	s.start()
	checkProcess(t, s.admin, s.log())
}
