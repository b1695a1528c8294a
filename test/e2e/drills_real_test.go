//go:build real && linux

package e2e

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/enginetest/freeport"
	"catalog/internal/buildinfo"
)

// drill is a fault, the alerts that it fires and the remedy of docs/operations/alerts.md.
type drill struct {
	fault string
	// inject causes the fault. The remedy that it returns ends it.
	inject func(*testing.T) (remedy func())
	alerts []string // for monitor.firing
	// nightly drills only run with CATALOG_TEST_ALERTS, since they take minutes.
	nightly bool
	// follows means that the fault was that of the drill before, so that the alerts may fire already.
	follows bool
}

// endsLate lists the alerts that still fire when their drill ends, and why.
var endsLate = map[string]string{
	"Watchdog":                  "always fires",
	"CatalogAlertsNotDelivered": "there is no Alertmanager",
	"CatalogRequestsBurnSlow":   "its shortest window is 6 minutes, even divided by timeScale",
	"CatalogWritesBurnSlow":     "its shortest window is 6 minutes, even divided by timeScale",
}

// drills returns a drill for each alert.
func (s *monitored) drills() []drill {
	return []drill{
		{"nothing", func(*testing.T) func() { return func() {} }, []string{"Watchdog", "CatalogAlertsNotDelivered"}, false, false},
		{"a record that is no command", s.poisonCommands, []string{"CatalogDeadLetters"}, false, false},
		{"a record that is no event", s.poisonEvents, []string{"CatalogEventsRejected"}, false, false},
		// A reader stays ready without Redis.
		{"Redis is down", disconnect(s.redis), []string{"CatalogCacheErrors", "CatalogEngineDown"}, false, false},
		{"the collector of traces is down", disconnect(s.traces), []string{"CatalogSpansDropped"}, true, false},
		{"a gateway is killed again and again", s.restart, []string{"CatalogRestarting"}, true, false},
		{"an upgrade stops half-way", s.upgradeHalf, []string{"CatalogVersionsDiffer"}, true, false},
		{"Kafka loses records that a new reader needs", s.loseEvents, []string{"CatalogEventGaps"}, true, false},
		{"the reader gets too little CPU", s.starveReader, []string{"CatalogSearchSlow"}, true, false},
		{"the disk of the index fills", s.fillDisk, []string{"CatalogDiskFilling path=index", "CatalogDiskFull path=index"}, true, false},
		{"clients hold all snapshots of the writer and take nothing", s.holdSnapshots, []string{"CatalogMemoryWaiting"}, true, false},
		{"a product is changed behind the back of the writer", s.falsify, []string{"CatalogProductsDiffer"}, true, false},
		{"clients write faster than MongoDB takes products", s.floodMongo, []string{"CatalogWritesThrottled"}, true, false},
		{
			"MongoDB is down", disconnect(s.mongo),
			[]string{"CatalogBreakerOpen", "CatalogNotReady", "CatalogLag", "CatalogRequestsBurnFast", "CatalogRequestsBurnSlow"}, true, false,
		},
		{
			"PostgreSQL is frozen", func(t *testing.T) func() {
				unfreeze := s.postgres.freeze()
				t.Cleanup(unfreeze)
				return unfreeze
			},
			[]string{"CatalogPoolExhausted", "CatalogWritesNotSettled", "CatalogRequestsShed", "CatalogShardStuck"}, true, false,
		},
		{
			"writes waited for PostgreSQL and became readable late", func(*testing.T) func() { return func() {} },
			[]string{"CatalogWritesBurnFast", "CatalogWritesBurnSlow"}, true, true,
		},
		{
			"the only writer is killed", func(*testing.T) func() { s.writer.kill(); return s.startWriter },
			[]string{"CatalogTargetDown", "CatalogServiceAbsent", "CatalogWritesNotSettled"}, true, false,
		},
		{"commands are deleted before they are settled", s.trim, []string{"CatalogShardStopped", "CatalogLogErrors"}, true, false},
	}
}

// disconnect returns the injection of a drill that cuts off an engine.
func disconnect(p *proxy) func(*testing.T) func() {
	return func(t *testing.T) func() {
		p.disconnect(true)
		connect := func() { p.disconnect(false) }
		t.Cleanup(connect)
		return connect
	}
}

