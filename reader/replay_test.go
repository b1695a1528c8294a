package reader_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"
	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/bleve"
	"catalog/engine/redis"
	"catalog/engine/sqlite"
	"catalog/eventlog"
	"catalog/reader"
)

// Products are made, read, and deleted; then a reader that has lost how far its
// view is gets all of it once more, each batch twice, while others read.
func TestWhatIsDeletedStaysSoWhenAllIsReplayed(t *testing.T) {
	const products, batch, many = 10_000, 500, 5 // each of so many is read and cached
	db, err := sqlite.Open(t.Context(), filepath.Join(t.TempDir(), "view.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	x, err := bleve.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	server := miniredis.RunT(t)

	var history journal
	id := func(i int) catalog.ID { return catalog.DerivedID("replayed", fmt.Sprint(i)) }
	for i := range 2 * products {
		e := catalog.Event{Position: catalog.Position{Seq: int64(i + 1)}, Outcome: catalog.Created, SettledAt: moment}
		e.Product = catalog.Product{ID: id(i % products), Version: 1, ProductData: catalog.ProductData{Name: "Chair"}, CreatedAt: moment, UpdatedAt: moment}
		if i >= products {
			e.Outcome, e.Product.Version, e.Product.Deleted, e.Product.ProductData = catalog.Deleted, 2, true, catalog.ProductData{}
		}
		history = append(history, e)
	}
	// begin starts a reader, which ends with the test.
	begin := func(v reader.View) (*reader.Reader, [2]eventlog.Consumer[catalog.Event]) {
		cache, err := redis.Open(t.Context(), redis.Config{URL: "redis://" + server.Addr(), Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cache.Close)
		log := &stage{starts: []int64{0}, ends: []int64{0}, consumers: make(chan eventlog.Consumer[catalog.Event])}
		r := reader.New(v, cache, x, log, history, slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry())
		consumers := log.enter(t, r)
		for _, c := range consumers {
			if _, err := c.Begin(t.Context(), 0); err != nil {
				t.Fatal(err)
			}
		}
		return r, consumers
	}
	feed := func(consumers [2]eventlog.Consumer[catalog.Event], from, to, times int) {
		for ; from < to; from += batch {
			for range times {
				for _, c := range consumers {
					records := eventlog.Records[catalog.Event]{From: int64(from), To: int64(from + batch), Items: history[from : from+batch]}
					if err := c.Handle(t.Context(), records); err != nil {
						t.Fatal(err)
					}
				}
			}
		}
	}

	r, consumers := begin(sqlite.NewView(db))
	feed(consumers, 0, products, 1)
	for len(server.Keys()) < 2 { // the guard, and the first product as soon as the cache is believed
		if _, err := r.Product(t.Context(), id(0), catalog.Position{Seq: products}); err != nil {
			t.Fatal(err)
		}
	}
	for i := range products / many {
		if p, err := r.Product(t.Context(), id(i), catalog.Position{Seq: products}); err != nil || p.Version != 1 {
			t.Fatalf("Product = %+v, %v", p, err)
		}
	}
	if page, err := r.Search(t.Context(), catalog.Query{Text: "chair", Limit: 1}, catalog.Position{Seq: products}); err != nil || page.Total != products {
		t.Fatalf("%d are found, %v; want %d", page.Total, err, products)
	}
	if n := len(server.Keys()); n < products/many/2 { // a guard may be lost for a moment on a busy machine
		t.Fatalf("void: the cache has %d keys", n)
	}
	feed(consumers, products, 2*products, 1)

	again, consumers := begin(&lost{View: sqlite.NewView(db)})
	stop := make(chan struct{})
	var reading sync.WaitGroup
	var reads atomic.Int64
	for _, by := range []*reader.Reader{r, again} {
		reading.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				reads.Add(1)
				if p, err := by.Product(t.Context(), id(i%(products/many)), catalog.Position{}); !errors.Is(err, catalog.ErrNotFound) {
					t.Errorf("while all is replayed, Product = %+v, %v", p, err)
					return
				}
				if i%100 > 0 {
					continue
				}
				if page, err := by.Search(t.Context(), catalog.Query{Text: "chair", Limit: 1}, catalog.Position{Seq: 2 * products}); err != nil || page.Total > 0 {
					t.Errorf("while all is replayed, %d are found, %v", page.Total, err)
					return
				}
			}
		})
	}
	feed(consumers, 0, 2*products, 2)
	close(stop)
	reading.Wait()
	if reads.Load() < 100 {
		t.Errorf("void: %d reads while all was replayed", reads.Load())
	}
	tombstones := 0
	if err := sqlite.NewView(db).Scan(t.Context(), func(all []catalog.Product) error {
		for _, p := range all {
			if p.Deleted && p.Version == 2 {
				tombstones++
			}
		}
		return nil
	}); err != nil || tombstones != products {
		t.Errorf("the view has %d tombstones, %v; want %d", tombstones, err, products)
	}
}

// lost is a view that has forgotten how far it is until that is saved again.
type lost struct {
	reader.View
	saved atomic.Bool
}

func (l *lost) Checkpoint(ctx context.Context, shard int32) (eventlog.Checkpoint, error) {
	if !l.saved.Load() {
		return eventlog.Checkpoint{Position: catalog.Position{Shard: shard}}, nil
	}
	return l.View.Checkpoint(ctx, shard)
}

func (l *lost) SaveCheckpoint(ctx context.Context, p eventlog.Checkpoint) error {
	if p.Seq > 0 {
		l.saved.Store(true)
	}
	return l.View.SaveCheckpoint(ctx, p)
}
