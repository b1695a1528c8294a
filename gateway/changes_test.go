package gateway_test

import (
	"bufio"
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	"catalog/api"
)

// event is a server-sent event.
type event struct{ id, kind, data string }

func (e event) change(t *testing.T) (c api.ProductChange) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.data), &c); err != nil {
		t.Fatalf("parse the data %q: %v", e.data, err)
	}
	return c
}

// watch follows changes. next returns the next event, or false at the end.
func watch(t *testing.T, url string, headers ...string) (next func() (event, bool)) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.Body.Close() })
	if w.StatusCode != http.StatusOK || w.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("response %d %s", w.StatusCode, w.Header.Get("Content-Type"))
	}
	lines := bufio.NewScanner(w.Body)
	return func() (e event, ok bool) {
		for lines.Scan() {
			field, value, _ := strings.Cut(lines.Text(), ": ")
			switch field {
			case "id":
				e.id = value
			case "event":
				e.kind = value
			case "data":
				e.data = value
			case "":
				return e, true
			}
		}
		return e, false
	}
}

func TestChanges_stream(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	changes := url + "/api/v1/changes"
	call(t, "POST", url+"/api/v1/products", lamp)

	next := watch(t, changes)
	first, _ := next()
	if first.id == "" || first.data != "" {
		t.Fatalf("the stream begins with %+v, want an id without data", first)
	}
	id := catalog.DerivedID("chair").String()
	chair := func(name string) string {
		return `{"name":"` + name + `","price":{"amount":"1","currency":"EUR"},"category":"Furniture/Chairs"}`
	}
	call(t, "PUT", url+"/api/v1/products/"+id, chair("One"))
	call(t, "PUT", url+"/api/v1/products/"+id, chair("One")) // unchanged
	call(t, "PUT", url+"/api/v1/products/"+id, chair("Two"))
	call(t, "DELETE", url+"/api/v1/products/"+id, "")
	var all []event
	for i, kind := range []string{"created", "changed", "deleted"} {
		e, ok := next()
		c := e.change(t)
		if !ok || e.kind != kind || c.ProductId.String() != id || c.Version != int64(i+1) || (c.Product.Name == "") != (kind == "deleted") {
			t.Fatalf("change %d = %+v", i, e)
		}
		all = append(all, e)
	}

	for _, test := range []struct {
		name, query, after string
		want               int // index of the first expected event in all
	}{
		{"after the first", "", all[0].id, 1},
		{"before the first", "", first.id, 0},
		{"from the beginning, of one product", "?product=" + id, "0", 0},
		{"from the beginning, of a category", "?category=Furniture", "0", 0},
		{"of a category that the product leaves", "?category=Furniture/Chairs", all[1].id, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			next := watch(t, changes+test.query, "Last-Event-ID", test.after)
			if e, _ := next(); e.id != test.after && test.after != "0" {
				t.Errorf("the stream begins with %+v", e)
			}
			for _, want := range all[test.want:] {
				if e, ok := next(); !ok || e != want {
					t.Fatalf("event %+v, want %+v", e, want)
				}
			}
		})
	}
}

func TestChanges_rejected(t *testing.T) {
	t.Run("invalid parameters", func(t *testing.T) {
		url := serve(t, &system{}) + "/api/v1/changes"
		for _, test := range []struct{ query, header, field string }{
			{"?product=7", "0", "product"},
			{"?category=", "0", "category"},
			{"?category=" + strings.Repeat("x", 251), "0", "category"},
			{"?sku=7", "0", "sku"},
			{"", "yesterday", "Last-Event-ID"},
			{"", "AAAA", "Last-Event-ID"},
			{"", strings.Repeat("A", 4001), "Last-Event-ID"},
		} {
			w, body := call(t, "GET", url+test.query, "", "Last-Event-ID", test.header)
			if w.StatusCode != http.StatusBadRequest || !strings.Contains(body, `"field":"`+test.field+`"`) {
				t.Errorf("%s %.20s: %d %s", test.query, test.header, w.StatusCode, body)
			}
		}
	})
	t.Run("more clients than allowed", func(t *testing.T) {
		url := serve(t, &system{}) + "/api/v1/changes"
		for range 8 {
			watch(t, url)
		}
		w, body := call(t, "GET", url, "")
		if w.StatusCode != http.StatusServiceUnavailable || w.Header.Get("Retry-After") != "10" || !strings.Contains(body, `"overloaded"`) {
			t.Errorf("response %d %s", w.StatusCode, body)
		}
	})
	t.Run("a journal that does not respond", func(t *testing.T) {
		w, body := call(t, "GET", serve(t, &system{readErr: status.Error(codes.Unavailable, "")})+"/api/v1/changes", "")
		if w.StatusCode != http.StatusServiceUnavailable || w.Header.Get("Retry-After") == "" {
			t.Errorf("response %d %s", w.StatusCode, body)
		}
	})
}

func TestChanges_shutdown(t *testing.T) {
	s := &system{}
	next := watch(t, serve(t, s)+"/api/v1/changes")
	next()
	server := s.gateway.Server(nil, nil)
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		if _, ok := next(); !ok {
			return
		}
	}
}
