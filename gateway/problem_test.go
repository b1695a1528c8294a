package gateway_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v3"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	"catalog/api"
	"catalog/gateway"
	"catalog/internal/rpc"
)

func TestProblem_engineFailures(t *testing.T) {
	id := catalog.DerivedID("p").String()
	for _, test := range []struct {
		name         string
		system       *system
		method, path string
		status       int
		code         string
		has          []string // headers
	}{
		{"a log that stores nothing", &system{sendErr: fmt.Errorf("send: %w", catalog.ErrUnavailable)}, "POST", "/api/v1/products", 503, "unavailable", []string{"Retry-After"}},
		{"a log that may have stored the command", &system{sendErr: fmt.Errorf("send: %w", catalog.ErrOutcomeUnknown)}, "POST", "/api/v1/products", 504, "outcome_unknown", []string{"Command-Id"}},
		{"a reader that does not respond", &system{readErr: status.Error(codes.Unavailable, "10.1.2.3 refused")}, "GET", "/api/v1/products/" + id, 503, "unavailable", []string{"Retry-After"}},
		{"a reader that is behind", &system{readErr: status.Error(codes.FailedPrecondition, "")}, "GET", "/api/v1/products/" + id, 503, "stale", []string{"Retry-After"}},
		{"a reader that is slow", &system{readErr: status.Error(codes.DeadlineExceeded, "")}, "GET", "/api/v1/products/" + id, 503, "unavailable", []string{"Retry-After"}},
		{"too many calls at once", &system{readErr: rpc.ToStatus(catalog.ErrOverloaded)}, "GET", "/api/v1/products/" + id, 503, "overloaded", []string{"Retry-After"}},
		{"a query that takes too long", &system{readErr: rpc.ToStatus(catalog.ErrTooSlow)}, "GET", "/api/v1/products/" + id, 503, "too_slow", []string{"Retry-After"}},
		{"a bug", &system{readErr: errors.New("password is hunter2")}, "GET", "/api/v1/products/" + id, 500, "internal", nil},
		{"a panic", &system{panics: true}, "POST", "/api/v1/products", 500, "internal", nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w, body := call(t, test.method, serve(t, test.system)+test.path, lamp, "Idempotency-Key", "k-1")
			var p api.Problem
			if err := json.Unmarshal([]byte(body), &p); err != nil || w.StatusCode != test.status || string(p.Code) != test.code {
				t.Fatalf("response %d %s, want %d with code %s", w.StatusCode, body, test.status, test.code)
			}
			for _, name := range test.has {
				if w.Header.Get(name) == "" {
					t.Errorf("the header %s is missing", name)
				}
			}
			if test.status == 504 && p.IdempotencyKey != "k-1" {
				t.Errorf("idempotencyKey is missing: %s", body)
			}
			for _, secret := range []string{"hunter2", "10.1.2.3", "secret", "goroutine"} {
				if strings.Contains(body, secret) {
					t.Errorf("the response contains %q", secret)
				}
			}
		})
	}
}

// contract is what the tests read of the OpenAPI document.
type contract struct {
	Paths      map[string]map[string]struct{ Responses map[string]any }
	Components struct {
		Schemas struct {
			Problem struct {
				Properties struct{ Code struct{ Enum []string } }
			} `yaml:"Problem"`
		}
	}
}

func readContract(t *testing.T) (c contract) {
	t.Helper()
	var d struct {
		Paths      map[string]map[string]yaml.Node
		Components yaml.Node
	}
	if err := yaml.Unmarshal(api.OpenAPI, &d); err != nil {
		t.Fatal(err)
	}
	if err := d.Components.Decode(&c.Components); err != nil {
		t.Fatal(err)
	}
	c.Paths = map[string]map[string]struct{ Responses map[string]any }{}
	for path, item := range d.Paths {
		c.Paths[path] = map[string]struct{ Responses map[string]any }{}
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var o struct{ Responses map[string]any }
			if err := node.Decode(&o); err != nil {
				t.Fatal(err)
			}
			c.Paths[path][strings.ToUpper(method)] = o
		}
	}
	return c
}

