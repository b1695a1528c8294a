//go:build real && linux

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
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
)

// notInTest lists the expressions that have no data in this test, by a part of
// them, and why.
var notInTest = map[string]string{
	`job="engines"`: "the exporters of the engines do not run",
	`job="node"`:    "the exporter of the machine does not run",
}

// withoutFault lists the alerts that no fault of TestMonitoring fires, and why. promtool
// fires them on invented series.
var withoutFault = map[string]string{
	"CatalogEventGaps":      "needs a Kafka that loses records; TestEventGaps shows the counter",
	"CatalogRestarting":     "restarts within the scaled window are too fast for the scrapes",
	"CatalogSearchSlow":     "needs a large index",
	"CatalogSpansDropped":   "needs a collector that fails; a test of the package telemetry shows the counter",
	"CatalogVersionsDiffer": "needs two builds",
}

// monitored is a system of one process each, its engines behind proxies, watched
// by Prometheus.
type monitored struct {
	t                       *testing.T
	monitor                 *monitor
	env                     map[string]string
	indexDisk               *smallDisk // disk of the reader's index
	redis, mongo, postgres  *proxy
	writers, readers, api   string
	writer, reader, gateway *process
}

func startMonitored(t *testing.T, alertmanager string) *monitored {
	s := &monitored{t: t, env: engineEnvMap(t), writers: freeport.Address(), readers: freeport.Address(), api: freeport.Address()}
	migrate(t, s.list())
	s.redis, s.env["CATALOG_REDIS_URL"] = startProxy(t, s.env["CATALOG_REDIS_URL"])
	s.mongo, s.env["CATALOG_MONGO_URL"] = startProxy(t, s.env["CATALOG_MONGO_URL"])
	s.postgres, s.env["CATALOG_POSTGRES_URL"] = startProxy(t, s.env["CATALOG_POSTGRES_URL"])
	s.env["CATALOG_POSTGRES_MAX_CONNS"] = "4"
	s.env["CATALOG_MAX_BACKLOG_AGE"] = "8s"
	s.env["CATALOG_VERIFY_INTERVAL"] = "3s"
	s.indexDisk = newSmallDisk(t, t.TempDir())
	s.monitor = startMonitor(t, alertmanager)
	s.startWriter()
	s.startReader()
	s.gateway = startProcess(t, s.list(), "gateway", "-http", s.api, "-writer", s.writers, "-reader", s.readers)
	s.monitor.target("gateway", s.gateway.admin)
	return s
}

func (s *monitored) list() (env []string) {
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	return env
}

func (s *monitored) startWriter() {
	s.writer = startProcess(s.t, s.list(), "writer", "-grpc", s.writers)
	s.monitor.target("writer", s.writer.admin)
}

func (s *monitored) startReader() {
	s.reader = startProcessWith(s.t, s.indexDisk.enter(), s.list(), "reader", "-grpc", s.readers, "-writer", s.writers, "-index", filepath.Join(s.indexDisk.folder, "index"))
	s.monitor.target("reader", s.reader.admin)
}

func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	_ = p.cmd.Wait()
}

// request sends a request and returns the body of the response, or "". It never
// fails: requests fail while a part of the system is down.
func (s *monitored) request(ctx context.Context, method, path, body string, headers ...string) string {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	r, err := newRequest(ctx, method, "http://"+s.api+path, body, headers...)
	if err != nil {
		return ""
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return ""
	}
	defer w.Body.Close()
	b, _ := io.ReadAll(w.Body)
	return string(b)
}

