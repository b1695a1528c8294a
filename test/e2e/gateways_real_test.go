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

func TestGateways(t *testing.T) {
	f := startCluster(t)

	t.Run("a key has one effect, however often and wherever it comes", func(t *testing.T) {
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
					a := f.request(t.Context(), i, "POST", "/api/v1/products", body, "Idempotency-Key", key, "Prefer", "wait=20")
					if a.err != nil || a.status != http.StatusCreated {
						t.Errorf("repeat %d of %s is answered %d %v %s", i, key, a.status, a.err, a.body)
						return
					}
					if old := first.Swap(&a.response); old != nil && (old.body != a.body || old.header.Get("Catalog-Position") != a.header.Get("Catalog-Position")) {
						t.Errorf("%s is answered\n%s and\n%s", key, old.body, a.body)
					}
				})
			}
			wg.Wait()
			if t.Failed() {
				return
			}
		}
		for k := range keys {
			a := f.request(t.Context(), k, "POST", "/api/v1/products", productWith(`"sku":"ANOTHER"`), "Idempotency-Key", fmt.Sprintf("key-%d", k))
			if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "key_reused") {
				t.Fatalf("another body with a used key is answered %d %s", a.status, a.body)
			}
		}
		_, at := f.gateway(0).create(productWith(`"sku":"LAST"`))
		list := f.gateway(1).must(http.StatusOK, "GET", "/api/v1/products?limit=1", "", "Catalog-Position", at)
		eventually(t, "as many products as keys, and one", func() bool {
			list = f.gateway(1).must(http.StatusOK, "GET", "/api/v1/products?limit=1", "")
			return list.json(t)["total"] == float64(keys+1)
		})
	})

	t.Run("of many who change the same version one wins", func(t *testing.T) {
		id, _ := f.gateway(0).create(productWith(`"sku":"RACE"`))
		path := "/api/v1/products/" + id
		const racers = 16
		for version := 1; version <= 20; version++ {
			var won, lost atomic.Int64
			var wg sync.WaitGroup
			for i := range racers {
				wg.Go(func() {
					a := f.request(t.Context(), i, "PATCH", path, fmt.Sprintf(`{"name":"%d of %d"}`, version, i), "If-Match", fmt.Sprintf(`"%d"`, version), "Prefer", "wait=20")
					switch a.status {
					case http.StatusOK:
						won.Add(1)
					case http.StatusPreconditionFailed:
						lost.Add(1)
					default:
						t.Errorf("answered %d %v %s", a.status, a.err, a.body)
					}
				})
			}
			wg.Wait()
			if won.Load() != 1 || lost.Load() != racers-1 {
				t.Fatalf("version %d: %d won and %d lost", version, won.Load(), lost.Load())
			}
		}
	})

	t.Run("a receipt is there at every gateway", func(t *testing.T) {
		for i := range 20 {
			a := f.request(t.Context(), i, "POST", "/api/v1/products", productWith(fmt.Sprintf(`"sku":"RECEIPT-%d"`, i)), "Prefer", "respond-async")
			if a.status != http.StatusAccepted {
				t.Fatalf("answered %d %v %s", a.status, a.err, a.body)
			}
			r := f.gateway(i+1).must(http.StatusOK, "GET", a.header.Get("Location")+"?wait=20", "").json(t)
			if r["status"] != "applied" {
				t.Fatalf("the receipt says %v", r)
			}
			p := f.gateway(i).must(http.StatusOK, "GET", "/api/v1/products/"+r["productId"].(string), "", "Catalog-Position", r["position"].(string))
			if p.header.Get("ETag") != `"1"` {
				t.Fatalf("read at version %s", p.header.Get("ETag"))
			}
		}
	})

	t.Run("who waits at a gateway that dies gets the answer from another", func(t *testing.T) {
		body := productWith(`"sku":"SURVIVES"`)
		go f.request(t.Context(), 0, "POST", "/api/v1/products", body, "Idempotency-Key", "survives")
		_ = f.processes[4].cmd.Process.Kill()
		_ = f.processes[4].cmd.Wait()
		var ids []any
		for range 2 {
			a := f.request(t.Context(), 1, "POST", "/api/v1/products", body, "Idempotency-Key", "survives", "Prefer", "wait=20")
			if a.status != http.StatusCreated {
				t.Fatalf("answered %d %v %s", a.status, a.err, a.body)
			}
			ids = append(ids, a.json(t)["id"])
		}
		if ids[0] != ids[1] {
			t.Errorf("made twice: %v", ids)
		}
	})
}
