package client_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"catalog"
	"catalog/client"
	"catalog/internal/wire"
)

var lamp = catalog.Product{ID: catalog.DerivedID("p"), Version: 1, ProductData: catalog.ProductData{Name: "Lamp", Price: catalog.Money{Currency: "EUR"}}}

// script is a server that responds to the n-th request with the n-th handler, and
// to later requests with the last.
type script struct {
	mu       sync.Mutex
	handlers []http.HandlerFunc
	requests []*http.Request
}

func (s *script) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	s.requests = append(s.requests, r)
	h := s.handlers[min(len(s.requests), len(s.handlers))-1]
	s.mu.Unlock()
	h(w, r)
}

// run starts a server with the handlers and returns a client of it.
func run(t *testing.T, handlers ...http.HandlerFunc) (*script, *client.Client) {
	t.Helper()
	s := &script{handlers: handlers}
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	c := client.New(server.URL)
	c.RetryTimeout = time.Minute
	return s, c
}

// problem responds with the code, by the error model.
func problem(code catalog.Code) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(code.Kind().HTTPStatus)
		fmt.Fprintf(w, `{"type":"about:blank","title":%q,"status":%d,"code":%q}`, code.Kind().Title, code.Kind().HTTPStatus, code)
	}
}

func written(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Catalog-Position", "1.7")
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusCreated)
	}
	_ = json.NewEncoder(w).Encode(wire.ProductToJSON(lamp, catalog.BeforeLastReduction))
}

// abort breaks the connection before the response.
func abort(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

func TestRetry(t *testing.T) {
	for _, kind := range catalog.ErrorKinds {
		retried := kind.Retry == catalog.RetryLater || kind.Retry == catalog.RetrySameKey
		t.Run(fmt.Sprintf("%s is retried: %v", kind.Code, retried), func(t *testing.T) {
			s, c := run(t, problem(kind.Code), written)
			_, err := c.Create(t.Context(), lamp.ProductData)
			if (err == nil) != retried || len(s.requests) != map[bool]int{true: 2, false: 1}[retried] {
				t.Errorf("Create = %v after %d requests", err, len(s.requests))
			}
		})
	}
	t.Run("a repeated write has the same Idempotency-Key, another write another", func(t *testing.T) {
		s, c := run(t, problem(catalog.CodeOutcomeUnknown), abort, written)
		for range 2 {
			if w, err := c.Create(t.Context(), lamp.ProductData); err != nil || !w.Created {
				t.Fatalf("Create = %+v, %v", w, err)
			}
		}
		var keys []string
		for _, r := range s.requests {
			keys = append(keys, r.Header.Get("Idempotency-Key"))
		}
		if n := len(keys); n < 4 || keys[0] == "" || keys[0] != keys[1] || keys[0] != keys[n-2] || keys[n-2] == keys[n-1] {
			t.Errorf("keys %v; want one key for all tries of a write", keys)
		}
	})
	t.Run("a retry waits as long as Retry-After says", func(t *testing.T) {
		_, c := run(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "1")
			problem(catalog.CodeOverloaded)(w, r)
		}, written)
		start := time.Now()
		if _, err := c.Product(t.Context(), lamp.ID); err != nil || time.Since(start) < time.Second {
			t.Errorf("Product = %v after %v, want at least 1 s", err, time.Since(start))
		}
	})
	t.Run("a Retry-After beyond RetryTimeout ends the call at once", func(t *testing.T) {
		_, c := run(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", "3600")
			problem(catalog.CodeOverloaded)(w, r)
		})
		if _, err := c.Product(t.Context(), lamp.ID); !errors.Is(err, catalog.ErrOverloaded) {
			t.Errorf("Product = %v; want ErrOverloaded", err)
		}
	})
	t.Run("RetryTimeout 0 disables retries", func(t *testing.T) {
		s, c := run(t, problem(catalog.CodeUnavailable))
		c.RetryTimeout = 0
		if _, err := c.Product(t.Context(), lamp.ID); !errors.Is(err, catalog.ErrUnavailable) || len(s.requests) != 1 {
			t.Errorf("Product = %v after %d requests", err, len(s.requests))
		}
	})
	t.Run("the end of the context ends the retries", func(t *testing.T) {
		_, c := run(t, problem(catalog.CodeUnavailable))
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		if _, err := c.Product(ctx, lamp.ID); !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Product = %v", err)
		}
	})
}

