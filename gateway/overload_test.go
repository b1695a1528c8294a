package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/api"
	"catalog/gateway"
)

// lamps are drafts of which each has another SKU.
func lamps() func() string {
	n := 0
	return func() string {
		n++
		return strings.Replace(lamp, "LAMP", fmt.Sprintf("LAMP-%d", n), 1)
	}
}

// set changes what the system does.
func (s *system) set(change func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	change()
}

func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); !condition(); {
		if time.Now().After(end) {
			t.Fatalf("still not: %s", what)
		}
	}
}

func TestARequestWithoutAKeyCanBeRepeated(t *testing.T) {
	s := &system{}
	url := serve(t, s) + "/api/v1/products"
	s.set(func() { s.sendErr = catalog.ErrOutcomeUnknown })
	w, body := call(t, "POST", url, lamp)
	var p api.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil || w.StatusCode != http.StatusGatewayTimeout || p.IdempotencyKey == "" {
		t.Fatalf("answered %d %s", w.StatusCode, body)
	}
	s.set(func() { s.sendErr = nil })
	for range 2 {
		w, body := call(t, "POST", url, lamp, "Idempotency-Key", p.IdempotencyKey)
		if w.StatusCode != http.StatusCreated || w.Header.Get("Command-Id") != p.CommandId.String() {
			t.Fatalf("the repeat is answered %d %s as command %s, want %s", w.StatusCode, body, w.Header.Get("Command-Id"), p.CommandId)
		}
	}
	if w, body := call(t, "POST", url, strings.Replace(lamp, "20", "21", 1), "Idempotency-Key", p.IdempotencyKey); w.StatusCode != http.StatusUnprocessableEntity {
		t.Errorf("another request with the key is answered %d %s", w.StatusCode, body)
	}
	if len(s.events) != 1 {
		t.Errorf("%d effects", len(s.events))
	}
}

func TestALogThatDoesNotAnswerIsLeftAlone(t *testing.T) {
	s := &system{}
	url, draft := serve(t, s)+"/api/v1/products", lamps()
	s.set(func() { s.gone = true })
	post := func() int { w, _ := call(t, "POST", url, draft()); return w.StatusCode }
	eventually(t, "it is said at once that nothing was taken", func() bool { return post() == http.StatusServiceUnavailable })
	sends := s.sends
	for range 100 {
		if status := post(); status != http.StatusServiceUnavailable {
			t.Fatalf("answered %d", status)
		}
	}
	if s.sends != sends {
		t.Errorf("%d commands were sent and said not to be", s.sends-sends)
	}
	s.set(func() { s.gone = false })
	eventually(t, "writes are done again", func() bool { return post() == http.StatusCreated })
}

func TestNoMoreIsAcceptedThanWritersCanDo(t *testing.T) {
	s := &system{}
	url, draft := serveAs(t, s, gateway.Config{Backlog: 50 * time.Millisecond})+"/api/v1/products", lamps()
	post := func() *http.Response { w, _ := call(t, "POST", url, draft(), "Prefer", "respond-async"); return w }
	s.set(func() { s.silent = true })
	accepted := 0
	eventually(t, "writes are refused", func() bool {
		w := post()
		switch w.StatusCode {
		case http.StatusAccepted:
			accepted++
			return false
		case http.StatusServiceUnavailable:
			return w.Header.Get("Retry-After") != ""
		}
		t.Fatalf("answered %d", w.StatusCode)
		return false
	})
	if w, body := call(t, "POST", strings.Replace(url, "products", "imports", 1), draft(), "Content-Type", "application/x-ndjson"); w.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("an import is answered %d %s", w.StatusCode, body)
	}
	if accepted == 0 || len(s.events) != accepted {
		t.Errorf("%d were accepted and %d done", accepted, len(s.events))
	}
	s.set(func() { s.silent = false })
	eventually(t, "writes are accepted again", func() bool { w, _ := call(t, "POST", url, draft()); return w.StatusCode == http.StatusCreated })
}

func TestNoMoreWritesThanThereArePlacesFor(t *testing.T) {
	s := &system{silent: true}
	url, draft := serveAs(t, s, gateway.Config{Writes: 2})+"/api/v1/products", lamps()
	answered := make(chan int, 2)
	for range 2 {
		body := draft()
		go func() { w, _ := call(t, "POST", url, body, "Prefer", "wait=5"); answered <- w.StatusCode }()
	}
	eventually(t, "both places are taken", func() (taken bool) { s.set(func() { taken = s.sends == 2 }); return taken })
	if w, body := call(t, "POST", url, draft(), "Prefer", "wait=0"); w.StatusCode != http.StatusTooManyRequests || w.Header.Get("Retry-After") == "" || !strings.Contains(body, `"busy"`) {
		t.Errorf("one more is answered %d %s", w.StatusCode, body)
	}
	for range 2 {
		if status := <-answered; status != http.StatusAccepted {
			t.Errorf("answered %d", status)
		}
	}
	if w, _ := call(t, "POST", url, draft(), "Prefer", "wait=0"); w.StatusCode != http.StatusAccepted {
		t.Errorf("when there are places again: answered %d", w.StatusCode)
	}
}
