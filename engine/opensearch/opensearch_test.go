package opensearch

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
)

// openFake opens an index on a server that responds to Open as OpenSearch does, and to searches with
// the given handler.
func openFake(t *testing.T, search http.HandlerFunc) *Index {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /_alias/{name}", func(w http.ResponseWriter, r *http.Request) {
		base := strings.TrimSuffix(r.PathValue("name"), "*")
		_, _ = io.WriteString(w, strings.ReplaceAll(`{"BASE-1":{"aliases":{"BASE":{},"BASE-1-active":{},"BASE-complete":{}}},"BASEx":{"aliases":{"BASE":{}}}}`, "BASE", base))
	})
	mux.HandleFunc("POST /catalog-v"+format+"/_search", search)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	x, err := Open(t.Context(), Config{URL: s.URL}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

// respond writes a response with a status.
func respond(w http.ResponseWriter, status int, body string) {
	w.WriteHeader(status)
	_, _ = io.WriteString(w, body)
}

const (
	shardsFailed = `{"error":{"type":"search_phase_execution_exception","reason":"all shards failed"},"status":503}`
	sevenHits    = `{"hits":{"total":{"value":7},"hits":[]}}`
)

func TestOpen_errors(t *testing.T) {
	for url, want := range map[string]string{
		"":                               "-opensearch.url: must be the URL of OpenSearch, such as http://127.0.0.1:9200",
		"127.0.0.1:9200":                 "-opensearch.url: must be the URL of OpenSearch, such as http://127.0.0.1:9200",
		"http://user:secret@127.0.0.1:1": "OpenSearch at 127.0.0.1:1: ",
	} {
		_, err := Open(t.Context(), Config{URL: url}, prometheus.NewRegistry())
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) = %v; want %q in one line, without the password", url, err, want)
		}
	}
}

func TestSearch_outage(t *testing.T) {
	t.Run("OpenSearch is not called while the breaker is open, and called again when it recovers", func(t *testing.T) {
		var down atomic.Bool
		var calls atomic.Int64
		down.Store(true)
		x := openFake(t, func(w http.ResponseWriter, _ *http.Request) {
			calls.Add(1)
			if down.Load() {
				respond(w, http.StatusServiceUnavailable, shardsFailed)
				return
			}
			respond(w, http.StatusOK, sevenHits)
		})
		search := func() error {
			_, err := x.Search(t.Context(), catalog.Query{Limit: 1})
			return err
		}
		waitFor(t, "the breaker to open", func() bool {
			before := calls.Load()
			if err := search(); !errors.Is(err, catalog.ErrUnavailable) {
				t.Fatalf("Search = %v; want ErrUnavailable", err)
			}
			return calls.Load() == before
		})
		down.Store(false)
		waitFor(t, "a search to succeed", func() bool { return search() == nil })
	})
	t.Run("a search is repeated when its generation was removed meanwhile", func(t *testing.T) {
		var calls atomic.Int64
		x := openFake(t, func(w http.ResponseWriter, _ *http.Request) {
			if calls.Add(1) == 1 {
				respond(w, http.StatusServiceUnavailable, shardsFailed)
				return
			}
			respond(w, http.StatusOK, sevenHits)
		})
		if page, err := x.Search(t.Context(), catalog.Query{Limit: 1}); err != nil || page.Total != 7 {
			t.Errorf("Search finds %d, %v; want 7", page.Total, err)
		}
	})
	t.Run("a rejected query is no outage, and its error does not quote it", func(t *testing.T) {
		x := openFake(t, func(w http.ResponseWriter, _ *http.Request) {
			respond(w, http.StatusBadRequest, `{"error":{"type":"parsing_exception","reason":"the text of the query"},"status":400}`)
		})
		_, err := x.Search(t.Context(), catalog.Query{Limit: 1})
		if errors.Is(err, catalog.ErrUnavailable) || err == nil || strings.Contains(err.Error(), "text of the query") || !strings.Contains(err.Error(), "parsing_exception") {
			t.Errorf("Search = %v; want only the error type", err)
		}
	})
	t.Run("a search ends with its context and closes its connection", func(t *testing.T) {
		received, closed := make(chan struct{}), make(chan struct{})
		x := openFake(t, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			close(received)
			<-r.Context().Done() // OpenSearch cancels a search when its connection is closed
			close(closed)
		})
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { <-received; cancel() }()
		if _, err := x.Search(ctx, catalog.Query{Limit: 1}); !errors.Is(err, context.Canceled) {
			t.Errorf("Search = %v; want Canceled", err)
		}
		<-closed
	})
}

// waitFor polls until done reports true.
func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	tick, deadline := time.NewTicker(5*time.Millisecond), time.After(2*time.Minute)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("gave up waiting for %s", what)
		}
	}
}
