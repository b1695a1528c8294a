package gateway_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"catalog/gateway"
)

func TestBacklog_limit(t *testing.T) {
	s := &system{}
	url, data := serveConfig(t, s, gateway.Config{MaxBacklogAge: 50 * time.Millisecond})+"/api/v1/products", lamps()
	post := func() (*http.Response, string) { return call(t, "POST", url, data(), "Prefer", "respond-async") }
	s.set(func() { s.silent = true })
	accepted := 0
	eventually(t, "writes are rejected", func() bool {
		w, body := post()
		switch w.StatusCode {
		case http.StatusAccepted:
			accepted++
			return false
		case http.StatusServiceUnavailable:
			if w.Header.Get("Retry-After") != "5" || !strings.Contains(body, `"overloaded"`) || !strings.Contains(body, "not accepted") {
				t.Errorf("Retry-After %q, body %s", w.Header.Get("Retry-After"), body)
			}
			return true
		}
		t.Fatalf("status %d", w.StatusCode)
		return false
	})
	if w, body := call(t, "POST", strings.Replace(url, "products", "imports", 1), data(), "Content-Type", "application/x-ndjson"); w.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("import: %d %s, want 503", w.StatusCode, body)
	}
	if accepted == 0 || len(s.events) != accepted {
		t.Errorf("%d commands accepted, %d stored", accepted, len(s.events))
	}
	s.set(func() { s.silent = false })
	eventually(t, "writes are accepted again", func() bool { w, _ := call(t, "POST", url, data()); return w.StatusCode == http.StatusCreated })
}
