package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"sync"

	"catalog"
	"catalog/eventlog"
)

// subscriber receives the events that the gateway follows, those of one shard in
// order. changefeed.Feed is a subscriber.
type subscriber interface {
	// Begin is called before the first event of the shard, one of shards, and again
	// when the gateway starts to follow the shard from another offset.
	Begin(shard int32, shards int)
	// Publish is called with the next events. Events may come twice.
	Publish(shard int32, events []catalog.Event)
	// End is called when the gateway stops following the shard.
	End(shard int32)
}

// eventFollower follows the events of all shards from their end at the time it
// starts, and passes them to subscribers. It implements eventlog.Consumer.
type eventFollower struct {
	log         Log
	journal     headReader
	logger      *slog.Logger
	pending     *pendingCommands
	subscribers []subscriber

	mu       sync.Mutex
	followed map[int32]bool
	last     map[int32]int64 // by shard: seq of the last event; 0 before the first
	shards   int             // 0 until the log has reported the number
	complete chan struct{}   // closed while the events of all shards are followed
}

// headReader returns where the events of a shard end. journal.Journal is a
// headReader.
type headReader interface {
	Next(ctx context.Context, shard int32) (int64, error)
}

func newEventFollower(log Log, journal headReader, logger *slog.Logger, pending *pendingCommands, subscribers ...subscriber) *eventFollower {
	return &eventFollower{
		log: log, journal: journal, logger: logger, pending: pending, subscribers: subscribers,
		followed: map[int32]bool{}, last: map[int32]int64{}, complete: make(chan struct{}),
	}
}

// errNotFollowing is returned while the result of a command could be missed.
var errNotFollowing = fmt.Errorf("the gateway does not follow the events of all shards yet: %w", catalog.ErrUnavailable)

// ready returns an error until the events of all shards are followed.
func (f *eventFollower) ready() error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.isComplete() {
		return errNotFollowing
	}
	return nil
}

// waitReady waits until the events of all shards are followed, at most
// callTimeout: a gateway that starts needs a moment.
func (f *eventFollower) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	f.mu.Lock()
	complete := f.complete
	f.mu.Unlock()
	select {
	case <-complete:
		return nil
	case <-ctx.Done():
		return errNotFollowing
	}
}

func (f *eventFollower) isComplete() bool { return f.shards > 0 && len(f.followed) == f.shards }

// Begin starts to follow the shard at its end.
func (f *eventFollower) Begin(ctx context.Context, shard int32) (int64, error) {
	_, ends, err := f.log.EventOffsets(ctx)
	if err != nil {
		return 0, err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range f.subscribers {
		s.Begin(shard, len(ends))
	}
	was := f.isComplete()
	f.shards = len(ends)
	f.followed[shard], f.last[shard] = true, 0
	if !was && f.isComplete() {
		close(f.complete)
	}
	return ends[shard], nil
}

// Handle passes events to the subscribers, and then to the requests that wait
// for them. The near cache comes before the requests, so that a client that
// reads after its write does not get the old version.
//
// A record that cannot be decoded may have been an event. The subscribers then start
// the shard again, so that they keep nothing that the event has changed.
func (f *eventFollower) Handle(ctx context.Context, r eventlog.Records[catalog.Event]) error {
	r.Items = f.genuine(ctx, r.Shard, r.Items)
	if len(r.DeadLetters) > 0 {
		f.mu.Lock()
		for _, s := range f.subscribers {
			s.End(r.Shard)
			s.Begin(r.Shard, f.shards)
		}
		f.mu.Unlock()
	}
	for _, s := range f.subscribers {
		s.Publish(r.Shard, r.Items)
	}
	f.pending.publish(r.Items)
	return nil
}

// genuine returns the events without those whose seq is not in the journal yet: a
// writer publishes an event after it has settled it. Only events after a gap, and the
// first ones of a shard, are compared. While the journal cannot be read, they are
// believed, which makes the near cache of the shard useless and nothing wrong.
func (f *eventFollower) genuine(ctx context.Context, shard int32, events []catalog.Event) []catalog.Event {
	f.mu.Lock()
	last := f.last[shard]
	f.mu.Unlock()
	kept, next := events[:0:0], int64(0)
	invalid, first := 0, int64(0)
	for _, e := range events {
		if last == 0 || e.Seq > last+1 {
			if next == 0 {
				next = f.next(ctx, shard)
			}
			if e.Seq >= next {
				if invalid++; invalid == 1 {
					first = e.Seq
				}
				continue
			}
		}
		last = max(last, e.Seq)
		kept = append(kept, e)
	}
	if invalid > 0 {
		f.logger.ErrorContext(ctx, "invalid events skipped: the journal does not have them; find out which program wrote them, then run catalog repair",
			"shard", shard, "count", invalid, "seq", first, "journal", next-1)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.last[shard] = last
	return kept
}

// next returns the seq of the next event of the shard, or the highest number when the
// journal cannot be read.
func (f *eventFollower) next(ctx context.Context, shard int32) int64 {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	next, err := f.journal.Next(ctx, shard)
	if err != nil {
		return math.MaxInt64
	}
	return next
}

// End stops following the shard.
func (f *eventFollower) End(shard int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.isComplete() {
		f.complete = make(chan struct{})
	}
	delete(f.followed, shard)
	for _, s := range f.subscribers {
		s.End(shard)
	}
}
