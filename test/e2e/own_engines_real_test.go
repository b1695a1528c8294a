//go:build real

package e2e

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"catalog/engine/enginetest/freeport"
)

// ownEngines are engines of one test, which it can kill.
type ownEngines struct {
	t     *testing.T
	dir   string
	names []string // arguments of deploy/engines/up
	env   []string // settings of deploy/engines/up
}

// startEngines starts engines and stops them when the test ends.
func startEngines(t *testing.T, names []string, env ...string) *ownEngines {
	t.Helper()
	e := &ownEngines{t: t, dir: t.TempDir(), names: names, env: env}
	t.Cleanup(func() {
		if out, err := e.script("down").CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	e.up()
	return e
}

// up starts the engines that do not run, on the data they had.
func (e *ownEngines) up() {
	e.t.Helper()
	if out, err := e.script("up", e.names...).CombinedOutput(); err != nil {
		e.t.Fatalf("%v\n%s", err, out)
	}
}

func (e *ownEngines) script(name string, args ...string) *exec.Cmd {
	c := exec.Command(filepath.Join("..", "..", "deploy", "engines", name), args...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "CATALOG_TEST_") && !strings.HasPrefix(v, "ENGINES_") {
			c.Env = append(c.Env, v)
		}
	}
	c.Env = append(append(c.Env, e.env...), "ENGINES_DIR="+e.dir)
	return c
}

// kill sends SIGKILL to an engine and waits until it has ended.
func (e *ownEngines) kill(name string) {
	e.t.Helper()
	b, err := os.ReadFile(filepath.Join(e.dir, name+".pid"))
	if err != nil {
		e.t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err == nil {
		err = syscall.Kill(pid, syscall.SIGKILL)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	eventually(e.t, name+" has ended", func() bool { return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) })
}

// freePortRange returns the first of n free ports that follow each other.
func freePortRange(t *testing.T, n int) int {
	t.Helper()
	for range 100 {
		first, last := 0, 0
		for range n {
			_, s, _ := strings.Cut(freeport.Address(), ":")
			p, err := strconv.Atoi(s)
			if err != nil {
				t.Fatal(err)
			}
			if first == 0 || p != last+1 {
				first = p
			}
			last = p
		}
		if last-first == n-1 {
			return first
		}
	}
	t.Fatalf("no %d free ports that follow each other", n)
	return 0
}
