//go:build real

package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

func TestBacklog(t *testing.T) {
	const outage, clients = 8 * time.Second, 8
	env := engineEnvMap(t)
	postgres, url := startProxy(t, env["CATALOG_POSTGRES_URL"])
	s := up(t, dataDir(t), "-postgres.url", url)
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
				a := s.call("POST", "/api/v1/products", productWith(fmt.Sprintf(`"sku":"O2-%d-%d"`, c, n)), "Prefer", "respond-async")
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
					t.Errorf("POST = %d %s", a.status, a.body)
					return
				}
			}
		})
	}
	moreThan := func(n int) func() bool {
		return func() bool { mu.Lock(); defer mu.Unlock(); return len(commands) > n }
	}
	eventually(t, "commands flow", moreThan(200))
	unfreeze := postgres.freeze()
	defer unfreeze()
	end := time.After(outage)
	mu.Lock()
	before := len(commands)
	mu.Unlock()
	eventually(t, "commands are accepted without PostgreSQL", moreThan(before+200))
	<-end
	stop.Store(true)
	wg.Wait()
	unfreeze()
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
			t.Fatalf("receipt of %s = %v; want created", commands[i], r)
		}
	}
	if found.Total > most {
		t.Errorf("%d products; want at most %d accepted and %d uncertain commands", found.Total, least, uncertain.Load())
	}
	t.Logf("%d accepted, %d of them while PostgreSQL was frozen for %v; %d refused; settled %v after the outage", least, least-int64(before), outage, refused.Load(), took.Round(time.Millisecond))
	if took > 4*outage {
		t.Errorf("the backlog was settled only %v after an outage of %v", took, outage)
	}
}
