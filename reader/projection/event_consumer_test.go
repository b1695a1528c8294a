package projection_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"pgregory.net/rapid"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/eventlog"
	"catalog/reader"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// truncatedJournal is a journal whose snapshots end with an error.
type truncatedJournal struct{ readertest.Journal }

func (j truncatedJournal) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	_, err := j.Journal.Snapshot(ctx, shard, only, handle)
	return 0, errors.Join(err, io.ErrUnexpectedEOF)
}

// errNotSaved says that a checkpoint is not saved yet, which happens in the background.
var errNotSaved = errors.New("the checkpoint is not saved")

// countingJournal counts the calls of Replay.
type countingJournal struct {
	readertest.Journal
	replays *atomic.Int64
}

func (j countingJournal) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	j.replays.Add(1)
	return j.Journal.Replay(ctx, shard, from, to, handle)
}

func wantCheckpoint(t *testing.T, v *readertest.View, seq, offset int64) {
	t.Helper()
	readertest.Eventually(t, func() error {
		if p := enginetest.Checkpoint(t, v, 0); p.Seq != seq || p.Offset != offset {
			return fmt.Errorf("%w: it is seq %d, offset %d; want seq %d, offset %d", errNotSaved, p.Seq, p.Offset, seq, offset)
		}
		return nil
	}, errNotSaved)
}

func wantCounter(t *testing.T, h *readertest.Harness, name string, want float64) {
	t.Helper()
	if got := readertest.Counter(t, h.Registry, name, "view"); got != want {
		t.Errorf("%s = %v; want %v", name, got, want)
	}
}

func TestEventConsumer(t *testing.T) {
	all := readertest.History(12)
	t.Run("events are applied in order and duplicates are dropped", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Feed(t, 0, all[:3]...)
		h.WantVersion(t, 3, 3)
		h.Feed(t, 3, all[1], all[2], all[3])
		h.WantVersion(t, 4, 4)
		wantCounter(t, h, "catalog_reader_events_dropped_total", 2)
	})
	t.Run("an event in the place of the last one, after the log has lost its end, is applied", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Journal: readertest.Journal(all)})
		h.Feed(t, 0, all[:3]...)
		h.Feed(t, 2, all[2]) // the last record again
		wantCheckpoint(t, h.View, 3, 3)
		h.Feed(t, 2, all[3])
		h.WantVersion(t, 4, 4)
		wantCheckpoint(t, h.View, 4, 3)
		h.Feed(t, 2, all[5])
		h.WantVersion(t, 6, 6)
	})
	t.Run("missing events come from the journal", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Journal: readertest.Journal(all)})
		h.Feed(t, 0, all[0], all[3])
		h.WantVersion(t, 4, 4)
		wantCounter(t, h, "catalog_reader_gaps_total", 1)
	})
	t.Run("an event that the journal lacks too is skipped", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Journal: readertest.Journal(all[:4])})
		forged := all[0]
		forged.Seq, forged.Product.Version = 1_000_000, 1_000_000
		h.Feed(t, 0, all[0], forged, all[2])
		h.WantVersion(t, 4, 4)
		wantCheckpoint(t, h.View, 4, 3)
		wantCounter(t, h, "catalog_reader_events_rejected_total", 1)
		h.Feed(t, 3, forged) // as the only record
		h.Feed(t, 4, all[4:6]...)
		h.WantVersion(t, 6, 6)
		wantCounter(t, h, "catalog_reader_events_rejected_total", 2)
	})
	t.Run("a batch of events that the journal lacks costs one read of the journal", func(t *testing.T) {
		replays := &atomic.Int64{}
		h := readertest.Start(t, readertest.Config{Journal: countingJournal{readertest.Journal(all[:4]), replays}})
		h.Feed(t, 0, all[:3]...)
		before := replays.Load()
		var forged []catalog.Event
		for seq := range int64(500) {
			e := all[0]
			e.Seq, e.Product.Version = 1_000_000-seq, 1_000_000
			forged = append(forged, e)
		}
		next := all[4] // an event with the next seq, which the journal lacks, too
		next.Product.Version = 1_000_000
		err := h.Log.Projection().Handle(t.Context(), eventlog.Records[catalog.Event]{From: 3, To: 504, Items: append(forged, next)})
		if err != nil {
			t.Fatal(err)
		}
		if n := replays.Load() - before; n != 1 {
			t.Errorf("the journal was read %d times; want 1", n)
		}
		h.WantVersion(t, 4, 4)
		wantCheckpoint(t, h.View, 4, 504)
		wantCounter(t, h, "catalog_reader_events_rejected_total", 501)
	})
	t.Run("an event with the seq of another one is reported", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Journal: readertest.Journal(all[:4])})
		forged := all[2]
		forged.Command, forged.Product.Version = catalog.DerivedID("forged"), 1_000_000
		h.Feed(t, 0, all[0], all[1], forged, all[1], all[2]) // the true event comes after it
		wantCounter(t, h, "catalog_reader_events_rejected_total", 1)
		h.Feed(t, 5, all[0], forged, all[3]) // repeats of what was applied
		wantCounter(t, h, "catalog_reader_events_rejected_total", 1)
	})
	t.Run("records that are not events are skipped, and the events in their place are read from the journal", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Journal: readertest.Journal(all[:4])})
		err := h.Log.Projection().Handle(t.Context(), eventlog.Records[catalog.Event]{To: 5, Items: all[:2], DeadLetters: make([]eventlog.DeadLetter, 3)})
		if err != nil {
			t.Fatal(err)
		}
		h.WantVersion(t, 4, 4) // the journal has these events, and the log has no more
		wantCheckpoint(t, h.View, 4, 5)
		wantCounter(t, h, "catalog_reader_events_rejected_total", 3)
	})
	t.Run("deleted products stay deleted when old events are applied again", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Feed(t, 0, all[:10]...)
		h.WantVersion(t, 10, 10)
		if err := h.View.Apply(t.Context(), nil, []catalog.Product{all[0].Product, all[8].Product}); err != nil {
			t.Fatal(err)
		}
		h.WantVersion(t, 10, 10)
	})
}

