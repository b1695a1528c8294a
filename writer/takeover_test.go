package writer_test

import (
	"bufio"
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"go.uber.org/goleak"

	"catalog"
	"catalog/engine/kafka"
	"catalog/engine/sqlite"
	"catalog/eventlog"
	"catalog/internal/wire"
	"catalog/writer"
)

// writerProcess is the environment variable that makes this test program run a
// writer, which a test kills or freezes. Its value is the SQLite file, the
// brokers and the topic prefix.
const writerProcess = "CATALOG_TEST_WRITER"

func TestMain(m *testing.M) {
	if args := os.Getenv(writerProcess); args != "" {
		if err := runWriter(strings.Split(args, "|")); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		return
	}
	goleak.VerifyTestMain(m)
}

// runWriter runs a writer until it is killed.
func runWriter(args []string) error {
	ctx := context.Background()
	db, err := sqlite.Open(ctx, args[0])
	if err != nil {
		return err
	}
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug}))
	l, err := kafka.Open(ctx, config(args[1], args[2]), logger, prometheus.NewRegistry())
	if err != nil {
		return err
	}
	if err := l.LoadTopics(ctx); err != nil {
		return err
	}
	return writer.New(writer.Deps{Store: sqlite.NewStore(db), Log: l, Logger: logger, Now: time.Now, Registry: prometheus.NewRegistry()}).Run(ctx)
}

func config(brokers, prefix string) kafka.Config {
	cfg := kafka.Config{Brokers: brokers, TopicPrefix: prefix, Replicas: 1, SessionTimeout: time.Second}
	if prefix != "" {
		cfg.SessionTimeout = 6 * time.Second // the shortest that Kafka allows
	}
	return cfg
}

// process is a writer in its own process.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	taken chan struct{} // receives an element for each shard taken over
	ended chan struct{}
	last  string // the last line that the process has written; valid once ended is closed
}

func (s *system) start(t *testing.T) *process {
	t.Helper()
	p := &process{t: t, cmd: exec.Command(os.Args[0]), taken: make(chan struct{}, 1_000), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), writerProcess+"="+strings.Join([]string{s.path, s.brokers, s.prefix}, "|"))
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.cmd.Stderr = os.Stderr
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		for lines := bufio.NewScanner(out); lines.Scan(); {
			if p.last = lines.Text(); strings.Contains(p.last, "shard taken over") {
				p.taken <- struct{}{}
			}
		}
		_ = p.cmd.Wait()
	}()
	t.Cleanup(p.kill)
	return p
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// waitTaken waits until the process has taken over n more shards.
func (p *process) waitTaken(n int) {
	p.t.Helper()
	timeout := time.After(waitLimit)
	for range n {
		select {
		case <-p.taken:
		case <-p.ended:
			p.t.Fatalf("the writer has ended: %s", p.last)
		case <-timeout:
			p.t.Fatalf("shards not taken over within %v", waitLimit)
		}
	}
}

// events is a consumer that records the events topic and checks its order.
type events struct {
	mu      sync.Mutex
	changed chan struct{}
	shards  map[int32][]catalog.Event
	gaps    []string
	repeats int
}

func (c *events) Begin(context.Context, int32) (int64, error) { return 0, nil }
func (c *events) End(int32)                                   {}

func (c *events) Handle(_ context.Context, r eventlog.Records[catalog.Event]) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, e := range r.Items {
		switch want := int64(len(c.shards[r.Shard])) + 1; {
		case e.Seq < want:
			c.repeats++
		case e.Seq > want:
			c.gaps = append(c.gaps, fmt.Sprintf("event %s instead of seq %d", e.Position, want))
		default:
			c.shards[r.Shard] = append(c.shards[r.Shard], e)
		}
	}
	close(c.changed)
	c.changed = make(chan struct{})
	return nil
}

// wait waits until the topic has n events.
func (c *events) wait(t testing.TB, n int) {
	t.Helper()
	timeout := time.After(waitLimit)
	for {
		c.mu.Lock()
		got, changed, gaps := 0, c.changed, c.gaps
		for _, events := range c.shards {
			got += len(events)
		}
		c.mu.Unlock()
		if len(gaps) > 0 {
			t.Errorf("%d gaps, the first: %s", len(gaps), gaps[0])
			return
		}
		if got >= n {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			t.Errorf("%d events after %v, want %d", got, waitLimit, n)
			return
		}
	}
}

// system is a broker, a store and a consumer of all events.
type system struct {
	*kafka.Log
	path, brokers, prefix string
	store                 *sqlite.Store
	events                *events
	sent                  []catalog.Command
}

