package changefeed

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"catalog"
)

// Subscriber gets the events after its cursor. It must not be used by several
// goroutines at once.
type Subscriber struct {
	feed   *Feed
	cursor Cursor
	target Cursor // the journal is read up to here; the buffered items follow, from next on
	next   int64
}

// Subscribe returns a subscriber for the events after the cursor, or, with nil,
// for the events from now on. It waits until all shards are followed. The caller
// must Close the subscriber. It returns ErrTooManySubscribers, ErrClosed, an
// error of the journal, ErrArchived when the journal no longer has the next event,
// or ErrUnavailable when ctx ends first.
func (f *Feed) Subscribe(ctx context.Context, after Cursor) (*Subscriber, error) {
	f.mu.Lock()
	full := f.subscribers >= f.limit
	if !full {
		f.subscribers++ // before state: without subscribers, the feed buffers nothing
		f.metrics.subscribers.Set(float64(f.subscribers))
	}
	f.mu.Unlock()
	if full {
		return nil, ErrTooManySubscribers
	}
	s := &Subscriber{feed: f}
	var err error
	if s.target, s.next, err = f.state(ctx); err != nil {
		s.Close()
		return nil, err
	}
	if after == nil {
		after = s.target
	}
	s.cursor = slices.Clone(after)
	if err := s.checkJournal(ctx); err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

// checkJournal returns ErrArchived when the journal no longer has the first event
// after the cursor. It looks at the first shard that is behind: if another one is
// archived, a later call of Next fails, and the next Subscribe looks at that one.
func (s *Subscriber) checkJournal(ctx context.Context) error {
	for shard := range s.cursor {
		if next := s.cursor[shard] + 1; next <= s.target[shard] {
			err := s.feed.journal.Replay(ctx, int32(shard), next, next, func([]catalog.Event) error { return nil })
			if errors.Is(err, catalog.ErrArchived) {
				return err
			}
			return nil // other errors are temporary; Next returns them
		}
	}
	return nil
}

// Close ends the subscription. Call it once.
func (s *Subscriber) Close() {
	f := s.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.subscribers--; f.subscribers == 0 {
		f.clearBuffer()
	}
	f.metrics.subscribers.Set(float64(f.subscribers))
}

// Cursor returns a copy of the cursor, which is after all events that Next has
// returned.
func (s *Subscriber) Cursor() Cursor { return slices.Clone(s.cursor) }

// Next waits for events and returns at least one and at most a page. It returns
// ErrClosed, an error of the journal, or the error of ctx; the cursor then stays.
func (s *Subscriber) Next(ctx context.Context) ([]Item, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for shard := range s.cursor {
			if s.cursor[shard] < s.target[shard] {
				return s.readJournal(ctx, int32(shard))
			}
		}
		items, changed, ok, err := s.feed.page(s.next)
		switch {
		case err != nil:
			return nil, err
		case !ok: // behind the buffer: read the journal up to its present head
			if s.target, s.next, err = s.feed.state(ctx); err != nil {
				return nil, err
			}
		case len(items) == 0:
			select {
			case <-changed:
			case <-ctx.Done():
			}
		default:
			s.next += int64(len(items))
			items = slices.DeleteFunc(items, func(i Item) bool { return !s.cursor.Advance(i.Position) })
			if len(items) > 0 {
				return items, nil
			}
		}
	}
}

// errPageFull ends a read of the journal early.
var errPageFull = errors.New("the page is full")

// readJournal reads a page of a shard from the journal.
func (s *Subscriber) readJournal(ctx context.Context, shard int32) ([]Item, error) {
	if err := s.feed.readers.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer s.feed.readers.Release(1)
	var events []catalog.Event
	size := 0
	from := s.cursor[shard] + 1
	if err := s.feed.journal.Replay(ctx, shard, from, min(s.target[shard], from+pageSize-1), func(more []catalog.Event) error {
		for _, e := range more {
			size += e.Size()
		}
		if events = append(events, more...); size >= pageBytes {
			return errPageFull
		}
		return nil
	}); err != nil && !errors.Is(err, errPageFull) {
		return nil, err // the events read so far are read again
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("the journal lacks event %s, which was published: %w", catalog.Position{Shard: shard, Seq: from}, catalog.ErrUnavailable)
	}
	s.feed.metrics.journalEvents.Add(float64(len(events)))
	items := make([]Item, 0, len(events))
	for _, e := range events {
		if s.cursor.Advance(e.Position) {
			items = append(items, s.feed.item(e))
		}
	}
	return items, nil
}