func TestEventConsumer_journal(t *testing.T) {
	all := readertest.History(12)
	t.Run("events removed from the log come from the journal", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Log: &readertest.Log{First: 8, End: 8}, Journal: readertest.Journal(all[:8])})
		h.WantVersion(t, 8, 8)
		h.Feed(t, 8, all[8])
		h.WantVersion(t, 9, 9)
	})
	t.Run("in a recreated topic seqs continue and offsets start at the beginning", func(t *testing.T) {
		v := readertest.NewView(t)
		if err := errors.Join(
			v.Apply(t.Context(), nil, []catalog.Product{all[4].Product}),
			v.SaveCheckpoints(t.Context(), []eventlog.Checkpoint{{Position: catalog.Position{Seq: 5}, Offset: 9}}),
		); err != nil {
			t.Fatal(err)
		}
		h := readertest.Start(t, readertest.Config{View: v, Log: &readertest.Log{End: 3}, Journal: readertest.Journal(all[:8])})
		h.WantVersion(t, 8, 8)
		h.Feed(t, 0, all[6:9]...)
		h.WantVersion(t, 9, 9)
		wantCheckpoint(t, v, 9, 3)
	})
}

func TestEventConsumer_snapshot(t *testing.T) {
	all := readertest.History(12)
	// The log has removed all its events, and the numbers of the journal's events
	// do not fit its offsets.
	newLog := func() *readertest.Log { return &readertest.Log{First: 20_000, End: 20_000} }
	t.Run("an empty view that is far behind starts from a snapshot", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Log: newLog(), Journal: readertest.Journal(all[:8])})
		h.WantVersion(t, 8, 8)
		wantCounter(t, h, "catalog_reader_events_applied_total", 0)
		h.Feed(t, 20_000, all[8])
		h.WantVersion(t, 9, 9)
		wantCheckpoint(t, h.View, 9, 20_001)
		h.WaitForIndex(t, 9)
		page, err := h.Search(t.Context(), catalog.Query{})
		if err != nil || len(page.Items) != 1 || page.Items[0].Version != 9 {
			t.Errorf("Search = %d products, %v; want version 9 of one product", len(page.Items), err)
		}
	})
	t.Run("a snapshot that fails is loaded again from its start", func(t *testing.T) {
		v, l := readertest.NewView(t), newLog()
		r := readertest.New(reader.Deps{View: v, Index: readertest.NewIndex(), Log: l, Journal: truncatedJournal{all[:8]}})
		if err := r.Projector.Run(t.Context()); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("Run = %v; want %v", err, io.ErrUnexpectedEOF)
		}
		wantCheckpoint(t, v, 0, 0)
		h := readertest.Start(t, readertest.Config{View: v, Log: l, Journal: readertest.Journal(all[:8])})
		h.WantVersion(t, 8, 8)
	})
}

