package reader_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/alicebob/miniredis/v2"

	"catalog"
	"catalog/engine/bleve"
	"catalog/engine/redis"
	"catalog/eventlog"
	"catalog/reader"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// replaySize is the number of products of TestReader_replay. Every fifth is read
// and cached.
func replaySize() int {
	if readertest.Full() {
		return 10_000
	}
	return 2_000
}

// TestReader_replay creates products, reads and deletes them. Then a second
// reader, whose checkpoint is lost, gets all events again, each batch twice, while
// both readers serve queries: no product may reappear.
func TestReader_replay(t *testing.T) {
	const batch = 500
	products := replaySize()
	view := readertest.OpenSQLite(t)
	x, err := bleve.Open(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close()
	server := miniredis.RunT(t)
	history := createAndDelete(products)

	// begin starts a reader, which ends with the test.
	begin := func(v projection.View) (*reader.Reader, [2]eventlog.Consumer[catalog.Event]) {
		cache, err := redis.Open(t.Context(), redis.Config{URL: "redis://" + server.Addr(), Shards: 1})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(cache.Close)
		log := readertest.NewManualLog(1)
		r := readertest.New(reader.Deps{View: v, Cache: cache, Index: x, Log: log, Journal: history})
		consumers := log.Run(t, r)
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

	first, consumers := begin(view)
	feed(consumers, 0, products, 1)
	fillCache(t, first, server, products)
	feed(consumers, products, 2*products, 1)

	second, consumers := begin(&checkpointlessView{View: view})
	stop := make(chan struct{})
	var reading sync.WaitGroup
	var reads atomic.Int64
	for _, r := range []*reader.Reader{first, second} {
		reading.Go(func() {
			for i := 0; ; i++ {
				select {
				case <-stop:
					return
				default:
				}
				reads.Add(1)
				if err := checkGone(t.Context(), r, i, products); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	feed(consumers, 0, 2*products, 2)
	close(stop)
	reading.Wait()
	if reads.Load() < 100 {
		t.Errorf("void: %d reads during the replay; want at least 100", reads.Load())
	}
	tombstones := 0
	if err := view.Scan(t.Context(), func(all []catalog.Product) error {
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

func replayedID(i int) catalog.ID { return catalog.DerivedID("replayed", fmt.Sprint(i)) }

// createAndDelete returns the events that create products and then delete them.
func createAndDelete(products int) readertest.Journal {
	var history readertest.Journal
	for i := range 2 * products {
		e := catalog.Event{Position: catalog.Position{Seq: int64(i + 1)}, Outcome: catalog.Created, SettledAt: readertest.Moment}
		e.Product = catalog.Product{ID: replayedID(i % products), Version: 1, ProductData: catalog.ProductData{Name: "Chair"}, CreatedAt: readertest.Moment, UpdatedAt: readertest.Moment}
		if i >= products {
			e.Outcome, e.Product.Version, e.Product.Deleted, e.Product.ProductData = catalog.Deleted, 2, true, catalog.ProductData{}
		}
		history = append(history, e)
	}
	return history
}

// fillCache reads every fifth product, so that it is cached, and checks that
// searches find all of them.
func fillCache(t *testing.T, r *reader.Reader, server *miniredis.Miniredis, products int) {
	t.Helper()
	at := catalog.Position{Seq: int64(products)}
	// The first reads may come before fills are allowed, and a busy machine loses
	// the lease for a moment, or bypasses the cache.
	for since := time.Now(); len(server.Keys()) < products/10; {
		for i := range products / 5 {
			p, err := r.Product(t.Context(), replayedID(i), at)
			if !readertest.Slow(err) && (err != nil || p.Version != 1) {
				t.Fatalf("Product = version %d, %v; want version 1", p.Version, err)
			}
		}
		if time.Since(since) > 2*time.Minute {
			t.Fatalf("void: the cache has %d keys; want at least %d", len(server.Keys()), products/10)
		}
	}
	readertest.Eventually(t, func() error {
		page, err := r.Search(t.Context(), catalog.Query{Text: "chair", Limit: 1}, at)
		if err == nil && page.Total != int64(products) {
			err = fmt.Errorf("Search = %d products; want %d", page.Total, products)
		}
		return err
	}, catalog.ErrStale)
}

// checkGone reads one of the cached products, and sometimes searches: all
// products must be deleted.
func checkGone(ctx context.Context, r *reader.Reader, i, products int) error {
	if p, err := r.Product(ctx, replayedID(i%(products/5)), catalog.Position{}); !errors.Is(err, catalog.ErrNotFound) && !readertest.Slow(err) {
		return fmt.Errorf("Product = version %d, %w during the replay; want ErrNotFound", p.Version, err)
	}
	if i%100 > 0 {
		return nil
	}
	page, err := r.Search(ctx, catalog.Query{Text: "chair", Limit: 1}, catalog.Position{Seq: int64(2 * products)})
	if readertest.Slow(err) {
		return nil
	}
	if err != nil || page.Total > 0 {
		return fmt.Errorf("Search = %d products, %w during the replay; want none", page.Total, err)
	}
	return nil
}

// checkpointlessView is a view without checkpoints, until one is saved again.
type checkpointlessView struct {
	projection.View
	saved atomic.Bool
}

func (v *checkpointlessView) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	if !v.saved.Load() {
		return nil, nil
	}
	return v.View.Checkpoints(ctx)
}

func (v *checkpointlessView) SaveCheckpoints(ctx context.Context, all []eventlog.Checkpoint) error {
	for _, p := range all {
		if p.Seq > 0 {
			v.saved.Store(true)
		}
	}
	return v.View.SaveCheckpoints(ctx, all)
}
