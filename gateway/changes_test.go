package gateway_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	"catalog/api"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// answers is a stream of a server's answers.
type answers[T any] struct {
	grpc.ClientStream
	list []*T
}

func (a *answers[T]) Recv() (*T, error) {
	if len(a.list) == 0 {
		return nil, io.EOF
	}
	m := a.list[0]
	a.list = a.list[1:]
	return m, nil
}

func (s *system) Snapshot(context.Context, *catalogv1.SnapshotRequest, ...grpc.CallOption) (grpc.ServerStreamingClient[catalogv1.SnapshotResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return &answers[catalogv1.SnapshotResponse]{list: []*catalogv1.SnapshotResponse{{NextSeq: int64(len(s.events) + 1)}}}, s.readErr
}

func (s *system) Replay(_ context.Context, r *catalogv1.ReplayRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[catalogv1.ReplayResponse], error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &answers[catalogv1.ReplayResponse]{}
	for _, e := range s.events[r.GetFromSeq()-1 : r.GetToSeq()] {
		a.list = append(a.list, &catalogv1.ReplayResponse{Events: []*catalogv1.Event{wire.EventToProto(e)}})
	}
	return a, s.readErr
}

func (s *system) ListHistory(_ context.Context, r *catalogv1.ListHistoryRequest, _ ...grpc.CallOption) (*catalogv1.ListHistoryResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := &catalogv1.ListHistoryResponse{}
	there := false
	for _, e := range slices.Backward(s.events) {
		if e.Product.ID != catalog.ID(r.GetProductId()) || !e.Applied() {
			continue
		}
		there = true
		if (r.GetBeforeVersion() == 0 || e.Product.Version < r.GetBeforeVersion()) && len(a.Events) < int(r.GetLimit()) {
			a.Events = append(a.Events, wire.EventToProto(e))
		}
	}
	if !there {
		return nil, status.Error(codes.NotFound, "")
	}
	return a, nil
}

// event is a server-sent event.
type event struct{ id, kind, data string }

func (e event) change(t *testing.T) (c api.ProductChange) {
	t.Helper()
	if err := json.Unmarshal([]byte(e.data), &c); err != nil {
		t.Fatalf("the data %q is no change: %v", e.data, err)
	}
	return c
}

// watch follows changes. Its next answers the next event, and false at the end.
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
		t.Fatalf("answered %d %s", w.StatusCode, w.Header.Get("Content-Type"))
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

func TestChangesAreSentAsTheyHappenAndGoneOnWith(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	changes := url + "/api/v1/changes"
	call(t, "POST", url+"/api/v1/products", lamp)

	next := watch(t, changes)
	first, _ := next()
	if first.id == "" || first.data != "" {
		t.Fatalf("a stream begins with %+v", first)
	}
	id := catalog.DerivedID("chair").String()
	chair := func(name string) string {
		return `{"name":"` + name + `","price":{"amount":"1","currency":"EUR"},"category":"Furniture/Chairs"}`
	}
	call(t, "PUT", url+"/api/v1/products/"+id, chair("One"))
	call(t, "PUT", url+"/api/v1/products/"+id, chair("One")) // which changes nothing
	call(t, "PUT", url+"/api/v1/products/"+id, chair("Two"))
	call(t, "DELETE", url+"/api/v1/products/"+id, "")
	var all []event
	for i, kind := range []string{"created", "changed", "deleted"} {
		e, ok := next()
		c := e.change(t)
		if !ok || e.kind != kind || c.ProductId.String() != id || c.Version != int64(i+1) || (c.Product.Name == "") != (kind == "deleted") {
			t.Fatalf("change %d is %+v", i, e)
		}
		all = append(all, e)
	}

	for _, test := range []struct {
		name, query, after string
		want               int // the first that comes, of all
	}{
		{"behind the first", "", all[0].id, 1},
		{"before there was any", "", first.id, 0},
		{"from the beginning, of one product", "?product=" + id, "0", 0},
		{"from the beginning, of a category", "?category=Furniture", "0", 0},
		{"of a category, when it is left", "?category=Furniture/Chairs", all[1].id, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			next := watch(t, changes+test.query, "Last-Event-ID", test.after)
			if e, _ := next(); e.id != test.after && test.after != "0" {
				t.Errorf("it begins with %+v", e)
			}
			for _, want := range all[test.want:] {
				if e, ok := next(); !ok || e != want {
					t.Fatalf("got %+v, want %+v", e, want)
				}
			}
		})
	}
}

