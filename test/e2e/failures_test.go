package e2e

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestFailures looks for failures that were found in other systems of this kind.
// The subtests share a server; checkPages uses the products of checkWriteLatency.
func TestFailures(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))

	for _, test := range []struct {
		name string
		run  func(*testing.T, *server)
	}{
		{"a POST does not wait for a batch to fill", checkWriteLatency},
		{"a write can be read and found with its position", checkReadYourWrites},
		{"an update cannot overtake its create, nor another update", checkUpdateOrder},
		{"a deleted product does not come back", checkDeletedStaysDeleted},
		{"an update replaces the cached product", checkUpdateReplacesCached},
		{"a write to an unknown product gets 404", checkUnknownProduct},
		{"a price of 0 or with many digits is kept exactly", checkPrices},
		{"optional fields can be cleared", checkClearedFields},
		{"the longest values are stored and found", checkLongestValues},
		{"pages have the requested size and neither repeat nor miss products", checkPages},
		{"concurrent requests with one key have one effect and one response", checkOneKey},
		{"one of many concurrent creates with the same SKU succeeds", checkOneSKU},
		{"one of many concurrent updates of a version succeeds", checkOneVersion},
		{"responses have no internals, and logs no contents", checkLeaks},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, s) })
	}
}

func checkWriteLatency(t *testing.T, s *server) {
	var took []time.Duration
	for i := range 50 {
		since := time.Now()
		s.create(productWith(fmt.Sprintf(`"sku":"FAST-%d"`, i)))
		took = append(took, time.Since(since))
	}
	slices.Sort(took)
	if took[25] > time.Second {
		t.Errorf("median of POST = %v; want at most 1 s", took[25])
	}
}

func checkReadYourWrites(t *testing.T, s *server) {
	for i := range 20 {
		id, at := s.create(productWith(fmt.Sprintf(`"sku":"SEEN-%d"`, i)))
		s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at)
		if list := s.must(http.StatusOK, "GET", fmt.Sprintf("/api/v1/products?q=SEEN-%d", i), "", "Catalog-Position", at); !strings.Contains(list.body, id) {
			t.Fatalf("product %d is not found", i)
		}
	}
}

func checkUpdateOrder(t *testing.T, s *server) {
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			path := fmt.Sprintf("/api/v1/products/0191e4a0-7c1e-7d5a-8f6b-%012d", i+1)
			s.must(http.StatusAccepted, "PUT", path, `{"name":"0","price":{"amount":"1","currency":"EUR"}}`, "Prefer", "respond-async")
			var receipt string
			for n := 1; n <= 10; n++ {
				receipt = s.must(http.StatusAccepted, "PATCH", path, fmt.Sprintf(`{"name":"%d"}`, n), "Prefer", "respond-async").header.Get("Location")
			}
			r := s.must(http.StatusOK, "GET", receipt+"?wait=20", "").json(t)
			p := s.must(http.StatusOK, "GET", path, "", "Catalog-Position", r["position"].(string)).json(t)
			if p["name"] != "10" || p["version"] != 11.0 {
				t.Errorf("after a create and ten updates: name %v, version %v; want 10, 11", p["name"], p["version"])
			}
		})
	}
	wg.Wait()
}

func checkDeletedStaysDeleted(t *testing.T, s *server) {
	for i := range 20 {
		id, _ := s.create(productWith(fmt.Sprintf(`"sku":"GONE-%d"`, i)))
		path := "/api/v1/products/" + id
		s.must(http.StatusAccepted, "PATCH", path, `{"name":"late"}`, "Prefer", "respond-async")
		at := s.must(http.StatusNoContent, "DELETE", path, "").header.Get("Catalog-Position")
		s.must(http.StatusNotFound, "GET", path, "", "Catalog-Position", at)
		s.must(http.StatusNotFound, "PATCH", path, `{"name":"later"}`)
	}
	eventually(t, "search does not find them", func() bool {
		return s.must(http.StatusOK, "GET", "/api/v1/products?q=GONE", "").json(t)["total"] == 0.0
	})
}

func checkUpdateReplacesCached(t *testing.T, s *server) {
	id, at := s.create(productWith(`"sku":"CACHED"`))
	path := "/api/v1/products/" + id
	for n := range 20 {
		s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at)
		at = s.must(http.StatusOK, "PATCH", path, fmt.Sprintf(`{"description":"%d"}`, n)).header.Get("Catalog-Position")
		if got := s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at).json(t)["description"]; got != fmt.Sprint(n) {
			t.Fatalf("after update %d: description %v", n, got)
		}
	}
}

func checkUnknownProduct(t *testing.T, s *server) {
	for _, method := range []string{"PATCH", "DELETE"} {
		s.must(http.StatusNotFound, method, "/api/v1/products/0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b", `{}`)
	}
}

func checkPrices(t *testing.T, s *server) {
	for _, amount := range []string{"0.00", "0.01", "12345678901234.89", "999999999999999.99", "2147483648.50"} {
		id, _ := s.create(fmt.Sprintf(`{"name":"x","price":{"amount":"%s","currency":"EUR"}}`, amount))
		at := s.must(http.StatusOK, "PATCH", "/api/v1/products/"+id, `{"name":"y"}`).header.Get("Catalog-Position")
		p := s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at).json(t)
		if got := p["price"].(map[string]any)["amount"]; got != amount {
			t.Errorf("amount %s became %v", amount, got)
		}
	}
}

