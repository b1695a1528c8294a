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

	"catalog/engine/enginetest"
	"catalog/engine/opensearch"
	"catalog/reader"
)

// address is that of a real OpenSearch.
func address(t testing.TB) string {
	t.Helper()
	url := os.Getenv("CATALOG_TEST_OPENSEARCH_URL")
	if url == "" {
		t.Fatal("set CATALOG_TEST_OPENSEARCH_URL; make engines-up starts one")
	}
	return url
}

// own is the configuration of indexes of a test's own, which are removed at its
// end.
func own(t testing.TB) opensearch.Config {
	t.Helper()
	c := opensearch.Config{URL: address(t), Index: "test-" + strings.ToLower(rand.Text()[:12])}
	t.Cleanup(func() {
		r, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodDelete, c.URL+"/"+c.Index+"-*", nil)
		if err != nil {
			t.Fatal(err)
		}
		a, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Error(err)
			return
		}
		a.Body.Close()
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

func TestIndex(t *testing.T) {
	enginetest.TestIndex(t, func(t *testing.T) reader.Index { return open(t, own(t)) })
}
