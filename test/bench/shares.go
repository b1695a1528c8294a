package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
)

// Settings of the measurement of shares.
const (
	shareProducts = 10_000          // products in the catalogue
	hammerClients = 64              // clients that send one kind of request
	idleTime      = 3 * time.Second // time for the reads of the hot product before each kind
	hammerTime    = 6 * time.Second // time for the reads of the hot product beside a kind
	otherTime     = 3 * time.Second // time after hammerTime for a few requests of all other kinds
	hotInterval   = 5 * time.Millisecond
	otherInterval = 100 * time.Millisecond // pause between two requests of each other kind
)

// computing is the kind of a hammer that sends nothing and only computes. It is what the
// others are compared with, since it costs what clients cost by sharing the CPUs.
const computing = "nothing-and-compute"

// shares measures how long a GET of a hot product takes while many clients send one kind
// of request, relative to clients that send nothing, and how many requests of other kinds
// are refused meanwhile: of catalog up, and of three services on real engines. The many clients
// have a process of the lowest priority, as if they had a machine of their own: they get the
// CPU time that the catalogue leaves.
func (b *bench) shares() error {
	up, err := b.start(filepath.Join(b.dir, "shares"))
	if err != nil {
		return err
	}
	defer up.kill()
	if err := errors.Join(b.sharesOf("catalog up", up), up.stop()); err != nil {
		return err
	}
	ctx := context.Background()
	e, err := realEngines(ctx)
	if err != nil {
		return err
	}
	services, err := b.startServices(e, 0)
	if err != nil {
		return errors.Join(err, e.drop(ctx))
	}
	defer services.kill()
	return errors.Join(b.sharesOf("three services", services), services.stop(), e.drop(ctx))
}

func (b *bench) sharesOf(system string, s *server) error {
	paths, err := s.createProducts(shareProducts)
	if err != nil {
		return err
	}
	paths = paths[:1000]
	if err := errors.Join(waitFor(s.url+paths[len(paths)-1]), s.waitIdle()); err != nil {
		return err
	}
	kinds, disconnect, err := s.kinds(paths)
	if err != nil {
		return err
	}
	defer func() { _ = disconnect() }()
	var idle []time.Duration
	beside := map[string]float64{} // p99 by kind
	for _, kind := range append([]string{computing}, slices.Sorted(maps.Keys(kinds))...) {
		if kind != computing && b.kinds != "" && !slices.Contains(strings.Split(b.kinds, ","), kind) {
			continue
		}
		before, err := s.pacedReads(paths[0], idleTime)
		if err != nil {
			return err
		}
		idle = append(idle, before...)
		others := maps.Clone(kinds)
		delete(others, kind)
		stop, err := s.startHammer(kind, paths)
		if err != nil {
			return err
		}
		hot, err := s.pacedReads(paths[0], hammerTime)
		var refused map[string]int
		if err == nil && kind != computing {
			refused, err = refusals(others)
		}
		rate, stopErr := stop()
		if err := errors.Join(err, stopErr); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		beside[kind] = ms(hot, 99)
		fmt.Fprintf(os.Stderr, "%s, GET of a hot product: idle p50 %.3g ms, p99 %.3g ms; while %d clients send %s (%.3g/s): p50 %.3g ms, p99 %.3g ms; refused: %v\n",
			system, ms(before, 50), ms(before, 99), hammerClients, kind, rate, ms(hot, 50), ms(hot, 99), refused)
		total := 0
		for _, n := range refused {
			total += n
		}
		b.atMost("requests of other kinds refused meanwhile", float64(total), 0, "")
		b.note(fmt.Sprintf("%s, requests of %d clients: %s", system, hammerClients, kind), rate, "/s")
		if err := s.waitIdle(); err != nil {
			return err
		}
	}
	b.note(system+", p99 of a hot GET, idle", ms(idle, 99), "ms")
	b.note(system+", p99 of a hot GET beside clients that send nothing", beside[computing], "ms")
	for _, kind := range slices.Sorted(maps.Keys(beside)) {
		if kind == computing {
			continue
		}
		b.atMost(fmt.Sprintf("%s, p99 of a hot GET while %d clients send %s, relative to clients that send nothing", system, hammerClients, kind), beside[kind]/beside[computing], 3, "")
	}
	return nil
}

