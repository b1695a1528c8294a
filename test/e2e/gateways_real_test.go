//go:build real

package e2e

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// TestGateways checks that several gateways behave as one.
func TestGateways(t *testing.T) {
	system := startCluster(t)

	for _, test := range []struct {
		name string
		run  func(*testing.T, *cluster)
	}{
		{"a key has one effect at all gateways", checkKeysAcrossGateways},
		{"one of many concurrent changes of a version succeeds", checkVersionRace},
		{"a receipt can be read at every gateway", checkReceiptsAcrossGateways},
		{"after a gateway dies, another returns the result", checkGatewayDeath},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, system) })
	}
}

func checkKeysAcrossGateways(t *testing.T, system *cluster) {
	const keys, repeats = 100, 200
	for k := range keys {
		key := fmt.Sprintf("key-%d", k)
		body := productWith(fmt.Sprintf(`"sku":"KEY-%d"`, k))
		var (
			wg    sync.WaitGroup
			first atomic.Pointer[response]
		)
		for i := range repeats {
			wg.Go(func() {
				a := system.request(t.Context(), i, "POST", "/api/v1/products", body, "Idempotency-Key", key, "Prefer", "wait=20")
				if a.err != nil || a.status != http.StatusCreated {
					t.Errorf("repeat %d of %s = %d %v %s", i, key, a.status, a.err, a.body)
					return
				}
				if old := first.Swap(&a.response); old != nil && (old.body != a.body || old.header.Get("Catalog-Position") != a.header.Get("Catalog-Position")) {
					t.Errorf("%s has two responses\n%s and\n%s", key, old.body, a.body)
				}
			})
		}
		wg.Wait()
		if t.Failed() {
			return
		}
	}
	for k := range keys {
		a := system.request(t.Context(), k, "POST", "/api/v1/products", productWith(`"sku":"ANOTHER"`), "Idempotency-Key", fmt.Sprintf("key-%d", k))
		if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "key_reused") {
			t.Fatalf("another body with a used key = %d %s", a.status, a.body)
		}
	}
	_, at := system.gateway(0).create(productWith(`"sku":"LAST"`))
	list := system.gateway(1).must(http.StatusOK, "GET", "/api/v1/products?limit=1", "", "Catalog-Position", at)
	eventually(t, "there is one product for each key, and one more", func() bool {
		list = system.gateway(1).must(http.StatusOK, "GET", "/api/v1/products?limit=1", "")
		return list.json(t)["total"] == float64(keys+1)
	})
}

func checkVersionRace(t *testing.T, system *cluster) {
	id, _ := system.gateway(0).create(productWith(`"sku":"RACE"`))
	path := "/api/v1/products/" + id
	const racers = 16
	for version := 1; version <= 20; version++ {
		var won, lost atomic.Int64
		var wg sync.WaitGroup
		for i := range racers {
			wg.Go(func() {
				a := system.request(t.Context(), i, "PATCH", path, fmt.Sprintf(`{"name":"%d of %d"}`, version, i), "If-Match", fmt.Sprintf(`"%d"`, version), "Prefer", "wait=20")
				switch a.status {
				case http.StatusOK:
					won.Add(1)
				case http.StatusPreconditionFailed:
					lost.Add(1)
				default:
					t.Errorf("status = %d %v %s", a.status, a.err, a.body)
				}
			})
		}
		wg.Wait()
		if won.Load() != 1 || lost.Load() != racers-1 {
			t.Fatalf("version %d: %d won and %d lost", version, won.Load(), lost.Load())
		}
	}
}

func checkReceiptsAcrossGateways(t *testing.T, system *cluster) {
	for i := range 20 {
		a := system.request(t.Context(), i, "POST", "/api/v1/products", productWith(fmt.Sprintf(`"sku":"RECEIPT-%d"`, i)), "Prefer", "respond-async")
		if a.status != http.StatusAccepted {
			t.Fatalf("status = %d %v %s", a.status, a.err, a.body)
		}
		r := system.gateway(i+1).must(http.StatusOK, "GET", a.header.Get("Location")+"?wait=20", "").json(t)
		if r["status"] != "applied" {
			t.Fatalf("receipt = %v; want applied", r)
		}
		p := system.gateway(i).must(http.StatusOK, "GET", "/api/v1/products/"+r["productId"].(string), "", "Catalog-Position", r["position"].(string))
		if p.header.Get("ETag") != `"1"` {
			t.Fatalf("ETag = %s; want version 1", p.header.Get("ETag"))
		}
	}
}

func checkGatewayDeath(t *testing.T, system *cluster) {
	body := productWith(`"sku":"SURVIVES"`)
	go system.request(t.Context(), 0, "POST", "/api/v1/products", body, "Idempotency-Key", "survives")
	_ = system.processes[4].cmd.Process.Kill()
	_ = system.processes[4].cmd.Wait()
	var ids []any
	for range 2 {
		a := system.request(t.Context(), 1, "POST", "/api/v1/products", body, "Idempotency-Key", "survives", "Prefer", "wait=20")
		if a.status != http.StatusCreated {
			t.Fatalf("status = %d %v %s", a.status, a.err, a.body)
		}
		ids = append(ids, a.json(t)["id"])
	}
	if ids[0] != ids[1] {
		t.Errorf("created twice: %v", ids)
	}
}
