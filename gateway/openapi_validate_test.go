package gateway_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"

	"catalog/api"
	"catalog/internal/wire"
)

func TestOpenAPI_routes(t *testing.T) {
	var contract struct {
		Paths      map[string]map[string]any
		Components struct {
			Examples map[string]struct{ Value any }
		}
	}
	if err := yaml.Unmarshal(api.OpenAPI, &contract); err != nil {
		t.Fatal(err)
	}
	url := serve(t, &system{})
	id := "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"
	for _, path := range slices.Sorted(maps.Keys(contract.Paths)) {
		for _, method := range []string{"GET", "POST", "PUT", "PATCH", "DELETE"} {
			_, documented := contract.Paths[path][strings.ToLower(method)]
			w, body := call(t, method, url+strings.Replace(path, "{id}", id, 1)+"?nonsense=1", lamp)
			if is := w.StatusCode != http.StatusMethodNotAllowed; is != documented {
				t.Errorf("%s %s: in the contract %v, in the gateway %v: %s", method, path, documented, is, body)
			}
		}
	}
	example, err := json.Marshal(contract.Components.Examples["productData"].Value)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := wire.ParseProductData(example); err != nil {
		t.Errorf("the example of product data is refused: %v", err)
	}
	var product api.Product
	d, err := json.Marshal(contract.Components.Examples["product"].Value)
	if err == nil {
		err = json.Unmarshal(d, &product)
	}
	if err != nil || product.Version != 1 {
		t.Errorf("the example of a product cannot be parsed: %v", err)
	}
}

func TestDocs_swagger(t *testing.T) {
	url := serve(t, &system{})
	for _, path := range []string{"/docs/", "/swagger/", "/swagger/index.html"} {
		t.Run(path+" shows the API documentation", func(t *testing.T) {
			w, body := call(t, http.MethodGet, url+path, "")
			if w.StatusCode != http.StatusOK || w.Request.URL.Path != "/docs/" || !strings.Contains(body, "/docs/docs.js") {
				t.Errorf("GET %s = %d from %s; want 200 from /docs/ with the script", path, w.StatusCode, w.Request.URL.Path)
			}
		})
	}
	t.Run("the script names the contract", func(t *testing.T) {
		if _, script := call(t, http.MethodGet, url+"/docs/docs.js", ""); !strings.Contains(script, `"/openapi.json"`) {
			t.Errorf("script %s; want the address of the contract", script)
		}
	})
	t.Run("every file that the page names is served", func(t *testing.T) {
		_, page := call(t, http.MethodGet, url+"/docs/", "")
		names := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(page, -1)
		if len(names) < 4 {
			t.Fatalf("the page names %d files; want the scripts, the style sheet and the icon", len(names))
		}
		for _, name := range names {
			if w, body := call(t, http.MethodGet, url+name[1], ""); w.StatusCode != http.StatusOK || body == "" {
				t.Errorf("GET %s = %d with %d bytes; want 200", name[1], w.StatusCode, len(body))
			}
		}
	})
}
