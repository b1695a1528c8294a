//go:build real

package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
)

func TestRollingRestart(t *testing.T) {
	const rounds, clients = 20, 6
	system := startCluster(t)
	ctx, stop := context.WithCancel(t.Context())
	var (
		wg     sync.WaitGroup
		counts [3]atomic.Int64 // successful creates, changes and reads
	)
	for c := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(4, uint64(c)))
			request := func(kind int, method, path, body string, headers ...string) (clusterResponse, bool) {
				// Without the cancellation of ctx, so that no request fails because the test ends.
				gateway := random.IntN(2)
				a := system.request(context.WithoutCancel(ctx), gateway, method, path, body, headers...)
				// A gateway that shuts down returns 202 for a command that is not settled soon;
				// repeating the request with its key returns the result of the same command.
				for tries := 1; a.status == http.StatusAccepted && tries < 10; tries++ {
					a = system.request(context.WithoutCancel(ctx), 1-gateway, method, path, body, headers...)
				}
				if a.status == http.StatusAccepted || a.err != nil || a.status >= 300 {
					t.Errorf("%s %s = %d %v %s", method, path, a.status, a.err, a.body)
					return a, false
				}
				counts[kind].Add(1)
				return a, true
			}
			for n := 0; ctx.Err() == nil; n++ {
				created, ok := request(0, "POST", "/api/v1/products", productWith(fmt.Sprintf(`"sku":"ROLL-%d-%d"`, c, n)), "Idempotency-Key", fmt.Sprintf("roll-%d-%d", c, n), "Prefer", "wait=20")
				if !ok {
					return
				}
				path := "/api/v1/products/" + created.json(t)["id"].(string)
				for v := 2; v <= 4; v++ {
					changed, ok := request(1, "PATCH", path, fmt.Sprintf(`{"name":"version %d"}`, v), "Idempotency-Key", fmt.Sprintf("roll-%d-%d-%d", c, n, v), "Prefer", "wait=20")
					if !ok {
						return
					}
					// While its shard changes hands, a read may be told to retry.
					read := system.request(ctx, random.IntN(2), "GET", path, "", "Catalog-Position", changed.header.Get("Catalog-Position"))
					for read.status == http.StatusServiceUnavailable && ctx.Err() == nil {
						read = system.request(ctx, random.IntN(2), "GET", path, "", "Catalog-Position", changed.header.Get("Catalog-Position"))
					}
					if ctx.Err() != nil {
						return
					}
					if read.err != nil || read.status != http.StatusOK || read.header.Get("ETag") != fmt.Sprintf(`"%d"`, v) {
						t.Errorf("GET %s = %d %v at version %s; want %d: %s", path, read.status, read.err, read.header.Get("ETag"), v, read.body)
						return
					}
					if _, ok := request(2, "GET", path, ""); !ok {
						return
					}
				}
			}
		})
	}
	defer func() { stop(); wg.Wait() }()
	for range rounds {
		for i, start := range system.starts {
			system.processes[i].stop()
			system.processes[i] = start()
		}
	}
	stop()
	wg.Wait()
	for i, what := range []string{"creates", "changes", "reads"} {
		if n := counts[i].Load(); n < rounds*6 {
			t.Errorf("void: only %d %s during the restarts", n, what)
		}
	}
	t.Logf("%d restarts, %d creates, %d changes, %d reads", rounds*len(system.starts), counts[0].Load(), counts[1].Load(), counts[2].Load())
}
