package changefeed_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"
	"pgregory.net/rapid"

	"catalog"
	"catalog/internal/changefeed"
	"catalog/internal/cpu"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// journal has the events of all shards in memory.
type journal struct {
	mu     sync.Mutex
	events [][]catalog.Event // events by shard
	err    error
	reads  int
}

func newJournal(shards int) *journal { return &journal{events: make([][]catalog.Event, shards)} }

// add appends an event to the shard.
func (j *journal) add(shard int32, size int) catalog.Event {
	j.mu.Lock()
	defer j.mu.Unlock()
	seq := int64(len(j.events[shard]) + 1)
	e := catalog.Event{Position: catalog.Position{Shard: shard, Seq: seq}, Outcome: catalog.Changed}
	e.Product = catalog.Product{ID: catalog.DerivedID(fmt.Sprint(shard)), Version: seq, ProductData: catalog.ProductData{Description: string(data[:size])}}
	j.events[shard] = append(j.events[shard], e)
	return e
}

func (j *journal) Next(_ context.Context, shard int32) (int64, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return int64(len(j.events[shard]) + 1), j.err
}

func (j *journal) Replay(_ context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	j.mu.Lock()
	j.reads++
	events := slices.Clone(j.events[shard][from-1 : to])
	err := j.err
	j.mu.Unlock()
	if half := len(events) / 2; err == nil && half > 0 {
		err = handle(events[:half])
		events = events[half:]
	}
	if err == nil {
		err = handle(events)
	}
	return err
}

var data = make([]byte, 5<<20)

func render(e catalog.Event) []byte { return data[:len(e.Product.Description)+1] }

func newFeed(j *journal, maxSubscribers int) *changefeed.Feed {
	return changefeed.New(maxSubscribers, j, render, prometheus.NewRegistry())
}

// TestSubscriber publishes events in random batches, with repeats, gaps and
// restarts, to subscribers that join, leave and resume with their cursor. Each
// must get each event after its cursor, in the order of the shard.
func TestSubscriber(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		const shards = 3
		j := newJournal(shards)
		feeds := []*changefeed.Feed{newFeed(j, 10), newFeed(j, 10)} // two processes
		followed := [2][shards]int64{}
		for _, feed := range feeds {
			for shard := range int32(shards) {
				feed.Begin(shard, shards)
			}
		}
		type client struct {
			*changefeed.Subscriber
			seen changefeed.Cursor
		}
		var all []*client
		defer func() {
			for _, c := range all {
				c.Close()
			}
		}()
		next := func(c *client, timeout time.Duration) {
			ctx, cancel := context.WithTimeout(r.Context(), timeout)
			defer cancel()
			items, err := c.Next(ctx)
			if err != nil && ctx.Err() == nil {
				r.Fatalf("Next: %v", err)
			}
			for _, i := range items {
				if i.Seq != c.seen[i.Shard]+1 {
					r.Fatalf("shard %d: Next returns event %d after %d", i.Shard, i.Seq, c.seen[i.Shard])
				}
				c.seen[i.Shard] = i.Seq
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"settle": func(r *rapid.T) {
				shard := rapid.Int32Range(0, shards-1).Draw(r, "shard")
				if rapid.IntRange(0, 9).Draw(r, "small") > 0 {
					for range rapid.IntRange(1, 250).Draw(r, "n") {
						j.add(shard, 0)
					}
				} else {
					for range 5 { // more than the buffer holds
						j.add(shard, 4<<20)
					}
				}
			},
			"publish to a feed": func(r *rapid.T) {
				f := rapid.IntRange(0, 1).Draw(r, "feed")
				shard := rapid.Int32Range(0, shards-1).Draw(r, "shard")
				from := max(0, followed[f][shard]-rapid.Int64Range(0, 3).Draw(r, "again"))
				from = min(from+rapid.SampledFrom([]int64{0, 0, 0, 5}).Draw(r, "missed"), int64(len(j.events[shard])))
				feeds[f].Publish(shard, j.events[shard][from:])
				followed[f][shard] = int64(len(j.events[shard]))
			},
			"restart": func(r *rapid.T) {
				f := rapid.IntRange(0, 1).Draw(r, "feed")
				shard := rapid.Int32Range(0, shards-1).Draw(r, "shard")
				feeds[f].End(shard)
				feeds[f].Begin(shard, shards)
				followed[f][shard] = int64(len(j.events[shard]))
			},
			"subscribe": func(r *rapid.T) {
				f := rapid.IntRange(0, 1).Draw(r, "feed")
				var from changefeed.Cursor
				if rapid.Bool().Draw(r, "from the beginning") {
					from = make(changefeed.Cursor, shards)
				}
				c, err := feeds[f].Subscribe(r.Context(), from)
				if err == nil {
					all = append(all, &client{c, c.Cursor()})
				} else if !errors.Is(err, changefeed.ErrTooManySubscribers) {
					r.Fatal(err)
				}
			},
			"resume": func(r *rapid.T) {
				if len(all) == 0 {
					return
				}
				c := all[rapid.IntRange(0, len(all)-1).Draw(r, "client")]
				at, err := changefeed.ParseCursor(c.Cursor().String(), shards)
				if err != nil {
					r.Fatal(err)
				}
				again, err := feeds[rapid.IntRange(0, 1).Draw(r, "feed")].Subscribe(r.Context(), at)
				if err != nil {
					return
				}
				c.Close()
				c.Subscriber = again
			},
			"next": func(r *rapid.T) {
				if len(all) > 0 {
					next(all[rapid.IntRange(0, len(all)-1).Draw(r, "client")], time.Millisecond)
				}
			},
		})
		// In the end, every feed gets every event, and so must every client.
		for shard := range int32(shards) {
			e := j.add(shard, 0)
			for _, f := range feeds {
				f.Publish(shard, []catalog.Event{e})
			}
		}
		for _, c := range all {
			for shard := range c.seen {
				for c.seen[shard] < int64(len(j.events[shard])) {
					next(c, 10*time.Second)
				}
			}
		}
	})
}

