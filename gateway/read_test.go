package gateway_test

import (
	"net/http"
	"testing"
)

func TestNearCache_reads(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	w, body := call(t, "POST", url+"/api/v1/products", lamp)
	url += w.Header.Get("Location")
	get := func(status int, headers ...string) (string, int) {
		t.Helper()
		s.mu.Lock()
		before := s.reads
		s.mu.Unlock()
		r, got := call(t, "GET", url, "", headers...)
		if r.StatusCode != status || status == http.StatusOK && r.Header.Get("Content-Type") != "application/json" {
			t.Fatalf("response %d %s, want %d", r.StatusCode, got, status)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		return r.Header.Get("ETag") + got, s.reads - before
	}
	first, _ := get(200)
	if first != `"1"`+body {
		t.Fatalf("response %s, want %s", first, body)
	}
	// Entries expire after a second, which may pass on a busy machine.
	cached := func(status int, want string, headers ...string) {
		t.Helper()
		for range 100 {
			got, reads := get(status, headers...)
			if got != want {
				t.Fatalf("response %s, want %s", got, want)
			}
			if reads == 0 {
				return
			}
		}
		t.Error("every read reaches the reader")
	}
	cached(200, first)
	cached(200, first, "Catalog-Position", w.Header.Get("Catalog-Position"))
	cached(304, `"1"`, "If-None-Match", `"1"`)

	w, body = call(t, "PATCH", url, `{"name":"Table lamp"}`)
	second, reads := get(200)
	if second != `"2"`+body || reads != 1 {
		t.Fatalf("after a change: %s with %d reads, want %s with 1", second, reads, body)
	}
	cached(200, second, "Catalog-Position", w.Header.Get("Catalog-Position"))
	cached(200, second, "Catalog-Position", "0.1, "+w.Header.Get("Catalog-Position")) // of two positions, the later one counts
	if _, reads := get(200, "Catalog-Position", "0.99"); reads != 1 {
		t.Error("a position beyond the followed events is served from the cache")
	}
	call(t, "DELETE", url, "")
	if _, reads := get(404); reads != 1 {
		t.Error("a deleted product is served from the cache")
	}
}
