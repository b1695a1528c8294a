package embedded_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"catalog"
	"catalog/engine/embedded"
	"catalog/engine/kafka"
	"catalog/eventlog"
)

// victim names the folder of a process that is there to be killed: this test
// program, started again.
const victim = "CATALOG_TEST_VICTIM"

func TestMain(m *testing.M) {
	if dir := os.Getenv(victim); dir != "" {
		if err := sendForEver(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

func command(i int) catalog.Command {
	id := catalog.DerivedID("test", strconv.Itoa(i))
	return catalog.Command{ID: id, Product: id, Op: catalog.DeleteProduct{}, AcceptedAt: time.Unix(int64(i), 0).UTC()}
}

func open(ctx context.Context, dir string) (*embedded.Dir, *kafka.Log, error) {
	d, err := embedded.Open(dir)
	if err != nil {
		return nil, nil, err
	}
	addr, err := d.Kafka()
	if err != nil {
		return nil, nil, err
	}
	l, err := kafka.Open(ctx, kafka.Config{Brokers: addr, Replicas: 1}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return nil, nil, err
	}
	return d, l, l.CreateTopics(ctx, embedded.Shards)
}

// sendForEver says the number of each command that is stored, while it is in
// the group of writers.
func sendForEver(dir string) error {
	ctx := context.Background()
	_, l, err := open(ctx, dir)
	if err != nil {
		return err
	}
	w := newWriter()
	go func() { _ = l.ConsumeCommands(ctx, w) }()
	for range embedded.Shards {
		<-w.begun
	}
	for i := 0; ; i++ {
		if err := l.SendCommands(ctx, command(i)); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// writer counts commands.
type writer struct {
	begun   chan int32
	handled chan struct{} // holds something after a Handle
	mu      sync.Mutex
	items   map[catalog.ID]int
}

func newWriter() *writer {
	return &writer{begun: make(chan int32, embedded.Shards), handled: make(chan struct{}, 1), items: map[catalog.ID]int{}}
}

func (w *writer) count(id catalog.ID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.items[id]
}

func (w *writer) Begin(_ context.Context, shard int32) (int64, error) {
	w.begun <- shard
	return 0, nil
}
func (w *writer) End(int32) {}
func (w *writer) Handle(_ context.Context, r eventlog.Records[catalog.Command]) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range r.Items {
		w.items[c.ID]++
	}
	select {
	case w.handled <- struct{}{}:
	default:
	}
	return nil
}

func TestWhatWasStoredSurvivesTheDeathOfTheProcessAndTheNextStartsAtOnce(t *testing.T) {
	dir := t.TempDir()
	stored := -1
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), victim+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		said := 0
		for lines.Scan() {
			n, err := strconv.Atoi(lines.Text())
			if err != nil {
				t.Fatal(lines.Text())
			}
			stored = max(stored, n)
			if said++; said == 200 {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if said < 200 {
			t.Fatalf("the process that was to be killed said %d lines and died", said)
		}
	}

	since := time.Now()
	d, l, err := open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	defer l.Close()
	w := newWriter()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- l.ConsumeCommands(ctx, w) }()
	for range embedded.Shards {
		select {
		case <-w.begun:
		case <-time.After(30 * time.Second):
			t.Fatal("the shards were not given to the new process")
		}
	}
	if took := time.Since(since); took > 3*time.Second {
		t.Errorf("ready after %v; the dead process was waited for", took)
	}
	late := time.After(30 * time.Second)
	for missing := 0; missing <= stored; {
		if w.count(command(missing).ID) > 0 {
			missing++
			continue
		}
		select {
		case <-w.handled:
		case <-late:
			t.Fatalf("command %d of %d is lost", missing, stored)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

func TestAFolderInUseSaysWhoHasIt(t *testing.T) {
	dir := t.TempDir()
	d, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = embedded.Open(dir)
	if !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("the second Open: %v; want ErrInUse with process %d", err, os.Getpid())
	}
	d.Close()
	if d, err = embedded.Open(dir); err != nil {
		t.Fatalf("after Close: %v", err)
	}
	d.Close()
}

func TestTheLogListensOnThisMachineOnly(t *testing.T) {
	d, err := embedded.Open(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	addr, err := d.Kafka()
	if err != nil {
		t.Fatal(err)
	}
	host, _, err := net.SplitHostPort(addr)
	if err != nil || !net.ParseIP(host).IsLoopback() {
		t.Errorf("listens on %s", addr)
	}
}
