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

// fake answers what Open asks, and every search as it is told.
func fake(t *testing.T, search http.HandlerFunc) *Index {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("GET /_alias/{name}", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"catalog-v1-1":{"aliases":{"catalog-v1":{},"catalog-v1-1-kept":{},"catalog-v1-whole":{}}},"catalog-v1x":{"aliases":{"catalog-v1":{}}}}`))
	})
	mux.HandleFunc("POST /catalog-v1/_search", search)
	s := httptest.NewServer(mux)
	t.Cleanup(s.Close)
	x, err := Open(t.Context(), Config{URL: s.URL}, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

func TestAMissingOpenSearchGetsOneLine(t *testing.T) {
	for url, want := range map[string]string{
		"":                               "-opensearch.url: must be the URL of OpenSearch, such as http://127.0.0.1:9200",
		"127.0.0.1:9200":                 "-opensearch.url: must be the URL of OpenSearch, such as http://127.0.0.1:9200",
		"http://user:secret@127.0.0.1:1": "OpenSearch at 127.0.0.1:1: ",
	} {
		_, err := Open(t.Context(), Config{URL: url}, prometheus.NewRegistry())
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.ContainsAny(err.Error(), "\n") || strings.Contains(err.Error(), "secret") {
			t.Errorf("Open(%q) = %v; want %q", url, err, want)
		}
	}
}

// shardsFailed is the answer to a search when nothing of the index is there.
func shardsFailed(w http.ResponseWriter) {
	w.WriteHeader(http.StatusServiceUnavailable)
	_, _ = w.Write([]byte(`{"error":{"type":"search_phase_execution_exception","reason":"all shards failed"},"status":503}`))
}

func TestWhatDoesNotAnswerIsLeftAlone(t *testing.T) {
	var broken atomic.Bool
	broken.Store(true)
	x := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		if broken.Load() {
			shardsFailed(w)
			return
		}
		_, _ = w.Write([]byte(`{"hits":{"total":{"value":0},"hits":[]}}`))
	})
	ask := func() error {
		_, err := x.Search(t.Context(), catalog.Query{Limit: 1})
		return err
	}
	until(t, "it is left alone", func() bool {
		err := ask()
		if !errors.Is(err, catalog.ErrUnavailable) {
			t.Fatalf("Search = %v; want ErrUnavailable", err)
		}
		return strings.Contains(err.Error(), "did not answer lately")
	})
	broken.Store(false)
	until(t, "it is asked again", func() bool { return ask() == nil })
}

func TestASearchWhoseIndexIsGivenUpMeanwhileAsksTheNewOne(t *testing.T) {
	var calls atomic.Int64
	x := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		if calls.Add(1) == 1 {
			shardsFailed(w)
			return
		}
		_, _ = w.Write([]byte(`{"hits":{"total":{"value":7},"hits":[]}}`))
	})
	if page, err := x.Search(t.Context(), catalog.Query{Limit: 1}); err != nil || page.Total != 7 {
		t.Errorf("Search finds %d, %v", page.Total, err)
	}
}

func until(t *testing.T, what string, there func() bool) {
	t.Helper()
	tick, enough := time.NewTicker(5*time.Millisecond), time.After(30*time.Second)
	defer tick.Stop()
	for !there() {
		select {
		case <-tick.C:
		case <-enough:
			t.Fatalf("still not: %s", what)
		}
	}
}

func TestARefusalIsNoOutage(t *testing.T) {
	x := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusBadRequest)
		_, _ = w.Write([]byte(`{"error":{"type":"parsing_exception","reason":"what people have asked"},"status":400}`))
	})
	_, err := x.Search(t.Context(), catalog.Query{Limit: 1})
	if errors.Is(err, catalog.ErrUnavailable) || err == nil || strings.Contains(err.Error(), "people") || !strings.Contains(err.Error(), "parsing_exception") {
		t.Errorf("Search = %v", err)
	}
}

func TestWhoHasGoneIsNotWaitedFor(t *testing.T) {
	left := make(chan struct{})
	x := fake(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done() // OpenSearch ends a search whose connection is closed
		close(left)
	})
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if _, err := x.Search(ctx, catalog.Query{Limit: 1}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Search = %v", err)
	}
	<-left
}
