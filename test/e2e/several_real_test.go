//go:build real

package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/enginetest/freeport"
)

// fleet is two of each service on real engines.
type fleet struct {
	t         *testing.T
	env       []string
	processes []*process
	starts    []func() *process // by process, what starts it again in its place
	gateways  []string          // URLs
	readers   []string          // addresses of their gRPC
}

// sail starts a fleet.
func sail(t *testing.T) *fleet {
	t.Helper()
	f := &fleet{t: t, env: append(engines(t), "CATALOG_SHUTDOWN_DELAY=200ms")}
	migrate(t, f.env)
	writers, readers := []string{freeport.Address(), freeport.Address()}, []string{freeport.Address(), freeport.Address()}
	f.readers = readers
	of := func(addresses []string) string { return strings.Join(addresses, ",") }
	for _, at := range writers {
		f.start("writer", "-grpc", at)
	}
	for _, at := range readers {
		f.start("reader", "-grpc", at, "-writer", of(writers), "-index", filepath.Join(t.TempDir(), "index"))
	}
	for range 2 {
		at := freeport.Address()
		f.gateways = append(f.gateways, "http://"+at)
		f.start("gateway", "-http", at, "-writer", of(writers), "-reader", of(readers))
	}
	return f
}

func (f *fleet) start(name string, flags ...string) {
	start := func() *process { return run(f.t, f.env, name, flags...) }
	f.starts = append(f.starts, start)
	f.processes = append(f.processes, start())
}

// at answers the i-th gateway as a server to call.
func (f *fleet) at(i int) *server { return &server{t: f.t, api: f.gateways[i%len(f.gateways)]} }

// reply is what a request was answered, or why not.
type reply struct {
	answer
	err error
}

