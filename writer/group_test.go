package writer_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"catalog"
	"catalog/engine/sqlite"
	"catalog/eventlog"
	"catalog/writer"
)

const groupShards = 8

// gateStore is a store whose transactions wait until the test lets them pass.
type gateStore struct {
	writer.Store
	gate   chan struct{}                                   // each transaction takes an element
	fail   func(g eventlog.Group) (commit bool, err error) // an error is the outcome of the transaction
	mu     sync.Mutex
	groups []string // shards of each transaction, in the order of their begin
}

func (s *gateStore) Settle(ctx context.Context, g eventlog.Group, now time.Time) ([]eventlog.Settled, error) {
	var shards []int32
	for _, b := range g {
		shards = append(shards, b.Shard)
	}
	s.mu.Lock()
	s.groups = append(s.groups, fmt.Sprint(shards))
	s.mu.Unlock()
	<-s.gate
	if s.fail != nil {
		if commit, err := s.fail(g); err != nil {
			if commit {
				if _, err := s.Store.Settle(ctx, g, now); err != nil {
					return nil, err
				}
			}
			return nil, err
		}
	}
	return s.Store.Settle(ctx, g, now)
}

// begun returns the groups of the transactions that have begun.
func (s *gateStore) begun() []string {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.groups)
}

// shardsLog is a fakeLog of several shards.
type shardsLog struct{ *fakeLog }

func (l shardsLog) LastSeq(_ context.Context, shard int32, _ int64) (last int64, _ error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.Shard == shard {
			last = e.Seq
		}
	}
	return last, nil
}

// groupTest is a writer of all shards on a gateStore.
type groupTest struct {
	*testing.T
	store  *gateStore
	log    shardsLog
	writer *writer.Writer
	ctx    [groupShards]context.Context
	cancel [groupShards]func()
	ended  [groupShards]chan error // outcomes of Handle
}

// runGroups runs f in a bubble of its own.
func runGroups(t *testing.T, name string, f func(t *groupTest)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "catalog.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			g := &groupTest{T: t, store: &gateStore{Store: sqlite.NewStore(db), gate: make(chan struct{}, 100)}}
			if err := g.store.InitShards(t.Context(), groupShards); err != nil {
				t.Fatal(err)
			}
			g.log = shardsLog{&fakeLog{t: t, store: g.store}}
			g.writer = writerOn(g.store, g.log)
			for i := range g.ended {
				g.ctx[i], g.cancel[i] = context.WithCancel(t.Context())
				defer g.cancel[i]()
				g.ended[i] = make(chan error, 1)
				if _, err := g.writer.Begin(t.Context(), int32(i)); err != nil {
					t.Fatal(err)
				}
			}
			f(g)
		})
	})
}

// commandsOf returns the first n records of the shard.
func commandsOf(shard, n int) eventlog.Records[catalog.Command] {
	r := eventlog.Records[catalog.Command]{Shard: int32(shard), To: int64(n)}
	for i := range n {
		c := product(shard*1_000 + i)
		r.Items, r.Offsets = append(r.Items, c), append(r.Offsets, int64(i))
	}
	return r
}

// handle calls Handle in the background, and returns when it waits.
func (t *groupTest) handle(r eventlog.Records[catalog.Command]) {
	go func() { t.ended[r.Shard] <- t.writer.Handle(t.ctx[r.Shard], r) }()
	synctest.Wait()
}

// fill begins transactions of single shards, from 0 on, until a batch waits for its
// group. It returns that shard.
func (t *groupTest) fill() int {
	for i := range groupShards {
		t.handle(commandsOf(i, 1))
		if len(t.store.begun()) == i {
			if i == 0 || i > groupShards-4 {
				t.Fatalf("%d transactions begin at once; the test needs at least 1 and 4 more shards", i)
			}
			return i
		}
	}
	t.Fatal("no batch waits for its group")
	return 0
}

