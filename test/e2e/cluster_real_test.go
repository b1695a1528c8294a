//go:build real

package e2e

import (
	"context"
	"crypto/rand"
	"errors"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"catalog/engine/enginetest/freeport"
	"catalog/engine/enginetest/pgschema"
)

// engineEnv returns the environment of a separate system on the real engines,
// with its own topics, schema, database and keys.
func engineEnv(t *testing.T) []string {
	t.Helper()
	own := "e2e_" + strings.ToLower(rand.Text()[:10])
	get := func(name string) string {
		v := os.Getenv(name)
		if v == "" {
			t.Fatalf("%s is not set; make engines-up starts the engines", name)
		}
		return v
	}
	postgres, drop, err := pgschema.Create(t.Context(), get("CATALOG_TEST_POSTGRES_URL"), own)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return append(os.Environ(),
		"CATALOG_KAFKA_BROKERS="+get("CATALOG_TEST_KAFKA_BROKERS"), "CATALOG_KAFKA_TOPIC_PREFIX="+own,
		"CATALOG_SHUTDOWN_DELAY=500ms", "CATALOG_KAFKA_PARTITIONS=4", "CATALOG_KAFKA_REPLICAS=1",
		"CATALOG_POSTGRES_URL="+postgres,
		"CATALOG_MONGO_URL="+get("CATALOG_TEST_MONGO_URL"), "CATALOG_MONGO_DATABASE="+own,
		"CATALOG_REDIS_URL="+get("CATALOG_TEST_REDIS_URL"), "CATALOG_REDIS_PREFIX="+own)
}

// engineEnvMap returns engineEnv by name.
func engineEnvMap(t *testing.T) map[string]string {
	t.Helper()
	env := map[string]string{}
	for _, v := range engineEnv(t) {
		name, value, _ := strings.Cut(v, "=")
		env[name] = value
	}
	return env
}

// migrate creates schema and topics.
func migrate(t *testing.T, env []string) {
	t.Helper()
	c := exec.Command(program, "migrate")
	c.Env = env
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
}

// process is a running service.
type process struct {
	t                *testing.T
	cmd              *exec.Cmd
	name, log, admin string
}

// maxLoggedErrors is how many errors of a process a failed test shows.
const maxLoggedErrors = 5

// startProcess starts a service and waits until it is ready.
func startProcess(t *testing.T, env []string, name string, flags ...string) *process {
	t.Helper()
	return startProcessWith(t, nil, env, name, flags...)
}

// startProcessWith is startProcess for a service that the command prefix starts.
func startProcessWith(t *testing.T, prefix, env []string, name string, flags ...string) *process {
	t.Helper()
	admin := "http://" + freeport.Address()
	p := &process{t: t, name: name, log: filepath.Join(t.TempDir(), name+".log"), admin: admin}
	logs, err := os.Create(p.log)
	if err != nil {
		t.Fatal(err)
	}
	args := slices.Concat(prefix, []string{filepath.Join(programs, name), "-admin", strings.TrimPrefix(admin, "http://")}, flags)
	p.cmd = exec.Command(args[0], args[1:]...)
	p.cmd.Env, p.cmd.Stderr = env, logs
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		if b, err := os.ReadFile(p.log); err == nil && t.Failed() {
			errors := 0
			for line := range strings.Lines(string(b)) {
				if !strings.Contains(line, `"level":"ERROR"`) {
					continue
				}
				if errors++; errors <= maxLoggedErrors {
					t.Logf("%s: %s", name, line)
				}
			}
			if errors > maxLoggedErrors {
				t.Logf("%s: %d errors in all", name, errors)
			}
		}
	})
	ready, last := false, ""
	defer func() {
		if !ready {
			b, _ := os.ReadFile(p.log)
			t.Logf("%s: readyz = %s\n%s", name, last, b)
		}
	}()
	eventually(t, name+" is ready", func() bool {
		r, err := http.Get(admin + "/readyz")
		if err != nil {
			last = err.Error()
			return false
		}
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		ready, last = r.StatusCode == http.StatusOK, string(b)
		return ready
	})
	return p
}

// stop runs checkProcess, sends SIGTERM and checks that the process exits
// without an error within 30 s.
func (p *process) stop() {
	p.t.Helper()
	logs, err := os.ReadFile(p.log)
	if err != nil {
		p.t.Fatal(err)
	}
	checkProcess(p.t, p.admin, string(logs))
	since := time.Now()
	_ = p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil || time.Since(since) > 30*time.Second {
		b, _ := os.ReadFile(p.log)
		p.t.Errorf("%s exited with %v after %v\n%s", p.name, err, time.Since(since), b)
	}
}

// cluster runs two of each service on real engines.
type cluster struct {
	t         *testing.T
	env       []string
	processes []*process
	starts    []func() *process // restarts the process with the same index
	gateways  []string          // URLs
	readers   []string          // addresses of their gRPC
}

// startCluster starts a cluster. env replaces settings of engineEnv.
func startCluster(t *testing.T, env ...string) *cluster {
	t.Helper()
	c := &cluster{t: t, env: append(append(engineEnv(t), "CATALOG_SHUTDOWN_DELAY=200ms"), env...)}
	migrate(t, c.env)
	writers, readers := []string{freeport.Address(), freeport.Address()}, []string{freeport.Address(), freeport.Address()}
	c.readers = readers
	for _, at := range writers {
		c.start("writer", "-grpc", at)
	}
	for _, at := range readers {
		c.start("reader", "-grpc", at, "-writer", strings.Join(writers, ","), "-index", filepath.Join(t.TempDir(), "index"))
	}
	for range 2 {
		at := freeport.Address()
		c.gateways = append(c.gateways, "http://"+at)
		c.start("gateway", "-http", at, "-writer", strings.Join(writers, ","), "-reader", strings.Join(readers, ","))
	}
	return c
}

func (c *cluster) start(name string, flags ...string) {
	start := func() *process { return startProcess(c.t, c.env, name, flags...) }
	c.starts = append(c.starts, start)
	c.processes = append(c.processes, start())
}

// gateway returns the i-th gateway, modulo their number.
func (c *cluster) gateway(i int) *server { return &server{t: c.t, api: c.gateways[i%len(c.gateways)]} }

// clusterResponse is a response, or the reason why there is none.
type clusterResponse struct {
	response
	err error
}

// request sends a request to a gateway, and to the next one when no response
// comes: reads can be repeated, and so can writes with a key. A load balancer in
// front of several gateways needs to do no more.
func (c *cluster) request(ctx context.Context, first int, method, path, body string, headers ...string) clusterResponse {
	var last error
	for i := range c.gateways {
		r, err := newRequest(ctx, method, c.gateways[(first+i)%len(c.gateways)]+path, body, headers...)
		if err != nil {
			return clusterResponse{err: err}
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
		return clusterResponse{response{w.StatusCode, w.Header, string(b)}, err}
	}
	return clusterResponse{err: last}
}

// checkReadersEqual fails the test unless all stores of the readers equal
// PostgreSQL. A shard has no reader for a moment while it changes hands.
func checkReadersEqual(t testing.TB, products int, readers ...string) {
	t.Helper()
	var stdout, stderr string
	var code int
	eventually(t, "each shard has a reader", func() bool {
		stdout, stderr, code = command(t, "verify", "-reader", strings.Join(readers, ","))
		return !strings.Contains(stderr, "were not compared")
	})
	checkVerifyOutput(t, products, "view equal, cache equal, index equal", stdout, stderr, code)
}
