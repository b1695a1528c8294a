package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	trace "go.opentelemetry.io/proto/otlp/trace/v1"
)

// traceSettings are the settings of traces that are compared. The first is the
// base.
var traceSettings = []struct {
	name  string
	flags []string
	limit float64
}{
	{"off", nil, 0},
	{"1 % sampled", []string{"-otlp.sample", "0.01"}, 1.03},
	{"1 % sampled, slow ones kept", []string{"-otlp.sample", "0.01", "-otlp.keep-slow", "1s"}, 1.10},
	{"100 % sampled", []string{"-otlp.sample", "1"}, 2},
}

// traces measures what traces cost a write: the CPU time of all three services in
// one process, as a multiple of that without traces. The settings take turns. CPU
// time is what limits the throughput of a service, and depends less than the
// throughput on what else the machine does.
func (b *bench) traces() error {
	servers, spans := make([]*server, len(traceSettings)), make([]atomic.Int64, len(traceSettings))
	for i, setting := range traceSettings {
		endpoint, stop, err := receiveSpans(func(string, *trace.Span) { spans[i].Add(1) })
		if err != nil {
			return err
		}
		defer stop()
		flags := setting.flags
		if flags != nil {
			flags = append(flags, "-otlp.endpoint", endpoint)
		}
		if servers[i], err = b.start(filepath.Join(b.dir, fmt.Sprint("traces", i)), flags...); err != nil {
			return err
		}
		defer servers[i].kill()
	}
	const rounds, writes = 16, 400
	costs := make([][]float64, len(servers)) // costs by server and round
	for round := range rounds + 1 {
		for n := range servers { // each round begins with another setting: the load of the machine changes slowly
			i := (round + n) % len(servers)
			cost, err := servers[i].writeCost(round*writes, writes)
			if err != nil {
				return fmt.Errorf("%s: %w", traceSettings[i].name, err)
			}
			fmt.Fprintf(os.Stderr, "round %d, %s: %.0f µs\n", round, traceSettings[i].name, cost*1e6)
			if round > 0 { // the first round warms up
				costs[i] = append(costs[i], cost)
			}
		}
	}
	fmt.Printf("CPU time of a write without traces: %.0f µs\n", median(costs[0])*1e6)
	for i, setting := range traceSettings[1:] {
		ratios := make([]float64, rounds)
		for round := range ratios {
			ratios[round] = costs[i+1][round] / costs[0][round]
		}
		fmt.Printf("%s: %.1f spans per write received, ratios of the rounds %.3f\n", setting.name, float64(spans[i+1].Load())/((rounds+1)*writes), ratios)
		b.atMost("CPU time of a write, traces "+setting.name+", share of that without", median(ratios), setting.limit, "")
	}
	return nil
}

// writeCost creates n products by several clients, each product with its own
// request, waits until the server is idle, and returns the CPU seconds per write.
func (s *server) writeCost(first, n int) (float64, error) {
	const clients = 16
	before, err := s.cpuTime()
	if err != nil {
		return 0, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var next atomic.Int64
	var failed atomic.Pointer[error]
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for i := int(next.Add(1)) - 1; i < n && failed.Load() == nil; i = int(next.Add(1)) - 1 {
				if _, err := s.client.Create(ctx, product(first+i).ProductData); err != nil {
					failed.CompareAndSwap(nil, &err)
				}
			}
		})
	}
	running.Wait()
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	if err := s.waitIdle(); err != nil {
		return 0, err
	}
	after, err := s.cpuTime()
	return (after - before).Seconds() / float64(n), err
}
