// Package readertest runs a reader on fakes, for the tests of package reader and
// its subpackages. The view is in SQLite, all fakes are in memory, and there is
// one shard.
package readertest

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/sqlite"
	"catalog/eventlog"
	"catalog/reader"
	"catalog/reader/projection"
)

// patience is how long a test waits for a condition. It is generous: a busy
// machine may stop a process for many seconds.
const patience = 2 * time.Minute

// Full reports whether randomised tests should run at full size.
// CATALOG_TEST_FULL=1 asks for that; the default is a short run.
func Full() bool { return os.Getenv("CATALOG_TEST_FULL") == "1" }

// Moment is when all events of the tests were settled.
var Moment = time.Date(2026, 3, 1, 9, 30, 0, 0, time.UTC)

// History returns n versions of product "p" of shard 0, as events 1 to n. Every
// fifth version is a deletion.
func History(n int) []catalog.Event {
	events := make([]catalog.Event, n)
	for i := range events {
		v := int64(i + 1)
		e := catalog.Event{
			Position: catalog.Position{Seq: v}, Outcome: catalog.Changed, Command: catalog.DerivedID(fmt.Sprint(i)), SettledAt: Moment,
			Product: catalog.Product{ID: catalog.DerivedID("p"), Version: v, ProductData: catalog.ProductData{Name: fmt.Sprint(v)}, CreatedAt: Moment, UpdatedAt: Moment},
		}
		if v%5 == 0 {
			e.Outcome, e.Product.Deleted, e.Product.ProductData = catalog.Deleted, true, catalog.ProductData{}
		}
		events[i] = e
	}
	return events
}

// View is a view that counts and delays reads.
type View struct {
	projection.View
	Reads     atomic.Int64
	Hold      chan struct{} // reads wait until it is closed; nil for no delay
	AfterRead func()        // called once, after the first read
	once      sync.Once
}

// NewView returns an empty view in SQLite.
func NewView(t testing.TB) *View { return &View{View: OpenSQLite(t)} }

// OpenSQLite returns a store of view generations in a new file.
func OpenSQLite(t testing.TB) *sqlite.View {
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "view.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	return sqlite.NewView(db)
}

// Product returns the product.
func (v *View) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	v.Reads.Add(1)
	if v.Hold != nil {
		<-v.Hold
	}
	p, err := v.View.Product(ctx, id)
	if v.AfterRead != nil {
		v.once.Do(v.AfterRead)
	}
	return p, err
}

// Config holds what a harness runs on. The zero value of a field stands for an
// empty fake.
type Config struct {
	View    projection.View    // an empty View in SQLite
	Index   reader.Index       // an empty Index
	Log     *Log               // an empty Log
	Journal projection.Journal // an empty Journal
}

// Harness is a running reader with its fakes.
type Harness struct {
	*reader.Reader
	Log      *Log
	View     *View  // nil unless Config.View is nil or a *View
	Index    *Index // nil unless Config.Index is nil
	Cache    *Cache
	Registry *prometheus.Registry
}

// Start starts a reader, which stops at the end of the test. It returns when
// projection and indexer have begun shard 0.
func Start(t testing.TB, cfg Config) *Harness {
	t.Helper()
	h := &Harness{Log: cfg.Log, Cache: NewCache(), Registry: prometheus.NewRegistry()}
	if h.Log == nil {
		h.Log = &Log{}
	}
	if cfg.View == nil {
		cfg.View = NewView(t)
	}
	h.View, _ = cfg.View.(*View)
	if cfg.Index == nil {
		h.Index = NewIndex()
		cfg.Index = h.Index
	}
	if cfg.Journal == nil {
		cfg.Journal = Journal(nil)
	}
	h.Reader = New(reader.Deps{View: cfg.View, Cache: h.Cache, Index: cfg.Index, Log: h.Log, Journal: cfg.Journal, Registry: h.Registry})
	begun := h.Log.start()
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = h.Projector.Run(ctx) })
	running.Go(func() { _ = h.Indexer.Run(ctx) })
	t.Cleanup(func() { stop(); running.Wait() })
	<-begun
	<-begun
	return h
}

// New returns a reader that is not running. It logs nothing, and has an empty log and a
// registry of its own unless deps names them.
func New(deps reader.Deps) *reader.Reader {
	deps.Logger, deps.Now = slog.New(slog.DiscardHandler), time.Now
	if deps.Log == nil {
		deps.Log = &Log{}
	}
	if deps.Registry == nil {
		deps.Registry = prometheus.NewRegistry()
	}
	return reader.New(deps)
}

// Fataler is a test of package testing or rapid.
type Fataler interface{ Fatal(...any) }

// Feed delivers events to projection and indexer as the records from the offset
// on. When it returns the view has them; the index may not yet.
func (h *Harness) Feed(t Fataler, from int64, events ...catalog.Event) {
	for _, c := range h.Log.consumers {
		r := eventlog.Records[catalog.Event]{From: from, To: from + int64(len(events)), Items: events}
		if err := c.Handle(context.Background(), r); err != nil {
			t.Fatal(err)
		}
	}
}

// WaitForIndex waits until searches find the events up to the seq of shard 0.
func (h *Harness) WaitForIndex(t testing.TB, seq int64) {
	t.Helper()
	Eventually(t, func() error {
		_, err := h.Search(t.Context(), catalog.Query{Limit: 1}, catalog.Position{Seq: seq})
		if errors.Is(err, catalog.ErrUnavailable) { // not caught up since its start
			err = fmt.Errorf("%w: %w", catalog.ErrStale, err)
		}
		return err
	}, catalog.ErrStale)
}

// Eventually calls f until it returns nil. It fails the test on an error other
// than retry, and when it runs out of patience.
func Eventually(t testing.TB, f func() error, retry error) {
	t.Helper()
	for since := time.Now(); ; {
		err := f()
		if err == nil {
			return
		}
		if !errors.Is(err, retry) || time.Since(since) > patience || t.Context().Err() != nil {
			t.Fatalf("after %v: %v", time.Since(since), err)
		}
		runtime.Gosched() // let run what f waits for
	}
}

// Slow reports whether err comes from a time limit of the reader. On a busy
// machine it proves nothing.
func Slow(err error) bool {
	return errors.Is(err, catalog.ErrStale) || errors.Is(err, catalog.ErrTooSlow) || errors.Is(err, catalog.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
}

// Counter returns the value of a counter whose first label has that value, or of one
// without labels for "".
func Counter(t testing.TB, reg *prometheus.Registry, name, label string) float64 {
	t.Helper()
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		for _, m := range f.GetMetric() {
			first := ""
			if len(m.GetLabel()) > 0 {
				first = m.GetLabel()[0].GetValue()
			}
			if f.GetName() == name && first == label {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

// WantVersion reads product "p" of History at the seq and checks its version.
func (h *Harness) WantVersion(t testing.TB, seq, version int64) {
	t.Helper()
	var p catalog.Product
	var err error
	Eventually(t, func() error {
		p, err = h.Product(t.Context(), catalog.DerivedID("p"), catalog.Position{Seq: seq})
		if errors.Is(err, catalog.ErrStale) {
			return err
		}
		return nil
	}, catalog.ErrStale)
	if version%5 == 0 {
		if !errors.Is(err, catalog.ErrNotFound) {
			t.Fatalf("Product = version %d, %v; want ErrNotFound", p.Version, err)
		}
		return
	}
	if err != nil || p.Version != version {
		t.Fatalf("Product = version %d, %v; want version %d", p.Version, err, version)
	}
}
