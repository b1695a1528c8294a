//go:build real

package e2e

import (
	"context"
	"sync"
	"testing"
	"time"
)

func TestChanges_failover(t *testing.T) {
	const products, versions = 20, 20
	system := startCluster(t)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var gateways, readers []follower
	for i := range 2 {
		gateways = append(gateways, func(ctx context.Context, after string, handle func(change) bool) string {
			return followHTTP(ctx, system.gateways[i], "", after, handle)
		})
		readers = append(readers, func(ctx context.Context, after string, handle func(change) bool) string {
			return followGRPC(ctx, system.readers[i], after, handle)
		})
	}
	var busy sync.WaitGroup
	var ends, ended int // number of streams that ended
	busy.Go(func() { ends = followAll(ctx, t, products, versions, gateways...) })
	busy.Go(func() { ended = followAll(ctx, t, products, versions, readers...) })
	settled := make(chan struct{}, products*versions)
	busy.Go(func() { writeAll(ctx, t, products, versions, settled, system.gateways...) })
	for range products * versions / 2 {
		select {
		case <-settled:
		case <-ctx.Done():
		}
	}
	for _, i := range []int{2, 4} { // the first reader and the first gateway
		_ = system.processes[i].cmd.Process.Kill()
		_ = system.processes[i].cmd.Wait()
	}
	busy.Wait()
	if ends < 2 || ended < 2 {
		t.Errorf("void: streams ended only %d and %d times", ends, ended)
	}
}
