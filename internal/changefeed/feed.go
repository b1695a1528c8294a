// Package feed passes on what becomes of products to many consumers, each from
// where it likes to begin.
//
// It promises: a consumer gets every event behind its cursor, those of one
// shard in order; and one that is slow costs the others nothing. What came last
// is held once for all of them. Who is behind that reads the journal, a page at
// a time, until it has caught up, so that a consumer has no buffer of its own
// which could run over.
//
// It follows no log itself: who follows one tells it what comes, by Begin,
// Follow and End.
package changefeed

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/semaphore"

	"catalog"
)

// Journal has all events there have ever been.
type Journal interface {
	// Next answers the seq that the next event of the shard will have.
	Next(ctx context.Context, shard int32) (int64, error)
	// Replay calls handle with the events of the shard with from ≤ seq ≤ to, in
	// order.
	Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error
}

// Limits of a feed.
const (
	held     = 16 << 20 // bytes of what came last
	heldMost = 20_000   // events of what came last
	page     = 100      // events that a consumer gets at once
	readers  = 8        // consumers that read the journal at once
)

// Errors of consumers.
var (
	// ErrFull says that there are as many consumers as may be.
	ErrTooManySubscribers = fmt.Errorf("there are as many consumers as may be: %w", catalog.ErrUnavailable)
	// ErrClosed says that the feed has ended.
	ErrClosed = errors.New("the feed has ended")
)

// Item is an event as consumers get it.
type Item struct {
	catalog.Position
	Kind    catalog.Outcome
	Product catalog.ID
	Data    []byte // as it is sent; nil for what changed nothing

	in, left string // categories
}

// Filter says what a consumer wants. The zero value is everything.
type Filter struct {
	Product  catalog.ID
	Category string // and those below it; what leaves it too
}

// Match says whether the item changed what the filter is about.
func (f Filter) Match(i Item) bool {
	switch {
	case i.Data == nil, f.Product != (catalog.ID{}) && i.Product != f.Product:
		return false
	case f.Category == "":
		return true
	}
	// Of a product that was deleted before events said what it left it is not
	// known where it was.
	return within(i.in, f.Category) || within(i.left, f.Category) || i.Kind == catalog.Deleted && i.left == ""
}

func within(category, above string) bool {
	rest, ok := strings.CutPrefix(category, above)
	return ok && (rest == "" || rest[0] == '/')
}

// What is known of a shard's last event where it is not a seq.
const (
	unfollowed = -2
	unknown    = -1 // it is followed, and nothing has come yet
)

// Feed is safe for use by many at once.
type Feed struct {
	journal Journal
	render  func(catalog.Event) []byte
	reading *semaphore.Weighted // places of those who read the journal
	asking  chan struct{}       // holds something while the journal is asked how far it is

	mu        sync.Mutex
	heads     []int64 // by shard: seq of the last event that was followed
	begun     int     // counts the calls of Begin
	items     []Item  // that came last
	first     int64   // number of items[0]
	size      int     // of the items
	consumers int
	most      int
	news      chan struct{} // closed when anything of the above has changed
	closed    bool

	metrics metrics
}

type metrics struct {
	consumers         prometheus.Gauge
	refused, caughtUp prometheus.Counter
	held              prometheus.Gauge
}

// New makes a feed for so many consumers at most. An item's Data is what render
// makes of its event, once for all consumers.
func New(consumers int, journal Journal, render func(catalog.Event) []byte, reg prometheus.Registerer) *Feed {
	f := &Feed{
		journal: journal, render: render, most: consumers,
		reading: semaphore.NewWeighted(readers), asking: make(chan struct{}, 1), news: make(chan struct{}),
		metrics: metrics{
			consumers: prometheus.NewGauge(prometheus.GaugeOpts{Name: "catalog_feed_consumers", Help: "Consumers of changes that are connected."}),
			refused:   prometheus.NewCounter(prometheus.CounterOpts{Name: "catalog_feed_refused_total", Help: "Consumers of changes that were refused because there were too many."}),
			caughtUp:  prometheus.NewCounter(prometheus.CounterOpts{Name: "catalog_feed_journal_events_total", Help: "Events that consumers of changes read from the journal, because they were behind what is held."}),
			held:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "catalog_feed_held_bytes", Help: "Size of the changes that are held for consumers."}),
		},
	}
	reg.MustRegister(f.metrics.consumers, f.metrics.refused, f.metrics.caughtUp, f.metrics.held)
	return f
}

