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
	f := startCluster(t)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var atGateways, atReaders []follower
	for i := range 2 {
		atGateways = append(atGateways, func(ctx context.Context, after string, handle func(change) bool) string {
			return followHTTP(ctx, f.gateways[i], "", after, handle)
		})
		atReaders = append(atReaders, func(ctx context.Context, after string, handle func(change) bool) string {
			return followGRPC(ctx, f.readers[i], after, handle)
		})
	}
	var busy sync.WaitGroup
	var ends, ended int // of streams
	busy.Go(func() { ends = followAll(ctx, t, products, versions, atGateways...) })
	busy.Go(func() { ended = followAll(ctx, t, products, versions, atReaders...) })
	settled := make(chan struct{}, products*versions)
	busy.Go(func() { writeAll(ctx, t, products, versions, settled, f.gateways...) })
	for range products * versions / 2 {
		select {
		case <-settled:
		case <-ctx.Done():
		}
	}
	for _, i := range []int{2, 4} { // the first reader and the first gateway
		_ = f.processes[i].cmd.Process.Kill()
		_ = f.processes[i].cmd.Wait()
	}
	busy.Wait()
	if ends < 2 || ended < 2 {
		t.Errorf("void: the streams have ended %d and %d times only", ends, ended)
	}
}
