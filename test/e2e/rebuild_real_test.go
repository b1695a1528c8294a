//go:build real

package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	catalogv1 "catalog/api/catalog/v1"
)

// TestRebuild_sharedView rebuilds the view that two readers share while clients
// write at one gateway and read at the other, and kills the rebuilding reader
// once.
func TestRebuild_sharedView(t *testing.T) {
	const n, clients = 2_000, 4
	system := startCluster(t)
	s := system.gateway(0)
	s.importProducts(n)
	equal := func() {
		t.Helper()
		checkReadersEqual(t, n+clients, system.readers...)
	}
	var busy sync.WaitGroup
	var changed, refused atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	for c := range clients {
		id, _ := s.create(productWith(fmt.Sprintf(`"sku":"BUSY-%d"`, c)))
		busy.Go(func() {
			for v := 2; ctx.Err() == nil; v++ {
				w := system.request(t.Context(), c, "PATCH", "/api/v1/products/"+id, fmt.Sprintf(`{"description":"%d"}`, v), "Idempotency-Key", fmt.Sprintf("busy-%d-%d", c, v), "Prefer", "wait=20")
				if w.err != nil || w.status != http.StatusOK {
					t.Errorf("PATCH = %d %v %s", w.status, w.err, w.body)
					return
				}
				changed.Add(1)
				for {
					r := system.request(t.Context(), c+1, "GET", "/api/v1/products/"+id, "", "Catalog-Position", w.header.Get("Catalog-Position"))
					if r.status == http.StatusServiceUnavailable && ctx.Err() == nil { // the shard changes hands
						refused.Add(1)
						continue
					}
					if ctx.Err() == nil && (r.err != nil || r.status != http.StatusOK || r.header.Get("ETag") != fmt.Sprintf(`"%d"`, v)) {
						t.Errorf("GET = %d %v at version %s; want %d: %s", r.status, r.err, r.header.Get("ETag"), v, r.body)
					}
					break
				}
			}
		})
	}
	defer func() { stop(); busy.Wait() }()
	rebuildView := func(flags ...string) {
		t.Helper()
		if stdout, stderr, code := command(t, append([]string{"rebuild", "-view", "-reader", system.readers[1]}, flags...)...); code != 0 {
			t.Fatalf("rebuild %v exits with %d:\n%s%s", flags, code, stdout, stderr)
		}
	}
	rebuildView()
	equal()

	conn, err := grpc.NewClient(system.readers[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rebuild, err := catalogv1.NewReaderServiceClient(conn).Rebuild(t.Context(), &catalogv1.RebuildRequest{Stores: []string{"view"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rebuild.Recv(); err != nil {
		t.Fatal("void: the rebuild did not start: ", err)
	}
	_ = system.processes[2].cmd.Process.Kill()
	_ = system.processes[2].cmd.Wait()
	for err = nil; err == nil; _, err = rebuild.Recv() {
	}
	if errors.Is(err, io.EOF) {
		t.Error("void: the rebuild was complete before the kill")
	}
	system.processes[2] = system.starts[2]()
	equal()
	rebuildView()
	equal()
	rebuildView("-rollback")
	stop()
	busy.Wait()
	equal()
	if changed.Load() < 20 {
		t.Errorf("void: only %d changes", changed.Load())
	}
	t.Logf("%d changes, %d reads were told to retry", changed.Load(), refused.Load())
}
