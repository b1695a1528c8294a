//go:build real

package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// TestKafkaBrokers kills brokers of a cluster of three, whose topics have three
// replicas, while clients write and read.
func TestKafkaBrokers(t *testing.T) {
	const clients, each = 3, 6 // writes by each client in each phase
	port := freePortRange(t, 6)
	kafka := startEngines(t, []string{"kafka"}, "ENGINES_KAFKA_NODES=3", "ENGINES_KAFKA_PORT="+strconv.Itoa(port))
	brokers := fmt.Sprintf("127.0.0.1:%d,127.0.0.1:%d,127.0.0.1:%d", port, port+2, port+4)
	system := startCluster(t, "CATALOG_KAFKA_BROKERS="+brokers, "CATALOG_KAFKA_REPLICAS=3")

	var (
		wg       sync.WaitGroup
		versions [clients]atomic.Int64 // version that the system acknowledged
		slowest  atomic.Int64          // nanoseconds from the first attempt to the outcome, in this phase
		refused  atomic.Int64          // 503
		repeated atomic.Int64          // after 202 or 504
	)
	ctx, stop := context.WithCancel(t.Context())
	defer func() { stop(); wg.Wait() }()
	// write sends a command until its outcome is known.
	write := func(client int, method, path, body, key string) (clusterResponse, bool) {
		for try := client; ; try++ {
			a := system.request(t.Context(), try, method, path, body, "Idempotency-Key", key)
			switch {
			case a.err != nil:
				t.Errorf("%s %s: %v", method, path, a.err)
				return a, false
			case a.status == http.StatusOK, a.status == http.StatusCreated:
				return a, true
			case a.status == http.StatusServiceUnavailable:
				refused.Add(1)
			case a.status == http.StatusAccepted, a.status == http.StatusGatewayTimeout:
				repeated.Add(1)
			default:
				t.Errorf("%s %s = %d %s", method, path, a.status, a.body)
				return a, false
			}
			<-time.After(50 * time.Millisecond)
		}
	}
	for c := range clients {
		wg.Go(func() {
			created, ok := write(c, "POST", "/api/v1/products", productWith(fmt.Sprintf(`"sku":"NODE-%d"`, c)), fmt.Sprintf("node-%d-1", c))
			if !ok {
				return
			}
			path := "/api/v1/products/" + created.json(t)["id"].(string)
			for v := int64(2); ctx.Err() == nil; v++ {
				since := time.Now()
				changed, ok := write(c, "PATCH", path, fmt.Sprintf(`{"name":"version %d"}`, v), fmt.Sprintf("node-%d-%d", c, v))
				if !ok {
					return
				}
				slowest.Store(max(slowest.Load(), int64(time.Since(since))))
				if tag := changed.header.Get("ETag"); tag != fmt.Sprintf(`"%d"`, v) {
					t.Errorf("PATCH %s = version %s; want %d: a command was lost or settled twice", path, tag, v)
					return
				}
				versions[c].Store(v)
				read := system.request(t.Context(), c, "GET", path, "", "Catalog-Position", changed.header.Get("Catalog-Position"))
				if read.err == nil && read.status == http.StatusOK && read.header.Get("ETag") != fmt.Sprintf(`"%d"`, v) {
					t.Errorf("GET %s = version %s; want %d", path, read.header.Get("ETag"), v)
					return
				}
			}
		})
	}
	// writes waits until each client has written n more versions.
	writes := func(what string, n int64) {
		t.Helper()
		var want [clients]int64
		for c := range want {
			want[c] = versions[c].Load() + n
		}
		slowest.Store(0)
		since := time.Now()
		eventually(t, what, func() bool {
			if t.Failed() {
				t.FailNow()
			}
			for c := range want {
				if versions[c].Load() < want[c] {
					return false
				}
			}
			return true
		})
		t.Logf("%s: %d writes by each client in %v, the slowest took %v", what, n, time.Since(since).Round(time.Millisecond), time.Duration(slowest.Load()).Round(time.Millisecond))
	}

	writes("with three brokers", each)
	kafka.kill("kafka")
	writes("with two brokers", each)
	t.Logf("%d refused with 503 after the loss of one broker", refused.Load()) // 0, unless this machine is busy
	kafka.up()
	writes("with three brokers again", each)

	kafka.kill("kafka2")
	kafka.kill("kafka3")
	lost := time.Now()
	eventually(t, "writes get 503 after the loss of two brokers", func() bool {
		a := system.request(t.Context(), 0, "POST", "/api/v1/products", productWith(`"sku":"NODE-LOST"`), "Prefer", "respond-async")
		if a.status == http.StatusAccepted || a.status == http.StatusCreated {
			t.Fatalf("POST = %d %v after the loss of two brokers of three", a.status, time.Since(lost))
		}
		return a.status == http.StatusServiceUnavailable && a.header.Get("Retry-After") != ""
	})
	t.Logf("503 %v after the loss of two brokers", time.Since(lost).Round(time.Millisecond))
	before := [clients]int64{}
	for c := range before {
		before[c] = versions[c].Load()
	}
	for i := range 40 {
		a := system.request(t.Context(), i, "POST", "/api/v1/products", productWith(fmt.Sprintf(`"sku":"NODE-LOST-%d"`, i)), "Prefer", "respond-async")
		if a.status != http.StatusServiceUnavailable && a.status != http.StatusGatewayTimeout {
			t.Errorf("POST without two brokers = %d %s; want 503", a.status, a.body)
		}
	}
	for c := range before {
		if v := versions[c].Load(); v != before[c] {
			t.Errorf("client %d wrote version %d without two brokers", c, v)
		}
	}
	kafka.up()
	writes("with all brokers back", each)

	stop()
	wg.Wait()
	checkReadersEqual(t, system.total(), strings.Join(system.readers, ","))
	t.Logf("%d refused with 503, %d repeated after 202 or 504", refused.Load(), repeated.Load())
}

// total returns the number of products.
func (c *cluster) total() int {
	c.t.Helper()
	n, _ := c.gateway(0).must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").json(c.t)["total"].(float64)
	return int(n)
}