// load sends a small load of all kinds until ctx ends.
func (s *monitored) load(ctx context.Context, wg *sync.WaitGroup) {
	every := func(d time.Duration, f func(n int)) {
		wg.Go(func() {
			tick := time.NewTicker(d)
			defer tick.Stop()
			for n := 0; ; n++ {
				select {
				case <-ctx.Done():
					return
				case <-tick.C:
					f(n)
				}
			}
		})
	}
	var mu sync.Mutex
	var ids []string
	recent := func(n int) string {
		mu.Lock()
		defer mu.Unlock()
		if len(ids) == 0 {
			return "00000000-0000-0000-0000-000000000000"
		}
		return ids[n%len(ids)]
	}
	every(200*time.Millisecond, func(n int) {
		var p struct{ ID string }
		_ = json.Unmarshal([]byte(s.request(ctx, "POST", "/api/v1/products", productWith(fmt.Sprintf(`"sku":"M-%d"`, n)))), &p)
		if p.ID != "" {
			mu.Lock()
			ids = append(ids, p.ID)
			mu.Unlock()
		}
	})
	every(300*time.Millisecond, func(n int) {
		s.request(ctx, "PATCH", "/api/v1/products/"+recent(n), fmt.Sprintf(`{"price":{"amount":"%d","currency":"EUR"}}`, 10+n%7))
	})
	for range 2 {
		every(100*time.Millisecond, func(n int) { s.request(ctx, "GET", "/api/v1/products/"+recent(n%5), "") })
	}
	every(time.Second, func(n int) {
		s.request(ctx, "GET", "/api/v1/products?q=chair", "")
		s.request(ctx, "GET", "/api/v1/products?limit=5", "")
		s.request(ctx, "GET", "/api/v1/suggest?q=ch", "")
		s.request(ctx, "GET", "/api/v1/products?facets=true", "")
	})
	every(2*time.Second, func(n int) {
		s.request(ctx, "POST", "/api/v1/products", productWith(`"sku":"M-1"`))             // the SKU is taken: the request is refused
		s.request(ctx, "GET", "/api/v1/products/00000000-0000-7000-8000-000000000000", "") // not found
		s.request(ctx, "DELETE", "/api/v1/products/"+recent(n*3+1), "")
	})
	every(15*time.Second, func(int) {
		c := exec.CommandContext(ctx, program, append(append([]string{"import", "-server", "http://" + s.api}, mapping...), filepath.Join("..", "..", "examples", "furniture.csv"))...)
		_ = c.Run()
	})
	wg.Go(func() { // a subscriber of changes
		for ctx.Err() == nil {
			r, err := http.NewRequestWithContext(ctx, "GET", "http://"+s.api+"/api/v1/changes", nil)
			if err != nil {
				return
			}
			if w, err := http.DefaultClient.Do(r); err == nil {
				_, _ = io.Copy(io.Discard, w.Body)
				w.Body.Close()
			}
			<-time.After(100 * time.Millisecond)
		}
	})
}

var metricName = regexp.MustCompile(`\b((?:catalog|http|db|messaging|rpc|process|go|prometheus|slo)(?::\w+)?_[\w:]+|up)\b`)

// grafanaVariables replaces the variables of dashboards by all services.
var grafanaVariables = strings.NewReplacer("$__rate_interval", "30s", "$service", ".+", "$instance", ".+")

