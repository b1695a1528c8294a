package reader_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/sqlite"
	"catalog/eventlog"
	"catalog/internal/wire"
	"catalog/reader"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m, goleak.IgnoreTopFunction("database/sql.(*DB).connectionOpener"))
}

var moment = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// history is n versions of one product of shard 0, as events 1 to n. Each fifth
// version is a deletion.
func history(n int) []catalog.Event {
	events := make([]catalog.Event, n)
	for i := range events {
		v := int64(i + 1)
		e := catalog.Event{
			Position: catalog.Position{Seq: v}, Outcome: catalog.Changed, Command: catalog.DerivedID(fmt.Sprint(i)), SettledAt: moment,
			Product: catalog.Product{ID: catalog.DerivedID("p"), Version: v, ProductData: catalog.ProductData{Name: fmt.Sprint(v)}, CreatedAt: moment, UpdatedAt: moment},
		}
		if v%5 == 0 {
			e.Outcome, e.Product.Deleted, e.Product.ProductData = catalog.Deleted, true, catalog.ProductData{}
		}
		events[i] = e
	}
	return events
}

// log gives what it is fed to the consumers, on the goroutine that feeds.
type log struct {
	start, end int64 // bounds of the only partition
	mu         sync.Mutex
	consumers  map[string]eventlog.Consumer[catalog.Event]
	begun      chan string
}

func (l *log) ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
	return l.ConsumeAllShards(ctx, "view", c)
}

func (l *log) ConsumeAllShards(ctx context.Context, name string, c eventlog.Consumer[catalog.Event]) error {
	if _, err := c.Begin(ctx, 0); err != nil {
		return err
	}
	l.mu.Lock()
	l.consumers[name] = c
	l.mu.Unlock()
	l.begun <- name
	<-ctx.Done()
	c.End(0)
	return nil
}

func (l *log) EventOffsets(context.Context) (starts, ends []int64, err error) {
	return []int64{l.start}, []int64{l.end}, nil
}

// journal answers the events it has.
type journal []catalog.Event

func (j journal) Next(context.Context, int32) (int64, error) {
	if len(j) == 0 {
		return 1, nil
	}
	return j[len(j)-1].Seq + 1, nil
}