// startHammer starts a process with hammerClients clients that send requests of the kind,
// until stop, which returns the number of responses a second.
func (s *server) startHammer(kind string, paths []string) (stop func() (float64, error), err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command("chrt", "--idle", "0", self, "-hammer", kind, "-address", s.url, "-reader", s.grpc)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, os.Stderr
	in, err := c.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := c.Start(); err != nil {
		return nil, err
	}
	if _, err := fmt.Fprintf(in, "%s\n\n", strings.Join(paths, "\n")); err != nil {
		return nil, err
	}
	return func() (rate float64, err error) {
		_ = in.Close()
		if err := c.Wait(); err != nil {
			return 0, err
		}
		_, err = fmt.Sscan(out.String(), &rate)
		return rate, err
	}, nil
}

// hammer reads the paths of products, up to an empty line, and sends requests of the kind
// until the standard input ends. Then it prints the number of responses a second.
func hammer(kind, url, reader string) error {
	var paths []string
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() && in.Text() != "" {
		paths = append(paths, in.Text())
	}
	s := &server{url: url, grpc: reader}
	kinds, disconnect, err := s.kinds(paths)
	if err != nil {
		return err
	}
	defer func() { _ = disconnect() }()
	kinds[computing] = func(int) (bool, error) { return false, nil }
	send := kinds[kind]
	if send == nil {
		return fmt.Errorf("there is no kind %q", kind)
	}
	clients, failed := errgroup.WithContext(context.Background())
	var sent atomic.Int64
	since := time.Now()
	for i := range hammerClients {
		clients.Go(func() error {
			for n := i; ; n += hammerClients {
				if _, err := send(n); err != nil {
					return err
				}
				sent.Add(1)
			}
		})
	}
	in.Scan() // until the end; requests in progress end with the process
	fmt.Println(float64(sent.Load()) / time.Since(since).Seconds())
	return context.Cause(failed)
}

// request sends one request of a kind, and reports whether it was refused because of
// load.
type request func(n int) (refused bool, err error)

// kinds returns a request of each kind, by name, and the function that ends the
// connection of those over gRPC.
func (s *server) kinds(paths []string) (kinds map[string]request, disconnect func() error, err error) {
	conn, err := rpc.Dial(s.grpc, prometheus.NewRegistry())
	if err != nil {
		return nil, nil, err
	}
	reader := catalogv1.NewReaderServiceClient(conn)
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 2 * hammerClients}}
	do := func(method, path, body string, headers ...string) (bool, error) {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, method, s.url+path, strings.NewReader(body))
		if err != nil {
			return false, err
		}
		for i := 0; i < len(headers); i += 2 {
			r.Header.Set(headers[i], headers[i+1])
		}
		w, err := client.Do(r)
		if err == nil {
			defer w.Body.Close()
			_, err = io.Copy(io.Discard, io.LimitReader(w.Body, 4<<20))
		}
		switch {
		case ctx.Err() != nil: // no better than a refusal
			return true, nil
		case err != nil:
			return false, err
		}
		return w.StatusCode == http.StatusTooManyRequests || w.StatusCode >= 500, nil
	}
	var rows strings.Builder
	for i := range 500 {
		fmt.Fprintf(&rows, "{\"sku\":\"IMPORT-%d\",\"name\":\"Imported %d\",\"price\":{\"amount\":\"%%d\",\"currency\":\"EUR\"}}\n", i, i)
	}
	words := []string{"ta", "cha", "so", "la", "be", "wood", "oak", "blue"}
	return map[string]request{
		"single reads": func(n int) (bool, error) { return do("GET", paths[1+n%(len(paths)-1)], "") },
		"searches": func(n int) (bool, error) {
			return do("GET", "/api/v1/products?facets=true&highlight=true&limit=100&q="+words[n%len(words)], "")
		},
		"suggestions": func(n int) (bool, error) { return do("GET", "/api/v1/suggest?limit=20&q="+words[n%len(words)], "") },
		"histories":   func(n int) (bool, error) { return do("GET", paths[n%len(paths)]+"/history", "") },
		"writes": func(n int) (bool, error) {
			return do("PATCH", paths[1+n%(len(paths)-1)], fmt.Sprintf(`{"description":"%d"}`, n), "Content-Type", "application/json")
		},
		"imports": func(n int) (bool, error) {
			return do("POST", "/api/v1/imports", strings.ReplaceAll(rows.String(), "%d", fmt.Sprint(n%1000)), "Content-Type", "application/x-ndjson")
		},
		"change streams": func(int) (bool, error) { return readStream(s.url) },
		"verifications": func(int) (bool, error) {
			ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
			defer cancel()
			stream, err := reader.Verify(ctx, &catalogv1.VerifyRequest{})
			for err == nil {
				_, err = stream.Recv()
			}
			code := status.Code(err)
			return code == codes.ResourceExhausted || code == codes.Unavailable || code == codes.DeadlineExceeded, nil
		},
	}, conn.Close, nil
}