func checkClearedFields(t *testing.T, s *server) {
	id, _ := s.create(strings.Replace(chair, "CHA-7", "EMPTY", 1))
	p := s.must(http.StatusOK, "PATCH", "/api/v1/products/"+id, `{"description":null,"tags":[],"attributes":null,"category":""}`).json(t)
	for _, field := range []string{"description", "tags", "attributes", "category"} {
		if v, there := p[field]; there {
			t.Errorf("%s is still %v", field, v)
		}
	}
}

func checkLongestValues(t *testing.T, s *server) {
	body := fmt.Sprintf(`{"sku":"%s","name":"%s","description":"%s","price":{"amount":"1","currency":"EUR"},"category":"%s"}`,
		strings.Repeat("s", 64), strings.Repeat("é", 250), strings.Repeat("漢", 5000), strings.Repeat("c", 250))
	id, at := s.create(body)
	p := s.must(http.StatusOK, "GET", "/api/v1/products/"+id, "", "Catalog-Position", at).json(t)
	if p["name"] != strings.Repeat("é", 250) || p["description"] != strings.Repeat("漢", 5000) {
		t.Error("a value was shortened")
	}
	if found := s.must(http.StatusOK, "GET", "/api/v1/products?q="+strings.Repeat("s", 64), "", "Catalog-Position", at).json(t)["total"]; found != 1.0 {
		t.Errorf("total = %v; want 1", found)
	}
}

func checkPages(t *testing.T, s *server) {
	for _, sort := range []string{"newest", "name", "price", "-price"} {
		seen := map[string]bool{}
		var total float64
		for cursor := ""; ; {
			page := s.must(http.StatusOK, "GET", "/api/v1/products?q=FAST&limit=7&sort="+sort+"&cursor="+url.QueryEscape(cursor), "").json(t)
			items := page["items"].([]any)
			total = page["total"].(float64)
			next, more := page["nextCursor"].(string)
			if more && len(items) != 7 {
				t.Fatalf("page with limit 7 has %d products", len(items))
			}
			for _, item := range items {
				id := item.(map[string]any)["id"].(string)
				if seen[id] {
					t.Fatalf("sort %s: product %s twice", sort, id)
				}
				seen[id] = true
			}
			if !more {
				break
			}
			cursor = next
		}
		if float64(len(seen)) != total || total != 50 {
			t.Errorf("sort %s: %d of %v products", sort, len(seen), total)
		}
	}
}

func checkOneKey(t *testing.T, s *server) {
	var wg sync.WaitGroup
	responses := make([]response, 50)
	for i := range responses {
		wg.Go(func() {
			responses[i] = s.must(http.StatusCreated, "POST", "/api/v1/products", productWith(`"sku":"KEY"`), "Idempotency-Key", "one-and-only")
		})
	}
	wg.Wait()
	for _, a := range responses {
		if a.body != responses[0].body || a.header.Get("Catalog-Position") != responses[0].header.Get("Catalog-Position") {
			t.Fatalf("two responses to one request:\n%s%s", responses[0].body, a.body)
		}
	}
	a := s.must(http.StatusUnprocessableEntity, "POST", "/api/v1/products", productWith(`"sku":"OTHER"`), "Idempotency-Key", "one-and-only")
	if a.json(t)["code"] != "key_reused" {
		t.Error(a.body)
	}
}

func checkOneSKU(t *testing.T, s *server) {
	var wg sync.WaitGroup
	statuses := make([]int, 30)
	for i := range statuses {
		wg.Go(func() { statuses[i] = s.call("POST", "/api/v1/products", productWith(`"sku":"WANTED"`)).status })
	}
	wg.Wait()
	slices.Sort(statuses)
	if statuses[0] != http.StatusCreated || statuses[1] != http.StatusConflict || statuses[29] != http.StatusConflict {
		t.Errorf("statuses = %v", statuses)
	}
}

func checkOneVersion(t *testing.T, s *server) {
	id, _ := s.create(productWith(`"sku":"RACE"`))
	var wg sync.WaitGroup
	statuses := make([]int, 30)
	for i := range statuses {
		wg.Go(func() {
			statuses[i] = s.call("PATCH", "/api/v1/products/"+id, fmt.Sprintf(`{"name":"%d"}`, i), "If-Match", `"1"`).status
		})
	}
	wg.Wait()
	slices.Sort(statuses)
	if statuses[0] != http.StatusOK || statuses[1] != http.StatusPreconditionFailed || statuses[29] != http.StatusPreconditionFailed {
		t.Errorf("statuses = %v", statuses)
	}
}

func checkLeaks(t *testing.T, s *server) {
	a := s.must(http.StatusBadRequest, "POST", "/api/v1/products", `{"name": token cookie`)
	for _, word := range []string{"goroutine", ".go:", "panic", "sql"} {
		if strings.Contains(a.body, word) {
			t.Errorf("the response contains %q: %s", word, a.body)
		}
	}
	s.create(productWith(`"description":"correct horse battery staple"`))
	if strings.Contains(s.log(), "correct horse") {
		t.Error("the log contains the text of a product")
	}
}
