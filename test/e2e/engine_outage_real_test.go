//go:build real

package e2e

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
)

func TestEngineOutage(t *testing.T) {
	env := map[string]string{}
	for _, v := range engineEnv(t) {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	postgres, postgresURL := startProxy(t, env["CATALOG_POSTGRES_URL"])
	mongo, mongoURL := startProxy(t, env["CATALOG_MONGO_URL"])
	redis, redisURL := startProxy(t, env["CATALOG_REDIS_URL"])
	s := up(t, dataDir(t), "-postgres.url", postgresURL, "-mongo.url", mongoURL, "-mongo.database", env["CATALOG_MONGO_DATABASE"],
		"-redis.url", redisURL, "-redis.prefix", env["CATALOG_REDIS_PREFIX"])
	admin := &server{t: t, api: s.admin}
	id, at := s.create(chair)
	path := "/api/v1/products/" + id
	s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at)
	s.must(http.StatusOK, "GET", path, "") // fills the cache
	down := func(name string) {
		t.Helper()
		eventually(t, "readyz names "+name, func() bool {
			a := admin.call("GET", "/readyz", "")
			checks, _ := a.json(t)["checks"].(map[string]any)
			return a.status == http.StatusServiceUnavailable && checks[name] != nil && checks[name] != "ok"
		})
		admin.must(http.StatusOK, "GET", "/livez", "") // alive: a restart would not help
	}
	ready := func() {
		t.Helper()
		eventually(t, "ready again", func() bool { return admin.call("GET", "/readyz", "").status == http.StatusOK })
	}

	t.Run("without Redis everything works", func(t *testing.T) {
		redis.disconnect(true)
		for range 10 {
			since := time.Now()
			s.must(http.StatusOK, "GET", path, "")
			if took := time.Since(since); took > 5*time.Second {
				t.Fatalf("a read took %v", took)
			}
		}
		at := s.must(http.StatusOK, "PATCH", path, `{"name":"Without a cache"}`).header.Get("Catalog-Position")
		s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at)
		admin.must(http.StatusOK, "GET", "/readyz", "")
		redis.disconnect(false)
		eventually(t, "entries from before are not used", func() bool {
			return s.must(http.StatusOK, "GET", path, "").json(t)["name"] == "Without a cache"
		})
	})
	t.Run("without PostgreSQL commands are accepted, and settled when it is back", func(t *testing.T) {
		postgres.disconnect(true)
		down("postgres")
		s.must(http.StatusOK, "GET", path, "")
		a := s.must(http.StatusAccepted, "PATCH", path, `{"name":"Late"}`, "Prefer", "wait=1")
		postgres.disconnect(false)
		r := s.must(http.StatusOK, "GET", a.header.Get("Location")+"?wait=30", "").json(t)
		if r["status"] != "applied" || r["version"] != 3.0 {
			t.Errorf("receipt = %v; want applied at version 3", r)
		}
		ready()
	})
	t.Run("without MongoDB search works, and the view catches up when it is back", func(t *testing.T) {
		mongo.disconnect(true)
		down("mongo")
		at := s.must(http.StatusOK, "PATCH", path, `{"name":"Later"}`).header.Get("Catalog-Position")
		s.must(http.StatusOK, "GET", "/api/v1/products?q=later", "", "Catalog-Position", at)
		if a := s.call("GET", path, "", "Catalog-Position", at); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("a read behind the view = %d %s; want 503 with Retry-After", a.status, a.body)
		}
		mongo.disconnect(false)
		eventually(t, "the view has the write", func() bool { return s.call("GET", path, "", "Catalog-Position", at).status == http.StatusOK })
		ready()
	})
}

func TestEngineOutage_mongoDB(t *testing.T) {
	env := engineEnvMap(t)
	mongo, url := startProxy(t, env["CATALOG_MONGO_URL"])
	s := up(t, dataDir(t), "-cache.size", "0", "-mongo.url", url, "-mongo.database", env["CATALOG_MONGO_DATABASE"],
		"-redis.url", env["CATALOG_REDIS_URL"], "-redis.prefix", env["CATALOG_REDIS_PREFIX"])
	id, at := s.create(chair)
	cached := "/api/v1/products/" + id
	s.must(http.StatusOK, "GET", cached, "", "Catalog-Position", at)
	admin := &server{t: t, api: s.admin}
	hits := func() string { // the line of the metric
		for line := range strings.Lines(admin.must(http.StatusOK, "GET", "/metrics", "").body) {
			if strings.HasPrefix(line, `catalog_cache_lookups_total{result="hit",tier="redis"}`) {
				return line
			}
		}
		return ""
	}
	// A product that was never read is not cached, so the reader asks the view.
	uncached := func() int { return s.call("GET", "/api/v1/products/"+uuid.NewString(), "").status }

	for _, test := range []struct {
		name      string
		interrupt func() (restore func())
	}{
		{"frozen", mongo.freeze},
		{"disconnected", func() func() { mongo.disconnect(true); return func() { mongo.disconnect(false) } }},
	} {
		t.Run(test.name, func(t *testing.T) {
			const reads = 300
			outage := func() (late, missed int, restore func()) {
				eventually(t, "the product is cached", func() bool {
					before := hits()
					return s.call("GET", cached, "").status == http.StatusOK && hits() != before
				})
				restore = test.interrupt()
				eventually(t, "the breaker is open", func() bool {
					since := time.Now()
					return uncached() == http.StatusServiceUnavailable && time.Since(since) < 50*time.Millisecond
				})
				for range reads {
					if s.call("GET", cached, "").status != http.StatusOK {
						missed++
					}
					since := time.Now()
					if status := uncached(); status != http.StatusServiceUnavailable {
						t.Errorf("GET = %d; want 503", status)
					}
					if time.Since(since) > 50*time.Millisecond {
						late++
					}
				}
				return late, missed, restore
			}
			late, missed, restore := outage()
			// A reader that a busy machine does not run for a second loses the lease of its
			// cache, and with it all entries.
			for try := 1; missed > reads/10 && try < 4; try++ {
				restore()
				eventually(t, "the view is read again", func() bool { return uncached() == http.StatusNotFound })
				late, missed, restore = outage()
			}
			defer restore()
			// A tenth may be slow because the machine is busy. A reader bypasses a Redis that
			// does not respond within 50 ms.
			if late > reads/10 || missed > reads/10 {
				t.Errorf("%d of %d responses took longer than 50 ms, %d reads of a cached product failed", late, reads, missed)
			}
			restore()
			since := time.Now()
			eventually(t, "the view is read again", func() bool { return uncached() == http.StatusNotFound })
			t.Logf("recovered after %v; %d of %d responses took longer than 50 ms", time.Since(since).Round(time.Millisecond), late, reads)
			if took := time.Since(since); took > 20*time.Second {
				t.Errorf("recovered only after %v", took)
			}
		})
	}
}
