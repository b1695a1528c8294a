//go:build real

package reader_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/enginetest/freeport"
	"catalog/engine/enginetest/rediscluster"
	"catalog/engine/redis"
	"catalog/eventlog"
	"catalog/reader"
	"catalog/reader/internal/readertest"
)

const (
	sharedShards   = 2
	sharedProducts = 40

	// minHits is the number of cache hits below which a run says nothing about the cache.
	// A busy machine has some hundreds, an idle one nearly a hundred thousand.
	minHits = 100
)

// TestCache_coherence kills Redis, restarts it from an old snapshot, freezes it,
// deletes keys, and moves the shards between the readers.
func TestCache_coherence(t *testing.T) {
	server := startRedis(t)
	testCoherence(t, "redis://"+server.address, func(log *sharedLog, until time.Time) map[string]int { return injectFaults(t, server, log, until) },
		"killed", "frozen", "shards moved")
}

// TestCache_coherenceInCluster kills and freezes masters of a Redis Cluster, makes
// replicas take over while their master lives, deletes keys, and moves the shards
// between the readers.
func TestCache_coherenceInCluster(t *testing.T) {
	cluster := rediscluster.Start(t)
	testCoherence(t, cluster.URL(), func(log *sharedLog, until time.Time) map[string]int { return injectClusterFaults(cluster, log, until) },
		"master killed", "replica took over", "shards moved")
}

// testCoherence writes and reads products through two readers that share a view and
// a Redis, while faults are injected. Reads with a position are linearizable. Reads
// without one never go back in version, whichever reader serves them, and are not
// older than the view. Each of the wanted faults must happen twice.
func testCoherence(t *testing.T, redisURL string, inject func(log *sharedLog, until time.Time) map[string]int, wanted ...string) {
	t.Helper()
	length := 25 * time.Second
	if s := os.Getenv("CATALOG_TEST_COHERENCE"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	view := readertest.OpenSQLite(t)
	log := newSharedLog()

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	var readers [2]*reader.Reader
	var registries [2]*prometheus.Registry
	for i := range readers {
		cache, err := redis.Open(ctx, redis.Config{URL: redisURL, Shards: sharedShards})
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		registries[i] = prometheus.NewRegistry()
		r := readertest.New(reader.Deps{View: view, Cache: cache, Index: readertest.NewIndex(), Log: log.of(i), Registry: registries[i]})
		readers[i] = r
		running.Go(func() { _ = r.Projector.Run(ctx) })
	}

	until := time.Now().Add(length)
	var (
		clients                   sync.WaitGroup
		mu                        sync.Mutex
		history                   []porcupine.Operation
		reads, plain, late, wrong atomic.Int64
		began                     = time.Now()
	)
	for writer := range 2 {
		clients.Go(func() {
			for time.Now().Before(until) {
				n := rand.IntN(sharedProducts/2)*2 + writer
				call := time.Since(began)
				version := log.write(n)
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: writer, Input: operation{n, version}, Call: int64(call), Return: int64(time.Since(began))})
				mu.Unlock()
				<-time.After(rand.N(8 * time.Millisecond))
			}
		})
	}
	for client := range 24 {
		clients.Go(func() {
			var seen [sharedProducts]int64 // versions that this client has seen
			for time.Now().Before(until) {
				n := rand.IntN(sharedProducts)
				r := readers[rand.IntN(2)]
				call := time.Since(began)
				var at catalog.Position
				least := seen[n]
				if carries := rand.IntN(2) == 0; carries {
					at = log.position(n)
				} else if rand.IntN(4) == 0 { // not each time: it is slow
					if p, err := view.Product(ctx, log.id(n)); err == nil {
						least = max(least, p.Version)
					}
				}
				p, err := r.Product(ctx, log.id(n), at)
				switch {
				case errors.Is(err, catalog.ErrNotFound):
				case errors.Is(err, catalog.ErrStale):
					late.Add(1)
					continue
				case err != nil:
					t.Error(err)
					return
				}
				if p.Version < least && wrong.Add(1) <= 5 {
					t.Errorf("product %d has version %d after %v; want %d or later", n, p.Version, call, least)
				}
				seen[n] = p.Version
				if at.Seq == 0 {
					plain.Add(1)
					continue
				}
				reads.Add(1)
				mu.Lock()
				history = append(history, porcupine.Operation{ClientId: 2 + client, Input: operation{n, 0}, Call: int64(call), Output: p.Version, Return: int64(time.Since(began))})
				mu.Unlock()
			}
		})
	}
	faults := inject(log, until)
	clients.Wait()

	result, _ := porcupine.CheckOperationsVerbose(productModel, history, time.Minute)
	if result != porcupine.Ok {
		t.Errorf("reads with a position are not linearizable: %s", result)
	}
	hits := 0.0
	for _, reg := range registries {
		hits += readertest.Counter(t, reg, "catalog_cache_lookups_total", "hit")
	}
	t.Logf("%d reads with a position, %d without, %d versions, %.0f cache hits, %d times ErrStale; faults: %v", reads.Load(), plain.Load(), log.written(), hits, late.Load(), faults)
	for _, fault := range wanted {
		if faults[fault] < 2 {
			t.Errorf("void: fault %q %d times; want at least 2", fault, faults[fault])
		}
	}
	if hits < minHits || faults["keys lost"] == 0 {
		t.Errorf("void: %.0f cache hits, and %d keys were lost; want at least %d and 1", hits, faults["keys lost"], minHits)
	}
}

