package kafka

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"catalog/eventlog"
)

// recorder is a consumer that records its calls and checks their order. Without
// begin and handle it starts each shard at 0 and accepts every record.
type recorder[T any] struct {
	begin  func(ctx context.Context, shard int32) (int64, error)
	handle func(ctx context.Context, r eventlog.Records[T]) error

	mu         sync.Mutex
	changed    chan struct{} // closed and replaced at each change
	calls      []string      // "begin 1", "handle 1 0-3", "end 1"
	active     map[int32]bool
	batches    []int // items per batch
	items      map[int32][]T
	next       map[int32]int64
	violations []string
}

func newRecorder[T any]() *recorder[T] {
	return &recorder[T]{changed: make(chan struct{}), active: map[int32]bool{}, items: map[int32][]T{}, next: map[int32]int64{}}
}

func (c *recorder[T]) update(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
	close(c.changed)
	c.changed = make(chan struct{})
}

func (c *recorder[T]) Begin(ctx context.Context, shard int32) (offset int64, err error) {
	if c.begin != nil {
		offset, err = c.begin(ctx, shard)
	}
	c.update(func() {
		c.calls = append(c.calls, fmt.Sprintf("begin %d", shard))
		if err != nil {
			return
		}
		if c.active[shard] {
			c.violations = append(c.violations, fmt.Sprintf("second Begin of shard %d without End", shard))
		}
		c.active[shard], c.next[shard] = true, offset
	})
	return offset, err
}

func (c *recorder[T]) Handle(ctx context.Context, r eventlog.Records[T]) (err error) {
	if c.handle != nil {
		err = c.handle(ctx, r)
	}
	c.update(func() {
		c.calls = append(c.calls, fmt.Sprintf("handle %d %d-%d", r.Shard, r.From, r.To))
		if !c.active[r.Shard] || r.From != c.next[r.Shard] || r.To <= r.From {
			c.violations = append(c.violations, fmt.Sprintf("Handle of shard %d [%d,%d), active %v; want it to start at %d", r.Shard, r.From, r.To, c.active[r.Shard], c.next[r.Shard]))
		}
		if err != nil {
			return
		}
		c.next[r.Shard] = r.To
		c.batches = append(c.batches, len(r.Items))
		c.items[r.Shard] = append(c.items[r.Shard], r.Items...)
	})
	return err
}

func (c *recorder[T]) End(shard int32) {
	c.update(func() {
		c.calls = append(c.calls, fmt.Sprintf("end %d", shard))
		if !c.active[shard] {
			c.violations = append(c.violations, fmt.Sprintf("End of shard %d without Begin", shard))
		}
		c.active[shard] = false
	})
}

// wait waits until condition holds. condition may read the fields of c.
func (c *recorder[T]) wait(t *testing.T, what string, condition func() bool) {
	t.Helper()
	timeout := time.After(waitLimit)
	for {
		c.mu.Lock()
		ok, changed := condition(), c.changed
		c.mu.Unlock()
		if ok {
			return
		}
		select {
		case <-changed:
		case <-timeout:
			c.mu.Lock()
			defer c.mu.Unlock()
			t.Fatalf("waited %v for: %s; last calls: %v", waitLimit, what, c.calls[max(0, len(c.calls)-20):])
		}
	}
}

// total returns the number of items. The caller holds c.mu, as in wait.
func (c *recorder[T]) total() (n int) {
	for _, items := range c.items {
		n += len(items)
	}
	return n
}

// activeShards returns the number of shards between Begin and End. The caller
// holds c.mu.
func (c *recorder[T]) activeShards() (n int) {
	for _, active := range c.active {
		if active {
			n++
		}
	}
	return n
}

// count returns the number of calls with the prefix. The caller holds c.mu.
func (c *recorder[T]) count(prefix string) (n int) {
	for _, call := range c.calls {
		if strings.HasPrefix(call, prefix) {
			n++
		}
	}
	return n
}

// handled returns the calls of Handle.
func (c *recorder[T]) handled() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(c.calls), func(s string) bool { return !strings.HasPrefix(s, "handle") })
}

// check fails the test when calls came in a wrong order or a shard has no End.
func (c *recorder[T]) check(t *testing.T) {
	t.Helper()
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, v := range c.violations {
		t.Error(v)
	}
	for shard, active := range c.active {
		if active {
			t.Errorf("no End of shard %d", shard)
		}
	}
}

// start runs consume until stop is called or the test ends, and checks the
// calls.
func start[T any](t *testing.T, c *recorder[T], consume func(context.Context, eventlog.Consumer[T]) error) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- consume(ctx, c) }()
	stop = sync.OnceFunc(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(waitLimit):
			t.Errorf("consumer did not stop within %v", waitLimit)
		}
		c.check(t)
	})
	t.Cleanup(stop)
	return stop
}
