//go:build real

package e2e

import (
	"context"
	"crypto/rand"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"catalog/engine/enginetest/freeport"
)

// engines is the environment of a system of its own on the real engines: its
// own topics, schema, database and keys.
func engines(t *testing.T) []string {
	t.Helper()
	own := "e2e_" + strings.ToLower(rand.Text()[:10])
	get := func(name string) string {
		v := os.Getenv(name)
		if v == "" {
			t.Fatalf("set %s; make engines-up starts one", name)
		}
		return v
	}
	postgres := get("CATALOG_TEST_POSTGRES_URL")
	conn, err := pgx.Connect(t.Context(), postgres)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA "+own); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP SCHEMA "+own+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(postgres)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", own)
	u.RawQuery = q.Encode()
	return append(os.Environ(),
		"CATALOG_KAFKA_BROKERS="+get("CATALOG_TEST_KAFKA_BROKERS"), "CATALOG_KAFKA_TOPIC_PREFIX="+own,
		"CATALOG_SHUTDOWN_DELAY=500ms", "CATALOG_KAFKA_PARTITIONS=4", "CATALOG_KAFKA_REPLICAS=1",
		"CATALOG_POSTGRES_URL="+u.String(),
		"CATALOG_MONGO_URL="+get("CATALOG_TEST_MONGO_URL"), "CATALOG_MONGO_DATABASE="+own,
		"CATALOG_REDIS_URL="+get("CATALOG_TEST_REDIS_URL"), "CATALOG_REDIS_PREFIX="+own)
}

// migrate makes schema and topics.
func migrate(t *testing.T, env []string) {
	t.Helper()
	c := exec.Command(program, "migrate")
	c.Env = env
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// process is one of the programs.
type process struct {
	t                *testing.T
	cmd              *exec.Cmd
	name, log, admin string
}

// run starts a program and waits until its admin port says that it is ready.
func run(t *testing.T, env []string, name string, flags ...string) *process {
	t.Helper()
	admin := "http://" + freeport.Address()
	p := &process{t: t, name: name, log: filepath.Join(t.TempDir(), name+".log"), admin: admin}
	logs, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	p.cmd = exec.Command(filepath.Join(programs, name), append(flags, "-admin", strings.TrimPrefix(admin, "http://"))...)
	p.cmd.Env, p.cmd.Stderr = env, logs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if b, err := os.ReadFile(p.log); err == nil && t.Failed() {
			for line := range strings.Lines(string(b)) {
				if strings.Contains(line, `"level":"ERROR"`) {
					t.Logf("%s: %s", name, line)
				}
			}
		}
	})
	ready, said := false, ""
	defer func() {
		if !ready {
			b, _ := os.ReadFile(p.log)
			t.Logf("%s answers %s\n%s", name, said, b)
		}
	}()
	eventually(t, name+" is ready", func() bool {
		r, err := http.Get(admin + "/readyz")
		if err != nil {
			said = err.Error()
			return false
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		ready, said = r.StatusCode == http.StatusOK, string(b)
		return ready
	})
	return p
}

// stop checks that the process is as all are, asks it to stop and checks that it
// does, well and soon.
func (p *process) stop() {
	p.t.Helper()
	logs, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	contract(p.t, p.admin, string(logs))
	since := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil || time.Since(since) > 10*time.Second {
		b, _ := os.ReadFile(p.log)
		p.t.Errorf("%s stopped with %v after %v\n%s", p.name, err, time.Since(since), b)
	}
}

func TestTheServicesApartOnRealEngines(t *testing.T) {
	env := engines(t)
	migrate(t, env)
	writers, readers, api := freeport.Address(), freeport.Address(), freeport.Address()
	writer := run(t, env, "writer", "-grpc", writers)
	reader := run(t, env, "reader", "-grpc", readers, "-writer", writers, "-index", filepath.Join(t.TempDir(), "index"))
	gateway := run(t, env, "gateway", "-http", api, "-writer", writers, "-reader", readers)

	s := &server{t: t, api: "http://" + api}
	// A small file: the MongoDB stand-in scans where MongoDB looks up.
	stdout, stderr, code := command(t, append(append([]string{"import", "-server", s.api}, mapping...), filepath.Join("..", "..", "examples", "furniture.csv"))...)
	if code != 0 || !strings.Contains(stdout, ": 90 created, ") {
		t.Fatalf("import ends with %d:\n%s%s", code, stdout, stderr)
	}
	id, at := s.create(chair)
	path := "/api/v1/products/" + id
	s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at)
	at = s.must(http.StatusOK, "PATCH", path, `{"price":{"amount":"99"}}`).header.Get("Catalog-Position")
	for range 3 { // from the view, and then from the cache
		if p := s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at).json(t); p["version"] != 2.0 {
			t.Fatalf("read at version %v", p["version"])
		}
		if p := s.must(http.StatusOK, "GET", path, "").json(t); p["version"] != 2.0 {
			t.Fatalf("read from the cache at version %v", p["version"])
		}
	}
	at = s.must(http.StatusNoContent, "DELETE", path, "").header.Get("Catalog-Position")
	s.must(http.StatusNotFound, "GET", path, "", "Catalog-Position", at)
	s.must(http.StatusNotFound, "GET", path, "")
	eventually(t, "all products are found", func() bool {
		return s.must(http.StatusOK, "GET", "/api/v1/products?limit=1", "").json(t)["total"] == 90.0
	})
	for _, p := range []*process{gateway, reader, writer} {
		p.stop()
	}
}

