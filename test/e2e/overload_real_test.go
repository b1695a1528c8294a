//go:build real

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
)

// environment is that of a system of its own on the real engines, by name.
func environment(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, v := range engines(t) {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return env
}

func TestWithoutMongoDBReadsAreAnsweredAtOnce(t *testing.T) {
	env := environment(t)
	mongo, url := lay(t, env["CATALOG_MONGO_URL"])
	s := up(t, data(t), "-near", "0", "-mongo.url", url, "-mongo.database", env["CATALOG_MONGO_DATABASE"],
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
		{"frozen", mongo.block},
		{"gone", func() func() { mongo.pull(true); return func() { mongo.pull(false) } }},
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

func TestWhatIsAcceptedWhilePostgreSQLIsFrozenIsDone(t *testing.T) {
	const outage, clients = 8 * time.Second, 8
	env := environment(t)
	postgres, url := lay(t, env["CATALOG_POSTGRES_URL"])
	s := up(t, data(t), "-postgres.url", url)
	var (
		wg                 sync.WaitGroup
		stop               atomic.Bool
		mu                 sync.Mutex
		commands           []string
		refused, uncertain atomic.Int64
	)
	for c := range clients {
		wg.Go(func() {
			for n := 0; !stop.Load(); n++ {
				a := s.call("POST", "/api/v1/products", draftWith(fmt.Sprintf(`"sku":"O2-%d-%d"`, c, n)), "Prefer", "respond-async")
				switch a.status {
				case http.StatusAccepted, http.StatusCreated:
					mu.Lock()
					commands = append(commands, a.header.Get("Command-Id"))
					mu.Unlock()
				case http.StatusServiceUnavailable, http.StatusTooManyRequests:
					refused.Add(1)
				case http.StatusGatewayTimeout:
					uncertain.Add(1)
				default:
					t.Errorf("answered %d %s", a.status, a.body)
					return
				}
			}
		})
	}
	many := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(commands) > n }
	}
	eventually(t, "commands flow", many(200))
	free := postgres.block()
	defer free()
	thaw := time.After(outage)
	mu.Lock()
	before := len(commands)
	mu.Unlock()
	eventually(t, "commands are accepted all the same", many(before+200))
	<-thaw
	stop.Store(true)
	wg.Wait()
	free()
	since := time.Now()
	var found struct{ Total int64 }
	least, most := int64(len(commands)), int64(len(commands))+uncertain.Load()
	eventually(t, "as many products as accepted commands", func() bool {
		found.Total = 0
		return json.Unmarshal([]byte(s.must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").body), &found) == nil && found.Total >= least
	})
	took := time.Since(since)
	for i := 0; i < len(commands); i += 1 + len(commands)/500 {
		if r := s.must(http.StatusOK, "GET", "/api/v1/commands/"+commands[i]+"?wait=5", "").json(t); r["outcome"] != "created" {
			t.Fatalf("command %s is %v", commands[i], r)
		}
	}
	if found.Total > most {
		t.Errorf("%d products of %d accepted and %d uncertain commands", found.Total, least, uncertain.Load())
	}
	t.Logf("%d accepted, %d of them while PostgreSQL was frozen for %v; %d refused; done %v after it woke", least, least-int64(before), outage, refused.Load(), took.Round(time.Millisecond))
	if took > 2*outage {
		t.Errorf("the backlog was worked off only %v after an outage of %v", took, outage)
	}
}
