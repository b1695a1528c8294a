//go:build real

package redis_test

import (
	"os"
	"testing"

	"catalog/engine/enginetest"
	"catalog/reader"
)

func TestCacheOnRedis(t *testing.T) {
	url := os.Getenv("CATALOG_TEST_REDIS_URL")
	if url == "" {
		t.Fatal("set CATALOG_TEST_REDIS_URL to the URL of a Redis server that may be written to")
	}
	enginetest.TestCache(t, func(t *testing.T) func() reader.Cache { return open(t, url) })
}
