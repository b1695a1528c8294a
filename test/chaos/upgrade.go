package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"
)

// lastTag returns the newest tag before the present commit.
func lastTag(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "git", "describe", "--tags", "--abbrev=0").Output()
	if err != nil {
		return "", errors.New("no version has been tagged yet; name the previous version with -previous REVISION")
	}
	return strings.TrimSpace(string(out)), nil
}

// buildRevision builds the programs of a revision of the repository and returns their folder.
func buildRevision(ctx context.Context, dir, revision string) (string, error) {
	source, programs := filepath.Join(dir, "previous"), filepath.Join(dir, "bin-previous")
	if err := os.Mkdir(source, 0o755); err != nil {
		return "", err
	}
	unpack := exec.CommandContext(ctx, "sh", "-c", `git archive "$1" | tar -x -C "$2"`, "sh", revision, source)
	if out, err := unpack.CombinedOutput(); err != nil {
		return "", fmt.Errorf("source of revision %s: %w\n%s", revision, err, out)
	}
	return programs, buildPrograms(ctx, source, programs)
}

// buildPrograms builds the programs of the source in a folder.
func buildPrograms(ctx context.Context, source, programs string, flags ...string) error {
	build := exec.CommandContext(ctx, "go", slices.Concat([]string{"build"}, flags, []string{"-o", programs + "/", "./cmd/..."})...)
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build %s: %w\n%s", source, err, out)
	}
	return nil
}

// upgrades returns the rounds of an upgrade from the programs in one folder to those in
// another: the migration while the previous version serves, then for each order of the three
// services an upgrade of one process after the other and the way back, then an upgrade that
// stays.
func upgrades(s *System, previous, next string) []fault {
	faults := []fault{{name: "migrate", times: 1, fire: func(ctx context.Context, _ int) error { return s.migrate(ctx, next) }}}
	for _, order := range [][]string{
		{"writer", "reader", "gateway"}, {"writer", "gateway", "reader"}, {"reader", "writer", "gateway"},
		{"reader", "gateway", "writer"}, {"gateway", "writer", "reader"}, {"gateway", "reader", "writer"},
	} {
		processes := s.inOrder(order)
		faults = append(faults, fault{name: shortOrder(order), times: 2 * len(processes), fire: func(ctx context.Context, n int) error {
			if n < len(processes) {
				return processes[n].replace(ctx, next)
			}
			return processes[n-len(processes)].replace(ctx, previous)
		}})
	}
	processes := s.inOrder([]string{"reader", "writer", "gateway"})
	return append(faults, fault{name: "upgrade and stay", times: len(processes), fire: func(ctx context.Context, n int) error {
		return processes[n].replace(ctx, next)
	}})
}

// shortOrder returns a name that fits into the table.
func shortOrder(order []string) string {
	var short []string
	for _, name := range order {
		short = append(short, name[:len(name)-2])
	}
	return strings.Join(short, " ")
}

// inOrder returns the processes of the services in the order.
func (s *System) inOrder(services []string) (all []*Process) {
	for _, name := range services {
		all = append(all, s.processes[name]...)
	}
	return all
}

// replace stops the process as an orchestrator does, and starts the program of the same name
// in another folder in its place.
func (p *Process) replace(ctx context.Context, programs string) error {
	if err := p.Kill(syscall.SIGTERM); err != nil {
		return err
	}
	if !p.cmd.ProcessState.Success() {
		return fmt.Errorf("%s did not stop in order: %v", p.Name, p.cmd.ProcessState)
	}
	p.Path = filepath.Join(programs, filepath.Base(p.Path))
	if err := p.Start(""); err != nil {
		return err
	}
	return p.Ready(ctx)
}

// readers is how many goroutines read during an upgrade.
const readers = 4

// tally counts requests that failed although the system only restarted processes in order.
// A refused connection is not a failure: a load balancer sends the request to another gateway.
type tally struct {
	mu       sync.Mutex
	failed   map[string]int // number of failed requests, by failure
	requests int
	waited   int // reads with a position that had to be retried
}

func newTally() *tally { return &tally{failed: map[string]int{}} }

// request counts a response, or a connection that broke. A nil tally counts nothing.
func (t *tally) request(method string, status int, err error) {
	if t == nil || errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, context.Canceled) {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	switch {
	case err != nil:
		t.failed[fmt.Sprintf("%s: %v", method, errors.Unwrap(err))]++
	case status >= 500, status == http.StatusTooManyRequests:
		t.failed[fmt.Sprintf("%s: %d", method, status)]++
	}
}

// report prints the counts and returns an error when a request failed.
func (t *tally) report(out io.Writer) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	n := 0
	for _, what := range slices.Sorted(maps.Keys(t.failed)) {
		n += t.failed[what]
		fmt.Fprintf(out, "failed: %s (%d times)\n", what, t.failed[what])
	}
	fmt.Fprintf(out, "%d requests, %d failed; %d reads with a position were told to repeat the request\n", t.requests, n, t.waited)
	switch {
	case n > 0:
		return fmt.Errorf("%w: %d requests failed", errBroken, n)
	case t.requests == 0:
		return errors.New("void: no requests")
	}
	return nil
}

// readContinuously reads products, lists and searches until ctx ends, and reads products at
// the position of their last write.
func (l *Load) readContinuously(ctx context.Context, seed uint64) {
	random := rand.New(rand.NewPCG(seed, 3<<32))
	for ctx.Err() == nil {
		api := l.APIs[random.IntN(len(l.APIs))]
		commands := l.history.all()
		if len(commands) == 0 {
			time.Sleep(10 * time.Millisecond)
			continue
		}
		c := commands[random.IntN(len(commands))]
		product := "/api/v1/products/" + c.Product
		switch random.IntN(4) {
		case 0:
			l.get(ctx, api+"/api/v1/products?limit=20", "")
		case 1:
			l.get(ctx, api+"/api/v1/products?q="+c.Name[:1], "")
		case 2:
			l.get(ctx, api+product, "")
		case 3: // while a shard changes hands, a read at a position may have to be retried
			for end := time.Now().Add(retryFor); ctx.Err() == nil && time.Now().Before(end); {
				if l.get(ctx, api+product, c.Response.Position) != http.StatusServiceUnavailable {
					break
				}
				l.tally.mu.Lock()
				l.tally.waited++
				l.tally.mu.Unlock()
			}
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// get sends a read and counts it. A 503 to a read with a position is not counted as a failure.
func (l *Load) get(ctx context.Context, url, position string) int {
	w, err := l.sendGet(ctx, url, position)
	if err != nil {
		l.tally.request(http.MethodGet, 0, err)
		return 0
	}
	defer w.Body.Close()
	_, err = io.Copy(io.Discard, w.Body)
	if position == "" || w.StatusCode != http.StatusServiceUnavailable {
		l.tally.request(http.MethodGet, w.StatusCode, err)
	}
	return w.StatusCode
}