func TestSubscriber_slow(t *testing.T) {
	j := newJournal(1)
	f := newFeed(j, 2)
	f.Begin(0, 1)
	fast, err := f.Subscribe(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer fast.Close()
	slow, err := f.Subscribe(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	const many = 200
	for range many { // in all, several times the size of the buffer
		f.Publish(0, []catalog.Event{j.add(0, 500_000)})
		if items, err := fast.Next(t.Context()); err != nil || len(items) != 1 {
			t.Fatalf("Next of the fast subscriber = %d items, %v; want 1", len(items), err)
		}
	}
	if j.reads != 0 {
		t.Fatalf("the fast subscriber read the journal %d times", j.reads)
	}
	got := 0
	for got < many {
		items, err := slow.Next(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		got += len(items)
	}
	if j.reads == 0 {
		t.Error("void: the slow subscriber was not behind the buffer")
	}
}

// heldJournal is a journal whose pages wait until they are released.
type heldJournal struct {
	*journal
	reading atomic.Int64
	release chan struct{}
}

func (j *heldJournal) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	if from < to { // Subscribe reads one event
		j.reading.Add(1)
		defer j.reading.Add(-1)
		<-j.release
	}
	return j.journal.Replay(ctx, shard, from, to, handle)
}

func TestSubscriber_readers(t *testing.T) {
	t.Run("as many subscribers read the journal at once as leave a CPU free, and the others wait", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			want := min(8, cpu.ButOne())
			j := &heldJournal{journal: newJournal(1), release: make(chan struct{})}
			for range 10 {
				j.add(0, 0)
			}
			f := changefeed.New(100, j, render, prometheus.NewRegistry())
			f.Begin(0, 1)
			var got atomic.Int64
			for range 2 * want {
				s, err := f.Subscribe(t.Context(), make(changefeed.Cursor, 1))
				if err != nil {
					t.Fatal(err)
				}
				go func() {
					defer s.Close()
					items, _ := s.Next(t.Context())
					got.Add(int64(len(items)))
				}()
			}
			for range 2 {
				synctest.Wait()
				if n := j.reading.Load(); n != int64(want) {
					t.Errorf("%d subscribers read the journal; want %d", n, want)
				}
				for range want {
					j.release <- struct{}{}
				}
			}
			synctest.Wait()
			if n := got.Load(); n != int64(2*want*10) {
				t.Errorf("the subscribers got %d events; want %d", n, 2*want*10)
			}
		})
	})
}