func TestEventConsumer_archived(t *testing.T) {
	all := readertest.History(12)
	t.Run("a snapshot replaces archived events that the log no longer has", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Log: &readertest.Log{First: 8, End: 8}, Journal: readertest.Journal(all[4:8])})
		h.WantVersion(t, 8, 8)
		h.Feed(t, 8, all[7], all[8])
		h.WantVersion(t, 9, 9)
		wantCheckpoint(t, h.View, 9, 10)
		h.WaitForIndex(t, 9)
	})
	t.Run("a snapshot replaces archived events that are missing in the log", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Journal: readertest.Journal(all[4:8])})
		h.Feed(t, 0, all[0], all[5], all[6], all[7], all[8])
		h.WantVersion(t, 9, 9)
		wantCheckpoint(t, h.View, 9, 5)
		h.WaitForIndex(t, 9)
	})
}

func TestEventConsumer_random(t *testing.T) {
	t.Run("the view holds the last event whatever is repeated and wherever batches end", func(t *testing.T) {
		rapid.Check(t, func(rt *rapid.T) {
			all := readertest.History(rapid.IntRange(1, 12).Draw(rt, "events"))
			h := readertest.Start(t, readertest.Config{Journal: readertest.Journal(all)})
			var offset int64
			for at := 0; at < len(all); {
				from := rapid.IntRange(0, at).Draw(rt, "from")
				to := rapid.IntRange(from, len(all)).Draw(rt, "to")
				h.Feed(rt, offset, all[from:to]...)
				offset += int64(to - from)
				at = max(at, to)
			}
			n := int64(len(all))
			h.WantVersion(t, n, n)
		})
	})
}

// changes is a target that records changes, and fails at the one with that number.
type changes struct {
	all    []projection.Change
	failAt int
}

func (c *changes) Checkpoints(context.Context) ([]eventlog.Checkpoint, error) { return nil, nil }

func (c *changes) Apply(_ context.Context, change projection.Change) error {
	if c.failAt--; c.failAt == 0 {
		return io.ErrUnexpectedEOF
	}
	c.all = append(c.all, change)
	return nil
}

func TestEventConsumer_parts(t *testing.T) {
	all := readertest.History(7)
	target := &changes{failAt: 3}
	c := projection.NewEventConsumer(projection.EventConsumerDeps{
		Name: "index", Target: target, Exclusive: true, Log: &readertest.Log{}, Journal: readertest.Journal(all),
		Size: func(*catalog.Product) int { return 10 }, MaxSize: 25,
		Metrics: projection.NewConsumerMetrics(prometheus.NewRegistry(), time.Now), Logger: slog.New(slog.DiscardHandler),
	})
	if _, err := c.Begin(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	records := eventlog.Records[catalog.Event]{To: 7, Items: all}
	t.Run("a change that is too large is applied in parts, which end with the error of one", func(t *testing.T) {
		if err := c.Handle(t.Context(), records); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Fatalf("Handle returns %v; want the error of the third part", err)
		}
	})
	t.Run("the next attempt continues with that part, and the last one moves the offset", func(t *testing.T) {
		if err := c.Handle(t.Context(), records); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, change := range target.all {
			got = append(got, fmt.Sprintf("%d events to seq %d, offset %d", len(change.Events), change.To.Seq, change.To.Offset))
		}
		want := []string{"2 events to seq 2, offset 0", "2 events to seq 4, offset 0", "2 events to seq 6, offset 0", "1 events to seq 7, offset 7"}
		if !slices.Equal(got, want) {
			t.Errorf("the changes are %q; want %q", got, want)
		}
	})
}
