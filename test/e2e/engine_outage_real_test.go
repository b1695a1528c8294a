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
	s.must(http.StatusOK, "GET", path, "") // it is in the cache now
	down := func(name string) {
		t.Helper()
		eventually(t, "not ready, because of "+name, func() bool {
			a := admin.call("GET", "/readyz", "")
			checks, _ := a.json(t)["checks"].(map[string]any)
			return a.status == http.StatusServiceUnavailable && checks[name] != nil && checks[name] != "ok"
		})
		admin.must(http.StatusOK, "GET", "/livez", "") // a restart would not help
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
			if took := time.Since(since); took > time.Second {
				t.Fatalf("a read takes %v", took)
			}
		}
		at := s.must(http.StatusOK, "PATCH", path, `{"name":"Without a cache"}`).header.Get("Catalog-Position")
		s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at)
		admin.must(http.StatusOK, "GET", "/readyz", "")
		redis.disconnect(false)
		eventually(t, "what was cached before is not read any more", func() bool {
			return s.must(http.StatusOK, "GET", path, "").json(t)["name"] == "Without a cache"
		})
	})
	t.Run("without PostgreSQL what is accepted waits, and is done when it is back", func(t *testing.T) {
		postgres.disconnect(true)
		down("postgres")
		s.must(http.StatusOK, "GET", path, "")
		a := s.must(http.StatusAccepted, "PATCH", path, `{"name":"Late"}`, "Prefer", "wait=1")
		postgres.disconnect(false)
		r := s.must(http.StatusOK, "GET", a.header.Get("Location")+"?wait=30", "").json(t)
		if r["status"] != "applied" || r["version"] != 3.0 {
			t.Errorf("the receipt says %v", r)
		}
		ready()
	})
	t.Run("without MongoDB search works, and writes are in the view when it is back", func(t *testing.T) {
		mongo.disconnect(true)
		down("mongo")
		at := s.must(http.StatusOK, "PATCH", path, `{"name":"Later"}`).header.Get("Catalog-Position")
		s.must(http.StatusOK, "GET", "/api/v1/products?q=later", "", "Catalog-Position", at)
		if a := s.call("GET", path, "", "Catalog-Position", at); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("a read of what the view does not have answers %d %s", a.status, a.body)
		}
		mongo.disconnect(false)
		eventually(t, "the view has it", func() bool { return s.call("GET", path, "", "Catalog-Position", at).status == http.StatusOK })
		ready()
	})
}

func TestEngineOutage_mongoDB(t *testing.T) {
	env := engineEnvMap(t)
	mongo, url := startProxy(t, env["CATALOG_MONGO_URL"])
	s := up(t, dataDir(t), "-near", "0", "-mongo.url", url, "-mongo.database", env["CATALOG_MONGO_DATABASE"],
		"-redis.url", env["CATALOG_REDIS_URL"], "-redis.prefix", env["CATALOG_REDIS_PREFIX"])
	id, at := s.create(chair)
	cached := "/api/v1/products/" + id
	s.must(http.StatusOK, "GET", cached, "", "Catalog-Position", at)
	admin := &server{t: t, api: s.admin}
	eventually(t, "it is cached", func() bool {
		s.must(http.StatusOK, "GET", cached, "")
		return strings.Contains(admin.must(http.StatusOK, "GET", "/metrics", "").body, `catalog_reader_cache_total{result="hit"}`)
	})
	// What nobody has asked for yet only the view knows.
	other := func() int { return s.call("GET", "/api/v1/products/"+uuid.NewString(), "").status }

	for _, test := range []struct {
		name string
		harm func() (mend func())
	}{
		{"frozen", mongo.freeze},
		{"gone", func() func() { mongo.disconnect(true); return func() { mongo.disconnect(false) } }},
	} {
		t.Run(test.name, func(t *testing.T) {
			mend := test.harm()
			defer mend()
			eventually(t, "it is known", func() bool {
				since := time.Now()
				return other() == http.StatusServiceUnavailable && time.Since(since) < 50*time.Millisecond
			})
			const reads = 300
			late := 0
			for range reads {
				s.must(http.StatusOK, "GET", cached, "")
				since := time.Now()
				if status := other(); status != http.StatusServiceUnavailable {
					t.Fatalf("answered %d", status)
				}
				if time.Since(since) > 50*time.Millisecond {
					late++
				}
			}
			if late > reads/10 { // the machine's, not MongoDB's
				t.Errorf("%d of %d answers took longer than 50 ms", late, reads)
			}
			mend()
			since := time.Now()
			eventually(t, "the view is read again", func() bool { return other() == http.StatusNotFound })
			t.Logf("whole again after %v; %d of %d answers took longer than 50 ms", time.Since(since).Round(time.Millisecond), late, reads)
			if took := time.Since(since); took > 5*time.Second {
				t.Errorf("whole again only after %v", took)
			}
		})
	}
}
