package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	catalogv1 "catalog/api/catalog/v1"
)

// change is an event of the change feed.
type change struct {
	id, kind  string
	ProductID string `json:"productId"`
	Version   int64
}

// followHTTP follows the changes after an id until the stream ends or handle
// returns false. It returns the last id.
func followHTTP(ctx context.Context, url, query, after string, handle func(change) bool) (last string) {
	last = after
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/v1/changes"+query, nil)
	if err != nil {
		return last
	}
	if after != "" {
		r.Header.Set("Last-Event-ID", after)
	}
	w, err := http.DefaultClient.Do(r)
	if err != nil {
		return last
	}
	defer w.Body.Close()
	if w.StatusCode != http.StatusOK {
		return last
	}
	lines := bufio.NewReader(w.Body)
	for c := (change{}); ; {
		line, err := lines.ReadString('\n')
		if err != nil {
			return last
		}
		field, value, _ := strings.Cut(strings.TrimSpace(line), ": ")
		switch field {
		case "id":
			c.id = value
		case "event":
			c.kind = value
		case "data":
			if json.Unmarshal([]byte(value), &c) != nil {
				return last
			}
		case "":
			if c.ProductID != "" && !handle(c) {
				return last
			}
			last, c = c.id, change{}
		}
	}
}

// followGRPC is followHTTP by gRPC, from a reader.
func followGRPC(ctx context.Context, address, after string, handle func(change) bool) (last string) {
	last = after
	conn, err := grpc.NewClient(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return last
	}
	defer conn.Close()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := catalogv1.NewReaderServiceClient(conn).WatchChanges(ctx, &catalogv1.WatchChangesRequest{After: after})
	if err != nil {
		return last
	}
	for {
		m, err := stream.Recv()
		if err != nil {
			return last
		}
		if p := m.GetEvent().GetProduct(); p != nil && !handle(change{ProductID: uuid.UUID(p.GetId()).String(), Version: p.GetVersion()}) {
			return last
		}
		last = m.GetId()
	}
}

// follower follows changes as followHTTP and followGRPC do.
type follower func(ctx context.Context, after string, handle func(change) bool) (last string)

// followAll follows changes, with the next follower whenever a stream ends, until
// it has received every version of every product. It fails the test when a version
// comes twice or out of order, and returns the number of streams that ended.
func followAll(ctx context.Context, t *testing.T, products int, versions int64, followers ...follower) (ends int) {
	last := "0"
	seen := map[string]int64{}
	complete := 0
	for ; complete < products && ctx.Err() == nil; ends++ {
		last = followers[ends%len(followers)](ctx, last, func(c change) bool {
			if v := seen[c.ProductID]; c.Version != v+1 {
				t.Errorf("version %d of product %s follows version %d", c.Version, c.ProductID, v)
			}
			if seen[c.ProductID] = c.Version; c.Version == versions {
				complete++
			}
			return complete < products
		})
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
		}
	}
	if complete < products {
		t.Errorf("%d of %d products are complete", complete, products)
	}
	return ends
}

// writeAll writes that many versions of that many products, at each URL in turn.
// It sends to settled after each version.
func writeAll(ctx context.Context, t *testing.T, products, versions int, settled chan<- struct{}, urls ...string) {
	var writing sync.WaitGroup
	for p := range products {
		writing.Go(func() {
			for v := 1; v <= versions; v++ {
				for try := 0; ; try++ { // until it is settled; a repeat has the same key
					r, err := http.NewRequestWithContext(ctx, http.MethodPut, fmt.Sprintf("%s/api/v1/products/0198a3c4-6f1e-7a52-9d0b-5c2e8f7a%04x", urls[(p+v+try)%len(urls)], p),
						strings.NewReader(fmt.Sprintf(`{"name":"v%d","price":{"amount":"1","currency":"EUR"}}`, v)))
					if err != nil {
						t.Error(err)
						return
					}
					r.Header.Set("Content-Type", "application/json")
					r.Header.Set("Idempotency-Key", fmt.Sprint(v))
					r.Header.Set("Prefer", "wait=10")
					if w, err := http.DefaultClient.Do(r); err == nil {
						w.Body.Close()
						if w.StatusCode/100 == 2 && w.StatusCode != http.StatusAccepted {
							break
						}
					}
					select {
					case <-time.After(20 * time.Millisecond):
					case <-ctx.Done():
						return
					}
				}
				settled <- struct{}{}
			}
		})
	}
	writing.Wait()
}

// TestChanges_kill kills and restarts the process while clients write and others
// follow changes. The followers resume from their last id and miss nothing.
func TestChanges_kill(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	const products, versions, kills = 20, 30, 3
	ctx, stop := context.WithTimeout(t.Context(), 5*time.Minute)
	defer stop()
	var busy sync.WaitGroup
	var ends, ended int // number of streams that ended
	busy.Go(func() {
		ends = followAll(ctx, t, products, versions, func(ctx context.Context, after string, handle func(change) bool) string {
			return followHTTP(ctx, s.api, "", after, handle)
		})
	})
	busy.Go(func() {
		ended = followAll(ctx, t, products, versions, func(ctx context.Context, after string, handle func(change) bool) string {
			return followGRPC(ctx, s.grpc, after, handle)
		})
	})
	settled := make(chan struct{}, products*versions)
	busy.Go(func() { writeAll(ctx, t, products, versions, settled, s.api) })
	for range kills {
		for range products * versions / (kills + 1) {
			select {
			case <-settled:
			case <-ctx.Done():
			}
		}
		s.stop(syscall.SIGKILL)
		s.start()
	}
	busy.Wait()
	if ends < kills || ended < kills {
		t.Errorf("void: streams ended only %d and %d times", ends, ended)
	}
}

func TestChanges_shutdown(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	ended := make(chan string, 1)
	received := make(chan struct{}, 10)
	go func() {
		ended <- followHTTP(t.Context(), s.api, "", "0", func(change) bool { received <- struct{}{}; return true })
	}()
	s.create(chair)
	<-received
	since := time.Now()
	if err := s.stop(syscall.SIGTERM); err != nil {
		t.Errorf("catalog up exited with %v", err)
	}
	if took := time.Since(since); took > 30*time.Second {
		t.Errorf("catalog up exited only after %v", took)
	}
	if last := <-ended; last == "0" {
		t.Error("the stream had no id to resume from")
	}
}

func TestChanges_commandLine(t *testing.T) {
	t.Parallel()
	s := up(t, dataDir(t))
	a, _ := s.create(chair)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	c := exec.CommandContext(ctx, program, "product", "watch", "-server", s.api, "-after", "0", "-category", "Furniture")
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	for _, want := range []string{"created  " + a + "  version 1  Folding chair  149.90 EUR", "deleted  " + a + "  version 2"} {
		if !lines.Scan() || !strings.Contains(lines.Text(), want) {
			t.Fatalf("line = %q; want %q", lines.Text(), want)
		}
		if want[0] == 'c' {
			s.must(http.StatusNoContent, "DELETE", "/api/v1/products/"+a, "")
		}
	}
	_ = c.Process.Signal(syscall.SIGINT)
	if err := c.Wait(); err != nil {
		t.Errorf("watch exited with %v", err)
	}
}