// operate runs the command line of an operator, with the settings of the services, and returns its output.
// The command must succeed.
func (s *monitored) operate(t *testing.T, args ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	c.Env, c.Stdout, c.Stderr = s.list(), &out, &errs
	if err := c.Run(); err != nil {
		t.Errorf("catalog %s: %v\n%s%s", strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

func (s *monitored) kafka(t *testing.T) *kgo.Client {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.env["CATALOG_KAFKA_BROKERS"]), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// poison appends a record to the topic that nothing can decode.
func (s *monitored) poison(t *testing.T, topic string) {
	junk := &kgo.Record{Topic: s.env["CATALOG_KAFKA_TOPIC_PREFIX"] + "." + topic, Value: []byte("junk")}
	if err := s.kafka(t).ProduceSync(t.Context(), junk).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

func (s *monitored) poisonCommands(t *testing.T) func() {
	s.poison(t, "commands")
	return func() {
		list := s.operate(t, "dead-letters", "list", "-writer", s.writers)
		lines := strings.Split(strings.TrimSpace(list), "\n")
		id, _, _ := strings.Cut(lines[len(lines)-1], " ")
		if shown := s.operate(t, "dead-letters", "show", "-writer", s.writers, id); !strings.Contains(shown, "junk") {
			t.Errorf("the dead letter is\n%s\nof\n%s", shown, list)
		}
	}
}

func (s *monitored) poisonEvents(t *testing.T) func() {
	s.poison(t, "events")
	return func() {
		s.operate(t, "verify", "-repair", "-reader", s.readers)
		s.operate(t, "repair", "-dry-run")
	}
}

// restart kills a gateway as soon as Prometheus has seen its start, as a supervisor starts a
// process that runs out of memory, until the alert fires.
func (s *monitored) restart(t *testing.T) func() {
	admin := freeport.Address()
	t.Cleanup(func() { s.monitor.remove("gateway-2") })
	s.monitor.target("gateway-2", admin)
	const started = `process_start_time_seconds{instance="gateway-2"}`
	last := 0.0
	for since := time.Now(); len(s.monitor.firing("CatalogRestarting")) == 0 && time.Since(since) < 2*time.Minute; {
		c := exec.Command(filepath.Join(programs, "gateway"), "-http", freeport.Address(), "-admin", admin, "-writer", s.writers, "-reader", s.readers)
		c.Env = s.list()
		if err := c.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "Prometheus sees the start", func() bool { return s.monitor.value(started) > last })
		last = s.monitor.value(started)
		_ = c.Process.Kill()
		_ = c.Wait()
	}
	return func() { s.monitor.remove("gateway-2") }
}

// upgradeHalf starts a second gateway of another version.
func (s *monitored) upgradeHalf(t *testing.T) func() {
	info := reflect.TypeFor[buildinfo.Info]().PkgPath()
	module := strings.TrimSuffix(info, "/internal/buildinfo")
	build := exec.Command("go", "build", "-o", filepath.Join(programs, "gateway-next"), "-ldflags", "-X "+info+".version=v99.0.0", module+"/cmd/gateway")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	next := startProcess(t, s.list(), "gateway-next", "-http", freeport.Address(), "-writer", s.writers, "-reader", s.readers)
	t.Cleanup(func() { s.monitor.remove("gateway-2") })
	s.monitor.target("gateway-2", next.admin)
	return func() { // the upgrade is rolled back
		next.stop()
		s.monitor.remove("gateway-2")
	}
}

// loseEvents starts a reader on a copy of the events topic that lacks records. The reader has found the
// gaps before Prometheus scrapes it for the first time.
func (s *monitored) loseEvents(t *testing.T) func() {
	env := engineEnv(t)
	migrate(t, env)
	l := &lossyCopy{
		from: s.env["CATALOG_KAFKA_TOPIC_PREFIX"] + ".events", to: eventsTopic(env),
		lost: map[catalog.Position]bool{}, followed: map[catalog.Position]time.Time{}, waiting: map[int32][]catalog.Position{},
	}
	ctx, stop := context.WithCancel(t.Context())
	var copying sync.WaitGroup
	copying.Go(func() { l.run(ctx, t) })
	t.Cleanup(func() { stop(); copying.Wait() })
	eventually(t, "records are lost, and others follow", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return len(l.followed) > 3
	})
	address := freeport.Address()
	reader := startProcess(t, env, "reader", "-grpc", address, "-writer", s.writers, "-index", filepath.Join(t.TempDir(), "index"))
	eventually(t, "the reader has found a gap", func() bool { return reader.metric("catalog_reader_gaps_total") > 0 })
	t.Cleanup(func() { s.monitor.remove("reader-2") })
	s.monitor.target("reader-2", reader.admin)
	return func() { // Kafka is repaired
		l.mu.Lock()
		l.lossless = true
		l.mu.Unlock()
		s.operate(t, "verify", "-reader", address)
	}
}

// starveReader lets the reader run for a fifth of the time, as the CPU limit of a container does
// that is too low for its load, while clients search.
func (s *monitored) starveReader(t *testing.T) func() {
	const clients, stopped, running = 8, 1200 * time.Millisecond, 300 * time.Millisecond
	conn, err := grpc.NewClient(s.readers, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() {
			for ctx.Err() == nil {
				_, _ = catalogv1.NewReaderServiceClient(conn).SearchProducts(ctx, &catalogv1.SearchProductsRequest{Text: "chair", Limit: 100, Facets: []string{"category"}})
			}
		})
	}
	wg.Go(func() {
		reader := s.reader.cmd.Process
		defer reader.Signal(syscall.SIGCONT)
		for ctx.Err() == nil {
			_ = reader.Signal(syscall.SIGSTOP)
			<-time.After(stopped)
			_ = reader.Signal(syscall.SIGCONT)
			<-time.After(running)
		}
	})
	end := sync.OnceFunc(func() { cancel(); wg.Wait(); conn.Close() })
	t.Cleanup(end)
	return end
}

// filler is the file that fills the disk of the index.
func (s *monitored) filler() string {
	return filepath.Join("/proc", s.indexDisk.holder, "root", s.indexDisk.folder, "filler")
}

// fillDisk leaves less room on the disk of the index than a disk must have.
func (s *monitored) fillDisk(t *testing.T) func() {
	f, err := os.Create(s.filler())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	empty := func() { _ = os.Remove(s.filler()) }
	t.Cleanup(empty)
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, 820*mib); err != nil {
		t.Fatal(err)
	}
	return empty
}