// operation is a write of a version of a product, or a read if the version is 0.
type operation struct {
	product int
	version int64
}

// productModel is a product for its readers: the version that was written last.
var productModel = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, sharedProducts)
		for _, o := range history {
			n := o.Input.(operation).product
			parts[n] = append(parts[n], o)
		}
		return parts
	},
	Init: func() any { return int64(0) },
	Step: func(state, input, output any) (bool, any) {
		if v := input.(operation).version; v > 0 {
			return v == state.(int64)+1, v
		}
		return output == state, state
	},
}

// injectFaults injects faults into Redis and the shards until the given time. It
// returns the number of times that each fault happened.
func injectFaults(t *testing.T, server *redisServer, log *sharedLog, until time.Time) map[string]int {
	did := map[string]int{}
	steps := []func(){
		func() {
			server.command(t, "SAVE")
			<-time.After(rand.N(1500 * time.Millisecond)) // so that some of the snapshot is outdated
			server.kill()
			did["killed"]++
			<-time.After(rand.N(400 * time.Millisecond))
			server.start(t)
		},
		func() {
			server.signal(t, syscall.SIGSTOP)
			<-time.After(rand.N(1500 * time.Millisecond))
			server.signal(t, syscall.SIGCONT)
			did["frozen"]++
		},
		func() { log.swap(); did["shards moved"]++ },
	}
	for n := 0; time.Now().Before(until) || n < 2*len(steps); n++ {
		steps[n%len(steps)]()
		for end := time.Now().Add(time.Second + rand.N(time.Second)); time.Now().Before(end) && time.Now().Before(until); {
			<-time.After(10 * time.Millisecond)
			if strings.HasPrefix(server.command(t, `EVAL "local k = redis.call('RANDOMKEY') if k then return redis.call('DEL', k) end return 0" 0`), ":1") {
				did["keys lost"]++
			}
		}
	}
	return did
}

// injectClusterFaults is injectFaults for a Redis Cluster. Faults of masters meet
// the leases of both shards in turn.
func injectClusterFaults(cluster *rediscluster.Cluster, log *sharedLog, until time.Time) map[string]int {
	did := map[string]int{}
	lease := func(n int) string { return fmt.Sprintf("catalog:{%d}:lease", n%sharedShards) }
	steps := []func(n int){
		func(n int) { cluster.Takeover(lease(n)); did["replica took over"]++ },
		func(n int) { cluster.KillMaster(lease(n)); did["master killed"]++ },
		func(n int) { cluster.FreezeMaster(lease(n), rand.N(1500*time.Millisecond)); did["master frozen"]++ },
		func(int) { log.swap(); did["shards moved"]++ },
	}
	for n := 0; time.Now().Before(until) || n < 2*len(steps); n++ {
		steps[n%len(steps)](n / len(steps))
		for end := time.Now().Add(time.Second + rand.N(time.Second)); time.Now().Before(end) && time.Now().Before(until); {
			<-time.After(10 * time.Millisecond)
			if cluster.DeleteRandomKey() {
				did["keys lost"]++
			}
		}
		cluster.Healthy()
	}
	return did
}

// sharedLog is a log of two readers. One of them projects each shard.
type sharedLog struct {
	mu      sync.Mutex
	events  [sharedShards][]catalog.Event
	now     [sharedProducts]catalog.Event // the last event of each product
	owner   [sharedShards]int
	changed chan struct{}
}

func newSharedLog() *sharedLog {
	l := &sharedLog{changed: make(chan struct{})}
	for s := range l.owner {
		l.owner[s] = s % 2
	}
	return l
}

func (l *sharedLog) id(product int) catalog.ID {
	return catalog.DerivedID("shared", fmt.Sprint(product))
}