func (j journal) Replay(_ context.Context, _ int32, from, to int64, handle func([]catalog.Event) error) error {
	for _, e := range j {
		if e.Seq >= from && (to == 0 || e.Seq <= to) {
			if err := handle([]catalog.Event{e}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Snapshot answers what the events make of the products.
func (j journal) Snapshot(_ context.Context, _ int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	products := slices.DeleteFunc(eventlog.LastVersions(j), func(p catalog.Product) bool { return only != nil && !slices.Contains(only, p.ID) })
	if len(j) == 0 || len(products) == 0 {
		return int64(len(j)) + 1, nil
	}
	return j[len(j)-1].Seq + 1, handle(products)
}

// broken is a journal of which a snapshot breaks off at its end.
type broken journal

func (b broken) Next(ctx context.Context, shard int32) (int64, error) {
	return journal(b).Next(ctx, shard)
}

func (b broken) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	return journal(b).Replay(ctx, shard, from, to, handle)
}

func (b broken) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	_, err := journal(b).Snapshot(ctx, shard, only, handle)
	return 0, errors.Join(err, io.ErrUnexpectedEOF)
}

// index keeps the progress and counts the products.
type index struct {
	mu       sync.Mutex
	progress []eventlog.Checkpoint
	products map[catalog.ID]catalog.Product
	endless  bool // questions are not answered
}

func (x *index) Apply(_ context.Context, products []catalog.Product, progress []eventlog.Checkpoint) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	for _, p := range products {
		x.products[p.ID] = p
	}
	x.progress = progress
	return nil
}

func (x *index) Overwrite(ctx context.Context, products []catalog.Product) error {
	return x.Apply(ctx, products, nil)
}

func (x *index) Checkpoints(context.Context) ([]eventlog.Checkpoint, error) { return nil, nil }

func (x *index) set(f func(products map[catalog.ID]catalog.Product)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	f(x.products)
}

func (x *index) Product(_ context.Context, id catalog.ID) (catalog.Product, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if p, ok := x.products[id]; ok && p.Exists() {
		return p, nil
	}
	return catalog.Product{}, catalog.ErrNotFound
}

func (x *index) Scan(_ context.Context, handle func([]catalog.Product) error) error {
	page, err := x.Search(context.Background(), catalog.Query{})
	return errors.Join(err, handle(page.Items))
}

func (x *index) Suggest(ctx context.Context, _ string, _ int) (catalog.Suggestions, error) {
	_, err := x.Search(ctx, catalog.Query{})
	return catalog.Suggestions{}, err
}

func (x *index) Search(ctx context.Context, _ catalog.Query) (catalog.Page, error) {
	if x.endless {
		<-ctx.Done()
		return catalog.Page{}, fmt.Errorf("look for it: %w", ctx.Err())
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	var page catalog.Page
	for _, p := range x.products {
		if p.Exists() {
			page.Items = append(page.Items, p)
		}
	}
	return page, nil
}

// cache is a cache for one shard, in memory, that can be away.
type cache struct {
	mu       sync.Mutex
	away     bool // Product and Fill fail; it has told nobody anything for its term
	fenced   bool
	admitted bool
	step     int // of changes: a ticket is the step at which it was given
	changing map[catalog.ID]bool
	products map[catalog.ID]catalog.Product
	onForget func()
}

var errAway = errors.New("the cache is away")

func newCache() *cache {
	return &cache{changing: map[catalog.ID]bool{}, products: map[catalog.ID]catalog.Product{}}
}

func (c *cache) Product(_ context.Context, id catalog.ID) (catalog.Product, bool, string, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p, ok := c.products[id]
	switch {
	case c.away:
		return catalog.Product{}, false, "", errAway
	case ok:
		return p, true, "", nil
	case !c.admitted || c.changing[id]:
		return p, false, "", nil
	}
	return p, false, fmt.Sprint(c.step), nil
}

func (c *cache) Products(ctx context.Context, ids []catalog.ID) (map[catalog.ID][]byte, error) {
	all := map[catalog.ID][]byte{}
	for _, id := range ids {
		p, found, _, err := c.Product(ctx, id)
		if err == nil && found && p.Version > 0 {
			all[id], err = wire.EncodeProduct(p)
		} else if found {
			all[id] = nil
		}
		if err != nil {
			return nil, err
		}
	}
	return all, nil
}

func (c *cache) Fill(_ context.Context, ticket string, p catalog.Product) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.away {
		return errAway
	}
	if ticket == fmt.Sprint(c.step) && !c.changing[p.ID] {
		c.products[p.ID] = p
	}
	return nil
}

func (c *cache) Acquire(context.Context, int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.admitted = false
	clear(c.products)
	return nil
}

func (c *cache) Invalidate(_ context.Context, _ int32, products []catalog.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fenced {
		return catalog.ErrFenced
	}
	c.step++
	for _, id := range products {
		c.changing[id] = true
		delete(c.products, id)
	}
	if c.onForget != nil {
		c.onForget()
	}
	return nil
}

func (c *cache) AllowFill(context.Context, int32) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.admitted = true
	clear(c.changing)
	return nil
}

func (c *cache) Release(int32) {}

func (c *cache) RenewLeases(ctx context.Context) { <-ctx.Done() }

func (c *cache) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

// counted counts the reads of a view.
type counted struct {
	reader.View
	reads atomic.Int64
	hold  chan struct{} // reads wait until it is closed; nil for none
	then  func()        // called once, after the first read
	once  sync.Once
}

func (c *counted) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	c.reads.Add(1)
	if c.hold != nil {
		<-c.hold
	}
	p, err := c.View.Product(ctx, id)
	if c.then != nil {
		c.once.Do(c.then)
	}
	return p, err
}

// world is a reader with what it stands on.
type world struct {
	*reader.Reader
	log   *log
	view  *counted
	cache *cache
	index *index
	reg   *prometheus.Registry
}

func view(t testing.TB) *counted {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "view.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return &counted{View: sqlite.NewView(db)}
}

func start(t testing.TB, v *counted, l *log, j journal) *world { return startOn(t, v, l, j) }