// faultRequest is a request that a fault changes before it is sent.
type faultRequest struct {
	method, path, query, body string
	headers                   []string
}

// TestProblem_contract sends requests of every operation through every fault. It
// holds the statuses that the contract documents for an operation against those
// that the gateway returns, in both directions, and every problem against the
// error model.
func TestProblem_contract(t *testing.T) {
	const data = `{"name":"Lamp","sku":%q,"price":{"amount":"20","currency":"EUR"}}`
	product, other, absent := catalog.DerivedID("product"), catalog.DerivedID("other"), catalog.DerivedID("absent")
	bodies := map[string]string{
		"POST /api/v1/products":                  fmt.Sprintf(data, "NEW"),
		"PUT /api/v1/products/{id}":              fmt.Sprintf(data, "NEW"),
		"PATCH /api/v1/products/{id}":            `{"sku":"NEW"}`,
		"POST /api/v1/products/{id}/restore":     `{"version":2}`,
		"POST /api/v1/products/{id}/prices/void": `{"price":{"amount":"20","currency":"EUR"},"reason":"typing error"}`,
		"POST /api/v1/imports":                   fmt.Sprintf(data, "NEW"),
	}
	failWith := func(err error) func(*system, *faultRequest) {
		return func(s *system, _ *faultRequest) { s.readErr = rpc.ToStatus(err) }
	}
	faults := map[string]func(*system, *faultRequest){
		"none":              func(*system, *faultRequest) {},
		"unknown parameter": func(_ *system, r *faultRequest) { r.query = "nonsense=1" },
		"content type":      func(_ *system, r *faultRequest) { r.headers = append(r.headers, "Content-Type", "text/plain") },
		"large body":        func(_ *system, r *faultRequest) { r.body = strings.Repeat(" ", 2<<20) + r.body },
		"malformed body":    func(_ *system, r *faultRequest) { r.body = "{" },
		"absent product": func(_ *system, r *faultRequest) {
			r.path = strings.Replace(r.path, product.String(), absent.String(), 1)
		},
		"other version": func(_ *system, r *faultRequest) { r.headers = append(r.headers, "If-Match", `"99"`) },
		"SKU taken": func(_ *system, r *faultRequest) {
			r.body = strings.NewReplacer("NEW", "TAKEN", `{"version":2}`, `{"version":1}`).Replace(r.body)
		},
		"key reused":      func(_ *system, r *faultRequest) { r.headers = append(r.headers, "Idempotency-Key", "used") },
		"foreign host":    func(_ *system, r *faultRequest) { r.headers = append(r.headers, "Host", "evil.example") },
		"no free slot":    func(s *system, _ *faultRequest) { s.gateway.FillSlots() },
		"log unavailable": func(s *system, _ *faultRequest) { s.sendErr = catalog.ErrUnavailable },
		"outcome unknown": func(s *system, _ *faultRequest) { s.sendErr = catalog.ErrOutcomeUnknown },
		"stale":           failWith(catalog.ErrStale),
		"unavailable":     failWith(catalog.ErrUnavailable),
		"overloaded":      failWith(catalog.ErrOverloaded),
		"too slow":        failWith(catalog.ErrTooSlow),
	}
	// exempt are documented statuses that no fault here causes.
	exempt := map[string][]int{"POST /api/v1/imports": {413}} // a body of 256 MiB

	document := readContract(t)
	for path, item := range document.Paths {
		for method, operation := range item {
			name := method + " " + path
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				returned := map[int]bool{}
				for _, status := range exempt[name] {
					returned[status] = true
				}
				for fault, apply := range faults {
					s := &system{}
					url := serve(t, s)
					target := url + "/api/v1/products/" + product.String()
					if stream := path == "/api/v1/changes"; stream && !slices.Contains([]string{"stale", "unavailable", "overloaded", "too slow", "unknown parameter", "foreign host"}, fault) {
						continue // the stream would not end
					} else if !stream { // events in the feed would keep the stream from reading the journal
						call(t, "PUT", target, fmt.Sprintf(data, "TAKEN"))
						call(t, "PUT", target, fmt.Sprintf(data, "OLD"))
						call(t, "PATCH", target, `{"name":"Table lamp","price":{"amount":"25"}}`)
						call(t, "PUT", url+"/api/v1/products/"+other.String(), fmt.Sprintf(data, "TAKEN"))
					}
					r := &faultRequest{method: method, path: strings.Replace(path, "{id}", product.String(), 1), body: bodies[name]}
					if path == "/api/v1/imports" {
						r.headers = []string{"Content-Type", "application/x-ndjson"}
					}
					if fault == "key reused" { // the key's first request differs in its condition and its body
						first := strings.NewReplacer("NEW", "FIRST", `{"version":2}`, `{"version":3}`).Replace(r.body)
						headers := []string{"Idempotency-Key", "used"}
						if strings.Contains(path, "{id}") {
							headers = append(headers, "If-Match", `"3"`)
						}
						call(t, method, url+r.path, first, headers...)
					}
					s.set(func() { apply(s, r) })
					w, body := call(t, method, url+r.path+"?"+r.query, r.body, r.headers...)
					if w.StatusCode < 400 {
						continue
					}
					returned[w.StatusCode] = true
					if _, ok := operation.Responses[strconv.Itoa(w.StatusCode)]; !ok {
						t.Errorf("%s: the contract does not document %d %s", fault, w.StatusCode, body)
					}
					checkProblem(t, w, body)
				}
				for status := range operation.Responses {
					if n, err := strconv.Atoi(status); err == nil && n >= 400 && !returned[n] {
						t.Errorf("the contract documents %d, and no fault causes it", n)
					}
				}
			})
		}
	}
	t.Run("the codes of the contract are those of the error model", func(t *testing.T) {
		var model []string
		for _, k := range catalog.ErrorKinds {
			model = append(model, string(k.Code))
		}
		documented := slices.Clone(document.Components.Schemas.Problem.Properties.Code.Enum)
		slices.Sort(model)
		slices.Sort(documented)
		if !slices.Equal(model, documented) {
			t.Errorf("contract %v, error model %v", documented, model)
		}
	})
}

