package gateway_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
)

func TestWrite_fullDisk(t *testing.T) {
	s := &system{}
	base := serve(t, s) + "/api/v1/"
	data := lamps()
	if w, body := call(t, "POST", base+"products", data()); w.StatusCode != http.StatusCreated {
		t.Fatalf("a write with room = %d %s; want 201", w.StatusCode, body)
	}
	s.set(func() { s.roomErr = errors.New("the disk of data has 12 MiB left") })
	for path, contentType := range map[string]string{"products": "application/json", "imports": "application/x-ndjson"} {
		w, body := call(t, "POST", base+path, data(), "Content-Type", contentType, "Prefer", "respond-async")
		if w.StatusCode != http.StatusServiceUnavailable || w.Header.Get("Retry-After") != "30" || !strings.Contains(body, "not accepted") {
			t.Errorf("POST %s without room = %d, Retry-After %q, %s; want 503 after 30 s", path, w.StatusCode, w.Header.Get("Retry-After"), body)
		}
	}
	if len(s.events) != 1 {
		t.Errorf("%d commands were sent; want the one before the disk was full", len(s.events))
	}
	s.set(func() { s.roomErr = nil })
	if w, body := call(t, "POST", base+"products", data()); w.StatusCode != http.StatusCreated {
		t.Errorf("a write when there is room again = %d %s; want 201", w.StatusCode, body)
	}
}
