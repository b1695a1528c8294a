package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
)

// Settings of the measurement of shares.
const (
	shareProducts = 10_000          // products in the catalogue
	hammerClients = 64              // clients that send one kind of request
	hammerTime    = 6 * time.Second // time for the reads of the hot product
	otherTime     = 3 * time.Second // time after hammerTime for a few requests of all other kinds
	hotInterval   = 5 * time.Millisecond
	otherInterval = 100 * time.Millisecond // pause between two requests of each other kind
)

// shares measures how long a GET of a hot product takes while many clients send one kind
// of request, relative to an idle catalogue, and how many requests of other kinds are
// refused meanwhile. The many clients have a process of the lowest priority, as if they had
// a machine of their own: they get the CPU time that the catalogue leaves.
func (b *bench) shares() error {
	s, err := b.start(filepath.Join(b.dir, "shares"), "-demo", fmt.Sprint(shareProducts))
	if err != nil {
		return err
	}
	defer s.kill()
	if _, _, err := s.demo(shareProducts); err != nil {
		return err
	}
	paths, err := s.createProducts(1000)
	if err != nil {
		return err
	}
	if err := errors.Join(waitFor(s.url+paths[len(paths)-1]), s.waitIdle()); err != nil {
		return err
	}
	kinds, disconnect, err := s.kinds(paths)
	if err != nil {
		return err
	}
	defer func() { _ = disconnect() }()
	idle, err := s.pacedReads(paths[0])
	if err != nil {
		return err
	}
	idle99 := ms(idle, 99)
	fmt.Fprintf(os.Stderr, "GET of a hot product, idle: p50 %.3g ms, p99 %.3g ms\n", ms(idle, 50), idle99)
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		others := maps.Clone(kinds)
		delete(others, kind)
		stop, err := s.startHammer(kind, paths)
		if err != nil {
			return err
		}
		hot, err := s.pacedReads(paths[0])
		refused, otherErr := refusals(others)
		if err := errors.Join(err, otherErr, stop()); err != nil {
			return fmt.Errorf("%s: %w", kind, err)
		}
		fmt.Fprintf(os.Stderr, "GET of a hot product, %d clients send %s: p50 %.3g ms, p99 %.3g ms; refused: %v\n", hammerClients, kind, ms(hot, 50), ms(hot, 99), refused)
		b.atMost(fmt.Sprintf("p99 of a hot GET while %d clients send %s, relative to idle", hammerClients, kind), ms(hot, 99)/idle99, 3, "")
		total := 0
		for _, n := range refused {
			total += n
		}
		b.atMost("requests of other kinds refused meanwhile", float64(total), 0, "")
		if err := s.waitIdle(); err != nil {
			return err
		}
	}
	return s.stop()
}

// startHammer starts a process with hammerClients clients that send requests of the kind,
// until stop.
func (s *server) startHammer(kind string, paths []string) (stop func() error, err error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := exec.Command("chrt", "--idle", "0", self, "-hammer", kind, "-address", s.url, "-reader", s.grpc)
	c.Stderr = os.Stderr
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
	return func() error {
		_ = in.Close()
		return c.Wait()
	}, nil
}

// hammer reads the paths of products, up to an empty line, and sends requests of the kind
// until the standard input ends.
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
	send := kinds[kind]
	if send == nil {
		return fmt.Errorf("there is no kind %q", kind)
	}
	var (
		clients errgroup.Group
		ended   atomic.Bool
	)
	for i := range hammerClients {
		clients.Go(func() error {
			for n := i; !ended.Load(); n += hammerClients {
				if _, err := send(n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	in.Scan() // until the end
	ended.Store(true)
	return clients.Wait()
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
		if err != nil {
			return false, err
		}
		defer w.Body.Close()
		if _, err := io.Copy(io.Discard, io.LimitReader(w.Body, 4<<20)); err != nil {
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

// pacedReads reads a product on one connection for hammerTime.
func (s *server) pacedReads(path string) (took []time.Duration, err error) {
	request := fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, s.address())
	ticks := time.NewTicker(hotInterval)
	defer ticks.Stop()
	err = onConnections(s.address(), 1, func(_ int, c *connection) error {
		for end := time.Now().Add(hammerTime); time.Now().Before(end); <-ticks.C {
			since := time.Now()
			if _, err := c.send(request, http.StatusOK); err != nil {
				return err
			}
			took = append(took, time.Since(since))
		}
		return nil
	})
	return took, err
}
