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
)

// change is what a stream of changes says.
type change struct {
	id, kind  string
	ProductID string `json:"productId"`
	Version   int64
}

// changes follows the changes of a server behind an id until the stream ends or
// handle wants no more. It answers the last id.
func changes(ctx context.Context, url, query, after string, handle func(change) bool) (last string) {
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

// Clients write while the process is killed and started again, and while the
// one that follows is cut off. It goes on from its last id and misses nothing.
func TestWhoFollowsChangesMissesNothingWhenTheProcessIsKilled(t *testing.T) {
	t.Parallel()
	s := up(t, data(t))
	const products, versions, kills = 20, 30, 3
	id := func(p int) string { return fmt.Sprintf("0198a3c4-6f1e-7a52-9d0b-5c2e8f7a%04x", p) }

	ctx, stop := context.WithTimeout(t.Context(), 3*time.Minute)
	defer stop()
	var followed, writing sync.WaitGroup
	var ends int // of streams
	followed.Go(func() {
		last := "0"
		seen := map[string]int64{}
		complete := 0
		for ; complete < products && ctx.Err() == nil; ends++ {
			last = changes(ctx, s.api, "", last, func(c change) bool {
				switch v := seen[c.ProductID]; {
				case c.Version > v+1:
					t.Errorf("version %d of product %s comes behind %d", c.Version, c.ProductID, v)
				case c.Version == v+1:
					if seen[c.ProductID] = c.Version; c.Version == versions {
						complete++
					}
				}
				return complete < products
			})
			select {
			case <-time.After(20 * time.Millisecond):
			case <-ctx.Done():
			}
		}
		if complete < products {
			t.Errorf("%d products of %d have come in all their versions", complete, products)
		}
	})
	settled := make(chan struct{}, products*versions)
	for p := range products {
		writing.Go(func() {
			for v := 1; v <= versions; v++ {
				for { // until it is known to be done; a repeat has the same key
					r, err := http.NewRequestWithContext(ctx, http.MethodPut, s.api+"/api/v1/products/"+id(p),
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
	for range kills {
		for range products * versions / (kills + 1) {
			select {
			case <-settled:
			case <-ctx.Done():
			}
		}
		s.kill(syscall.SIGKILL)
		s.start()
	}
	writing.Wait()
	followed.Wait()
	if ends < kills {
		t.Errorf("void: the stream has ended %d times only", ends)
	}
}

func TestWhoFollowsChangesDoesNotKeepAProcessFromStopping(t *testing.T) {
	t.Parallel()
	s := up(t, data(t))
	ended := make(chan string, 1)
	heard := make(chan struct{}, 10)
	go func() {
		ended <- changes(t.Context(), s.api, "", "0", func(change) bool { heard <- struct{}{}; return true })
	}()
	s.create(chair)
	<-heard
	since := time.Now()
	if err := s.kill(syscall.SIGTERM); err != nil {
		t.Errorf("it stopped with %v", err)
	}
	if took := time.Since(since); took > 10*time.Second {
		t.Errorf("it took %v to stop", took)
	}
	if last := <-ended; last == "0" {
		t.Error("there is no id to go on from")
	}
}

func TestTheCommandLineFollowsChanges(t *testing.T) {
	t.Parallel()
	s := up(t, data(t))
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
			t.Fatalf("it says %q, want %q", lines.Text(), want)
		}
		if want[0] == 'c' {
			s.must(http.StatusNoContent, "DELETE", "/api/v1/products/"+a, "")
		}
	}
	_ = c.Process.Signal(syscall.SIGINT)
	if err := c.Wait(); err != nil {
		t.Errorf("it ended with %v", err)
	}
}