// TestMonitoring runs the services under a small load with a real Prometheus. Every
// query of the dashboards and every rule has data, and alerts fire for the faults
// that they are for, with all times divided by timeScale.
//
// With CATALOG_TEST_ALERTS it injects all faults, otherwise those that take seconds.
// With CATALOG_TEST_PICTURES it draws the dashboards into that folder.
func TestMonitoring(t *testing.T) {
	s := startMonitored(t, freeport.Address()) // there is no Alertmanager
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	s.load(ctx, &wg)
	defer func() { stop(); wg.Wait() }()

	t.Run("every query of the dashboards has data", func(t *testing.T) { s.checkDashboards(t) })
	t.Run("every rule has data", func(t *testing.T) { s.checkRules(t) })
	defer func() { // with the faults in the pictures
		if folder := os.Getenv("CATALOG_TEST_PICTURES"); folder != "" {
			s.draw(folder)
		}
	}()
	faults := []struct {
		fault  string
		inject func(t *testing.T)
		repair func()
		alerts []string
		// nightly faults are only injected with CATALOG_TEST_ALERTS, since they take minutes.
		nightly bool
	}{
		{"nothing", func(*testing.T) {}, func() {}, []string{"Watchdog", "CatalogEngineDown", "CatalogAlertsNotDelivered"}, false},
		{"a record that is no command", s.poison("commands"), func() {}, []string{"CatalogDeadLetters"}, false},
		{"a record that is no event", s.poison("events"), func() {}, []string{"CatalogEventsRejected"}, false},
		{"Redis is down", func(*testing.T) { s.redis.disconnect(true) }, func() { s.redis.disconnect(false) }, []string{"CatalogCacheErrors"}, false}, // a reader stays ready without Redis
		{"the disk of the index fills", s.fillDisk, s.emptyDisk, []string{"CatalogDiskFilling", "CatalogDiskFull"}, true},
		{"clients hold all snapshots of the writer and take nothing", s.holdSnapshots, func() {}, []string{"CatalogMemoryWaiting"}, true},
		{"a product is changed behind the back of the writer", s.falsify, func() {}, []string{"CatalogProductsDiffer"}, true},
		{"clients write faster than MongoDB takes products", s.floodMongo, func() { s.mongo.limit(0) }, []string{"CatalogWritesThrottled"}, true},
		{"MongoDB is down", func(*testing.T) { s.mongo.disconnect(true) }, func() { s.mongo.disconnect(false) },
			[]string{"CatalogBreakerOpen", "CatalogNotReady", "CatalogLag", "CatalogRequestsBurnFast", "CatalogRequestsBurnSlow"}, true},
		{"PostgreSQL is frozen", func(t *testing.T) { t.Cleanup(s.postgres.freeze()) }, func() {},
			[]string{"CatalogPoolExhausted", "CatalogWritesNotSettled", "CatalogRequestsShed", "CatalogShardStuck"}, true},
		{"writes wait for PostgreSQL and become readable late", func(*testing.T) {}, func() {}, []string{"CatalogWritesBurnFast", "CatalogWritesBurnSlow"}, true},
		{"the only writer is killed", func(*testing.T) { s.writer.kill() }, func() {}, []string{"CatalogTargetDown", "CatalogServiceAbsent", "CatalogWritesNotSettled"}, true},
		{"commands are deleted before they are settled", s.trim, func() {}, []string{"CatalogShardStopped", "CatalogLogErrors"}, true},
	}
	t.Run("every alert has a fault, or a reason why not", func(t *testing.T) {
		fired := maps.Clone(withoutFault)
		for _, f := range faults {
			for _, alert := range f.alerts {
				fired[alert] = f.fault
			}
		}
		for _, alert := range s.alerts(t) {
			if fired[alert] == "" {
				t.Errorf("no fault fires %s", alert)
			}
		}
	})
	for _, f := range faults {
		if f.nightly && os.Getenv("CATALOG_TEST_ALERTS") == "" {
			continue
		}
		t.Run("alerts of the fault: "+f.fault, func(t *testing.T) {
			f.inject(t)
			defer f.repair()
			m := *s.monitor
			m.t = t
			m.await(f.alerts...)
		})
	}
}

// checkDashboards checks that each query and each variable has data.
func (s *monitored) checkDashboards(t *testing.T) {
	files, err := filepath.Glob(dashboardFolder + "/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no dashboards: %v", err)
	}
	expressions := map[string]string{} // by title
	for _, name := range files {
		content, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var d struct {
			Title      string
			Templating struct {
				List []struct{ Name, Type, Query string }
			}
			Panels []struct {
				Title   string
				Targets []struct{ RefID, Expr string }
			}
		}
		if err := json.Unmarshal(content, &d); err != nil {
			t.Fatal(err)
		}
		for _, v := range d.Templating.List {
			if inner, ok := strings.CutPrefix(v.Query, "label_values("); ok && v.Type == "query" {
				series, label, _ := strings.Cut(strings.TrimSuffix(inner, ")"), ", ")
				expressions[d.Title+", variable "+v.Name] = fmt.Sprintf("count by (%s) (%s)", label, series)
			}
		}
		for i, p := range d.Panels {
			for _, q := range p.Targets {
				expressions[fmt.Sprintf("%s, panel %q (%d%s)", d.Title, p.Title, i, q.RefID)] = q.Expr
			}
		}
	}
	s.checkData(t, expressions)
}

// checkRules checks that each rule is evaluated, that each recorded series exists,
// and that each metric in an alert exists: an alert itself has no data in health.
func (s *monitored) checkRules(t *testing.T) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Query, Type, LastError string }
		}
	}
	if err := s.monitor.get("/api/v1/rules", nil, &data); err != nil {
		t.Fatal(err)
	}
	expressions, n := map[string]string{}, 0
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			n++
			if r.LastError != "" {
				t.Errorf("rule %s: %s", r.Name, r.LastError)
			}
			if r.Type == "recording" {
				expressions["rule "+r.Name] = r.Name
				continue
			}
			for _, name := range metricName.FindAllString(r.Query, -1) {
				if strings.HasSuffix(name, "_state") || strings.HasSuffix(name, "_pool_name") {
					continue // labels
				}
				expressions["alert "+r.Name+", metric "+name] = name
			}
		}
	}
	if n < 40 {
		t.Errorf("Prometheus has %d rules", n)
	}
	s.checkData(t, expressions)
}

