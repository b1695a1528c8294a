package projection_test

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// changingJournal is a journal whose products change while a snapshot is read: the snapshot ends
// later than its seq says, and each product is as it was at some moment between.
type changingJournal struct {
	readertest.Journal
	r    *rand.Rand
	next int64 // next seq of the snapshots
}

func (j changingJournal) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	if only != nil {
		return j.Journal.Snapshot(ctx, shard, only, handle)
	}
	for _, last := range eventlog.LastVersions(j.Journal) {
		moment := j.next - 1 + j.r.Int64N(int64(len(j.Journal))-j.next+2)
		for _, p := range eventlog.LastVersions(j.Journal[:moment]) {
			if p.ID != last.ID {
				continue
			}
			if err := handle([]catalog.Product{p}); err != nil {
				return 0, err
			}
		}
	}
	return j.next, nil
}

// fixedOffsets is a log of one shard.
type fixedOffsets struct{ start, end int64 }

func (o fixedOffsets) EventOffsets(context.Context) (starts, ends []int64, err error) {
	return []int64{o.start}, []int64{o.end}, nil
}

// contentsTarget holds products and checks the contents of the checkpoints.
type contentsTarget struct {
	t        *testing.T
	products map[catalog.ID]catalog.Product
	at       eventlog.Checkpoint
	next     int64 // seq of the next event when the snapshot ended
}

func (c *contentsTarget) Checkpoints(context.Context) ([]eventlog.Checkpoint, error) {
	return []eventlog.Checkpoint{c.at}, nil
}

func (c *contentsTarget) Apply(_ context.Context, change projection.Change) error {
	for _, p := range change.Products {
		if p.Version < c.products[p.ID].Version {
			c.t.Errorf("product %s goes back from version %d to %d", p.ID, c.products[p.ID].Version, p.Version)
		}
		c.products[p.ID] = p
	}
	if c.at = change.To; c.at.Contents == eventlog.UnknownContents {
		return nil
	}
	// After a restart the consumer no longer knows which products are newer than the events.
	if c.at.Seq+1 < c.next {
		c.t.Errorf("the contents at %v are known; the snapshot ended before %d", c.at.Position, c.next)
	}
	if want := c.contents(); c.at.Contents != want {
		c.t.Errorf("the contents at %v are %+v; want %+v", c.at.Position, c.at.Contents, want)
	}
	return nil
}

func (c *contentsTarget) contents() (held eventlog.Contents) {
	for id, p := range c.products {
		if p.Exists() {
			held.Add(id, p.Version)
		}
	}
	return held
}

func TestEventConsumer_contents(t *testing.T) {
	t.Run("whatever changes during a snapshot, the contents of a checkpoint are those of the target or unknown, and known at the end", func(t *testing.T) {
		const firstOffset = 20_000 // number of events removed from the log
		for seed := range uint64(500) {
			r := rand.New(rand.NewPCG(seed, 0))
			history := generateHistory(r, 0)
			for range 3 {
				history = append(history, generateHistory(r, 0)...)
			}
			history = linked(history)
			n := int64(len(history))
			begin := r.Int64N(n)                  // events in the log at Begin
			next := begin + 1 + r.Int64N(n-begin) // events that the snapshot has in any case
			target := &contentsTarget{t: t, products: map[catalog.ID]catalog.Product{}, next: n + 1}
			c := projection.NewEventConsumer(projection.EventConsumerDeps{
				Name: "index", Target: target, Exclusive: true,
				Size: func(*catalog.Product) int { return 1 }, MaxSize: 1 + r.IntN(5),
				Log:     fixedOffsets{firstOffset, firstOffset + begin},
				Journal: changingJournal{history, r, next},
				Metrics: projection.NewConsumerMetrics(prometheus.NewRegistry(), time.Now), Logger: slog.New(slog.DiscardHandler),
			})
			offset, err := c.Begin(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			for seq := offset - firstOffset; seq < n; {
				to := seq + 1 + r.Int64N(n-seq)
				if err := c.Handle(t.Context(), eventlog.Records[catalog.Event]{From: firstOffset + seq, To: firstOffset + to, Items: history[seq:to]}); err != nil {
					t.Fatal(err)
				}
				seq = to
			}
			if want := target.contents(); target.at.Seq != n || target.at.Contents != want {
				t.Fatalf("seed %d: at the end the checkpoint is %+v; want seq %d and %+v", seed, target.at, n, want)
			}
		}
	})
}

// linked numbers events and versions so that each event follows the ones before.
func linked(history []catalog.Event) []catalog.Event {
	products := map[catalog.ID]catalog.Product{}
	for i := range history {
		e := &history[i]
		e.Seq = int64(i + 1)
		if !e.Applied() {
			continue
		}
		before := products[e.Product.ID]
		e.Product.Version = before.Version + 1
		switch {
		case e.Outcome == catalog.Deleted && !before.Exists():
			e.Outcome, e.Product.Version = catalog.Refused, before.Version
			continue
		case e.Outcome != catalog.Deleted && before.Exists():
			e.Outcome = catalog.Changed
		case e.Outcome != catalog.Deleted:
			e.Outcome = catalog.Created
		}
		products[e.Product.ID] = e.Product
	}
	return history
}
