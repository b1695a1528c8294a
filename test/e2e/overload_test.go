package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// writeConcurrently has clients create products one after the other for a while
// and counts accepted and refused requests. A refused client retries after 100 ms,
// much sooner than Retry-After asks for.
func writeConcurrently(t *testing.T, s *server, name string, clients int, while time.Duration) (done, refused int64, slowest time.Duration) {
	t.Helper()
	pool := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: clients}}
	defer pool.CloseIdleConnections()
	ctx, cancel := context.WithTimeout(t.Context(), while)
	defer cancel()
	var wg sync.WaitGroup
	var good, bad, worst atomic.Int64
	for c := range clients {
		wg.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				r, err := http.NewRequestWithContext(context.WithoutCancel(ctx), http.MethodPost, s.api+"/api/v1/products", strings.NewReader(productWith(fmt.Sprintf(`"sku":"%s-%d-%d"`, name, c, n))))
				if err != nil {
					t.Error(err)
					return
				}
				r.Header.Set("Content-Type", "application/json")
				since := time.Now()
				w, err := pool.Do(r)
				if err != nil {
					t.Error(err)
					return
				}
				_, _ = io.Copy(io.Discard, w.Body)
				w.Body.Close()
				switch w.StatusCode {
				case http.StatusCreated, http.StatusAccepted:
					good.Add(1)
				case http.StatusTooManyRequests, http.StatusServiceUnavailable:
					bad.Add(1)
					for old := worst.Load(); int64(time.Since(since)) > old && !worst.CompareAndSwap(old, int64(time.Since(since))); old = worst.Load() {
					}
					if w.Header.Get("Retry-After") == "" {
						t.Error("a refusal has no Retry-After")
					}
					select {
					case <-time.After(100 * time.Millisecond):
					case <-ctx.Done():
					}
				default:
					t.Errorf("POST = %d", w.StatusCode)
					return
				}
			}
		})
	}
	wg.Wait()
	return good.Load(), bad.Load(), time.Duration(worst.Load())
}

func TestOverload(t *testing.T) {
	const slots = 32
	s := up(t, dataDir(t), "-max-concurrent-writes", strconv.Itoa(slots))
	admin := &server{t: t, api: s.admin}
	writeConcurrently(t, s, "WARM", slots, time.Second)
	peak, none, _ := writeConcurrently(t, s, "PEAK", slots, 3*time.Second)
	if none > 0 {
		t.Errorf("%d writes were refused although each client had a slot", none)
	}
	done, refused, slowest := writeConcurrently(t, s, "CROWD", 10*slots, 3*time.Second)
	metrics := map[string]float64{}
	for line := range strings.Lines(admin.must(http.StatusOK, "GET", "/metrics", "").body) {
		name, value, _ := strings.Cut(line, " ")
		metrics[name], _ = strconv.ParseFloat(strings.TrimSpace(value), 64)
	}
	memory := metrics["process_resident_memory_bytes"]
	t.Logf("%d writes in 3 s by %d clients; %d by ten times as many, with %d refusals, the slowest after %v; %.0f MiB", peak, slots, done, refused, slowest.Round(time.Millisecond), memory/(1<<20))
	if refused == 0 {
		t.Error("void: no request was refused")
	}
	// Clients and server share the machine, and refusals cost time, too.
	if done < peak/5 {
		t.Errorf("only %d writes under overload, %d without", done, peak)
	}
	cpus := runtime.GOMAXPROCS(0)
	if threads := metrics["go_sched_gomaxprocs_threads"]; threads <= float64(cpus) && os.Getenv("GOMAXPROCS") == "" {
		t.Errorf("%v threads run Go on %d CPUs; want more, so that a short request gets one", threads, cpus)
	}
	if memory > 512<<20 {
		t.Errorf("memory = %.0f MiB; want at most 512", memory/(1<<20))
	}
	s.create(chair)
}