// cable is a connection to an engine that can be pulled out, or blocked.
type cable struct {
	address string
	mu      sync.Mutex
	out     bool
	open    map[net.Conn]bool
	flow    sync.RWMutex // held for writing while nothing goes through
}

// lay puts a cable between the programs and the engine at the address in the URL,
// and answers the URL that goes through it.
func lay(t *testing.T, engine string) (*cable, string) {
	t.Helper()
	u, err := url.Parse(engine)
	if err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	c := &cable{address: u.Host, open: map[net.Conn]bool{}}
	go func() {
		for {
			in, err := l.Accept()
			if err != nil {
				return
			}
			go c.join(in)
		}
	}()
	u.Host = l.Addr().String()
	return c, u.String()
}

func (c *cable) join(in net.Conn) {
	defer in.Close()
	out, err := net.Dial("tcp", c.address)
	if err != nil {
		return
	}
	defer out.Close()
	c.mu.Lock()
	if c.out {
		c.mu.Unlock()
		return
	}
	c.open[in], c.open[out] = true, true
	c.mu.Unlock()
	go func() {
		_, _ = io.Copy(end{out, c}, in)
		out.Close()
	}()
	_, _ = io.Copy(end{in, c}, out)
	c.mu.Lock()
	delete(c.open, in)
	delete(c.open, out)
	c.mu.Unlock()
}

// end is what comes out of a cable.
type end struct {
	io.Writer
	*cable
}

func (e end) Write(b []byte) (int, error) {
	e.flow.RLock()
	defer e.flow.RUnlock()
	return e.Writer.Write(b)
}

// block keeps everything in the cable until it is let go: the engine seems
// frozen.
func (c *cable) block() (free func()) {
	c.flow.Lock()
	return sync.OnceFunc(c.flow.Unlock)
}

// pull breaks all connections and lets no new ones through, until they are put
// back.
func (c *cable) pull(out bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.out = out
	if out {
		for conn := range c.open {
			conn.Close()
		}
	}
}

func TestAnEngineThatGoesAwayIsNamedAndWelcomedBack(t *testing.T) {
	env := map[string]string{}
	for _, v := range engines(t) {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	postgres, postgresURL := lay(t, env["CATALOG_POSTGRES_URL"])
	mongo, mongoURL := lay(t, env["CATALOG_MONGO_URL"])
	redis, redisURL := lay(t, env["CATALOG_REDIS_URL"])
	s := up(t, data(t), "-postgres.url", postgresURL, "-mongo.url", mongoURL, "-mongo.database", env["CATALOG_MONGO_DATABASE"],
		"-redis.url", redisURL, "-redis.prefix", env["CATALOG_REDIS_PREFIX"])
	admin := &server{t: t, api: s.admin}
	id, at := s.create(chair)
	path := "/api/v1/products/" + id
	s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at)
	s.must(http.StatusOK, "GET", path, "") // it is in the cache now
	down := func(name string) {
		t.Helper()
		eventually(t, "not ready, because of "+name, func() bool {
			a := admin.call("GET", "/readyz", "")
			checks, _ := a.json(t)["checks"].(map[string]any)
			return a.status == http.StatusServiceUnavailable && checks[name] != nil && checks[name] != "ok"
		})
		admin.must(http.StatusOK, "GET", "/livez", "") // a restart would not help
	}
	ready := func() {
		t.Helper()
		eventually(t, "ready again", func() bool { return admin.call("GET", "/readyz", "").status == http.StatusOK })
	}

	t.Run("without Redis everything works", func(t *testing.T) {
		redis.pull(true)
		for range 10 {
			since := time.Now()
			s.must(http.StatusOK, "GET", path, "")
			if took := time.Since(since); took > time.Second {
				t.Fatalf("a read takes %v", took)
			}
		}
		at := s.must(http.StatusOK, "PATCH", path, `{"name":"Without a cache"}`).header.Get("Catalog-Position")
		s.must(http.StatusOK, "GET", path, "", "Catalog-Position", at)
		admin.must(http.StatusOK, "GET", "/readyz", "")
		redis.pull(false)
		eventually(t, "what was cached before is not read any more", func() bool {
			return s.must(http.StatusOK, "GET", path, "").json(t)["name"] == "Without a cache"
		})
	})
	t.Run("without PostgreSQL what is accepted waits, and is done when it is back", func(t *testing.T) {
		postgres.pull(true)
		down("postgres")
		s.must(http.StatusOK, "GET", path, "")
		a := s.must(http.StatusAccepted, "PATCH", path, `{"name":"Late"}`, "Prefer", "wait=1")
		postgres.pull(false)
		r := s.must(http.StatusOK, "GET", a.header.Get("Location")+"?wait=30", "").json(t)
		if r["status"] != "applied" || r["version"] != 3.0 {
			t.Errorf("the receipt says %v", r)
		}
		ready()
	})
	t.Run("without MongoDB search works, and writes are in the view when it is back", func(t *testing.T) {
		mongo.pull(true)
		down("mongo")
		at := s.must(http.StatusOK, "PATCH", path, `{"name":"Later"}`).header.Get("Catalog-Position")
		s.must(http.StatusOK, "GET", "/api/v1/products?q=later", "", "Catalog-Position", at)
		if a := s.call("GET", path, "", "Catalog-Position", at); a.status != http.StatusServiceUnavailable || a.header.Get("Retry-After") == "" {
			t.Errorf("a read of what the view does not have answers %d %s", a.status, a.body)
		}
		mongo.pull(false)
		eventually(t, "the view has it", func() bool { return s.call("GET", path, "", "Catalog-Position", at).status == http.StatusOK })
		ready()
	})
}
