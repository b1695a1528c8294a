//go:build real

package e2e

import (
	"context"
	"crypto/rand"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
		"CATALOG_KAFKA_PARTITIONS=4", "CATALOG_KAFKA_REPLICAS=1",
		"CATALOG_POSTGRES_URL="+u.String(),
		"CATALOG_MONGO_URL="+get("CATALOG_TEST_MONGO_URL"), "CATALOG_MONGO_DATABASE="+own,
		"CATALOG_REDIS_URL="+get("CATALOG_TEST_REDIS_URL"), "CATALOG_REDIS_PREFIX="+own)
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
	admin := freeURL(t)
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
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	eventually(t, name+" is ready", func() bool {
		r, err := http.Get(admin + "/readyz")
		if err != nil {
			return false
		}
		defer r.Body.Close()
		return r.StatusCode == http.StatusOK
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
	migrate := exec.Command(program, "migrate")
	migrate.Env = env
	if out, err := migrate.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	bare := func(url string) string { return strings.TrimPrefix(url, "http://") }
	writers, readers := bare(freeURL(t)), bare(freeURL(t))
	api := freeURL(t)
	writer := run(t, env, "writer", "-grpc", writers)
	reader := run(t, env, "reader", "-grpc", readers, "-writer", writers, "-index", filepath.Join(t.TempDir(), "index"))
	gateway := run(t, env, "gateway", "-http", bare(api), "-writer", writers, "-reader", readers)

	s := &server{t: t, api: api}
	// A small file: the MongoDB stand-in scans where MongoDB looks up.
	stdout, stderr, code := command(t, append(append([]string{"import", "-server", api}, mapping...), filepath.Join("..", "examples", "furniture.csv"))...)
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
