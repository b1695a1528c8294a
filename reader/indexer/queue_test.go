package indexer

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/memory"
	"catalog/reader/projection"
)

func newQueue() *indexQueue {
	return newIndexQueue((*memory.Budget)(nil).Share("index", maxQueuedBytes))
}

// change returns a change of shard to seq that stores a version of a product.
func change(shard int32, seq int64, name string, version int64) projection.Change {
	return projection.Change{
		Products: []catalog.Product{{ID: catalog.DerivedID(name), Version: version, ProductData: catalog.ProductData{Name: name}}},
		Events:   []catalog.Event{{Position: catalog.Position{Shard: shard, Seq: seq}, SettledAt: time.Unix(seq, 0)}},
		To:       eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: seq},
	}
}

func TestIndexQueue(t *testing.T) {
	t.Run("a batch holds everything that waits, with the last version and checkpoint", func(t *testing.T) {
		q := newQueue()
		for _, c := range []projection.Change{change(0, 1, "a", 1), change(1, 1, "b", 1), change(0, 2, "a", 2), change(0, 3, "c", 1)} {
			if err := q.add(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		b, err := q.next(t.Context())
		if err != nil || len(b.products) != 3 || len(b.checkpoints) != 2 || len(b.settled) != 4 {
			t.Fatalf("next = %d products, %d checkpoints, %d times, %v; want 3, 2, 4", len(b.products), len(b.checkpoints), len(b.settled), err)
		}
		if a := b.products[0]; a.ID != catalog.DerivedID("a") || a.Version != 2 {
			t.Errorf("the first product is %s, version %d; want a, version 2", a.Name, a.Version)
		}
		for _, c := range b.checkpoints {
			if want := map[int32]int64{0: 3, 1: 1}[c.Shard]; c.Seq != want {
				t.Errorf("shard %d is at seq %d; want %d", c.Shard, c.Seq, want)
			}
		}
	})
	t.Run("a batch ends at maxBatchProducts", func(t *testing.T) {
		q := newQueue()
		large := change(0, 1, "a", 1)
		large.Products = make([]catalog.Product, maxBatchProducts-1)
		for _, c := range []projection.Change{large, change(0, 2, "b", 1), change(0, 3, "c", 1)} {
			if err := q.add(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := q.next(t.Context()); err != nil || b.checkpoints[0].Seq != 2 {
			t.Fatalf("the first batch ends at seq %d, %v; want 2", b.checkpoints[0].Seq, err)
		}
	})
}

func TestIndexQueue_bytes(t *testing.T) {
	t.Run("a batch of large products ends at maxBatchBytes", func(t *testing.T) {
		q := newQueue()
		for seq := range int64(5) {
			c := change(0, seq+1, "p", seq+1)
			c.Products[0].Description = strings.Repeat("x", 800_000)
			if err := q.add(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		for _, next := range []int64{3, 5} { // three changes reach the limit
			if b, err := q.next(t.Context()); err != nil || b.checkpoints[0].Seq != next {
				t.Fatalf("the batch ends at seq %d, %v; want %d", b.checkpoints[0].Seq, err, next)
			}
		}
	})
}

func TestIndexQueue_words(t *testing.T) {
	t.Run("a batch of products with very many words ends at maxBatchBytes with the words counted", func(t *testing.T) {
		q := newQueue()
		for seq := range int64(8) { // together 400 KB of text
			c := change(0, seq+1, "p", seq+1)
			c.Products[0].Description = strings.Repeat("word ", 10_000)
			if err := q.add(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		if b, err := q.next(t.Context()); err != nil || b.checkpoints[0].Seq != 6 {
			t.Fatalf("the batch ends at seq %d, %v; want 6", b.checkpoints[0].Seq, err)
		}
	})
}

func TestIndexQueue_progress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		q := newQueue()
		for shard := range int32(3) { // the first one fills the queue, and the others wait
			c := change(shard, 1, "p", 1)
			c.Products[0].Description = strings.Repeat("x", maxQueuedBytes)
			go func() {
				if err := q.add(t.Context(), c); err != nil {
					t.Error(err)
				}
			}()
			synctest.Wait()
		}
		if a, b, c := q.progress(0), q.progress(1), q.progress(2); a != 0 || b != 0 || c != 0 {
			t.Errorf("progress before a write = %d, %d, %d; want none", a, b, c)
		}
		for want := int64(1); want <= 2; want++ {
			b, err := q.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want == 1 && q.progress(2) != 0 {
				t.Error("progress while the index writes the first batch")
			}
			q.release(b)
			if want == 1 && q.progress(2) != 1 {
				t.Errorf("progress of the last shard after a write = %d; want 1", q.progress(2))
			}
			synctest.Wait()
		}
		if _, err := q.next(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := q.progress(2); got != 0 {
			t.Errorf("progress of a shard that does not wait = %d; want 0", got)
		}
	})
}

func TestIndexQueue_full(t *testing.T) {
	huge := change(0, 1, "huge", 1)
	huge.Products[0].Description = strings.Repeat("x", maxQueuedBytes+1)
	t.Run("a change larger than the queue fits when it is empty", func(t *testing.T) {
		q := newQueue()
		if err := q.add(t.Context(), huge); err != nil || !q.full() {
			t.Fatalf("add = %v, full = %v; want nil, true", err, q.full())
		}
	})
	t.Run("add waits for room, which release makes", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			q := newQueue()
			if err := q.add(t.Context(), huge); err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			defer cancel()
			if err := q.add(ctx, change(0, 2, "a", 1)); err == nil {
				t.Fatal("add = nil while the queue is full; want an error at the deadline")
			}
			b, err := q.next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			time.AfterFunc(time.Second, func() { q.release(b) })
			since := time.Now()
			if err := q.add(t.Context(), change(0, 2, "a", 1)); err != nil || time.Since(since) != time.Second {
				t.Errorf("add = %v after %v; want nil after 1 s", err, time.Since(since))
			}
			if q.full() {
				t.Error("full = true with one small change; want false")
			}
		})
	})
	t.Run("it holds maxQueuedChanges", func(t *testing.T) {
		q := newQueue()
		for range maxQueuedChanges {
			if err := q.add(t.Context(), projection.Change{}); err != nil {
				t.Fatal(err)
			}
		}
		if !q.full() {
			t.Error("full = false; want true")
		}
	})
}
