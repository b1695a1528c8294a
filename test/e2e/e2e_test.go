// Package e2e tests the system from outside: it starts and kills real processes
// and uses them through HTTP, gRPC and the command line.
package e2e

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
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
)

// programs is the folder with all programs, program the path of catalog.
// TestMain builds them once.
var programs, program string

func TestMain(m *testing.M) {
	var err error
	if programs, err = os.MkdirTemp("", "catalog-e2e-"); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(programs, "catalog")
	build := exec.Command("go", "build", "-o", programs+"/", "catalog/cmd/...")
	build.Stderr = os.Stderr
	code := 1
	if err := build.Run(); err == nil {
		code = m.Run()
	}
	os.RemoveAll(programs)
	os.Exit(code)
}

// server is a process that runs `catalog up`, or only the URLs of one.
type server struct {
	t          testing.TB
	data       string
	prefix     []string // command that runs the program, or nil
	api, admin string   // URLs
	grpc       string   // address
	cmd        *exec.Cmd
	logs       *os.File
	banner     string
}

// up starts `catalog up` on the data folder and waits until it is ready.
func up(t testing.TB, data string, flags ...string) *server {
	t.Helper()
	s := &server{t: t, data: data}
	s.api, s.admin, s.grpc = "http://"+freeport.Address(), "http://"+freeport.Address(), freeport.Address()
	s.start(flags...)
	t.Cleanup(func() { s.stop(syscall.SIGKILL) })
	return s
}

func (s *server) start(flags ...string) {
	s.t.Helper()
	args := append([]string{"up", "-data", s.data, "-http", strings.TrimPrefix(s.api, "http://"), "-grpc", s.grpc, "-admin", strings.TrimPrefix(s.admin, "http://")}, flags...)
	command := slices.Concat(s.prefix, []string{program}, args)
	s.cmd = exec.Command(command[0], command[1:]...)
	var err error
	if s.logs, err = os.OpenFile(s.data+".log", os.O_CREATE|os.O_APPEND|os.O_RDWR, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.cmd.Stderr = s.logs
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := s.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	ready := make(chan string, 1)
	go func() {
		lines := bufio.NewScanner(out)
		for lines.Scan() {
			if strings.HasPrefix(lines.Text(), "catalog is up") {
				ready <- lines.Text()
			}
		}
		close(ready)
	}()
	select {
	case line, ok := <-ready:
		if !ok {
			s.t.Fatalf("catalog up exited before it was ready:\n%s", s.log())
		}
		s.banner = line
	case <-time.After(time.Minute):
		s.t.Fatalf("catalog up is not ready after one minute:\n%s", s.log())
	}
}

func (s *server) log() string {
	b, _ := os.ReadFile(s.data + ".log")
	return string(b)
}

// stop sends the signal, waits until the process has exited and returns the
// error of Wait.
func (s *server) stop(sig syscall.Signal) error {
	if s.cmd == nil {
		return nil
	}
	_ = s.cmd.Process.Signal(sig)
	err := s.cmd.Wait()
	s.cmd = nil
	s.logs.Close()
	return err
}

// response is a response to an HTTP request.
type response struct {
	status int
	header http.Header
	body   string
}

// json decodes the body.
func (a response) json(t testing.TB) map[string]any {
	t.Helper()
	var v map[string]any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("the response is not JSON: %v\n%s", err, a.body)
	}
	return v
}

// newRequest returns a request. Headers are pairs of names and values; the content
// type of a body is JSON unless a header sets another.
func newRequest(ctx context.Context, method, url, body string, headers ...string) (*http.Request, error) {
	r, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	return r, nil
}

// call sends a request with the headers of newRequest.
func (s *server) call(method, path, body string, headers ...string) response {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 40*time.Second)
	defer cancel()
	r, err := newRequest(ctx, method, s.api+path, body, headers...)
	if err != nil {
		s.t.Fatal(err)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer w.Body.Close()
	b, err := io.ReadAll(w.Body)
	if err != nil {
		s.t.Fatalf("%s %s: %v", method, path, err)
	}
	return response{w.StatusCode, w.Header, string(b)}
}

// must is call; any other status than the one given fails the test.
func (s *server) must(status int, method, path, body string, headers ...string) response {
	s.t.Helper()
	a := s.call(method, path, body, headers...)
	if a.status != status {
		s.t.Fatalf("%s %s = %d, want %d\n%s", method, path, a.status, status, a.body)
	}
	return a
}

// create creates a product and returns its id and the position of the write.
func (s *server) create(body string) (id, position string) {
	s.t.Helper()
	a := s.must(http.StatusCreated, "POST", "/api/v1/products", body, "Prefer", "wait=30")
	return a.json(s.t)["id"].(string), a.header.Get("Catalog-Position")
}

// command runs catalog and returns its output and exit code.
func command(t testing.TB, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, args...)
	var out, errs bytes.Buffer
	c.Stdout, c.Stderr = &out, &errs
	_ = c.Run()
	return out.String(), errs.String(), c.ProcessState.ExitCode()
}

// eventually waits until the condition holds, for a minute at most: busy
// machines are slow.
func eventually(t testing.TB, what string, condition func() bool) {
	t.Helper()
	deadline := time.After(time.Minute)
	for !condition() {
		select {
		case <-deadline:
			t.Fatalf("after one minute still not: %s", what)
		case <-time.After(10 * time.Millisecond):
		}
	}
}

const chair = `{"sku":"CHA-7","name":"Folding chair","description":"Beech, with a seat of paper cord.","price":{"amount":"149.90","currency":"EUR"},"category":"Furniture/Chairs","tags":["beech"],"attributes":{"width":"45"}}`
