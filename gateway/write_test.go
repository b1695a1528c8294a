package gateway_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"catalog"
	"catalog/api"
	"catalog/gateway"
)

func TestWrite_pending(t *testing.T) {
	s := &system{silent: true}
	url := serve(t, s)
	w, body := call(t, "POST", url+"/api/v1/products", lamp, "Prefer", "wait=0")
	if w.StatusCode != http.StatusAccepted || !strings.Contains(body, `"pending"`) {
		t.Fatalf("response %d %s, want 202 pending", w.StatusCode, body)
	}
	// The events do not arrive, so the receipt comes from the journal.
	if w, body := call(t, "GET", url+w.Header.Get("Location"), ""); w.StatusCode != http.StatusOK || !strings.Contains(body, `"applied"`) {
		t.Fatalf("receipt %d %s, want applied", w.StatusCode, body)
	}
}

func TestWrite_respondAsync(t *testing.T) {
	url := serve(t, &system{}) // its Send returns after the event is published
	for range 50 {
		if w, body := call(t, "POST", url+"/api/v1/products", lamp, "Prefer", "respond-async"); w.StatusCode != http.StatusAccepted {
			t.Fatalf("response %d %s, want 202", w.StatusCode, body)
		}
	}
}

func TestIdempotencyKey_repeated(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	first, body := call(t, "POST", url+"/api/v1/products", lamp, "Idempotency-Key", "k")
	s.mu.Lock()
	s.sendErr = catalog.ErrUnavailable // a repeat needs no log
	s.mu.Unlock()
	again, same := call(t, "POST", url+"/api/v1/products", lamp, "Idempotency-Key", "k")
	if first.StatusCode != http.StatusCreated || again.StatusCode != first.StatusCode || body != same {
		t.Fatalf("response %d %s, and repeated %d %s", first.StatusCode, body, again.StatusCode, same)
	}
	if other, body := call(t, "POST", url+"/api/v1/products", strings.Replace(lamp, "20", "21", 1), "Idempotency-Key", "k"); other.StatusCode != http.StatusUnprocessableEntity {
		t.Fatalf("another request with the key: %d %s, want 422", other.StatusCode, body)
	}
}

func TestIdempotencyKey_fromProblem(t *testing.T) {
	s := &system{}
	url := serve(t, s) + "/api/v1/products"
	s.set(func() { s.sendErr = catalog.ErrOutcomeUnknown })
	w, body := call(t, "POST", url, lamp)
	var p api.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || w.StatusCode != http.StatusGatewayTimeout || p.IdempotencyKey == "" {
		t.Fatalf("response %d %s", w.StatusCode, body)
	}
	s.set(func() { s.sendErr = nil })
	for range 2 {
		w, body := call(t, "POST", url, lamp, "Idempotency-Key", p.IdempotencyKey)
		if w.StatusCode != http.StatusCreated || w.Header.Get("Command-Id") != p.CommandId.String() {
			t.Fatalf("repeated: %d %s as command %s, want 201 as %s", w.StatusCode, body, w.Header.Get("Command-Id"), p.CommandId)
		}
	}
	if w, body := call(t, "POST", url, strings.Replace(lamp, "20", "21", 1), "Idempotency-Key", p.IdempotencyKey); w.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("another request with the key: %d %s, want 422", w.StatusCode, body)
	}
	if len(s.events) != 1 {
		t.Errorf("%d events, want 1", len(s.events))
	}
}

func TestWrite_logBreaker(t *testing.T) {
	s := &system{}
	url, data := serve(t, s)+"/api/v1/products", lamps()
	s.set(func() { s.gone = true })
	post := func() int { w, _ := call(t, "POST", url, data()); return w.StatusCode }
	eventually(t, "writes are rejected at once", func() bool { return post() == http.StatusServiceUnavailable })
	sends := s.sends
	for range 100 {
		if status := post(); status != http.StatusServiceUnavailable {
			t.Fatalf("status %d, want 503", status)
		}
	}
	if s.sends != sends {
		t.Errorf("%d commands were sent while the breaker was open", s.sends-sends)
	}
	s.set(func() { s.gone = false })
	eventually(t, "writes succeed again", func() bool { return post() == http.StatusCreated })
}

func TestWrite_concurrencyLimit(t *testing.T) {
	s := &system{silent: true}
	url, data := serveConfig(t, s, gateway.Config{MaxConcurrentWrites: 2})+"/api/v1/products", lamps()
	statuses := make(chan int, 2)
	for range 2 {
		body := data()
		go func() { w, _ := call(t, "POST", url, body, "Prefer", "wait=5"); statuses <- w.StatusCode }()
	}
	eventually(t, "both slots are in use", func() (full bool) { s.set(func() { full = s.sends == 2 }); return full })
	if w, body := call(t, "POST", url, data(), "Prefer", "wait=0"); w.StatusCode != http.StatusTooManyRequests || w.Header.Get("Retry-After") == "" || !strings.Contains(body, `"busy"`) {
		t.Errorf("a third write: %d %s, want 429 busy", w.StatusCode, body)
	}
	for range 2 {
		if status := <-statuses; status != http.StatusAccepted {
			t.Errorf("status %d, want 202", status)
		}
	}
	if w, _ := call(t, "POST", url, data(), "Prefer", "wait=0"); w.StatusCode != http.StatusAccepted {
		t.Errorf("after the others ended: status %d, want 202", w.StatusCode)
	}
}