// holdSnapshots opens more snapshots than the writer serves at once, and reads nothing. The
// shard has a product that is larger than the buffers of a connection.
func (s *monitored) holdSnapshots(t *testing.T) func() {
	const streams = 12 // the writer serves eight
	var attributes []string
	for n := range 100 {
		attributes = append(attributes, fmt.Sprintf(`"a%d":"%s"`, n, strings.Repeat("\U0001F4A1", 2000)))
	}
	r, err := newRequest(t.Context(), "POST", "http://"+s.api+"/api/v1/products", productWith(`"attributes":{`+strings.Join(attributes, ",")+`}`))
	if err != nil {
		t.Fatal(err)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	w.Body.Close()
	at, err := catalog.ParsePositions(w.Header.Get("Catalog-Position"))
	if err != nil || len(at) != 1 {
		t.Fatalf("a large product: %s, %v", w.Status, err)
	}
	// By default, a connection buffers more and more, whether or not its client reads.
	conn, err := grpc.NewClient(s.writers, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithStaticStreamWindowSize(64<<10))
	if err != nil {
		t.Fatal(err)
	}
	end := func() { _ = conn.Close() }
	t.Cleanup(end)
	for range streams {
		if _, err := catalogv1.NewWriterServiceClient(conn).Snapshot(t.Context(), &catalogv1.SnapshotRequest{Shard: at[0].Shard}); err != nil {
			t.Fatal(err)
		}
	}
	return end
}

// floodMongo slows the connections of MongoDB and creates large products, more than it takes and more than
// the writer settles at its lowest rate. A group of products still arrives within the timeout of a call.
func (s *monitored) floodMongo(t *testing.T) func() {
	const clients, interval, bytesPerSecond = 8, 20 * time.Millisecond, 500_000 // a product has 5 kB
	s.mongo.limit(bytesPerSecond)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for c := range clients {
		wg.Go(func() {
			tick := time.NewTicker(interval)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				description := make([]byte, catalog.MaxDescription/2)
				_, _ = rand.Read(description)
				s.request(ctx, "POST", "/api/v1/products", productWith(fmt.Sprintf(`"sku":"F-%d-%d","description":"%x"`, c, n, description)), "Prefer", "respond-async")
				<-tick.C
			}
		})
	}
	end := func() { stop(); wg.Wait(); s.mongo.limit(0) }
	t.Cleanup(end)
	return end
}

// falsify changes a product in PostgreSQL without a command.
func (s *monitored) falsify(t *testing.T) func() {
	conn, err := pgx.Connect(t.Context(), s.env["CATALOG_POSTGRES_URL"])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	// An imported product, which the load leaves alone.
	tag, err := conn.Exec(t.Context(), `UPDATE products SET data = replace(data::text, '"category":"', '"category":"Wrong/')::json WHERE id = (SELECT id FROM products WHERE NOT deleted AND sku NOT LIKE 'M-%' LIMIT 1)`)
	if err != nil || tag.RowsAffected() != 1 {
		t.Fatalf("%v, %v", tag, err)
	}
	return func() { s.operate(t, "verify", "-repair", "-reader", s.readers) }
}

// trim kills the writer, deletes the commands that it has not settled, and starts it.
func (s *monitored) trim(t *testing.T) func() {
	s.writer.kill()
	admin := kadm.NewClient(s.kafka(t))
	commands := s.env["CATALOG_KAFKA_TOPIC_PREFIX"] + ".commands"
	ends := func() (sum int64) {
		all, err := admin.ListEndOffsets(t.Context(), commands)
		if err != nil {
			t.Fatal(err)
		}
		all.Each(func(o kadm.ListedOffset) { sum += o.Offset })
		return sum
	}
	before := ends()
	eventually(t, "commands wait for the writer", func() bool { return ends() > before+3 })
	all, err := admin.ListEndOffsets(t.Context(), commands)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.DeleteRecords(t.Context(), all.Offsets()); err != nil {
		t.Fatal(err)
	}
	// The writer is not ready while shards are stopped, so this does not wait for it.
	address := freeport.Address()
	c := exec.Command(filepath.Join(programs, "writer"), "-grpc", s.writers, "-admin", address)
	c.Env = s.list()
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	s.monitor.target("writer-1", address)
	return func() {
		if dry := s.operate(t, "repair", "-dry-run"); !strings.Contains(dry, "the topic begins at") {
			t.Errorf("catalog repair -dry-run prints\n%s", dry)
		}
		s.operate(t, "repair", "-yes")
	}
}