// ask sends a request to a gateway, and to the next when no answer comes: reads
// can be asked again, and so can writes that have a key. That is all that whoever
// stands in front of several gateways must do.
func (f *fleet) ask(ctx context.Context, first int, method, path, body string, headers ...string) reply {
	var last error
	for i := range f.gateways {
		r, err := http.NewRequestWithContext(ctx, method, f.gateways[(first+i)%len(f.gateways)]+path, bytes.NewReader([]byte(body)))
		if err != nil {
			return reply{err: err}
		}
		if body != "" {
			r.Header.Set("Content-Type", "application/json")
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w, err := http.DefaultClient.Do(r)
		if err != nil {
			if last = err; method == http.MethodGet || slices.Contains(headers, "Idempotency-Key") || errors.Is(err, syscall.ECONNREFUSED) {
				continue
			}
			break
		}
		defer w.Body.Close()
		b, err := io.ReadAll(w.Body)
		return reply{answer{w.StatusCode, w.Header, string(b)}, err}
	}
	return reply{err: last}
}

func TestSeveralGatewaysAreAsOne(t *testing.T) {
	f := sail(t)

	t.Run("a key has one effect, however often and wherever it comes", func(t *testing.T) {
		const keys, repeats = 100, 200
		for k := range keys {
			key := fmt.Sprintf("key-%d", k)
			body := draftWith(fmt.Sprintf(`"sku":"KEY-%d"`, k))
			var (
				wg    sync.WaitGroup
				first atomic.Pointer[answer]
			)
			for i := range repeats {
				wg.Go(func() {
					a := f.ask(t.Context(), i, "POST", "/api/v1/products", body, "Idempotency-Key", key, "Prefer", "wait=20")
					if a.err != nil || a.status != http.StatusCreated {
						t.Errorf("repeat %d of %s is answered %d %v %s", i, key, a.status, a.err, a.body)
						return
					}
					if old := first.Swap(&a.answer); old != nil && (old.body != a.body || old.header.Get("Catalog-Position") != a.header.Get("Catalog-Position")) {
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
			a := f.ask(t.Context(), k, "POST", "/api/v1/products", draftWith(`"sku":"ANOTHER"`), "Idempotency-Key", fmt.Sprintf("key-%d", k))
			if a.status != http.StatusUnprocessableEntity || !strings.Contains(a.body, "key_reused") {
				t.Fatalf("another body with a used key is answered %d %s", a.status, a.body)
			}
		}
		_, at := f.at(0).create(draftWith(`"sku":"LAST"`))
		list := f.at(1).must(http.StatusOK, "GET", "/api/v1/products?limit=1", "", "Catalog-Position", at)
		eventually(t, "as many products as keys, and one", func() bool {
			list = f.at(1).must(http.StatusOK, "GET", "/api/v1/products?limit=1", "")
			return list.json(t)["total"] == float64(keys+1)
		})
	})

	t.Run("of many who change the same version one wins", func(t *testing.T) {
		id, _ := f.at(0).create(draftWith(`"sku":"RACE"`))
		path := "/api/v1/products/" + id
		const racers = 16
		for version := 1; version <= 20; version++ {
			var won, lost atomic.Int64
			var wg sync.WaitGroup
			for i := range racers {
				wg.Go(func() {
					a := f.ask(t.Context(), i, "PATCH", path, fmt.Sprintf(`{"name":"%d of %d"}`, version, i), "If-Match", fmt.Sprintf(`"%d"`, version), "Prefer", "wait=20")
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
			a := f.ask(t.Context(), i, "POST", "/api/v1/products", draftWith(fmt.Sprintf(`"sku":"RECEIPT-%d"`, i)), "Prefer", "respond-async")
			if a.status != http.StatusAccepted {
				t.Fatalf("answered %d %v %s", a.status, a.err, a.body)
			}
			r := f.at(i+1).must(http.StatusOK, "GET", a.header.Get("Location")+"?wait=20", "").json(t)
			if r["status"] != "applied" {
				t.Fatalf("the receipt says %v", r)
			}
			p := f.at(i).must(http.StatusOK, "GET", "/api/v1/products/"+r["productId"].(string), "", "Catalog-Position", r["position"].(string))
			if p.header.Get("ETag") != `"1"` {
				t.Fatalf("read at version %s", p.header.Get("ETag"))
			}
		}
	})

	t.Run("who waits at a gateway that dies gets the answer from another", func(t *testing.T) {
		body := draftWith(`"sku":"SURVIVES"`)
		go f.ask(t.Context(), 0, "POST", "/api/v1/products", body, "Idempotency-Key", "survives")
		_ = f.processes[4].cmd.Process.Kill()
		_ = f.processes[4].cmd.Wait()
		var ids []any
		for range 2 {
			a := f.ask(t.Context(), 1, "POST", "/api/v1/products", body, "Idempotency-Key", "survives", "Prefer", "wait=20")
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

func TestWhoFollowsChangesGoesOnAtAnotherGatewayAndReader(t *testing.T) {
	const products, versions = 20, 20
	f := sail(t)
	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var atGateways, atReaders []place
	for i := range 2 {
		atGateways = append(atGateways, func(ctx context.Context, after string, handle func(change) bool) string {
			return changes(ctx, f.gateways[i], "", after, handle)
		})
		atReaders = append(atReaders, func(ctx context.Context, after string, handle func(change) bool) string {
			return calls(ctx, f.readers[i], after, handle)
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

func TestRollingRestartsFailNoRequest(t *testing.T) {
	const rounds, clients = 20, 6
	f := sail(t)
	ctx, stop := context.WithCancel(t.Context())
	var (
		wg     sync.WaitGroup
		counts [3]atomic.Int64 // of requests that were answered well: creates, changes and reads
	)
	for c := range clients {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(4, uint64(c)))
			request := func(kind int, method, path, body string, headers ...string) (reply, bool) {
				// What has begun is finished, so that none fails because the test ends.
				a := f.ask(context.WithoutCancel(ctx), random.IntN(2), method, path, body, headers...)
				if a.err != nil || a.status >= 300 {
					t.Errorf("%s %s is answered %d %v %s", method, path, a.status, a.err, a.body)
					return a, false
				}
				counts[kind].Add(1)
				return a, true
			}
			for n := 0; ctx.Err() == nil; n++ {
				created, ok := request(0, "POST", "/api/v1/products", draftWith(fmt.Sprintf(`"sku":"ROLL-%d-%d"`, c, n)), "Idempotency-Key", fmt.Sprintf("roll-%d-%d", c, n), "Prefer", "wait=20")
				if !ok {
					return
				}
				path := "/api/v1/products/" + created.json(t)["id"].(string)
				for v := 2; v <= 4; v++ {
					changed, ok := request(1, "PATCH", path, fmt.Sprintf(`{"name":"version %d"}`, v), "Idempotency-Key", fmt.Sprintf("roll-%d-%d-%d", c, n, v), "Prefer", "wait=20")
					if !ok {
						return
					}
					// A read that waits for a shard that changes hands is told to come again.
					read := f.ask(ctx, random.IntN(2), "GET", path, "", "Catalog-Position", changed.header.Get("Catalog-Position"))
					for read.status == http.StatusServiceUnavailable && ctx.Err() == nil {
						read = f.ask(ctx, random.IntN(2), "GET", path, "", "Catalog-Position", changed.header.Get("Catalog-Position"))
					}
					if ctx.Err() != nil {
						return
					}
					if read.err != nil || read.status != http.StatusOK || read.header.Get("ETag") != fmt.Sprintf(`"%d"`, v) {
						t.Errorf("GET %s is answered %d %v at version %s, want %d: %s", path, read.status, read.err, read.header.Get("ETag"), v, read.body)
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
		for i, start := range f.starts {
			f.processes[i].stop()
			f.processes[i] = start()
		}
	}
	stop()
	wg.Wait()
	for i, what := range []string{"creates", "changes", "reads"} {
		if n := counts[i].Load(); n < rounds*6 {
			t.Errorf("void: only %d %s in all these restarts", n, what)
		}
	}
	t.Logf("%d restarts, %d creates, %d changes, %d reads", rounds*len(f.starts), counts[0].Load(), counts[1].Load(), counts[2].Load())
}

// verified fails the test unless all stores of the readers are equal to the truth.
// A shard that goes from one to another has no reader for a moment.
func verified(t testing.TB, products int, readers ...string) {
	t.Helper()
	var stdout, stderr string
	var code int
	eventually(t, "each shard has a reader", func() bool {
		stdout, stderr, code = command(t, "verify", "-reader", strings.Join(readers, ","))
		return !strings.Contains(stderr, "compared by nobody")
	})
	saysEqual(t, products, "view equal, cache equal, index equal", stdout, stderr, code)
}

// The view that two readers share is made anew while clients write at one gateway
// and read at the other. The reader that does it is killed on the way once.
func TestTwoReadersGoOnWhileTheirViewIsMadeAnew(t *testing.T) {
	const n, clients = 2_000, 4
	f := sail(t)
	s := f.at(0)
	s.furnish(n)
	equal := func() {
		t.Helper()
		verified(t, n+clients, f.readers...)
	}
	var busy sync.WaitGroup
	var changed, refused atomic.Int64
	ctx, stop := context.WithCancel(t.Context())
	for c := range clients {
		id, _ := s.create(draftWith(fmt.Sprintf(`"sku":"BUSY-%d"`, c)))
		busy.Go(func() {
			for v := 2; ctx.Err() == nil; v++ {
				w := f.ask(t.Context(), c, "PATCH", "/api/v1/products/"+id, fmt.Sprintf(`{"description":"%d"}`, v), "Idempotency-Key", fmt.Sprintf("busy-%d-%d", c, v), "Prefer", "wait=20")
				if w.err != nil || w.status != http.StatusOK {
					t.Errorf("PATCH is answered %d %v %s", w.status, w.err, w.body)
					return
				}
				changed.Add(1)
				for {
					r := f.ask(t.Context(), c+1, "GET", "/api/v1/products/"+id, "", "Catalog-Position", w.header.Get("Catalog-Position"))
					if r.status == http.StatusServiceUnavailable && ctx.Err() == nil { // its shard changes hands
						refused.Add(1)
						continue
					}
					if ctx.Err() == nil && (r.err != nil || r.status != http.StatusOK || r.header.Get("ETag") != fmt.Sprintf(`"%d"`, v)) {
						t.Errorf("GET is answered %d %v at version %s, want %d: %s", r.status, r.err, r.header.Get("ETag"), v, r.body)
					}
					break
				}
			}
		})
	}
	defer func() { stop(); busy.Wait() }()
	rebuilt := func(flags ...string) {
		t.Helper()
		if stdout, stderr, code := command(t, append([]string{"rebuild", "-view", "-reader", f.readers[1]}, flags...)...); code != 0 {
			t.Fatalf("rebuild %v ends with %d:\n%s%s", flags, code, stdout, stderr)
		}
	}
	rebuilt()
	equal()

	conn, err := grpc.NewClient(f.readers[0], grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	rebuild, err := catalogv1.NewReaderServiceClient(conn).Rebuild(t.Context(), &catalogv1.RebuildRequest{Stores: []string{"view"}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := rebuild.Recv(); err != nil {
		t.Fatal("void: the rebuild has not begun: ", err)
	}
	_ = f.processes[2].cmd.Process.Kill()
	_ = f.processes[2].cmd.Wait()
	for err = nil; err == nil; _, err = rebuild.Recv() {
	}
	if errors.Is(err, io.EOF) {
		t.Error("void: the rebuild came to its end")
	}
	f.processes[2] = f.starts[2]()
	equal()
	rebuilt()
	equal()
	rebuilt("-rollback")
	stop()
	busy.Wait()
	equal()
	if changed.Load() < 20 {
		t.Errorf("void: only %d changes", changed.Load())
	}
	t.Logf("%d changes, %d reads were told to come again", changed.Load(), refused.Load())
}