func TestConnectionErrors(t *testing.T) {
	t.Run("a write whose response is lost has an unknown outcome", func(t *testing.T) {
		_, c := run(t, abort)
		c.RetryTimeout = 0
		if _, err := c.Create(t.Context(), lamp.ProductData); !errors.Is(err, catalog.ErrOutcomeUnknown) || errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Create = %v", err)
		}
	})
	t.Run("a read whose response is lost is unavailable", func(t *testing.T) {
		_, c := run(t, abort)
		c.RetryTimeout = 0
		if _, err := c.Product(t.Context(), lamp.ID); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Product = %v", err)
		}
	})
	t.Run("a write to a server that does not listen is unavailable", func(t *testing.T) {
		server := httptest.NewServer(nil)
		server.Close()
		c := client.New(server.URL)
		c.RetryTimeout = 0
		if _, err := c.Create(t.Context(), lamp.ProductData); !errors.Is(err, catalog.ErrUnavailable) || errors.Is(err, catalog.ErrOutcomeUnknown) {
			t.Errorf("Create = %v", err)
		}
	})
	t.Run("a response that is cut off is read again", func(t *testing.T) {
		_, c := run(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, `{"id":`) }, written)
		if p, err := c.Product(t.Context(), lamp.ID); err != nil || p.Name != "Lamp" {
			t.Errorf("Product = %v, %v", p.Name, err)
		}
	})
}

func TestProblem(t *testing.T) {
	for _, kind := range catalog.ErrorKinds {
		t.Run(string(kind.Code)+" matches its own sentinel and no other", func(t *testing.T) {
			_, c := run(t, problem(kind.Code))
			c.RetryTimeout = 0
			_, err := c.Product(t.Context(), lamp.ID)
			for _, other := range catalog.ErrorKinds {
				if other.Err != nil && errors.Is(err, other.Err) != (other.Code == kind.Code) {
					t.Errorf("errors.Is(%v, %s) = %v", err, other.Code, other.Code != kind.Code)
				}
			}
			if got := catalog.KindOf(err).Code; got != kind.Code {
				t.Errorf("KindOf = %s", got)
			}
		})
	}
	t.Run("a response of a proxy has the code of its status", func(t *testing.T) {
		_, c := run(t, func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "<html>", http.StatusServiceUnavailable) })
		c.RetryTimeout = 0
		if _, err := c.Product(t.Context(), lamp.ID); !errors.Is(err, catalog.ErrUnavailable) || !strings.Contains(err.Error(), "503") {
			t.Errorf("Product = %v", err)
		}
	})
	t.Run("the text has title, detail and fields", func(t *testing.T) {
		_, c := run(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprint(w, `{"title":"The request is not valid","status":400,"code":"invalid","detail":"2 fields","errors":[{"field":"name","reason":"must not be empty"}]}`)
		})
		if _, err := c.Create(t.Context(), catalog.ProductData{}); err == nil || err.Error() != "The request is not valid: 2 fields; name must not be empty" {
			t.Errorf("Create = %v", err)
		}
	})
}

func TestWrite(t *testing.T) {
	t.Run("ifVersion is sent as If-Match, and 0 is not", func(t *testing.T) {
		s, c := run(t, written)
		for _, version := range []int64{0, 7} {
			if _, err := c.Put(t.Context(), lamp.ID, lamp.ProductData, version); err != nil {
				t.Fatal(err)
			}
		}
		if a, b := s.requests[0].Header.Get("If-Match"), s.requests[1].Header.Get("If-Match"); a != "" || b != `"7"` {
			t.Errorf("If-Match %q and %q", a, b)
		}
	})
	t.Run("a patch is sent as a merge patch", func(t *testing.T) {
		s, c := run(t, written)
		if _, err := c.Patch(t.Context(), lamp.ID, json.RawMessage(`{"name":"Lamp"}`), 0); err != nil || s.requests[0].Header.Get("Content-Type") != "application/merge-patch+json" {
			t.Errorf("Patch = %v with Content-Type %q", err, s.requests[0].Header.Get("Content-Type"))
		}
	})
	t.Run("a command that is not settled in time is an unknown outcome", func(t *testing.T) {
		_, c := run(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted); fmt.Fprint(w, `{}`) })
		if _, err := c.Create(t.Context(), lamp.ProductData); !errors.Is(err, catalog.ErrOutcomeUnknown) {
			t.Errorf("Create = %v", err)
		}
	})
	t.Run("Delete returns the id", func(t *testing.T) {
		_, c := run(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Catalog-Position", "1.7")
			w.WriteHeader(http.StatusNoContent)
		})
		if w, err := c.Delete(t.Context(), lamp.ID, 0); err != nil || w.Product.ID != lamp.ID || w.Position != (catalog.Position{Shard: 1, Seq: 7}) {
			t.Errorf("Delete = %+v, %v", w, err)
		}
	})
}