// pass lets n transactions pass.
func (t *groupTest) pass(n int) {
	for range n {
		t.store.gate <- struct{}{}
	}
}

// want checks the outcomes of Handle: errs by shard, and nil of the others.
func (t *groupTest) want(from, to int, errs map[int]error) {
	t.Helper()
	for i := from; i < to; i++ {
		if err := <-t.ended[i]; !errors.Is(err, errs[i]) {
			t.Errorf("shard %d: Handle = %v; want %v", i, err, errs[i])
		}
	}
}

// wantPublished checks that each of the shards has one published event, except some.
func (t *groupTest) wantPublished(from, to int, except ...int) {
	t.Helper()
	n := map[int]int{}
	for _, e := range t.log.events {
		n[int(e.Shard)]++
	}
	for i := from; i < to; i++ {
		want := 1
		if slices.Contains(except, i) {
			want = 0
		}
		if n[i] != want {
			t.Errorf("shard %d has %d published events; want %d", i, n[i], want)
		}
	}
}

func all(from, to int) string {
	var shards []int
	for i := from; i < to; i++ {
		shards = append(shards, i)
	}
	return fmt.Sprint(shards)
}

func TestGroups(t *testing.T) {
	const n = groupShards
	runGroups(t, "batches that arrive together are settled in one transaction", func(t *groupTest) {
		defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1)) // the shards run one after the other
		for i := range n {
			go func() { t.ended[i] <- t.writer.Handle(t.ctx[i], commandsOf(i, 1)) }()
		}
		t.pass(n)
		t.want(0, n, nil)
		if got := t.store.begun(); !strings.Contains(got[0], " ") {
			t.Errorf("transactions of shards %v; want the first one of several", got)
		}
	})
	runGroups(t, "batches that arrive while transactions run are settled in one transaction", func(t *groupTest) {
		first := t.fill()
		for i := n - 1; i > first; i-- {
			t.handle(commandsOf(i, 1))
		}
		t.pass(n)
		t.want(0, n, nil)
		if got := t.store.begun(); len(got) != first+1 || got[first] != all(first, n) {
			t.Errorf("transactions of shards %v; want the last one of the shards %s", got, all(first, n))
		}
		t.wantPublished(0, n)
	})
	runGroups(t, "a group has a limited number of commands", func(t *groupTest) {
		first := t.fill()
		for i := first + 1; i < first+4; i++ {
			t.handle(commandsOf(i, 400))
		}
		t.pass(n)
		t.want(0, first+4, nil)
		if got, want := t.store.begun()[first:], []string{all(first, first+3), all(first+3, first+4)}; !slices.Equal(got, want) {
			t.Errorf("transactions of shards %v; want %v", got, want)
		}
	})
	runGroups(t, "a group that fails is split, and each other batch is settled with its second transaction", func(t *groupTest) {
		first := t.fill()
		for i := first + 1; i < n; i++ {
			t.handle(commandsOf(i, 1))
		}
		t.store.fail = func(g eventlog.Group) (bool, error) {
			for _, b := range g {
				if b.Shard == n-2 {
					return false, errLost
				}
			}
			return false, nil
		}
		t.pass(2 * n)
		t.want(0, n, map[int]error{n - 2: errLost})
		got := t.store.begun()
		if len(got) != n+1 || got[first] != all(first, n) {
			t.Errorf("transactions of shards %v; want one of each shard, and one of the shards %s", got, all(first, n))
		}
		t.wantPublished(0, n, n-2)
	})
	runGroups(t, "a commit of a group with a lost response counts once for each shard", func(t *groupTest) {
		first := t.fill()
		for i := first + 1; i < n; i++ {
			t.handle(commandsOf(i, 1))
		}
		t.store.fail = func(g eventlog.Group) (bool, error) {
			if len(g) > 1 {
				return true, errLost
			}
			return false, nil
		}
		t.pass(2 * n)
		t.want(0, n, nil)
		if got := t.store.begun(); len(got) != first+1 {
			t.Errorf("transactions of shards %v; want no other after the one of the shards %s", got, all(first, n))
		}
		t.wantPublished(0, n)
	})
	runGroups(t, "a shard that another writer has claimed is fenced, and the others are settled with it", func(t *groupTest) {
		first := t.fill()
		if _, err := t.store.Claim(t.Context(), n-2); err != nil {
			t.Fatal(err)
		}
		for i := first + 1; i < n; i++ {
			t.handle(commandsOf(i, 1))
		}
		t.pass(2 * n)
		t.want(0, n, map[int]error{n - 2: catalog.ErrFenced})
		if got := t.store.begun(); len(got) != first+1 {
			t.Errorf("transactions of shards %v; want no other after the one of the shards %s", got, all(first, n))
		}
		t.wantPublished(0, n, n-2)
	})
	runGroups(t, "a batch that is left out of its group is settled alone", func(t *groupTest) {
		first := t.fill()
		for i := first + 1; i < n; i++ {
			r := commandsOf(i, 1)
			if i >= n-2 { // two batches, of which each fills a transaction
				r = largeRecords(4)
				r.Shard = int32(i)
				for j := range r.Items {
					r.Items[j].ID, r.Items[j].Product = id("large", i, j), id("large", i)
				}
			}
			t.handle(r)
		}
		t.pass(4 * n)
		t.want(0, n, nil)
		if got := t.store.begun(); got[first] != all(first, n) || got[first+1] == got[first] {
			t.Errorf("transactions of shards %v", got)
		}
		for i := n - 2; i < n; i++ {
			if st, err := t.store.State(t.Context(), int32(i)); err != nil || st.Offset != 5 || st.NextSeq != 6 {
				t.Errorf("State = %+v, %v; want offset 5", st, err)
			}
		}
	})
	runGroups(t, "later attempts and batches with dead letters are alone, and do not wait for a group", func(t *groupTest) {
		first := t.fill()
		again := commandsOf(first+1, 1)
		again.Attempt = 1
		t.handle(again)
		letters := commandsOf(first+2, 1)
		letters.DeadLetters, letters.To = junk(1, 1), 2
		t.handle(letters)
		if got, want := t.store.begun()[first:], []string{all(first+1, first+2), all(first+2, first+3)}; !slices.Equal(got, want) {
			t.Errorf("transactions of shards %v; want %v", got, want)
		}
		t.pass(n)
		t.want(0, first+3, nil)
	})
	runGroups(t, "a transaction that hangs holds up the other shards for a moment only", func(t *groupTest) {
		first := t.fill()
		since := time.Now()
		for len(t.store.begun()) == first {
			time.Sleep(time.Millisecond) // time in the synctest bubble
		}
		if held := time.Since(since); held > time.Second {
			t.Errorf("held up for %v; want less than the timeout of a transaction", held)
		}
		t.pass(n)
		t.want(0, first+1, nil)
	})
	runGroups(t, "a shard that is revoked does not roll back its group", func(t *groupTest) {
		first := t.fill()
		for i := first + 1; i < n; i++ {
			t.handle(commandsOf(i, 1))
		}
		t.cancel[first]() // before the transaction of its group begins
		t.want(first, first+1, map[int]error{first: context.Canceled})
		t.pass(first)
		if got := t.store.begun(); got[len(got)-1] != all(first+1, n) {
			t.Errorf("transactions of shards %v; want the last one of the shards %s", got, all(first+1, n))
		}
		t.cancel[first+1]() // and after
		t.want(first+1, first+2, map[int]error{first + 1: context.Canceled})
		t.writer.End(int32(first + 1))
		t.pass(1)
		t.want(0, first, nil)
		t.want(first+2, n, nil)
		t.wantPublished(0, n, first, first+1)
		if offset, err := t.writer.Begin(t.Context(), int32(first+1)); err != nil || offset != 1 {
			t.Errorf("Begin = %d, %v; want 1", offset, err)
		}
		t.wantPublished(0, n, first)
	})
}