// newSystem returns a system on its own fake broker.
func newSystem(t *testing.T) *system {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.GroupMinSessionTimeout(100*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	return systemOn(t, cluster.ListenAddrs()[0], "")
}

func systemOn(t *testing.T, brokers, prefix string) *system {
	t.Helper()
	s := &system{
		path: filepath.Join(t.TempDir(), "catalog.db"), brokers: brokers, prefix: prefix,
		events: &events{changed: make(chan struct{}), shards: map[int32][]catalog.Event{}},
	}
	s.store = openStore(t, s.path)
	var err error
	if s.Log, err = kafka.Open(t.Context(), config(brokers, prefix), slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	if err := s.CreateTopics(t.Context(), shards); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.ConsumeAllShards(ctx, "test", s.events) }()
	t.Cleanup(func() { cancel(); <-done })
	return s
}

// send sends n commands for 50 products. The name in each is its number.
func (s *system) send(t *testing.T, n int) {
	t.Helper()
	random := rand.New(rand.NewPCG(uint64(len(s.sent)), 1))
	for range n / 10 {
		batch := make([]catalog.Command, 10)
		for i := range batch {
			number := len(s.sent) + i
			batch[i] = catalog.Command{
				ID: id("command", number), Product: id("product", random.IntN(50)), AcceptedAt: wire.TruncateTime(time.Now()),
				Op: catalog.PutProduct{Data: catalog.ProductData{Name: fmt.Sprint("Chair ", number), Price: catalog.Money{Decimal: catalog.Decimal{Units: 12}, Currency: "EUR"}}},
			}
		}
		if err := s.SendCommands(t.Context(), batch...); err != nil {
			t.Error(err)
			return
		}
		s.sent = append(s.sent, batch...)
	}
}

// check checks that each command has exactly one event, in the order of its
// product, and that the events topic equals the journal.
func (s *system) check(t *testing.T) {
	t.Helper()
	s.events.mu.Lock()
	defer s.events.mu.Unlock()
	outcomes := map[catalog.ID][]catalog.Event{} // outcomes by product
	for shard, seen := range s.events.shards {
		journal, err := s.store.Journal(t.Context(), shard, 1, 1_000_000, 1_000_000)
		if err != nil || len(journal) != len(seen) {
			t.Fatalf("shard %d: %d events in the journal (%v), %d in the topic", shard, len(journal), err, len(seen))
		}
		for i, e := range seen {
			if e.Command != journal[i].Command || e.Seq != journal[i].Seq {
				t.Fatalf("shard %d, event %d: command %s in the journal, %s in the topic", shard, i, journal[i].Command, e.Command)
			}
			outcomes[e.Product.ID] = append(outcomes[e.Product.ID], e)
		}
	}
	for _, c := range s.sent {
		of := outcomes[c.Product]
		if len(of) == 0 || of[0].Command != c.ID || of[0].Product.Name != c.Op.(catalog.PutProduct).Data.Name {
			t.Fatalf("product %s: command %s has no event, or not in order; %d events left", c.Product, c.ID, len(of))
		}
		outcomes[c.Product] = of[1:]
	}
	for product, of := range outcomes {
		if len(of) > 0 {
			t.Errorf("product %s has %d events too many", product, len(of))
		}
	}
	t.Logf("%d commands, %d events repeated", len(s.sent), s.events.repeats)
}

func TestTakeover(t *testing.T) {
	t.Run("writers killed under load lose, repeat and reorder no command", func(t *testing.T) { writersKilled(t, newSystem(t)) })
	t.Run("a writer that was frozen changes nothing when it resumes", func(t *testing.T) { writerFrozen(t, newSystem(t)) })
}

func writersKilled(t *testing.T, s *system) {
	a, b := s.start(t), s.start(t)
	a.waitTaken(1)
	b.waitTaken(1)
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			default:
				s.send(t, 10)
				s.events.wait(t, len(s.sent)-500)
			}
		}
	}()
	finish := sync.OnceFunc(func() { close(stop); <-stopped })
	defer finish()
	kills := 2
	if os.Getenv("CATALOG_TEST_FULL") != "" {
		kills = 4
	}
	for kill := range kills {
		s.events.wait(t, 200*(kill+1))
		a.kill()
		// The fake broker keeps a member forever that dies while it joins, so wait
		// until the next one to be killed has joined.
		a, b = b, s.start(t)
		b.waitTaken(1)
	}
	finish()
	s.events.wait(t, len(s.sent))
	s.check(t)
}

func writerFrozen(t *testing.T, s *system) {
	a := s.start(t)
	a.waitTaken(shards)
	s.send(t, 100)
	s.events.wait(t, len(s.sent))
	a.signal(syscall.SIGSTOP)
	b := s.start(t)
	b.waitTaken(shards) // after the session timeout of the frozen writer
	s.send(t, 100)
	s.events.wait(t, len(s.sent))
	a.signal(syscall.SIGCONT) // this writer still takes the shards for its own
	s.send(t, 1_000)
	s.events.wait(t, len(s.sent))
	s.check(t)
}
