package reader

import (
	"context"
	"fmt"
	"log/slog"
	"sync"

	"catalog"
)

// follower reads the events of shards without a gap: it is what the projection
// of the view and the feed of the index have in common. It implements
// catalog.Consumer.
type follower struct {
	name    string
	log     Log
	journal Journal
	logger  *slog.Logger
	metrics *metrics

	// load answers how far the shard was applied when that was last saved.
	load func(ctx context.Context, shard int32) (catalog.Progress, error)
	// apply takes events that follow on one another and on what it took before.
	// There are none when all that came had been applied.
	apply func(ctx context.Context, events []catalog.Event, to catalog.Progress) error

	mu sync.Mutex
	at map[int32]catalog.Progress // of the shards that are followed here
}

// Begin answers where the saved progress ends. What the log has forgotten since
// comes from the journal first.
func (f *follower) Begin(ctx context.Context, shard int32) (int64, error) {
	at, err := f.load(ctx, shard)
	if err != nil {
		return 0, err
	}
	starts, ends, err := f.log.EventBounds(ctx)
	if err != nil {
		return 0, err
	}
	if at.Offset > ends[shard] {
		return 0, fmt.Errorf("shard %d: the %s has applied the events topic up to offset %d, but the topic ends at %d: it was made anew, or is another's", shard, f.name, at.Offset, ends[shard])
	}
	if start := starts[shard]; at.Offset < start {
		f.logger.WarnContext(ctx, "the log has forgotten events; they come from the journal", "consumer", f.name, "shard", shard, "seq", at.Seq+1, "offset", start)
		at.Offset = start
		err := f.journal.Replay(ctx, shard, at.Seq+1, 0, func(events []catalog.Event) error {
			at.Seq = events[len(events)-1].Seq
			return f.apply(ctx, events, at)
		})
		if err != nil {
			return 0, fmt.Errorf("replay shard %d from seq %d: %w", shard, at.Seq+1, err)
		}
	}
	f.mu.Lock()
	f.at[shard] = at
	f.mu.Unlock()
	return at.Offset, nil
}

// Handle applies the events that come next. Those that were applied before are
// dropped; those that are missing are fetched from the journal.
func (f *follower) Handle(ctx context.Context, r catalog.Records[catalog.Event]) error {
	f.mu.Lock()
	at := f.at[r.Shard]
	f.mu.Unlock()

	next := make([]catalog.Event, 0, len(r.Items))
	for _, e := range r.Items {
		switch want := at.Seq + int64(len(next)) + 1; {
		case e.Seq < want:
			f.metrics.dropped.WithLabelValues(f.name).Inc()
			continue
		case e.Seq > want:
			f.metrics.gaps.WithLabelValues(f.name).Inc()
			f.logger.ErrorContext(ctx, "events are missing from the log; they come from the journal",
				"consumer", f.name, "shard", r.Shard, "seq", want, "until", e.Seq-1)
			err := f.journal.Replay(ctx, r.Shard, want, e.Seq-1, func(events []catalog.Event) error {
				next = append(next, events...)
				return nil
			})
			if err != nil {
				return fmt.Errorf("replay shard %d from seq %d: %w", r.Shard, want, err)
			}
			if e.Seq != at.Seq+int64(len(next))+1 {
				return fmt.Errorf("shard %d: the journal does not have the events %d to %d", r.Shard, want, e.Seq-1)
			}
		}
		next = append(next, e)
	}
	at.Shard, at.Offset = r.Shard, r.To
	if len(next) > 0 {
		at.Seq = next[len(next)-1].Seq
	}
	if err := f.apply(ctx, next, at); err != nil {
		return err
	}
	f.metrics.applied.WithLabelValues(f.name).Add(float64(len(next)))
	f.mu.Lock()
	f.at[r.Shard] = at
	f.mu.Unlock()
	return nil
}

// End forgets the shard.
func (f *follower) End(shard int32) {
	f.mu.Lock()
	delete(f.at, shard)
	f.mu.Unlock()
}
