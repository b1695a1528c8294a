//go:build real

package opensearch_test

import (
	"context"
	"crypto/rand"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/engine/opensearch"
	"catalog/reader"
)

// address returns the URL of a real OpenSearch from the environment.
func address(t testing.TB) string {
	t.Helper()
	url := os.Getenv("CATALOG_TEST_OPENSEARCH_URL")
	if url == "" {
		t.Fatal("set CATALOG_TEST_OPENSEARCH_URL; make engines-up starts one")
	}
	return url
}

// newConfig returns a configuration with indexes of the test alone, and removes them at its end.
func newConfig(t testing.TB) opensearch.Config {
	t.Helper()
	c := opensearch.Config{URL: address(t), Index: "test-" + strings.ToLower(rand.Text()[:12])}
	t.Cleanup(func() {
		r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodDelete, c.URL+"/"+c.Index+"-*", nil)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		resp.Body.Close()
	})
	return c
}

func open(t testing.TB, c opensearch.Config) *opensearch.Index {
	t.Helper()
	x, err := opensearch.Open(t.Context(), c, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(x.Close)
	return x
}

// Of two addresses, one of which is dead, the other one gets all calls.
func TestIndex_deadAddress(t *testing.T) {
	c := newConfig(t)
	c.URL = "http://127.0.0.1:1," + c.URL
	x := open(t, c)
	for range 4 {
		if _, err := x.Search(t.Context(), catalog.Query{Limit: 1}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIndex(t *testing.T) {
	enginetest.TestIndex(t, func(t *testing.T) reader.Index { return open(t, newConfig(t)) })
}

func TestIndex_relevance(t *testing.T) {
	enginetest.TestRelevance(t, func(t *testing.T) reader.Index { return open(t, newConfig(t)) })
}