// alerts returns the names of all alerts.
func (s *monitored) alerts(t *testing.T) (names []string) {
	var data struct {
		Groups []struct {
			Rules []struct{ Name, Type string }
		}
	}
	if err := s.monitor.get("/api/v1/rules", url.Values{"type": {"alert"}}, &data); err != nil {
		t.Fatal(err)
	}
	for _, g := range data.Groups {
		for _, r := range g.Rules {
			names = append(names, r.Name)
		}
	}
	if len(names) == 0 {
		t.Fatal("void: Prometheus has no alerts")
	}
	return names
}

// checkData waits until each expression has data.
func (s *monitored) checkData(t *testing.T, expressions map[string]string) {
	for title, expr := range expressions {
		for part := range notInTest {
			if strings.Contains(expr, part) {
				delete(expressions, title)
			}
		}
	}
	total := len(expressions)
	for since := time.Now(); len(expressions) > 0 && time.Since(since) < 2*time.Minute; <-time.After(time.Second) {
		for title, expr := range expressions {
			has, err := s.monitor.hasData(grafanaVariables.Replace(expr))
			if err != nil {
				t.Errorf("%s: %v", title, err)
			}
			if has || err != nil {
				delete(expressions, title)
			}
		}
	}
	for title, expr := range expressions {
		t.Errorf("%s has no data: %s", title, expr)
	}
	t.Logf("%d of %d expressions have data", total-len(expressions), total)
}

// draw draws the dashboards with the renderer of the repository.
func (s *monitored) draw(folder string) {
	c := exec.Command("go", "run", "-C", "../../tools", "./renderdash", "-prometheus", s.monitor.url, "-out", folder)
	if out, err := c.CombinedOutput(); err != nil {
		s.t.Errorf("renderdash: %v\n%s", err, out)
	}
}

func (s *monitored) kafka(t *testing.T) *kgo.Client {
	client, err := kgo.NewClient(kgo.SeedBrokers(s.env["CATALOG_KAFKA_BROKERS"]), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return client
}

// poison appends a record to the commands or the events topic that nothing can decode.
func (s *monitored) poison(topic string) func(*testing.T) {
	return func(t *testing.T) {
		junk := &kgo.Record{Topic: s.env["CATALOG_KAFKA_TOPIC_PREFIX"] + "." + topic, Value: []byte("junk")}
		if err := s.kafka(t).ProduceSync(t.Context(), junk).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
}

// filler is the file that fills the disk of the index.
func (s *monitored) filler() string {
	return filepath.Join("/proc", s.indexDisk.holder, "root", s.indexDisk.folder, "filler")
}

// fillDisk leaves less room on the disk of the index than a disk must have.
func (s *monitored) fillDisk(t *testing.T) {
	f, err := os.Create(s.filler())
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Fallocate(int(f.Fd()), 0, 0, 820*mib); err != nil {
		t.Fatal(err)
	}
}

func (s *monitored) emptyDisk() { _ = os.Remove(s.filler()) }

// holdSnapshots opens more snapshots than the writer serves at once, and reads nothing. The
// shard has a product that is larger than the buffers of a connection.
func (s *monitored) holdSnapshots(t *testing.T) {
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
	t.Cleanup(func() { _ = conn.Close() })
	for range streams {
		if _, err := catalogv1.NewWriterServiceClient(conn).Snapshot(t.Context(), &catalogv1.SnapshotRequest{Shard: at[0].Shard}); err != nil {
			t.Fatal(err)
		}
	}
}

// floodMongo slows the connections of MongoDB and creates large products, more than it takes and more than
// the writer settles at its lowest rate. A group of products still arrives within the timeout of a call.
func (s *monitored) floodMongo(t *testing.T) {
	const clients, interval, bytesPerSecond = 8, 20 * time.Millisecond, 500_000 // a product has 5 kB
	s.mongo.limit(bytesPerSecond)
	ctx, stop := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	t.Cleanup(func() { stop(); wg.Wait() })
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
}

// falsify changes a product in PostgreSQL without a command.
func (s *monitored) falsify(t *testing.T) {
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
}

// trim deletes the commands that no writer has settled, and starts the writer.
func (s *monitored) trim(t *testing.T) {
	admin := kadm.NewClient(s.kafka(t))
	ends, err := admin.ListEndOffsets(t.Context(), s.env["CATALOG_KAFKA_TOPIC_PREFIX"]+".commands")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := admin.DeleteRecords(t.Context(), ends.Offsets()); err != nil {
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
	s.monitor.target("writer", "http://"+address)
}
