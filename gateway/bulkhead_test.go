package gateway_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/gateway"
	"catalog/internal/metrics/metricstest"
)

// TestShares_apart fills the share of each kind of request in turn.
func TestShares_apart(t *testing.T) {
	id := catalog.DerivedID("p").String()
	requests := map[string][]string{ // by share: method, path, body, headers
		"reads":       {"GET", "/api/v1/products/" + id, ""},
		"positions":   {"GET", "/api/v1/products", "", "Catalog-Position", "0.999999"},
		"lists":       {"GET", "/api/v1/products", ""},
		"suggestions": {"GET", "/api/v1/suggest?q=l", ""},
		"history":     {"GET", "/api/v1/products/" + id + "/history", ""},
		"receipts":    {"GET", "/api/v1/commands/" + id, ""},
		"writes":      {"DELETE", "/api/v1/products/" + id, ""},
		"imports":     {"POST", "/api/v1/imports", lamp, "Content-Type", "application/x-ndjson"},
	}
	for full := range requests {
		t.Run("full "+full+" keep only their own kind from its turn", func(t *testing.T) {
			t.Parallel()
			s := &system{}
			url := serve(t, s)
			s.gateway.FillShares(s.gateway.Shares()[full])
			for kind, r := range requests {
				w, body := call(t, r[0], url+r[1], r[2], r[3:]...)
				if busy := w.StatusCode == http.StatusTooManyRequests; busy != (kind == full) {
					t.Errorf("%s: %d %s; want 429 exactly for %s", kind, w.StatusCode, body, full)
				} else if busy && (w.Header.Get("Retry-After") == "" || !strings.Contains(body, `"busy"`)) {
					t.Errorf("%s: Retry-After %q, %s; want a problem that says when to retry", kind, w.Header.Get("Retry-After"), body)
				}
			}
			if shed := metricstest.Value(t, s.metrics, "catalog_requests_shed_total", "reason", full); shed != 1 {
				t.Errorf("catalog_requests_shed_total of %s = %v; want 1", full, shed)
			}
		})
	}
}

func TestShares_limits(t *testing.T) {
	for configured, want := range map[int]map[string]float64{
		0: {"lists": 8, "suggestions": 8, "history": 8, "windows": 4},
		3: {"lists": 3, "suggestions": 3, "history": 3, "windows": 3},
	} {
		t.Run(fmt.Sprintf("with %d configured, each kind that costs CPU has its slots", configured), func(t *testing.T) {
			s := &system{}
			serveConfig(t, s, gateway.Config{MaxConcurrentQueries: configured, MaxConcurrentWindows: configured})
			for kind, want := range want {
				if limit := metricstest.Value(t, s.metrics, "catalog_gateway_share_limit", "kind", kind); limit != want {
					t.Errorf("limit of %s = %v; want %v", kind, limit, want)
				}
			}
		})
	}
}

func TestShares_queue(t *testing.T) {
	t.Run("a request waits for a moment until a slot of its kind is free", func(t *testing.T) {
		s := &system{}
		url := serve(t, s)
		release := s.gateway.HoldShare(t.Context(), "lists")
		status := make(chan int)
		go func() { w, _ := call(t, "GET", url+"/api/v1/products", ""); status <- w.StatusCode }()
		eventually(t, "the list waits", func() bool {
			return metricstest.Value(t, s.metrics, "catalog_gateway_share_queued", "kind", "lists") == 1
		})
		release()
		if got := <-status; got != http.StatusOK {
			t.Errorf("status %d; want 200 once a slot is free", got)
		}
	})
}

func TestPosition_unreached(t *testing.T) {
	t.Run("reads that wait for a position which no event reaches leave other reads their slots", func(t *testing.T) {
		s := &system{}
		url := serve(t, s)
		s.gateway.FillShares(s.gateway.Shares()["positions"])
		w, created := call(t, "POST", url+"/api/v1/products", lamp)
		id := created[strings.Index(created, `"id":"`)+6:][:36]
		at := w.Header.Get("Catalog-Position")
		for _, path := range []string{"/api/v1/products/" + id, "/api/v1/products", "/api/v1/suggest?q=l"} {
			if w, body := call(t, "GET", url+path, "", "Catalog-Position", at); w.StatusCode != http.StatusOK {
				t.Errorf("GET %s at position %s, which the gateway has followed: %d %s; want 200", path, at, w.StatusCode, body)
			}
		}
		if w, _ := call(t, "GET", url+"/api/v1/products", "", "Catalog-Position", "0.999999"); w.StatusCode != http.StatusTooManyRequests {
			t.Errorf("status %d at a position of the future; want 429, the share is full", w.StatusCode)
		}
	})
}

