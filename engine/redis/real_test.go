//go:build real

package redis_test

import (
	"os"
	"testing"

	"catalog/engine/enginetest"
	"catalog/reader"
)

func TestCache_real(t *testing.T) {
	url := os.Getenv("CATALOG_TEST_REDIS_URL")
	if url == "" {
		t.Fatal("CATALOG_TEST_REDIS_URL is not set; set it to the URL of a Redis server for tests")
	}
	enginetest.TestCache(t, func(t *testing.T) func() reader.Cache { return open(t, url) })
}
