//go:build real

package reader_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
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
	"catalog/engine/redis"
	"catalog/engine/sqlite"
	"catalog/eventlog"
	"catalog/reader"
)

const (
	tapeShards = 2
	crowd      = 40 // products
)

// TestReadsAreFreshWhateverRedisDoes writes and reads products through two
// readers that share a view and a Redis, while Redis is killed, started from an
// old snapshot, frozen, and loses keys, and while the shards change hands. Reads
// that carry a position are linearizable; those that do not never go back in
// version, whichever reader they ask, and are not older than the view.
func TestReadsAreFreshWhateverRedisDoes(t *testing.T) {
	length := 25 * time.Second
	if s := os.Getenv("CATALOG_TEST_COHERENCE"); s != "" {
		var err error
		if length, err = time.ParseDuration(s); err != nil {
			t.Fatal(err)
		}
	}
	server := startRedis(t)
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "view.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	view := sqlite.NewView(db)
	log := newTape()

	ctx, stop := context.WithCancel(t.Context())
	var running sync.WaitGroup
	defer running.Wait()
	defer stop()
	var readers [2]*reader.Reader
	var registries [2]*prometheus.Registry
	for i := range readers {
		cache, err := redis.Open(ctx, redis.Config{URL: "redis://" + server.address, Shards: tapeShards})
		if err != nil {
			t.Fatal(err)
		}
		defer cache.Close()
		registries[i] = prometheus.NewRegistry()
		r := reader.New(view, cache, &index{}, log.of(i), nil, slog.New(slog.DiscardHandler), time.Now, registries[i])
		readers[i] = r
		running.Go(func() { _ = r.RunView(ctx) })
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
				n := rand.IntN(crowd/2)*2 + writer
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
			var seen [crowd]int64 // by this client
			for time.Now().Before(until) {
				n := rand.IntN(crowd)
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
					t.Errorf("product %d: version %d after %d, %v after the beginning", n, p.Version, least, call)
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
	faults := disturb(t, server, log, until)
	clients.Wait()

	result, _ := porcupine.CheckOperationsVerbose(versions, history, time.Minute)
	if result != porcupine.Ok {
		t.Errorf("the reads that carry a position are %s", result)
	}
	hits := 0.0
	for _, reg := range registries {
		hits += (&world{reg: reg}).counter(t, "catalog_reader_cache_total", "hit")
	}
	t.Logf("%d reads with a position, %d without, %d versions, %.0f from the cache, %d were told to wait; faults: %v", reads.Load(), plain.Load(), log.written(), hits, late.Load(), faults)
	for _, fault := range []string{"killed", "frozen", "shards changed hands"} {
		if faults[fault] < 2 {
			t.Errorf("void: %s %d times", fault, faults[fault])
		}
	}
	if share := hits / float64(reads.Load()+plain.Load()); share < 0.1 || faults["keys lost"] == 0 {
		t.Errorf("void: %.0f %% of the reads came from the cache, which lost %d keys", 100*share, faults["keys lost"])
	}
}

// operation is a write of a version of a product, or, of version 0, a read.
type operation struct {
	product int
	version int64
}

// versions is what a product is for who reads it: the version that was written last.
var versions = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		parts := make([][]porcupine.Operation, crowd)
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

// disturb disturbs Redis and the shards, and says what it did how often.
func disturb(t *testing.T, server *redisServer, log *tape, until time.Time) map[string]int {
	did := map[string]int{}
	steps := []func(){
		func() {
			server.command(t, "SAVE")
			<-time.After(rand.N(1500 * time.Millisecond)) // some of what is in the snapshot may be valid still
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
		func() { log.swap(); did["shards changed hands"]++ },
	}
	for n := 0; time.Now().Before(until); n++ {
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

// tape is a log of events. Each shard is worked on by one of two readers.
type tape struct {
	mu      sync.Mutex
	events  [tapeShards][]catalog.Event
	now     [crowd]catalog.Event // the last event of each product
	owner   [tapeShards]int
	changed chan struct{}
}

func newTape() *tape {
	l := &tape{changed: make(chan struct{})}
	for s := range l.owner {
		l.owner[s] = s % 2
	}
	return l
}

func (l *tape) id(product int) catalog.ID { return catalog.DerivedID("crowd", fmt.Sprint(product)) }

func (l *tape) wake() {
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *tape) write(product int) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := l.id(product)
	shard := catalog.Shard(id, tapeShards)
	e := catalog.Event{Outcome: catalog.Changed, Product: l.now[product].Product}
	e.Position = catalog.Position{Shard: shard, Seq: int64(len(l.events[shard]) + 1)}
	e.Product.ID = id
	e.Product.Version++
	l.events[shard] = append(l.events[shard], e)
	l.now[product] = e
	l.wake()
	return e.Product.Version
}

func (l *tape) position(product int) catalog.Position {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.now[product].Position
}

func (l *tape) written() (n int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, events := range l.events {
		n += len(events)
	}
	return n
}

// swap gives each reader the shards of the other.
func (l *tape) swap() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for s := range l.owner {
		l.owner[s] = 1 - l.owner[s]
	}
	l.wake()
}

// next answers the events from the offset on, or that the shard is another's.
func (l *tape) next(shard int32, reader int, from int64) (events []catalog.Event, mine bool, changed <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.owner[shard] != reader {
		return nil, false, l.changed
	}
	return l.events[shard][from:], true, l.changed
}

func (l *tape) EventOffsets(context.Context) (starts, ends []int64, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, events := range l.events {
		ends = append(ends, int64(len(events)))
	}
	return make([]int64, tapeShards), ends, nil
}

// of is the log as one of the readers has it.
func (l *tape) of(reader int) reader.Log { return tapeOf{l, reader} }

type tapeOf struct {
	*tape
	reader int
}

func (l tapeOf) ConsumeAllShards(ctx context.Context, _ string, _ eventlog.Consumer[catalog.Event]) error {
	<-ctx.Done()
	return nil
}

func (l tapeOf) ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
	var all sync.WaitGroup
	for s := range int32(tapeShards) {
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

// work is one life of a shard in a reader.
func (l tapeOf) work(ctx context.Context, c eventlog.Consumer[catalog.Event], shard int32) {
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

// redisServer is a Redis in a process of its own, with its snapshots in a folder.
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
		t.Fatalf("redis-server must be there for this test: %v", err)
	}
	for end := time.Now().Add(20 * time.Second); ; <-time.After(5 * time.Millisecond) {
		if s.try("PING") == "+PONG" {
			return
		}
		if time.Now().After(end) {
			t.Fatal("redis-server does not answer")
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
	answer := s.try(command)
	if answer == "" || answer[0] == '-' {
		t.Fatalf("%s: %q", command, answer)
	}
	return answer
}

// try is the first line of the answer, or "".
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