func TestChangesAreRefused(t *testing.T) {
	t.Run("parameters that are wrong", func(t *testing.T) {
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
	t.Run("more clients than may be", func(t *testing.T) {
		url := serve(t, &system{}) + "/api/v1/changes"
		for range 8 {
			watch(t, url)
		}
		w, body := call(t, "GET", url, "")
		if w.StatusCode != http.StatusServiceUnavailable || w.Header.Get("Retry-After") == "" {
			t.Errorf("answered %d %s", w.StatusCode, body)
		}
	})
	t.Run("a journal that cannot be asked", func(t *testing.T) {
		w, body := call(t, "GET", serve(t, &system{readErr: status.Error(codes.Unavailable, "")})+"/api/v1/changes", "")
		if w.StatusCode != http.StatusServiceUnavailable || w.Header.Get("Retry-After") == "" {
			t.Errorf("answered %d %s", w.StatusCode, body)
		}
	})
}

func TestAProductAsItWas(t *testing.T) {
	s := &system{}
	url := serve(t, s)
	id := catalog.DerivedID("old").String()
	path := url + "/api/v1/products/" + id
	const many = 9
	for i := range many {
		call(t, "PUT", path, fmt.Sprintf(`{"name":"V%d","price":{"amount":"1","currency":"EUR"}}`, i+1))
	}
	call(t, "DELETE", path, "")
	s.mu.Lock()
	var times []time.Time
	for i := range s.events { // one a minute
		at := time.Date(2026, 3, 1, 12, i, 0, 0, time.UTC)
		s.events[i].Product.UpdatedAt = at
		times = append(times, at)
	}
	s.mu.Unlock()

	for v := 1; v <= many; v++ {
		for _, query := range []string{
			fmt.Sprintf("?version=%d", v), "?at=" + times[v-1].Format(time.RFC3339), "?at=" + times[v-1].Add(59*time.Second).Format(time.RFC3339),
			"?at=" + times[v-1].In(time.FixedZone("", -7*3600)).Format(time.RFC3339),
		} {
			w, body := call(t, "GET", path+query, "")
			if w.StatusCode != http.StatusOK || w.Header.Get("ETag") != fmt.Sprintf(`"%d"`, v) || !strings.Contains(body, fmt.Sprintf(`"name":"V%d"`, v)) {
				t.Errorf("%s: %d %s", query, w.StatusCode, body)
			}
			if w, _ := call(t, "GET", path+query, "", "If-None-Match", w.Header.Get("ETag")); w.StatusCode != http.StatusNotModified {
				t.Errorf("%s again: %d", query, w.StatusCode)
			}
		}
	}
	nobody := url + "/api/v1/products/" + catalog.DerivedID("nobody").String()
	for _, test := range []struct {
		url    string
		status int
		has    string
	}{
		{path + "?version=10", 404, "deleted"},
		{path + "?version=11", 404, "no such version"},
		{path + "?version=9007199254740991", 404, "no such version"},
		{path + "?at=2026-03-01T11:59:59Z", 404, "no such product then"},
		{path + "?at=2030-01-01T00:00:00Z", 404, "deleted"},
		{nobody + "?version=1", 404, ""},
		{nobody + "?at=2030-01-01T00:00:00Z", 404, ""},
		{path + "?version=0", 400, `"version"`},
		{path + "?version=9223372036854775807", 400, `"version"`},
		{path + "?version=one", 400, `"version"`},
		{path + "?at=", 400, `"at"`},
		{path + "?at=yesterday", 400, `"at"`},
		{path + "?at=2026-03-01T12:00:00+01:00", 400, `"at"`}, // the plus is a blank
		{path + "?version=1&at=2026-03-01T12:00:00Z", 400, `"at"`},
	} {
		if w, body := call(t, "GET", test.url, ""); w.StatusCode != test.status || !strings.Contains(body, test.has) {
			t.Errorf("%s: %d %s", test.url, w.StatusCode, body)
		}
	}
}

func TestAnOldVersionIsMadeTheNewOne(t *testing.T) {
	url := serve(t, &system{})
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
		{"from another version than it is at", `{"version":1}`, []string{"If-Match", `"1"`}, 412, "version_mismatch"},
		{"the first", `{"version":1}`, []string{"If-Match", `"2"`, "Idempotency-Key", "k"}, 200, `"version":3`},
		{"the first, repeated", `{"version":1}`, []string{"If-Match", `"2"`, "Idempotency-Key", "k"}, 200, `"version":3`},
		{"another with the same key", `{"version":2}`, []string{"If-Match", `"2"`, "Idempotency-Key", "k"}, 422, "key_reused"},
		{"what it is", `{"version":3}`, nil, 200, `"version":3`},
		{"a version that never was", `{"version":9}`, nil, 404, "no such version"},
		{"no version", `{}`, nil, 400, `"version"`},
		{"a version that is a text", `{"version":"1"}`, nil, 400, "not a string"},
		{"half a version", `{"version":1.5}`, nil, 400, `"version"`},
		{"a version of before the first", `{"version":0}`, nil, 400, `"version"`},
		{"a version beyond all", `{"version":9223372036854775807}`, nil, 400, `"version"`},
		{"more than a version", `{"version":1,"name":"x"}`, nil, 400, `"name"`},
		{"nothing", ``, nil, 400, `"body"`},
	} {
		t.Run(test.name, func(t *testing.T) {
			if w, body := call(t, "POST", path+"/restore", test.body, test.headers...); w.StatusCode != test.status || !strings.Contains(body, test.has) {
				t.Errorf("answered %d %s", w.StatusCode, body)
			}
		})
	}
	t.Run("a deletion", func(t *testing.T) {
		call(t, "DELETE", path, "")
		if w, body := call(t, "POST", path+"/restore", `{"version":4}`); w.StatusCode != http.StatusBadRequest || !strings.Contains(body, "deletion") {
			t.Errorf("answered %d %s", w.StatusCode, body)
		}
	})
	t.Run("what was deleted", func(t *testing.T) {
		if w, body := call(t, "POST", path+"/restore", `{"version":2}`); w.StatusCode != http.StatusCreated || !strings.Contains(body, `"version":5`) || !strings.Contains(body, "Two") {
			t.Errorf("answered %d %s", w.StatusCode, body)
		}
	})
	t.Run("an SKU that another has taken", func(t *testing.T) {
		put(url+"/api/v1/products/"+catalog.DerivedID("other").String(), "Other", "A")
		if w, body := call(t, "POST", path+"/restore", `{"version":1}`); w.StatusCode != http.StatusConflict || !strings.Contains(body, "sku_taken") {
			t.Errorf("answered %d %s", w.StatusCode, body)
		}
	})
}

func TestWhoFollowsChangesIsSentAwayWhenTheServerStops(t *testing.T) {
	s := &system{}
	next := watch(t, serve(t, s)+"/api/v1/changes")
	next()
	server := s.gateway.Server(nil)
	if err := server.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	for {
		if _, ok := next(); !ok {
			return
		}
	}
}
