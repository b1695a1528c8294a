package opensearch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"catalog"
)

// fakeNode is a node of OpenSearch that counts its calls.
type fakeNode struct {
	*httptest.Server
	calls atomic.Int64
}

// startNodes starts a node for each handler and returns a client for all of them. A nil handler
// responds with 200.
func startNodes(t *testing.T, handlers ...http.HandlerFunc) ([]*fakeNode, client) {
	t.Helper()
	var nodes []*fakeNode
	var urls []string
	for _, h := range handlers {
		n := &fakeNode{}
		n.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			n.calls.Add(1)
			if h != nil {
				h(w, r)
			}
		}))
		t.Cleanup(n.Close)
		nodes, urls = append(nodes, n), append(urls, n.URL)
	}
	c, err := newClient(strings.Join(urls, ", "), &http.Client{Transport: &http.Transport{}})
	if err != nil {
		t.Fatal(err)
	}
	return nodes, c
}

func TestClient_nodes(t *testing.T) {
	get := func(t *testing.T, c client) error { return c.call(t.Context(), http.MethodGet, "/", nil, nil) }
	t.Run("calls go to all nodes in turn", func(t *testing.T) {
		nodes, c := startNodes(t, nil, nil, nil)
		for range 9 {
			if err := get(t, c); err != nil {
				t.Fatal(err)
			}
		}
		for i, n := range nodes {
			if calls := n.calls.Load(); calls != 3 {
				t.Errorf("node %d got %d calls of 9; want 3", i, calls)
			}
		}
	})
	t.Run("without a node no call fails", func(t *testing.T) {
		nodes, c := startNodes(t, nil, nil)
		nodes[0].Close()
		for range 10 {
			if err := get(t, c); err != nil {
				t.Fatalf("call = %v; want the other node's response", err)
			}
		}
	})
	t.Run("a node outside of its cluster is avoided", func(t *testing.T) {
		nodes, c := startNodes(t, nil, func(w http.ResponseWriter, _ *http.Request) {
			respond(w, http.StatusServiceUnavailable, `{"error":{"type":"cluster_manager_not_discovered_exception"}}`)
		})
		for range 10 {
			if err := get(t, c); err != nil {
				t.Fatalf("call = %v; want the other node's response", err)
			}
		}
		// The node is called again only when avoidFor has passed, on a very slow
		// machine.
		if calls := nodes[1].calls.Load(); calls > 3 {
			t.Errorf("the node got %d calls of 10; want 1", calls)
		}
	})
	t.Run("a frozen node fails a call with a deadline, and is avoided", func(t *testing.T) {
		nodes, c := startNodes(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, nil)
		for nodes[0].calls.Load() == 0 {
			short, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			_ = c.call(short, http.MethodGet, "/", nil, nil)
			cancel()
		}
		before := nodes[1].calls.Load()
		for range 4 {
			if err := get(t, c); err != nil {
				t.Fatal(err)
			}
		}
		if nodes[1].calls.Load()-before != 4 || nodes[0].calls.Load() != 1 {
			t.Errorf("the frozen node got %d calls, the other one %d of 4; want 1 and 4", nodes[0].calls.Load(), nodes[1].calls.Load()-before)
		}
	})
	t.Run("without any node calls return ErrUnavailable", func(t *testing.T) {
		nodes, c := startNodes(t, nil, nil)
		nodes[0].Close()
		nodes[1].Close()
		if err := get(t, c); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("call = %v; want ErrUnavailable", err)
		}
	})
	t.Run("a conditional deletion that was sent is not repeated", func(t *testing.T) {
		hangUp := func(w http.ResponseWriter, _ *http.Request) {
			if conn, _, err := w.(http.Hijacker).Hijack(); err == nil {
				conn.Close()
			}
		}
		nodes, c := startNodes(t, hangUp, hangUp)
		if err := c.call(t.Context(), http.MethodDelete, "/i/_doc/1?if_seq_no=1", nil, nil); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("call = %v; want ErrUnavailable", err)
		}
		if calls := nodes[0].calls.Load() + nodes[1].calls.Load(); calls != 1 {
			t.Errorf("%d calls; want 1", calls)
		}
	})
}

// TestErrors lists the errors of calls. Only those that mean that OpenSearch cannot be
// reached or cannot work make callers wait and breakers probe.
func TestErrors(t *testing.T) {
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), time.Unix(1, 0))
	defer cancel()
	node := &node{host: "search:9200"}
	response := func(status int, kind string) error { return fmt.Errorf("search: %w", &responseError{status, kind}) }
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"connection refused":             {transportError(t.Context(), node, &net.OpError{Op: "dial", Err: errors.New("refused")}), true},
		"connection cut":                 {transportError(t.Context(), node, io.ErrUnexpectedEOF), true},
		"canceled by the caller":         {transportError(canceled, node, io.ErrUnexpectedEOF), false},
		"out of the caller's time":       {transportError(late, node, io.ErrUnexpectedEOF), false},
		"429 too many requests":          {response(429, "circuit_breaking_exception"), true},
		"500 internal error":             {response(500, ""), true},
		"502 from a proxy":               {response(502, ""), true},
		"503 no shard is available":      {response(503, errTypeShardsFailed), true},
		"504 from a proxy":               {response(504, ""), true},
		"400 a query that is not parsed": {response(400, "parsing_exception"), false},
		"403 no access":                  {response(403, "security_exception"), false},
		"404 no index":                   {response(404, errTypeNoIndex), false},
		"409 an older version":           {response(409, errTypeVersionConflict), false},
		"413 a body that is too large":   {response(413, ""), false},
		"a response that is too large":   {errTooLarge, false},
	} {
		if test.err == nil || errors.Is(test.err, catalog.ErrUnavailable) != test.want {
			t.Errorf("%s: %v; want ErrUnavailable: %v", name, test.err, test.want)
		}
	}
}