func (l *sharedLog) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *sharedLog) write(product int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.id(product)
	shard := catalog.Shard(id, sharedShards)
	e := catalog.Event{Outcome: catalog.Changed, Product: l.now[product].Product}
	e.Position = catalog.Position{Shard: shard, Seq: int64(len(l.events[shard]) + 1)}
	e.Product.ID = id
	e.Product.Version++
	l.events[shard] = append(l.events[shard], e)
	l.now[product] = e
	l.wake()
	return e.Product.Version
}

func (l *sharedLog) position(product int) catalog.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now[product].Position
}

func (l *sharedLog) written() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, events := range l.events {
		n += len(events)
	}
	return n
}

// swap assigns each reader the shards of the other.
func (l *sharedLog) swap() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.owner {
		l.owner[s] = 1 - l.owner[s]
	}
	l.wake()
}

// next returns the events from the offset on, and whether the reader projects the
// shard.
func (l *sharedLog) next(shard int32, reader int, from int64) (events []catalog.Event, mine bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner[shard] != reader {
		return nil, false, l.changed
	}
	return l.events[shard][from:], true, l.changed
}

func (l *sharedLog) EventOffsets(context.Context) (starts, ends []int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, events := range l.events {
		ends = append(ends, int64(len(events)))
	}
	return make([]int64, sharedShards), ends, nil
}

// of returns the log of one reader.
func (l *sharedLog) of(reader int) reader.Log { return readerLog{l, reader} }

type readerLog struct {
	*sharedLog
	reader int
}

func (l readerLog) ConsumeAllShards(ctx context.Context, _ string, _ eventlog.Consumer[catalog.Event]) error {
	<-ctx.Done()
	return nil
}

func (l readerLog) ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
	var all sync.WaitGroup
	for s := range int32(sharedShards) {
		all.Go(func() {
			for ctx.Err() == nil {
				if _, mine, changed := l.next(s, l.reader, 0); !mine {
					select {
					case <-changed:
					case <-ctx.Done():
					}
					continue
				}
				l.work(ctx, c, s)
			}
		})
	}
	all.Wait()
	return nil
}

// work runs a shard until the reader loses it.
func (l readerLog) work(ctx context.Context, c eventlog.Consumer[catalog.Event], shard int32) {
	from, err := c.Begin(ctx, shard)
	if err != nil {
		return
	}
	defer c.End(shard)
	for ctx.Err() == nil {
		events, mine, changed := l.next(shard, l.reader, from)
		switch {
		case !mine:
			return
		case len(events) == 0:
			select {
			case <-changed:
			case <-ctx.Done():
			}
			continue
		}
		to := from + int64(len(events))
		switch err := c.Handle(ctx, eventlog.Records[catalog.Event]{Shard: shard, From: from, To: to, Items: events}); {
		case err == nil:
			from = to
		case errors.Is(err, catalog.ErrFenced):
			return
		}
	}
}

// redisServer is a Redis process with a folder for its snapshots.
type redisServer struct {
	address, dir string
	process      *exec.Cmd
}

func startRedis(t *testing.T) *redisServer {
	s := &redisServer{address: freeport.Address(), dir: t.TempDir()}
	s.start(t)
	t.Cleanup(s.kill)
	return s
}

func (s *redisServer) start(t *testing.T) {
	_, port, _ := net.SplitHostPort(s.address)
	s.process = exec.Command("redis-server", "--bind", "127.0.0.1", "--port", port, "--save", "", "--appendonly", "no", "--dir", s.dir)
	if err := s.process.Start(); err != nil {
		t.Fatalf("start redis-server, which this test needs: %v", err)
	}
	for end := time.Now().Add(time.Minute); ; <-time.After(5 * time.Millisecond) {
		if s.try("PING") == "+PONG" {
			return
		}
		if time.Now().After(end) {
			t.Fatal("redis-server does not respond")
		}
	}
}

func (s *redisServer) kill() {
	_ = s.process.Process.Kill()
	_ = s.process.Wait()
}

func (s *redisServer) signal(t *testing.T, sig syscall.Signal) {
	if err := s.process.Process.Signal(sig); err != nil {
		t.Fatal(err)
	}
}

func (s *redisServer) command(t *testing.T, command string) string {
	t.Helper()
	response := s.try(command)
	if response == "" || response[0] == '-' {
		t.Fatalf("%s: %q", command, response)
	}
	return response
}

// try returns the first line of the response, or "".
func (s *redisServer) try(command string) string {
	c, err := net.DialTimeout("tcp", s.address, time.Second)
	if err != nil {
		return ""
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(10 * time.Second))
	fmt.Fprintf(c, "%s\r\n", command)
	line, _ := bufio.NewReader(c).ReadString('\n')
	return strings.TrimSpace(line)
}
