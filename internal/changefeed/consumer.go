package changefeed

import (
	"context"
	"fmt"
	"slices"

	"catalog"
)

// Consumer gets what comes, from its cursor on. It is for one goroutine.
type Subscriber struct {
	feed *Feed
	at   Cursor
	goal Cursor // as far as the journal is read; then the items held follow, from next on
	next int64
}

// Join lets a consumer in that begins behind the cursor, or, with nil, with
// what comes from now on. Call Leave at last.
func (f *Feed) Subscribe(ctx context.Context, from Cursor) (*Subscriber, error) {
	f.mu.Lock()
	full := f.consumers >= f.most
	if !full {
		f.consumers++ // first, since nothing is held for nobody
		f.metrics.consumers.Set(float64(f.consumers))
	}
	f.mu.Unlock()
	if full {
		f.metrics.refused.Inc()
		return nil, ErrTooManySubscribers
	}
	c := &Subscriber{feed: f}
	var err error
	if c.goal, c.next, err = f.state(ctx); err != nil {
		c.Close()
		return nil, err
	}
	if from == nil {
		from = c.goal
	}
	c.at = slices.Clone(from)
	return c, nil
}

// Leave says that the consumer has gone.
func (c *Subscriber) Close() {
	f := c.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.consumers--; f.consumers == 0 {
		f.forget()
	}
	f.metrics.consumers.Set(float64(f.consumers))
}

// At is a copy of the cursor: behind all that Next has answered.
func (c *Subscriber) Cursor() Cursor { return slices.Clone(c.at) }

// Next waits for items and answers them: at least one, at most a page. Its
// error is ErrClosed, that of the journal, or why ctx has ended.
func (c *Subscriber) Next(ctx context.Context) ([]Item, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		for shard := range c.at {
			if c.at[shard] < c.goal[shard] {
				return c.read(ctx, int32(shard))
			}
		}
		items, news, ok, err := c.feed.since(c.next)
		switch {
		case err != nil:
			return nil, err
		case !ok:
			if c.goal, c.next, err = c.feed.state(ctx); err != nil {
				return nil, err
			}
		case len(items) == 0:
			select {
			case <-news:
			case <-ctx.Done():
			}
		default:
			c.next += int64(len(items))
			items = slices.DeleteFunc(items, func(i Item) bool { return !c.at.Advance(i.Position) })
			if len(items) > 0 {
				return items, nil
			}
		}
	}
}

// read reads a page of a shard from the journal.
func (c *Subscriber) read(ctx context.Context, shard int32) ([]Item, error) {
	if err := c.feed.reading.Acquire(ctx, 1); err != nil {
		return nil, err
	}
	defer c.feed.reading.Release(1)
	var events []catalog.Event
	from := c.at[shard] + 1
	if err := c.feed.journal.Replay(ctx, shard, from, min(c.goal[shard], from+page-1), func(more []catalog.Event) error {
		events = append(events, more...)
		return nil
	}); err != nil {
		return nil, err // and the cursor stays
	}
	if len(events) == 0 {
		return nil, fmt.Errorf("the journal has no event %s, which was published: %w", catalog.Position{Shard: shard, Seq: from}, catalog.ErrUnavailable)
	}
	c.feed.metrics.caughtUp.Add(float64(len(events)))
	items := make([]Item, 0, len(events))
	for _, e := range events {
		if c.at.Advance(e.Position) {
			items = append(items, c.feed.item(e))
		}
	}
	return items, nil
}