// Begin says that the shard, of so many, is followed from somewhere on.
func (f *Feed) Begin(shard int32, shards int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.heads) < shards {
		f.heads = append(f.heads, unfollowed)
	}
	f.heads[shard] = unknown
	f.begun++
	f.forget()
	f.tell()
}

// Follow is given events of the shard, in order.
func (f *Feed) Publish(shard int32, events []catalog.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int(shard) >= len(f.heads) {
		return // it has not begun
	}
	for _, e := range events {
		head := f.heads[shard]
		switch {
		case e.Seq <= head:
			continue // it has come before
		case head >= 0 && e.Seq > head+1:
			f.forget() // and all read what was missed from the journal
		case head >= 0 && f.consumers > 0:
			f.hold(f.item(e))
		}
		f.heads[shard] = e.Seq
	}
	f.tell()
}

// End says that the shard is followed no more.
func (f *Feed) End(shard int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads[shard] = unfollowed
	f.forget()
	f.tell()
}

// Close ends all consumers, and lets no more in.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.tell()
}

// Shards is how many there are, or 0 while that is not known.
func (f *Feed) Shards() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.heads)
}

// tell wakes all who wait for news.
func (f *Feed) tell() {
	close(f.news)
	f.news = make(chan struct{})
}

func (f *Feed) item(e catalog.Event) Item {
	i := Item{Position: e.Position, Kind: e.Outcome, Product: e.Product.ID}
	if e.Applied() {
		i.in, i.left, i.Data = e.Product.Category, e.PreviousCategory, f.render(e)
	}
	return i
}

// hold adds an item and lets go of the oldest, as far as there are too many.
func (f *Feed) hold(i Item) {
	f.items = append(f.items, i)
	f.size += len(i.Data)
	drop := 0
	for f.size > held || len(f.items)-drop > heldMost {
		f.size -= len(f.items[drop].Data)
		f.items[drop] = Item{} // for the collector
		drop++
	}
	f.items, f.first = f.items[drop:], f.first+int64(drop)
	f.metrics.held.Set(float64(f.size))
}

// forget lets go of all items, and of a number that none had: whoever is not
// behind them is behind now.
func (f *Feed) forget() {
	f.first += int64(len(f.items)) + 1
	f.items, f.size = nil, 0
	f.metrics.held.Set(0)
}

// state answers how far each shard is, and the number of the item that comes
// next. It waits until all shards are followed.
func (f *Feed) state(ctx context.Context) (heads Cursor, next int64, err error) {
	for {
		f.mu.Lock()
		shard := slices.IndexFunc(f.heads, func(head int64) bool { return head < 0 })
		follows := len(f.heads) > 0 && !slices.Contains(f.heads, unfollowed)
		heads, next, begun, news, closed := Cursor(slices.Clone(f.heads)), f.first+int64(len(f.items)), f.begun, f.news, f.closed
		f.mu.Unlock()
		switch {
		case closed:
			return nil, 0, ErrClosed
		case follows && shard < 0:
			return heads, next, nil
		case follows:
			err = f.ask(ctx, int32(shard), begun)
		default:
			select {
			case <-news:
			case <-ctx.Done():
				err = fmt.Errorf("the events are not followed yet: %w", catalog.ErrUnavailable)
			}
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// ask asks the journal how far a shard is of which nothing has come since it
// has begun, unless somebody else has asked meanwhile.
func (f *Feed) ask(ctx context.Context, shard int32, begun int) error {
	select {
	case f.asking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.asking }()
	still := func() bool { return f.begun == begun && f.heads[shard] == unknown }
	f.mu.Lock()
	needed := still()
	f.mu.Unlock()
	if !needed {
		return nil
	}
	next, err := f.journal.Next(ctx, shard)
	if err != nil {
		return err
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if still() {
		f.heads[shard] = next - 1
	}
	return nil
}

// since answers items from the number on. ok is false when they are not held
// any more; news is closed when there may be more.
func (f *Feed) since(number int64) (items []Item, news <-chan struct{}, ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, nil, false, ErrClosed
	case number < f.first:
		return nil, nil, false, nil
	}
	items = f.items[number-f.first:]
	return slices.Clone(items[:min(len(items), page)]), f.news, true, nil
}