func TestHistory(t *testing.T) {
	s, c := run(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("before") == "" {
			fmt.Fprint(w, `{"items":[{"version":3},{"version":2}],"nextBefore":2}`)
		} else {
			fmt.Fprint(w, `{"items":[{"version":1}]}`)
		}
	})
	versions, err := c.History(t.Context(), lamp.ID)
	if err != nil || len(versions) != 3 || versions[2].Version != 1 || len(s.requests) != 2 {
		t.Errorf("History = %d versions, %v after %d requests", len(versions), err, len(s.requests))
	}
}

func TestImport(t *testing.T) {
	const row = `{"line":1,"outcome":"created","position":"1.2"}` + "\n"
	for name, first := range map[string]string{
		"the last row is pending":     row + `{"line":2,"outcome":"pending"}` + "\n",
		"the response is cut off":     row + `{"line":2,"out`,
		"the gateway ends the import": row + `{"problem":{"title":"x","status":503,"code":"unavailable"}}` + "\n",
	} {
		t.Run("an import is repeated when "+name, func(t *testing.T) {
			s, c := run(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, first) },
				func(w http.ResponseWriter, _ *http.Request) {
					fmt.Fprint(w, row+`{"line":2,"outcome":"unchanged","position":"2.3"}`+"\n")
				})
			results, err := c.Import(t.Context(), []byte("{}\n{}\n"))
			if err != nil || len(results) != 2 || len(s.requests) != 2 {
				t.Fatalf("Import = %d results, %v after %d requests", len(results), err, len(s.requests))
			}
			if a, b := s.requests[0].Header.Get("Idempotency-Key"), s.requests[1].Header.Get("Idempotency-Key"); a == "" || a != b {
				t.Errorf("the keys are %q and %q; want the same one", a, b)
			}
		})
	}
}

func TestImport_pending(t *testing.T) {
	_, c := run(t,
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"line":1,"outcome":"pending"}`+"\n"+`{"line":2,"outcome":"created","position":"1.2"}`+"\n")
		},
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"line":1,"outcome":"created","position":"1.1"}`+"\n"+`{"line":2,"outcome":"unchanged","position":"1.2"}`+"\n")
		})
	results, err := c.Import(t.Context(), []byte("{}\n{}\n"))
	if err != nil || len(results) != 2 || results[0].Outcome != "created" || results[1].Outcome != "created" {
		t.Errorf("Import = %v, %v; want the result behind the pending row to be kept", results, err)
	}
}

func TestChanges(t *testing.T) {
	change := func(id string, version int) string {
		return fmt.Sprintf("id: %s\nevent: deleted\ndata: {\"productId\":%q,\"version\":%d,\"position\":\"1.%d\"}\n\n", id, lamp.ID, version, version)
	}
	s, c := run(t,
		func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, "retry: 1000\nid: a\n\n"+change("b", 1)+"id: c\n\n"+"id: d\nevent: del")
		},
		problem(catalog.CodeInternal), problem(catalog.CodeOverloaded), abort,
		func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, change("d", 2)) },
		problem(catalog.CodeInvalid))
	var ids []string
	var last error
	for change, err := range c.Changes(t.Context(), client.Watch{Category: "Furniture", Product: lamp.ID}) {
		if last = err; err == nil {
			ids = append(ids, change.ID)
			if change.Kind != catalog.Deleted || !change.Product.Deleted || change.Product.ID != lamp.ID || change.Position.Seq != change.Product.Version {
				t.Errorf("change %+v", change)
			}
		}
	}
	if !slices.Equal(ids, []string{"b", "d"}) || !errors.Is(last, catalog.ErrInvalid) {
		t.Errorf("Changes = %v, %v; want b, d and the error that ends them", ids, last)
	}
	for i, want := range []string{"", "c", "c", "c"} {
		if got := s.requests[i].Header.Get("Last-Event-ID"); got != want {
			t.Errorf("Last-Event-ID of connection %d = %q, want %q", i, got, want)
		}
	}
	if q := s.requests[0].URL.Query(); q.Get("category") != "Furniture" || q.Get("product") != lamp.ID.String() {
		t.Errorf("query %v", q)
	}
}

func TestChanges_stop(t *testing.T) {
	_, c := run(t, func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "id: a\nevent: deleted\ndata: {\"productId\":%q,\"version\":1,\"position\":\"1.1\"}\n\n", lamp.ID)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range c.Changes(ctx, client.Watch{}) {
		if last = err; err == nil {
			cancel()
		}
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("Changes ends with %v, want the error of the context", last)
	}
	for range c.Changes(t.Context(), client.Watch{}) {
		break // must end the stream, or the server's Close would hang
	}
}