// readStream follows changes from the first one on, and leaves after a while.
func readStream(url string) (refused bool, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/changes", nil)
	if err != nil {
		return false, err
	}
	r.Header.Set("Last-Event-ID", "0")
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return false, nil //nolint:nilerr // the second is over
	}
	defer w.Body.Close()
	_, _ = io.CopyN(io.Discard, w.Body, 4<<20) // ends with the second, too
	return w.StatusCode != http.StatusOK, nil
}

// refusals sends a few requests of each kind for otherTime, and returns how many were
// refused.
func refusals(kinds map[string]request) (refused map[string]int, err error) {
	var (
		all sync.WaitGroup
		mu  sync.Mutex // guards refused and err
		end = time.Now().Add(otherTime)
	)
	refused = map[string]int{}
	for kind, send := range kinds {
		all.Go(func() {
			ticks := time.NewTicker(otherInterval)
			defer ticks.Stop()
			for n := 0; time.Now().Before(end); n++ {
				no, sendErr := send(n)
				mu.Lock()
				if err = errors.Join(err, sendErr); no {
					refused[kind]++
				}
				mu.Unlock()
				<-ticks.C
			}
		})
	}
	all.Wait()
	return refused, err
}

// pacedReads reads a product on one connection for the time d. Its thread takes precedence
// over all others, as if the client had a machine of its own: it waits for the catalogue, and
// not for a CPU.
func (s *server) pacedReads(path string, d time.Duration) (took []time.Duration, err error) {
	conn, err := net.Dial("tcp", s.address())
	if err != nil {
		return nil, err
	}
	defer conn.Close()
	file, err := conn.(*net.TCPConn).File() // reads and writes of it block the thread
	if err != nil {
		return nil, err
	}
	defer file.Close()
	fd := int(file.Fd())
	if err := syscall.SetNonblock(fd, false); err != nil {
		return nil, err
	}
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // and end the thread with the goroutine
		policy := unix.SchedAttr{Size: unix.SizeofSchedAttr, Policy: unix.SCHED_FIFO, Priority: 1}
		if err := unix.SchedSetAttr(0, &policy, 0); err != nil {
			fmt.Fprintln(os.Stderr, "the thread of the client has no precedence:", err)
		}
		took, err = blockingReads(fd, fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, s.address()), d)
		done <- err
	}()
	if err := <-done; err != nil {
		return nil, err
	}
	return took, nil
}

// blockingReads sends the request every hotInterval for the time d, and returns how long the
// responses took. A response must arrive as a whole.
func blockingReads(fd int, request []byte, d time.Duration) (took []time.Duration, err error) {
	response := make([]byte, 64<<10)
	pause := unix.NsecToTimespec(hotInterval.Nanoseconds())
	for end := time.Now().Add(d); time.Now().Before(end); {
		since := time.Now()
		if _, err := unix.Write(fd, request); err != nil {
			return nil, err
		}
		n, err := unix.Read(fd, response)
		if err != nil {
			return nil, err
		}
		took = append(took, time.Since(since))
		if !bytes.HasPrefix(response[:n], []byte("HTTP/1.1 200")) {
			return nil, fmt.Errorf("response %q", response[:min(n, 100)])
		}
		_ = unix.Nanosleep(&pause, nil)
	}
	return took, nil
}
