package reader

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"sync"

	"catalog"
	"catalog/eventlog"
)

// follower reads the events of shards without a gap: it is what the projection
// of the view and the feed of the index have in common. It implements
// eventlog.Consumer.
type follower struct {
	name    string
	log     Log
	journal Journal
	logger  *slog.Logger
	metrics *metrics

	// load answers how far the shard was applied when that was last saved.
	load func(ctx context.Context, shard int32) (eventlog.Checkpoint, error)
	// apply takes what a stretch of events has made of the products of a shard.
	// The events follow on what it took before; there are none when all that came
	// had been applied, and where the products are of a snapshot.
	apply func(ctx context.Context, products []catalog.Product, events []catalog.Event, to eventlog.Checkpoint) error
	// alone says that nobody else works on these shards. Then what was applied
	// here is how far they are, and may be further than what was saved.
	alone bool

	mu sync.Mutex
	at map[int32]eventlog.Checkpoint // how far shards have been applied here
}

// manyEvents is how far behind one who has nothing, or misses what the log has
// forgotten, is better off with a snapshot of what the events have led to.
const manyEvents = 10_000

// Begin answers where the applied events end. What the log has forgotten since
// comes from the journal first, or from a snapshot.
func (f *follower) Begin(ctx context.Context, shard int32) (offset int64, err error) {
	at, ok := f.progress(shard)
	if !ok || !f.alone {
		if at, err = f.load(ctx, shard); err != nil {
			return 0, err
		}
	}
	starts, ends, err := f.log.EventOffsets(ctx)
	if err != nil {
		return 0, err
	}
	defer func() {
		if err != nil {
			f.End(shard)
		}
	}()
	f.reach(at)
	switch start, end := starts[shard], ends[shard]; {
	case end-at.Offset > manyEvents && (at.Seq == 0 || at.Offset < start):
		f.logger.InfoContext(ctx, "begins with a snapshot", "consumer", f.name, "shard", shard, "seq", at.Seq+1, "offset", end)
		if at, err = f.snapshot(ctx, at, end); err != nil {
			return 0, err
		}
	case at.Offset < start || at.Offset > end: // or the topic was made anew, where seqs go on and offsets do not
		f.logger.WarnContext(ctx, "the log does not have the events that come next; they come from the journal", "consumer", f.name, "shard", shard, "seq", at.Seq+1, "offset", start)
		if at, err = f.replay(ctx, at, 0); err != nil {
			return 0, err
		}
		at.Offset = start // not earlier: who dies on the way must come here again
		if err := f.take(ctx, nil, at); err != nil {
			return 0, err
		}
	}
	return at.Offset, nil
}

// Handle applies the events that come next. Those that were applied before are
// dropped; those that are missing are fetched from the journal.
func (f *follower) Handle(ctx context.Context, r eventlog.Records[catalog.Event]) error {
	at, _ := f.progress(r.Shard)
	next := make([]catalog.Event, 0, len(r.Items)) // events that follow on at
	for _, e := range r.Items {
		want := at.Seq + int64(len(next)) + 1
		if e.Seq < want {
			f.metrics.dropped.WithLabelValues(f.name).Inc()
			continue
		}
		if e.Seq > want {
			f.metrics.gaps.WithLabelValues(f.name).Inc()
			f.logger.ErrorContext(ctx, "events are missing from the log; they come from the journal",
				"consumer", f.name, "shard", r.Shard, "seq", want, "until", e.Seq-1)
			if len(next) > 0 {
				at.Seq = want - 1
				if err := f.take(ctx, next, at); err != nil {
					return err
				}
				next = next[:0:0]
			}
			var err error
			if at, err = f.replay(ctx, at, e.Seq-1); err != nil {
				return err
			}
		}
		next = append(next, e)
	}
	at.Seq += int64(len(next))
	at.Offset = r.To
	return f.take(ctx, next, at)
}

// End forgets the shard.
func (f *follower) End(shard int32) {
	if f.alone {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.at, shard)
}

// take applies events, with which the shard comes to the progress.
func (f *follower) take(ctx context.Context, events []catalog.Event, to eventlog.Checkpoint) error {
	if err := f.apply(ctx, eventlog.LastVersions(events), events, to); err != nil {
		return err
	}
	f.metrics.applied.WithLabelValues(f.name).Add(float64(len(events)))
	f.reach(to)
	return nil
}

// snapshot applies the products of the shard as they are now, and answers the
// progress that this makes: the log goes on at the offset, which was its end
// before. What it holds earlier had been settled by then.
func (f *follower) snapshot(ctx context.Context, at eventlog.Checkpoint, offset int64) (eventlog.Checkpoint, error) {
	next, err := f.journal.Snapshot(ctx, at.Shard, nil, func(products []catalog.Product) error {
		return f.apply(ctx, products, nil, at)
	})
	if err != nil {
		return at, fmt.Errorf("begin shard %d with a snapshot: %w", at.Shard, err)
	}
	at.Seq, at.Offset = next-1, offset
	return at, f.take(ctx, nil, at)
}

// replay applies the events that follow on at, until seq to, from the journal;
// to 0 is all that there are. It answers the progress, of which the offset has
// not changed.
func (f *follower) replay(ctx context.Context, at eventlog.Checkpoint, to int64) (eventlog.Checkpoint, error) {
	from := at.Seq + 1
	err := f.journal.Replay(ctx, at.Shard, from, to, func(events []catalog.Event) error {
		for _, e := range events {
			if e.Seq != at.Seq+1 {
				return fmt.Errorf("the journal has event %d where %d comes next", e.Seq, at.Seq+1)
			}
			at.Seq++
		}
		return f.take(ctx, events, at)
	})
	if err == nil && at.Seq < to {
		err = fmt.Errorf("the journal does not have the events %d to %d", at.Seq+1, to)
	}
	if err != nil {
		return at, fmt.Errorf("replay shard %d from seq %d: %w", at.Shard, from, err)
	}
	return at, nil
}

// progress answers how far the shard has been applied here, and whether it is
// or was followed here.
func (f *follower) progress(shard int32) (eventlog.Checkpoint, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	at, ok := f.at[shard]
	return at, ok
}

// kept answers the shards that are followed here.
func (f *follower) kept() []int32 {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Collect(maps.Keys(f.at))
}

func (f *follower) reach(at eventlog.Checkpoint) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at[at.Shard] = at
}