func TestIdempotencyKey_canonicalID(t *testing.T) {
	url := serve(t, &system{})
	id := "0191e4a0-7c1e-7d5a-8f6b-3c2d1e0f9a8b"
	var commands []string
	for _, written := range []string{id, strings.ToUpper(id), "0191E4a0" + id[8:], strings.ReplaceAll(id, "-", "%2D")} {
		w, body := call(t, "PUT", url+"/api/v1/products/"+written, lamp, "Idempotency-Key", "k")
		if w.StatusCode != http.StatusCreated {
			t.Errorf("PUT %s = %d %s; want the first response again", written, w.StatusCode, body)
		}
		commands = append(commands, w.Header.Get("Command-Id"))
	}
	for _, c := range commands {
		if c != commands[0] {
			t.Errorf("commands %v; want one, however the id is written", commands)
		}
	}
}

func TestWrite_tooLarge(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	name := strings.Repeat("k", 1_000_100)
	t.Run("a client whose patches are too large does not open the breaker of the log", func(t *testing.T) {
		data := lamps()
		for range 10 {
			if w, body := call(t, "PATCH", url+"/api/v1/products/"+catalog.DerivedID("p").String(), `{"attributes":{"`+name+`":null}}`); w.StatusCode != http.StatusBadRequest {
				t.Fatalf("a removed name of a megabyte: %d %.200s; want 400", w.StatusCode, body)
			}
			if w, body := call(t, "POST", url+"/api/v1/products", data()); w.StatusCode != http.StatusCreated {
				t.Fatalf("another client: %d %s; want 201", w.StatusCode, body)
			}
		}
	})
	t.Run("a command that the log finds too large is 413, and no failure of the log", func(t *testing.T) {
		s.set(func() { s.sendErr = fmt.Errorf("send: %w", catalog.ErrTooLarge) })
		for range 10 {
			if w, body := call(t, "POST", url+"/api/v1/products", lamp); w.StatusCode != http.StatusRequestEntityTooLarge {
				t.Fatalf("status %d %s; want 413", w.StatusCode, body)
			}
		}
	})
	t.Run("a full buffer of the log client is 503, and no failure of the log", func(t *testing.T) {
		s.set(func() { s.sendErr = fmt.Errorf("send: %w", catalog.ErrOverloaded) })
		for range 10 {
			if w, body := call(t, "POST", url+"/api/v1/products", lamp); w.StatusCode != http.StatusServiceUnavailable || !strings.Contains(body, `"overloaded"`) {
				t.Fatalf("status %d %s; want 503 overloaded", w.StatusCode, body)
			}
		}
		if open := metricstest.Value(t, s.metrics, "catalog_breaker_open", "target", "log"); open != 0 {
			t.Errorf("catalog_breaker_open = %v; want 0", open)
		}
	})
}

func TestLog_failures(t *testing.T) {
	t.Run("clients cannot fill the log with one kind of failure", func(t *testing.T) {
		var logs lockedBuffer
		s := &system{readErr: catalog.ErrUnavailable}
		url := serveLogged(t, s, &logs)
		start := time.Now()
		for range 50 {
			call(t, "GET", url+"/api/v1/products", "")
		}
		most := 2 + int(time.Since(start)/time.Second)
		if n := strings.Count(logs.String(), "request failed"); n < 1 || n > most {
			t.Errorf("%d lines for 50 failures; want 1 to %d", n, most)
		}
		s.set(func() { s.readErr = catalog.ErrStale })
		logs.Reset()
		call(t, "GET", url+"/api/v1/products", "", "Catalog-Position", "0.99")
		if strings.Contains(logs.String(), "request failed") {
			t.Errorf("log = %s; want no line for a position that is not reached", logs.String())
		}
	})
}
