package indexer_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/reader/indexer"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// recordingIndex records its writes. The first ones fail.
type recordingIndex struct {
	mu       sync.Mutex
	failures int // number of writes that will fail
	writes   [][]eventlog.Checkpoint
}

func (x *recordingIndex) Apply(_ context.Context, _ []catalog.Product, checkpoints []eventlog.Checkpoint) error {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.failures > 0 {
		x.failures--
		return errors.New("the index is unavailable")
	}
	x.writes = append(x.writes, checkpoints)
	return nil
}

func (x *recordingIndex) Checkpoints(context.Context) ([]eventlog.Checkpoint, error) {
	return nil, nil
}

// recordingFeed records the seqs of published events.
type recordingFeed struct {
	shards    int
	published []int64
}

func (f *recordingFeed) Begin(_ int32, shards int) { f.shards = shards }
func (f *recordingFeed) End(int32)                 {}
func (f *recordingFeed) Publish(_ int32, events []catalog.Event) {
	for _, e := range events {
		f.published = append(f.published, e.Seq)
	}
}

// start runs an indexer, and returns the function that delivers its events.
func start(t *testing.T, x *recordingIndex) (feed *recordingFeed, marks *projection.Watermarks, deliver func(from int64, events ...catalog.Event)) {
	log := readertest.NewManualLog(1)
	feed, marks = &recordingFeed{}, projection.NewWatermarks()
	i := indexer.New(indexer.Deps{
		Index: x, Log: log, Journal: readertest.Journal(nil), Feed: feed, Watermarks: marks,
		Metrics: projection.NewConsumerMetrics(prometheus.NewRegistry(), time.Now), Logger: slog.New(slog.DiscardHandler),
	})
	c := log.RunIndexer(t, i)
	if _, err := c.Begin(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	return feed, marks, func(from int64, events ...catalog.Event) {
		t.Helper()
		r := eventlog.Records[catalog.Event]{From: from, To: from + int64(len(events)), Items: events}
		if err := c.Handle(t.Context(), r); err != nil {
			t.Fatal(err)
		}
	}
}

func TestIndexer(t *testing.T) {
	all := readertest.History(4)
	t.Run("a failed write is retried, and only then is the position found", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := &recordingIndex{failures: 3}
			_, marks, deliver := start(t, x)
			deliver(0, all[0])
			if err := marks.Wait(t.Context(), catalog.Position{Seq: 1}, 60*time.Millisecond, nil); !errors.Is(err, catalog.ErrStale) {
				t.Errorf("Wait = %v while writes fail; want ErrStale", err)
			}
			if err := marks.Wait(t.Context(), catalog.Position{Seq: 1}, time.Minute, nil); err != nil {
				t.Fatal(err)
			}
			if len(x.writes) != 1 {
				t.Errorf("%d writes succeeded; want 1", len(x.writes))
			}
		})
	})
	t.Run("changes that gather during a write are written together", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := &recordingIndex{failures: 1} // the first write lasts until its retry
			_, marks, deliver := start(t, x)
			deliver(0, all[0])
			synctest.Wait()
			deliver(1, all[1])
			deliver(2, all[2])
			if err := marks.Wait(t.Context(), catalog.Position{Seq: 3}, time.Minute, nil); err != nil {
				t.Fatal(err)
			}
			if len(x.writes) != 2 || x.writes[1][0].Seq != 3 {
				t.Errorf("checkpoints of the writes = %v; want 1 and 3", x.writes)
			}
		})
	})
	t.Run("changes that gather before the next write is due are written together", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := &recordingIndex{}
			_, _, deliver := start(t, x)
			for i, e := range all { // the second to fourth within one interval
				deliver(int64(i), e)
				time.Sleep(50 * time.Millisecond)
			}
			time.Sleep(time.Second)
			synctest.Wait()
			if len(x.writes) != 2 || x.writes[0][0].Seq != 1 || x.writes[1][0].Seq != 4 {
				t.Errorf("checkpoints of the writes = %v; want 1 and 4", x.writes)
			}
		})
	})
	t.Run("a position that a caller waits for is written at once", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := &recordingIndex{}
			_, marks, deliver := start(t, x)
			deliver(0, all[0])
			synctest.Wait()
			deliver(1, all[1])
			if err := marks.Wait(t.Context(), catalog.Position{Seq: 2}, 20*time.Millisecond, nil); err != nil {
				t.Errorf("Wait = %v for a change in the queue; want no error", err)
			}
			time.AfterFunc(10*time.Millisecond, func() { deliver(2, all[2]) })
			if err := marks.Wait(t.Context(), catalog.Position{Seq: 3}, 20*time.Millisecond, nil); err != nil {
				t.Errorf("Wait = %v for a change that arrives later; want no error", err)
			}
		})
	})
	t.Run("a checkpoint without products is not written", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			x := &recordingIndex{}
			_, marks, deliver := start(t, x)
			refused := catalog.Event{Position: catalog.Position{Seq: 1}, Outcome: catalog.Refused, Refusal: &catalog.Refusal{}}
			deliver(0, refused)
			if err := marks.Wait(t.Context(), catalog.Position{Seq: 1}, time.Minute, nil); err != nil {
				t.Fatal(err)
			}
			if len(x.writes) != 0 {
				t.Errorf("%d writes; want none", len(x.writes))
			}
		})
	})
	t.Run("events are published to the feed as they come", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			feed, _, deliver := start(t, &recordingIndex{})
			deliver(0, all[0], all[1])
			deliver(1, all[1])
			if feed.shards != 1 || len(feed.published) != 3 {
				t.Errorf("the feed has %d shards and the events %v; want 1 shard and the events 1, 2, 2", feed.shards, feed.published)
			}
		})
	})
}
