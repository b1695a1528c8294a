//go:build real && linux

package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
)

// notInTest lists the expressions that have no data in this test, by a part of
// them, and why.
var notInTest = map[string]string{
	`job="engines"`: "only the exporter of Redis runs",
	`job="node"`:    "the exporter of the machine does not run",
}

// monitored is a system of one process each, its engines behind proxies, watched
// by Prometheus.
type monitored struct {
	t                       *testing.T
	monitor                 *monitor
	env                     map[string]string
	indexDisk               *smallDisk // disk of the reader's index
	redis, mongo, postgres  *proxy
	traces                  *proxy
	writers, readers, api   string
	writer, reader, gateway *process
}

func startMonitored(t *testing.T, alertmanager string) *monitored {
	s := &monitored{t: t, env: engineEnvMap(t), writers: freeport.Address(), readers: freeport.Address(), api: freeport.Address()}
	migrate(t, s.list())
	s.redis, s.env["CATALOG_REDIS_URL"] = startProxy(t, s.env["CATALOG_REDIS_URL"])
	s.mongo, s.env["CATALOG_MONGO_URL"] = startProxy(t, s.env["CATALOG_MONGO_URL"])
	s.postgres, s.env["CATALOG_POSTGRES_URL"] = startProxy(t, s.env["CATALOG_POSTGRES_URL"])
	_, collector := startCollector(t)
	s.traces, s.env["OTEL_EXPORTER_OTLP_ENDPOINT"] = startProxy(t, "http://"+collector)
	s.env["CATALOG_OTLP_SAMPLE"] = "1"
	s.env["CATALOG_POSTGRES_MAX_CONNS"] = "4"
	s.env["CATALOG_MAX_BACKLOG_AGE"] = "8s"
	s.env["CATALOG_VERIFY_INTERVAL"] = "3s"
	s.indexDisk = newSmallDisk(t, t.TempDir())
	s.monitor = startMonitor(t, startRedisExporter(t, s.env["CATALOG_REDIS_URL"]), alertmanager)
	s.startWriter()
	s.startReader()
	s.gateway = startProcess(t, s.list(), "gateway", "-http", s.api, "-writer", s.writers, "-reader", s.readers)
	s.monitor.target("gateway-1", s.gateway.admin)
	return s
}

// startRedisExporter starts the exporter of the Redis at the URL and returns its address.
func startRedisExporter(t *testing.T, redis string) string {
	t.Helper()
	address := freeport.Address()
	exporter, err := exec.LookPath("redis_exporter")
	if err != nil {
		exporter = "prometheus-redis-exporter" // its name on Debian
	}
	c := exec.Command(exporter, "-redis.addr", redis, "-web.listen-address", address)
	if err := c.Start(); err != nil {
		t.Fatalf("%v; make engines-up installs the exporter of Redis", err)
	}
	t.Cleanup(func() { _ = c.Process.Kill(); _ = c.Wait() })
	return address
}

func (s *monitored) list() (env []string) {
	for name, value := range s.env {
		env = append(env, name+"="+value)
	}
	return env
}

func (s *monitored) startWriter() {
	s.writer = startProcess(s.t, s.list(), "writer", "-grpc", s.writers)
	s.monitor.target("writer-1", s.writer.admin)
}

func (s *monitored) startReader() {
	s.reader = startProcessWith(s.t, s.indexDisk.enter(), s.list(), "reader", "-grpc", s.readers, "-writer", s.writers, "-index", filepath.Join(s.indexDisk.folder, "index"))
	s.monitor.target("reader-1", s.reader.admin)
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
// that they are for and end with the remedies of docs/operations/alerts.md, with all
// times divided by timeScale.
//
// With CATALOG_TEST_ALERTS it runs all drills, otherwise those that take seconds, and
// does not wait for the end of their alerts.
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
	drills := s.drills()
	t.Run("every alert has a drill", func(t *testing.T) {
		drilled := map[string]bool{}
		for _, d := range drills {
			for _, alert := range d.alerts {
				name, _, _ := strings.Cut(alert, " ")
				drilled[name] = true
			}
		}
		for _, alert := range s.alerts(t) {
			if !drilled[alert] {
				t.Errorf("no drill fires %s", alert)
			}
		}
	})
	all := os.Getenv("CATALOG_TEST_ALERTS") != ""
	for _, d := range drills {
		if d.nightly && !all {
			continue
		}
		t.Run("alerts of the fault: "+d.fault, func(t *testing.T) {
			m := *s.monitor
			m.t = t
			end := slices.DeleteFunc(slices.Clone(d.alerts), func(alert string) bool { return endsLate[alert] != "" })
			if !d.follows {
				m.awaitEnd(end...) // else the drill would show nothing
			}
			remedy := d.inject(t)
			m.await(d.alerts...)
			remedy()
			if all { // it takes the window of the alert
				m.awaitEnd(end...)
			}
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
