package gateway_test

import (
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"catalog"
)

func TestNearCache_reads(t *testing.T) {
	start := time.Now()
	s := &system{now: func() time.Time { return start }} // no entry expires
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
	cached := func(status int, want string, headers ...string) {
		t.Helper()
		if got, reads := get(status, headers...); got != want || reads != 0 {
			t.Fatalf("response %s with %d reads, want %s with none", got, reads, want)
		}
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

func TestNearCache_readAhead(t *testing.T) {
	for name, readErr := range map[string]error{
		"a hit on an entry that is about to expire reads the product again": nil,
		"the hit does not fail when that read fails":                        catalog.ErrUnavailable,
	} {
		t.Run(name, func(t *testing.T) {
			start, age := time.Now(), atomic.Int64{}
			s := &system{now: func() time.Time { return start.Add(time.Duration(age.Load())) }}
			url := serve(t, s)
			w, _ := call(t, "POST", url+"/api/v1/products", lamp)
			get := func() (reads int) {
				t.Helper()
				if r, body := call(t, "GET", url+w.Header.Get("Location"), ""); r.StatusCode != http.StatusOK {
					t.Fatalf("response %d %s, want 200", r.StatusCode, body)
				}
				s.mu.Lock()
				defer s.mu.Unlock()
				return s.reads
			}
			if reads := get(); reads != 1 {
				t.Fatalf("%d reads, want 1", reads)
			}
			s.set(func() { s.readErr = readErr })
			age.Store(int64(800 * time.Millisecond))
			eventually(t, "the product is read again", func() bool { return get() == 2 })
		})
	}
}
