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

// senderDir is the variable that makes this test program a sender: a process that
// sends commands to the log in the folder until it is killed.
const senderDir = "CATALOG_TEST_SENDER_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(senderDir); dir != "" {
		if err := sendUntilKilled(dir); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// sessionTimeout is longer than any wait of the tests, so that a test that waits for
// it fails even on a busy machine.
const sessionTimeout = 2 * time.Minute

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
	l, err := kafka.Open(ctx, kafka.Config{Brokers: addr, Replicas: 1, SessionTimeout: sessionTimeout}, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		return nil, nil, err
	}
	return d, l, l.CreateTopics(ctx, embedded.Shards)
}

// sendUntilKilled sends commands and prints the number of each one that the log has
// acknowledged. It is a member of the group of writers meanwhile.
func sendUntilKilled(dir string) error {
	ctx := context.Background()
	_, l, err := open(ctx, dir)
	if err != nil {
		return err
	}
	w := newWriter()
	go func() { _ = l.ConsumeCommands(ctx, w) }()
	for range embedded.Shards {
		<-w.assigned
	}
	for i := 0; ; i++ {
		if err := l.SendCommands(ctx, command(i)); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

// writer is a consumer that counts the commands by id.
type writer struct {
	assigned chan int32
	handled  chan struct{} // receives a value after Handle
	mu       sync.Mutex
	items    map[catalog.ID]int
}

func newWriter() *writer {
	return &writer{assigned: make(chan int32, embedded.Shards), handled: make(chan struct{}, 1), items: map[catalog.ID]int{}}
}

func (w *writer) count(id catalog.ID) int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.items[id]
}

func (w *writer) Begin(_ context.Context, shard int32) (int64, error) {
	w.assigned <- shard
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

// Acknowledged commands survive kill -9, and the next process gets the shards without
// waiting for the session timeout of the killed one.
func TestKafka_kill(t *testing.T) {
	dir := t.TempDir()
	stored := -1
	for range 3 {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), senderDir+"="+dir)
		out, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		scanner := bufio.NewScanner(out)
		lines := 0
		for scanner.Scan() {
			n, err := strconv.Atoi(scanner.Text())
			if err != nil {
				t.Fatal(scanner.Text())
			}
			stored = max(stored, n)
			if lines++; lines == 200 {
				_ = cmd.Process.Kill()
			}
		}
		_ = cmd.Wait()
		if lines < 200 {
			t.Fatalf("the sender ended after %d lines; want 200", lines)
		}
	}

	start := time.Now()
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
		case <-w.assigned:
		case <-time.After(time.Minute):
			t.Fatal("the new process has not got all shards after 1 min")
		}
	}
	if took := time.Since(start); took > sessionTimeout/2 {
		t.Errorf("ready after %v; want no wait for the session timeout of the killed process", took)
	}
	timeout := time.After(time.Minute)
	for missing := 0; missing <= stored; {
		if w.count(command(missing).ID) > 0 {
			missing++
			continue
		}
		select {
		case <-w.handled:
		case <-timeout:
			t.Fatalf("command %d of %d is missing after 1 min", missing, stored)
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// Opening a locked folder names the process that holds it.
func TestOpen_inUse(t *testing.T) {
	dir := t.TempDir()
	d, err := embedded.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	_, err = embedded.Open(dir)
	if !errors.Is(err, embedded.ErrInUse) || !strings.Contains(err.Error(), strconv.Itoa(os.Getpid())) || !strings.Contains(err.Error(), dir) {
		t.Errorf("second Open = %v; want ErrInUse with process %d", err, os.Getpid())
	}
	d.Close()
	if d, err = embedded.Open(dir); err != nil {
		t.Fatalf("Open after Close = %v; want nil", err)
	}
	d.Close()
}

func TestKafka_loopback(t *testing.T) {
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
		t.Errorf("Kafka = %s; want an address on the loopback interface", addr)
	}
}
