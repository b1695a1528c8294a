package redis_test

import (
	"crypto/rand"
	"strings"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"catalog"
	"catalog/catalogtest"
	"catalog/reader"
	"catalog/redis"
)

// open is a cache with keys of its own.
func open(t *testing.T, url string) *redis.Cache {
	t.Helper()
	c, err := redis.Open(t.Context(), redis.Config{URL: url, Prefix: "test:" + rand.Text()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestCache(t *testing.T) {
	catalogtest.TestCache(t, func(t *testing.T) reader.Cache {
		return open(t, "redis://"+miniredis.RunT(t).Addr())
	})
}

func TestEntriesExpire(t *testing.T) {
	server := miniredis.RunT(t)
	c := open(t, "redis://"+server.Addr())
	p := catalog.Product{ID: catalog.DerivedID("p"), Version: 1, Deleted: true}
	if err := c.Put(t.Context(), []catalog.Product{p}); err != nil {
		t.Fatal(err)
	}
	server.FastForward(50 * time.Minute)
	if _, ok, err := c.Product(t.Context(), p.ID); !ok || err != nil {
		t.Fatalf("after 50 minutes of 60: %v, %v", ok, err)
	}
	server.FastForward(20 * time.Minute)
	if _, ok, err := c.Product(t.Context(), p.ID); ok || err != nil {
		t.Fatalf("after 70 minutes of 60: %v, %v", ok, err)
	}
}

func TestAMissingRedisIsSaidInOneLine(t *testing.T) {
	_, err := redis.Open(t.Context(), redis.Config{URL: "redis://127.0.0.1:1"})
	if err == nil || !strings.Contains(err.Error(), "127.0.0.1:1") || strings.Contains(err.Error(), "\n") {
		t.Fatalf("Open = %v; want one line that says where", err)
	}
}

func TestARedisThatGoesAwayIsAnErrorAtOnceAndIsUsedAgainWhenItIsBack(t *testing.T) {
	server := miniredis.RunT(t)
	c := open(t, "redis://"+server.Addr())
	p := []catalog.Product{{ID: catalog.DerivedID("p"), Version: 1}, {ID: catalog.DerivedID("q"), Version: 1}}
	if err := c.Put(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	server.Close()
	since := time.Now()
	for range 10 {
		if _, _, err := c.Product(t.Context(), p[0].ID); err == nil {
			t.Error("Product answers without a server")
		}
		if err := c.Put(t.Context(), p); err == nil || strings.Contains(err.Error(), "\n") {
			t.Errorf("Put = %v; want one line", err)
		}
	}
	if d := time.Since(since); d > 2*time.Second {
		t.Errorf("20 errors took %v", d)
	}
	if err := server.Restart(); err != nil {
		t.Fatal(err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for c.Put(t.Context(), p) != nil {
		if time.Now().After(deadline) {
			t.Fatal("it is not used again")
		}
	}
	if got, ok, err := c.Product(t.Context(), p[1].ID); err != nil || !ok || got.Version != 1 {
		t.Fatalf("Product = %+v, %v, %v", got, ok, err)
	}
}