func startOn(t testing.TB, v *counted, l *log, j reader.Journal) *world {
	x := &index{products: map[catalog.ID]catalog.Product{}}
	w := startWith(t, v, x, l, j)
	w.view, w.index = v, x
	return w
}

func startWith(t testing.TB, v reader.View, x reader.Index, l *log, j reader.Journal) *world {
	l.consumers, l.begun = map[string]eventlog.Consumer[catalog.Event]{}, make(chan string, 2)
	w := &world{log: l, cache: newCache(), reg: prometheus.NewRegistry()}
	w.Reader = reader.New(v, w.cache, x, l, j, slog.New(slog.DiscardHandler), time.Now, w.reg)
	ctx, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = w.RunView(ctx) })
	wg.Go(func() { _ = w.RunIndex(ctx) })
	t.Cleanup(func() { stop(); wg.Wait() })
	<-l.begun
	<-l.begun
	return w
}

// feed gives events to view and index, as the records from an offset on.
func (w *world) feed(t interface{ Fatal(...any) }, from int64, events ...catalog.Event) {
	for _, c := range w.log.consumers {
		r := eventlog.Records[catalog.Event]{From: from, To: from + int64(len(events)), Items: events}
		if err := c.Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func (w *world) counter(t testing.TB, name, consumer string) float64 {
	t.Helper()
	families, err := w.reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			if f.GetName() == name && len(m.GetLabel()) > 0 && m.GetLabel()[0].GetValue() == consumer {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func (w *world) isAt(t testing.TB, seq, version int64) {
	t.Helper()
	p, err := w.Product(t.Context(), catalog.DerivedID("p"), catalog.Position{Seq: seq})
	if version%5 == 0 {
		if !errors.Is(err, catalog.ErrNotFound) {
			t.Fatalf("the product is at version %d, %v; want it gone", p.Version, err)
		}
		return
	}
	if err != nil || p.Version != version {
		t.Fatalf("the product is at version %d, %v; want %d", p.Version, err, version)
	}
}

func TestEvents(t *testing.T) {
	all := history(12)
	t.Run("events are applied in order, and those that come again are dropped", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		w.feed(t, 0, all[:3]...)
		w.isAt(t, 3, 3)
		w.feed(t, 3, all[1], all[2], all[3])
		w.isAt(t, 4, 4)
		if n := w.counter(t, "catalog_reader_events_dropped_total", "view"); n != 2 {
			t.Errorf("%v events were dropped, not 2", n)
		}
	})
	t.Run("an event that is missing comes from the journal", func(t *testing.T) {
		w := start(t, view(t), &log{}, all)
		w.feed(t, 0, all[0], all[3])
		w.isAt(t, 4, 4)
		if n := w.counter(t, "catalog_reader_gaps_total", "view"); n != 1 {
			t.Errorf("%v gaps were counted, not 1", n)
		}
	})
	t.Run("an event that nobody has stops the shard", func(t *testing.T) {
		w := start(t, view(t), &log{}, journal(all[:1]))
		err := w.log.consumers["view"].Handle(t.Context(), eventlog.Records[catalog.Event]{To: 1, Items: all[3:4]})
		if err == nil || !strings.Contains(err.Error(), "the journal does not have the events 2 to 3") {
			t.Fatalf("Handle = %v", err)
		}
	})
	t.Run("what the log has forgotten comes from the journal", func(t *testing.T) {
		w := start(t, view(t), &log{start: 8, end: 8}, all[:8])
		w.isAt(t, 8, 8)
		w.feed(t, 8, all[8])
		w.isAt(t, 9, 9)
	})
	t.Run("who begins with nothing and far behind begins with a snapshot", func(t *testing.T) {
		// The log has forgotten all, and the journal's events would not fit it.
		w := start(t, view(t), &log{start: 20_000, end: 20_000}, all[:8])
		w.isAt(t, 8, 8)
		if n := w.counter(t, "catalog_reader_events_applied_total", "view"); n != 0 {
			t.Errorf("%v events were applied", n)
		}
		w.feed(t, 20_000, all[8])
		w.isAt(t, 9, 9)
		if p, err := w.view.Checkpoint(t.Context(), 0); err != nil || p.Seq != 9 || p.Offset != 20_001 {
			t.Errorf("the view is at %+v, %v", p, err)
		}
		page, err := w.Search(t.Context(), catalog.Query{}, catalog.Position{Seq: 9})
		if err != nil || len(page.Items) != 1 || page.Items[0].Version != 9 {
			t.Errorf("the index has %+v, %v", page.Items, err)
		}
	})
	t.Run("a snapshot that breaks off is begun again", func(t *testing.T) {
		v := view(t)
		l := &log{start: 20_000, end: 20_000}
		r := reader.New(v, nil, &index{}, l, broken(all[:8]), slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry())
		if err := r.RunView(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("RunView = %v", err)
		}
		if p, err := v.Checkpoint(t.Context(), 0); err != nil || p.Seq != 0 || p.Offset != 0 {
			t.Fatalf("the view is at %+v, %v", p, err)
		}
		start(t, v, l, all[:8]).isAt(t, 8, 8)
	})
	t.Run("in a log that was made anew the seqs go on, from its start", func(t *testing.T) {
		v := view(t)
		if err := v.Apply(t.Context(), []catalog.Product{all[4].Product}); err != nil {
			t.Fatal(err)
		}
		if err := v.SaveCheckpoint(t.Context(), eventlog.Checkpoint{Position: catalog.Position{Seq: 5}, Offset: 9}); err != nil {
			t.Fatal(err)
		}
		w := start(t, v, &log{end: 3}, all[:8])
		w.isAt(t, 8, 8)
		w.feed(t, 0, all[6:9]...)
		w.isAt(t, 9, 9)
		if p, err := w.view.Checkpoint(t.Context(), 0); err != nil || p.Seq != 9 || p.Offset != 3 {
			t.Errorf("the view is at %+v, %v", p, err)
		}
	})
	t.Run("a deleted product does not come back when all is replayed", func(t *testing.T) {
		v := view(t)
		w := start(t, v, &log{}, nil)
		w.feed(t, 0, all[:10]...)
		w.isAt(t, 10, 10)
		if err := v.Apply(t.Context(), []catalog.Product{all[0].Product, all[8].Product}); err != nil {
			t.Fatal(err)
		}
		w.isAt(t, 10, 10)
	})
	t.Run("whatever is repeated and however it is cut, the view is the last event's", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			all := history(rapid.IntRange(1, 12).Draw(rt, "events"))
			w := start(t, view(t), &log{}, all)
			var offset int64
			for at := 0; at < len(all); {
				from := rapid.IntRange(0, at).Draw(rt, "from")
				to := rapid.IntRange(from, len(all)).Draw(rt, "to")
				w.feed(rt, offset, all[from:to]...)
				offset += int64(to - from)
				at = max(at, to)
			}
			n := int64(len(all))
			w.isAt(t, n, n)
		})
	})
}