func TestSubscribe_limit(t *testing.T) {
	f := newFeed(newJournal(1), 1)
	f.Begin(0, 1)
	c, err := f.Subscribe(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Subscribe(t.Context(), nil); !errors.Is(err, changefeed.ErrTooManySubscribers) {
		t.Errorf("second Subscribe = %v, want ErrTooManySubscribers", err)
	}
	c.Close()
	again, err := f.Subscribe(t.Context(), nil)
	if err != nil {
		t.Fatalf("Subscribe after Close = %v", err)
	}
	again.Close()
}

func TestFeed_close(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newJournal(1), 1)
		f.Begin(0, 1)
		c, err := f.Subscribe(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		ended := make(chan error, 1)
		go func() {
			_, err := c.Next(t.Context())
			ended <- err
		}()
		synctest.Wait()
		f.Close()
		if err := <-ended; !errors.Is(err, changefeed.ErrClosed) {
			t.Errorf("Next = %v, want ErrClosed", err)
		}
	})
}

func TestSubscribe_notFollowed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFeed(newJournal(2), 1)
		f.Begin(0, 2)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := f.Subscribe(ctx, nil); !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Subscribe = %v, want ErrUnavailable", err)
		}
		f.Begin(1, 2)
		c, err := f.Subscribe(t.Context(), nil)
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}

// TestSubscriber_journalError fails the journal half way through a page. No event
// is lost.
func TestSubscriber_journalError(t *testing.T) {
	j := newJournal(1)
	for range 10 {
		j.add(0, 0)
	}
	f := newFeed(j, 1)
	f.Begin(0, 1)
	c, err := f.Subscribe(t.Context(), make(changefeed.Cursor, 1))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	j.err = catalog.ErrUnavailable
	if _, err := c.Next(t.Context()); !errors.Is(err, catalog.ErrUnavailable) {
		t.Errorf("Next = %v", err)
	}
	j.err = nil
	if items, err := c.Next(t.Context()); err != nil || len(items) != 10 || items[0].Seq != 1 {
		t.Errorf("Next = %d items, %v", len(items), err)
	}
}

// TestSubscribe_archived subscribes after events that the journal no longer has.
func TestSubscribe_archived(t *testing.T) {
	j := newJournal(1)
	for range 10 {
		j.add(0, 0)
	}
	f := newFeed(j, 1)
	f.Begin(0, 1)
	j.err = catalog.ErrArchived
	if _, err := f.Subscribe(t.Context(), make(changefeed.Cursor, 1)); !errors.Is(err, catalog.ErrArchived) {
		t.Errorf("Subscribe = %v; want ErrArchived", err)
	}
	j.err = nil
	c, err := f.Subscribe(t.Context(), changefeed.Cursor{4})
	if err != nil {
		t.Fatalf("Subscribe after an error = %v; want nil", err)
	}
	c.Close()
}