// checkProblem holds a response against the error model.
func checkProblem(t *testing.T, w *http.Response, body string) {
	t.Helper()
	var p api.Problem
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Errorf("%s %s: the body is no problem: %s", w.Request.Method, w.Request.URL.Path, body)
		return
	}
	kind := catalog.Code(p.Code).Kind()
	if string(kind.Code) != string(p.Code) || p.Status != w.StatusCode || kind.HTTPStatus != w.StatusCode || p.Title != kind.Title {
		t.Errorf("%s %s: %d %s; the error model has %d %q", w.Request.Method, w.Request.URL.Path, w.StatusCode, body, kind.HTTPStatus, kind.Title)
	}
	if (w.Header.Get("Retry-After") != "") != (kind.RetryAfter > 0) {
		t.Errorf("%s %s: code %s with Retry-After %q", w.Request.Method, w.Request.URL.Path, p.Code, w.Header.Get("Retry-After"))
	}
	if read := w.Request.Method == http.MethodGet; read && (strings.Contains(p.Detail, "has changed") || strings.Contains(p.Detail, "accepted: ")) {
		t.Errorf("a read must not say what a write has done: %q", p.Detail)
	}
}

func TestProblem_limitOfBody(t *testing.T) {
	for limit, want := range map[int64]string{1 << 20: "1 MiB", 256 << 20: "256 MiB"} {
		if got := gateway.ProblemDetail(&http.MaxBytesError{Limit: limit}); !strings.Contains(got, "than "+want) {
			t.Errorf("the problem of a body above %d bytes says %q; want %s", limit, got, want)
		}
	}
}