func TestPositions(t *testing.T) {
	all := history(3)
	t.Run("a read waits for the position", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		read := make(chan error, 2)
		go func() {
			_, err := w.Product(t.Context(), catalog.DerivedID("p"), catalog.Position{Seq: 2})
			read <- err
		}()
		go func() {
			page, err := w.Search(t.Context(), catalog.Query{}, catalog.Position{Seq: 2})
			if err == nil && len(page.Items) != 1 {
				err = errors.New("the search does not see the product")
			}
			read <- err
		}()
		w.feed(t, 0, all[:2]...)
		for range 2 {
			if err := <-read; err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("and for each of several", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		w.feed(t, 0, all[:2]...)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := w.Search(ctx, catalog.Query{}, catalog.Position{Seq: 2}, catalog.Position{Shard: 1, Seq: 1}); !errors.Is(err, catalog.ErrStale) {
			t.Fatalf("Search = %v, want ErrBehind", err)
		}
		if _, err := w.Search(t.Context(), catalog.Query{}, catalog.Position{Seq: 1}, catalog.Position{Seq: 2}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("and says that it is behind when that takes too long", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := w.Product(ctx, catalog.DerivedID("p"), catalog.Position{Seq: 2}); !errors.Is(err, catalog.ErrStale) {
			t.Fatalf("Product = %v, want ErrBehind", err)
		}
		if _, err := w.Search(ctx, catalog.Query{}, catalog.Position{Seq: 2}); !errors.Is(err, catalog.ErrStale) {
			t.Fatalf("Search = %v, want ErrBehind", err)
		}
	})
	t.Run("a view that another reader keeps is looked at", func(t *testing.T) {
		v := view(t)
		w := start(t, v, &log{}, nil)
		if err := errors.Join(v.Apply(t.Context(), []catalog.Product{all[1].Product}), v.SaveCheckpoint(t.Context(), eventlog.Checkpoint{Position: catalog.Position{Seq: 2}, Offset: 2})); err != nil {
			t.Fatal(err)
		}
		w.isAt(t, 2, 2)
	})
	t.Run("the reader is ready when it has caught up", func(t *testing.T) {
		w := start(t, view(t), &log{end: 2}, nil)
		if err := w.Ping(t.Context()); err == nil {
			t.Fatal("it is ready before it has read an event")
		}
		w.feed(t, 0, all[:2]...)
		if _, err := w.Search(t.Context(), catalog.Query{}, catalog.Position{Seq: 2}); err != nil {
			t.Fatal(err)
		}
		if err := w.Ping(t.Context()); err != nil {
			t.Fatalf("it has caught up and says: %v", err)
		}
	})
}

func TestCache(t *testing.T) {
	all := history(4)
	id := catalog.DerivedID("p")
	t.Run("a cache that is away is passed by", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		w.cache.set(func() { w.cache.away = true })
		w.feed(t, 0, all[:2]...)
		w.isAt(t, 0, 2)
		w.isAt(t, 2, 2)
	})
	t.Run("a product is read from the view once, with and without a position", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		w.feed(t, 0, all[:2]...)
		for range 5 {
			w.isAt(t, 0, 2)
			w.isAt(t, 2, 2)
		}
		if n := w.view.reads.Load(); n != 1 {
			t.Errorf("the view was read %d times", n)
		}
	})
	t.Run("and so is one that is not there", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		for range 5 {
			if _, err := w.Product(t.Context(), id, catalog.Position{}); !errors.Is(err, catalog.ErrNotFound) {
				t.Fatalf("Product = %v, want ErrNotFound", err)
			}
		}
		if n := w.view.reads.Load(); n != 1 {
			t.Errorf("the view was read %d times", n)
		}
		w.feed(t, 0, all[0])
		w.isAt(t, 0, 1)
	})
	t.Run("the cache has forgotten a product before the view changes it", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		w.feed(t, 0, all[0])
		w.isAt(t, 0, 1)
		forgotten := false
		w.cache.onForget = func() {
			p, err := w.view.View.Product(t.Context(), id)
			forgotten = err == nil && p.Version == 1
		}
		w.feed(t, 1, all[1])
		w.isAt(t, 0, 2)
		if !forgotten {
			t.Error("it was not")
		}
	})
	t.Run("several are answered with one call, as far as that is possible at once", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		w.feed(t, 0, all[:2]...)
		other, gone := all[0], all[1]
		other.Seq, other.Product.ID = 3, catalog.DerivedID("q")
		gone.Seq, gone.Outcome, gone.Product = 4, catalog.Deleted, catalog.Product{ID: catalog.DerivedID("r"), Version: 2, Deleted: true, UpdatedAt: all[1].Product.UpdatedAt}
		w.feed(t, 2, other, gone)
		w.isAt(t, 4, 2) // one of them is in the cache
		ask := func(ids []string, at ...int64) (answers []*catalogv1.ProductResult) {
			t.Helper()
			var m catalogv1.GetProductsRequest
			for i, name := range ids {
				id := catalog.DerivedID(name)
				m.Products = append(m.Products, &catalogv1.GetProductRequest{Id: id[:], Position: &catalogv1.Position{Seq: at[i]}})
			}
			r, err := reader.Server{Reader: w.Reader}.GetProducts(t.Context(), &m)
			if err != nil || len(r.GetResults()) != len(ids) {
				t.Fatalf("GetProducts = %v, %v", r, err)
			}
			return r.GetResults()
		}
		version := func(a *catalogv1.ProductResult) int64 {
			t.Helper()
			if len(a.GetProduct()) == 0 {
				return 0
			}
			p, err := wire.DecodeProduct(a.GetProduct())
			if err != nil {
				t.Fatal(err)
			}
			if p.Deleted {
				return -p.Version
			}
			return p.Version
		}
		for _, cache := range []string{"empty", "filled"} {
			got := ask([]string{"p", "r", "nobody", "q", "p", "p"}, 0, 0, 0, 4, 2, 5)
			for i, want := range []struct {
				known   bool
				version int64
			}{{true, 2}, {true, -2}, {true, 0}, {true, 1}, {true, 2}, {false, 0}} { // the last is ahead
				if a := got[i]; a.GetKnown() != want.known || version(a) != want.version || want.known && a.GetPosition().GetSeq() != 4 {
					t.Errorf("with a cache that is %s, answer %d is %v", cache, i, a)
				}
			}
		}
		w.cache.set(func() { delete(w.cache.products, catalog.DerivedID("q")) })
		w.view.hold = make(chan struct{})
		if got := ask([]string{"p", "q"}, 0, 0); version(got[0]) != 2 || got[1].GetKnown() {
			t.Errorf("while the view is slow, the answers are %v", got)
		}
		close(w.view.hold)
		w.cache.set(func() { w.cache.away = true })
		if got := ask([]string{"p", "q"}, 0, 0); version(got[0]) != 2 || version(got[1]) != 1 {
			t.Errorf("while the cache is away, the answers are %v", got)
		}
	})
	t.Run("where another guards the shard, nothing is applied", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		w.cache.set(func() { w.cache.fenced = true })
		err := w.log.consumers["view"].Handle(t.Context(), eventlog.Records[catalog.Event]{To: 1, Items: all[:1]})
		if _, missing := w.view.View.Product(t.Context(), id); !errors.Is(err, catalog.ErrFenced) || !errors.Is(missing, catalog.ErrNotFound) {
			t.Fatalf("Handle = %v, and the view has %v", err, missing)
		}
	})
	t.Run("the cache is filled when all has been applied that there was at the beginning", func(t *testing.T) {
		w := start(t, view(t), &log{end: 2}, nil)
		reads := func(want int64) {
			t.Helper()
			w.view.reads.Store(0)
			for range 2 {
				if _, err := w.Product(t.Context(), id, catalog.Position{}); err != nil {
					t.Fatal(err)
				}
			}
			if n := w.view.reads.Load(); n != want {
				t.Fatalf("the view was read %d times, not %d", n, want)
			}
		}
		w.feed(t, 0, all[0])
		reads(2)
		w.feed(t, 1, all[1])
		reads(1)
	})
	t.Run("however many miss one product at once, it is read once", func(t *testing.T) {
		const many = 10_000
		w := start(t, view(t), &log{}, nil)
		w.feed(t, 0, all[0])
		w.view.hold = make(chan struct{})
		var wg sync.WaitGroup
		var asked atomic.Int64
		for range many {
			wg.Go(func() {
				asked.Add(1)
				if p, err := w.Product(t.Context(), id, catalog.Position{}); err != nil || p.Version != 1 {
					t.Errorf("version %d, %v", p.Version, err)
				}
			})
		}
		for asked.Load() < 100 || w.view.reads.Load() == 0 { // until many are on their way
			<-time.After(time.Millisecond)
		}
		close(w.view.hold)
		wg.Wait()
		if n := w.view.reads.Load(); n != 1 {
			t.Errorf("the view was read %d times", n)
		}
	})
	t.Run("nobody is answered what was read before he came", func(t *testing.T) {
		w := start(t, view(t), &log{}, nil)
		w.cache.set(func() { w.cache.away = true })
		w.feed(t, 0, all[0])
		reading, read := make(chan struct{}), make(chan struct{})
		first := make(chan int64, 1)
		w.view.then = func() { close(reading); <-read }
		go func() {
			p, _ := w.Product(t.Context(), id, catalog.Position{})
			first <- p.Version
		}()
		<-reading // version 1 has been read, and is on its way
		w.feed(t, 1, all[1])
		go close(read)
		w.isAt(t, 0, 2)
		if v := <-first; v != 1 {
			t.Errorf("void: the first read version %d", v)
		}
	})
}
