package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"catalog"
)

func TestRestore(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	id := catalog.DerivedID("old").String()
	path := url + "/api/v1/products/" + id
	put := func(path, name, sku string) {
		call(t, "PUT", path, fmt.Sprintf(`{"name":%q,"sku":%q,"price":{"amount":"1","currency":"EUR"}}`, name, sku))
	}
	put(path, "One", "A")
	put(path, "Two", "B")
	for _, test := range []struct {
		name, body string
		headers    []string
		status     int
		has        string
	}{
		{"If-Match of another version", `{"version":1}`, []string{"If-Match", `"1"`}, 412, "version_mismatch"},
		{"If-Match of several other versions", `{"version":1}`, []string{"If-Match", `"1", W/"3"`}, 412, "not 1 or 3"},
		{"If-Match of several versions", `{"version":2}`, []string{"If-Match", `"1", W/"2"`}, 200, `"version":2`},
		{"the first", `{"version":1}`, []string{"If-Match", `"2"`, "Idempotency-Key", "k"}, 200, `"version":3`},
		{"the first, with the same key", `{"version":1}`, []string{"If-Match", `"2"`, "Idempotency-Key", "k"}, 200, `"version":3`},
		{"another with the same key", `{"version":2}`, []string{"If-Match", `"2"`, "Idempotency-Key", "k"}, 422, "key_reused"},
		{"the present version", `{"version":3}`, nil, 200, `"version":3`},
		{"a version that does not exist", `{"version":9}`, nil, 404, "no such version"},
		{"no version", `{}`, nil, 400, `"version"`},
		{"a version in a string", `{"version":"1"}`, nil, 400, "not a string"},
		{"a fraction", `{"version":1.5}`, nil, 400, `"version"`},
		{"version 0", `{"version":0}`, nil, 400, `"version"`},
		{"a version that is too large", `{"version":9223372036854775807}`, nil, 400, `"version"`},
		{"an unknown field", `{"version":1,"name":"x"}`, nil, 400, `"name"`},
		{"an empty body", ``, nil, 400, `"body"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if w, body := call(t, "POST", path+"/restore", test.body, test.headers...); w.StatusCode != test.status || !strings.Contains(body, test.has) {
				t.Errorf("response %d %s", w.StatusCode, body)
			}
		})
	}
	t.Run("a deletion", func(t *testing.T) {
		call(t, "DELETE", path, "")
		if w, body := call(t, "POST", path+"/restore", `{"version":4}`); w.StatusCode != http.StatusBadRequest || !strings.Contains(body, "deletion") {
			t.Errorf("response %d %s", w.StatusCode, body)
		}
	})
	t.Run("a deleted product", func(t *testing.T) {
		if w, body := call(t, "POST", path+"/restore", `{"version":2}`); w.StatusCode != http.StatusCreated || !strings.Contains(body, `"version":5`) || !strings.Contains(body, "Two") {
			t.Errorf("response %d %s", w.StatusCode, body)
		}
	})
	t.Run("an SKU that another product has taken", func(t *testing.T) {
		put(url+"/api/v1/products/"+catalog.DerivedID("other").String(), "Other", "A")
		if w, body := call(t, "POST", path+"/restore", `{"version":1}`); w.StatusCode != http.StatusConflict || !strings.Contains(body, "sku_taken") {
			t.Errorf("response %d %s", w.StatusCode, body)
		}
	})
	t.Run("a version of before texts were normalized", func(t *testing.T) {
		path := url + "/api/v1/products/" + catalog.DerivedID("earlier").String()
		put(path, "One", "E")
		s.mu.Lock()
		s.events[len(s.events)-1].Product.Name = "Cafe\u0301"
		s.mu.Unlock()
		put(path, "Two", "E")
		if w, body := call(t, "POST", path+"/restore", `{"version":1}`); w.StatusCode != http.StatusOK || !strings.Contains(body, "Café") {
			t.Errorf("response %d %s; want the name in composed form", w.StatusCode, body)
		}
	})
}