func TestFilter(t *testing.T) {
	j := newJournal(1)
	f := newFeed(j, 1)
	f.Begin(0, 1)
	c, err := f.Subscribe(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	chair, lamp := catalog.DerivedID("chair"), catalog.DerivedID("lamp")
	event := func(seq int64, k catalog.Outcome, id catalog.ID, in, left string) catalog.Event {
		return catalog.Event{
			Position: catalog.Position{Seq: seq}, Outcome: k, PreviousCategory: left,
			Product: catalog.Product{ID: id, Version: seq, Deleted: k == catalog.Deleted, ProductData: catalog.ProductData{Category: in}},
		}
	}
	f.Publish(0, []catalog.Event{
		event(1, catalog.Created, chair, "Furniture/Chairs", ""),
		event(2, catalog.Created, lamp, "FurnitureLike", ""),
		event(3, catalog.Changed, chair, "Furniture", "Furniture/Chairs"),
		event(4, catalog.Refused, chair, "", ""),
		event(5, catalog.Deleted, chair, "", "Furniture"),
		event(6, catalog.Deleted, lamp, "", "FurnitureLike"),
		event(7, catalog.Deleted, lamp, "", ""),
	})
	items, err := c.Next(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name   string
		filter changefeed.Filter
		want   []int64
	}{
		{"every change", changefeed.Filter{}, []int64{1, 2, 3, 5, 6, 7}},
		{"one product", changefeed.NewFilter(lamp, ""), []int64{2, 6, 7}},
		{"a category, those below it, and deletions without a previous category", changefeed.NewFilter(catalog.ID{}, "Furniture"), []int64{1, 3, 5, 7}},
		{"a product that leaves the category", changefeed.NewFilter(catalog.ID{}, "Furniture/Chairs"), []int64{1, 3, 7}},
		{"another spelling of a category", changefeed.NewFilter(catalog.ID{}, "FURNITURE / \uFF23hairs\u200b"), []int64{1, 3, 7}},
		{"a product in a category", changefeed.NewFilter(chair, "Furniture/Chairs"), []int64{1, 3}},
	} {
		var got []int64
		for _, i := range items {
			if test.filter.Match(i) {
				got = append(got, i.Seq)
			}
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: %v, want %v", test.name, got, test.want)
		}
	}
}

func TestCursor(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		c := changefeed.Cursor(rapid.SliceOfN(rapid.Int64Min(0), 1, 80).Draw(r, "cursor"))
		if got, err := changefeed.ParseCursor(c.String(), len(c)); err != nil || !slices.Equal(got, c) {
			r.Fatalf("ParseCursor of %v = %v, %v", c, got, err)
		}
		if _, err := changefeed.ParseCursor(c.String(), len(c)+1); err == nil {
			r.Fatal("ParseCursor accepts a cursor of another number of shards")
		}
	})
}

func FuzzParseCursor(f *testing.F) {
	f.Add("0", 8)
	f.Add(changefeed.Cursor{1, 300, 0}.String(), 3)
	f.Add("!!", 1)
	f.Fuzz(func(t *testing.T, s string, shards int) {
		if shards < 1 || shards > 100 {
			return
		}
		c, err := changefeed.ParseCursor(s, shards)
		if err == nil && (len(c) != shards || slices.Min(c) < 0) {
			t.Errorf("ParseCursor(%q, %d) = %v", s, shards, c)
		}
	})
}

func TestSubscriber_largeEvents(t *testing.T) {
	t.Run("a page that is read from the journal ends at a size", func(t *testing.T) {
		const events, size = 60, 900_000
		j := newJournal(1)
		for range events {
			j.add(0, size)
		}
		f := newFeed(j, 1)
		f.Begin(0, 1)
		s, err := f.Subscribe(t.Context(), changefeed.Cursor{0})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		next := int64(1)
		for next <= events {
			items, err := s.Next(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if len(items) > 2*events/3 {
				t.Errorf("a page has %d events of %d bytes", len(items), size)
			}
			for _, i := range items {
				if i.Seq != next {
					t.Fatalf("event %d comes; want %d", i.Seq, next)
				}
				next++
			}
		}
	})
}

func TestFeed_forgedSeq(t *testing.T) {
	j := newJournal(1)
	forged := catalog.Event{Position: catalog.Position{Seq: 1_000_000}, Outcome: catalog.Changed}
	for _, c := range []struct {
		name  string
		first []catalog.Event
	}{
		{"a seq far ahead delays no later event", []catalog.Event{j.add(0, 1), forged}},
		{"a seq far ahead delays no later event, also as the first one", []catalog.Event{forged}},
	} {
		t.Run(c.name, func(t *testing.T) {
			feed := newFeed(j, 10)
			feed.Begin(0, 1)
			feed.Publish(0, c.first)
			s, err := feed.Subscribe(t.Context(), changefeed.Cursor{0})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			var seen int64
			for range 3 {
				e := j.add(0, 1)
				feed.Publish(0, []catalog.Event{e, forged})
				for seen < e.Seq {
					items, err := s.Next(t.Context())
					if err != nil {
						t.Fatal(err)
					}
					for _, i := range items {
						if i.Seq != seen+1 {
							t.Fatalf("Next returns event %d after %d", i.Seq, seen)
						}
						seen = i.Seq
					}
				}
			}
		})
	}
}
