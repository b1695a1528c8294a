// Package changefeed passes changes of products on to many subscribers, each
// from a position of its own.
//
// It promises: a subscriber gets every event after its cursor, the events of one
// shard in order, and a slow subscriber does not delay the others. The feed
// buffers recent events once for all subscribers. A subscriber that falls behind
// the buffer reads the journal, a page at a time, until it has caught up, so it
// needs no buffer of its own that could overflow.
//
// A feed does not follow a log itself: its owner follows one and calls Begin,
// Publish and End.
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
	"catalog/internal/cpu"
	"catalog/internal/spelling"
)

// Journal has every event that is not archived.
type Journal interface {
	// Next returns the seq that the next event of the shard will have.
	Next(ctx context.Context, shard int32) (int64, error)
	// Replay calls handle with the events of the shard with from ≤ seq ≤ to, in
	// order. It returns ErrArchived when the first one is archived.
	Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error
}

// Limits of a feed.
const (
	maxBufferBytes  = 16 << 20 // rendered data of the buffered events, in bytes
	maxBufferEvents = 20_000   // about ten seconds of events at the highest rate of writes
	pageSize        = 100      // events that Next returns at most
	pageBytes       = 1 << 20  // size of events at which a page that is read from the journal ends
)

// maxReaders is the number of subscribers that read the journal at once, so that they slow
// neither the writers nor other requests of this process down: to decode and render a page
// costs CPU.
var maxReaders = min(8, cpu.ButOne())

// Errors of subscribers.
var (
	// ErrTooManySubscribers is returned by Subscribe when the maximum number of
	// subscribers is connected.
	ErrTooManySubscribers = fmt.Errorf("too many subscribers: %w", catalog.ErrOverloaded)
	// ErrClosed is returned when the feed is closed.
	ErrClosed = errors.New("the feed is closed")
)

// Item is an event in the form that subscribers get.
type Item struct {
	catalog.Position
	Kind    catalog.Outcome
	Product catalog.ID
	Data    []byte // rendered event; nil for an event that changed nothing

	category, previousCategory string // as [spelling.Key] returns them
}

// Filter selects items. The zero value selects every change.
type Filter struct {
	product  catalog.ID
	category string // as [spelling.Key] returns it
}

// NewFilter returns a filter of the changes of one product, or of all for the zero id, in the
// category or below it, and of those by which a product leaves the category. "" selects all
// categories. The category may have another spelling than that of the products.
func NewFilter(product catalog.ID, category string) Filter {
	return Filter{product, spelling.Key(category)}
}

// Match reports whether the item is a change that the filter selects.
func (f Filter) Match(i Item) bool {
	switch {
	case i.Data == nil, f.product != (catalog.ID{}) && i.Product != f.product:
		return false
	case f.category == "":
		return true
	}
	// Old journals have deletions without a previous category. Such a deletion
	// matches every category, since the product may have been in it.
	return within(i.category, f.category) || within(i.previousCategory, f.category) || i.Kind == catalog.Deleted && i.previousCategory == ""
}

// within reports whether category equals above or is below it.
func within(category, above string) bool {
	rest, ok := strings.CutPrefix(category, above)
	return ok && (rest == "" || rest[0] == '/')
}

// Values of a shard's head that are not seqs.
const (
	notFollowed = -2
	unknown     = -1 // the shard is followed; the journal is asked for the head when a client subscribes
)

// Feed is safe for concurrent use.
type Feed struct {
	journal Journal
	render  func(catalog.Event) []byte
	readers *semaphore.Weighted // limits concurrent reads of the journal
	asking  chan struct{}       // holds one element while the journal is asked for a head

	mu          sync.Mutex
	heads       []int64 // by shard: seq of the last published event, notFollowed or unknown
	asked       int32   // shard whose head the journal is asked for, or -1
	meanwhile   []int64 // seqs of the events of that shard that have come since
	begins      int     // number of calls of Begin
	items       []Item  // the buffer
	first       int64   // number of items[0]; items are numbered consecutively
	size        int     // bytes of data in the buffer
	subscribers int
	limit       int           // limit of subscribers
	changed     chan struct{} // closed and replaced when a field above changes
	closed      bool

	metrics metrics
}

type metrics struct {
	subscribers   prometheus.Gauge
	journalEvents prometheus.Counter
	buffered      prometheus.Gauge
}

// New returns a feed for at most maxSubscribers. render makes an item's Data from
// its event, once for all subscribers. Metrics are registered with reg.
func New(maxSubscribers int, journal Journal, render func(catalog.Event) []byte, reg prometheus.Registerer) *Feed {
	f := &Feed{
		journal: journal, render: render, limit: maxSubscribers, asked: -1,
		readers: semaphore.NewWeighted(int64(maxReaders)), asking: make(chan struct{}, 1), changed: make(chan struct{}),
		metrics: metrics{
			subscribers:   prometheus.NewGauge(prometheus.GaugeOpts{Name: "catalog_changefeed_subscribers", Help: "Clients that follow changes."}),
			journalEvents: prometheus.NewCounter(prometheus.CounterOpts{Name: "catalog_changefeed_journal_events_total", Help: "Events that clients behind the buffer read from the journal, at the cost of the writers."}),
			buffered:      prometheus.NewGauge(prometheus.GaugeOpts{Name: "catalog_changefeed_buffer_bytes", Help: "Size of the buffered events, at most 16 MiB."}),
		},
	}
	reg.MustRegister(f.metrics.subscribers, f.metrics.journalEvents, f.metrics.buffered)
	return f
}

// Begin is called before the first event of the shard, one of shards, and again
// when the owner starts to follow the shard from another offset.
func (f *Feed) Begin(shard int32, shards int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for len(f.heads) < shards {
		f.heads = append(f.heads, notFollowed)
	}
	f.heads[shard] = unknown
	f.begins++
	f.clearBuffer()
	f.notify()
}

// Publish is called with the next events of the shard, in order. It ignores
// events that have come before.
func (f *Feed) Publish(shard int32, events []catalog.Event) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if int(shard) >= len(f.heads) {
		return // Publish was called before Begin
	}
	for _, e := range events {
		switch head := f.heads[shard]; {
		case head < 0:
			if f.asked == shard {
				f.meanwhile = append(f.meanwhile, e.Seq)
			}
		case e.Seq <= head:
		case e.Seq > head+1:
			// All subscribers read the missing events from the journal. The journal also
			// determines where the events end, because the seq of e can be forged.
			f.clearBuffer()
			f.heads[shard] = unknown
		default:
			if f.subscribers > 0 {
				f.buffer(f.item(e))
			}
			f.heads[shard] = e.Seq
		}
	}
	f.notify()
}

// End is called when the owner stops following the shard.
func (f *Feed) End(shard int32) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.heads[shard] = notFollowed
	f.clearBuffer()
	f.notify()
}

// Close ends all subscriptions with ErrClosed. Later ones fail with it, too.
func (f *Feed) Close() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.closed = true
	f.notify()
}

// Shards returns the number of shards, or 0 before the first Begin.
func (f *Feed) Shards() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return len(f.heads)
}

// notify wakes all goroutines that wait for a change.
func (f *Feed) notify() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (f *Feed) item(e catalog.Event) Item {
	i := Item{Position: e.Position, Kind: e.Outcome, Product: e.Product.ID}
	if e.Applied() {
		i.category, i.previousCategory, i.Data = spelling.Key(e.Product.Category), spelling.Key(e.PreviousCategory), f.render(e)
	}
	return i
}

// buffer appends an item and drops the oldest ones beyond the limits.
func (f *Feed) buffer(i Item) {
	f.items = append(f.items, i)
	f.size += len(i.Data)
	drop := 0
	for f.size > maxBufferBytes || len(f.items)-drop > maxBufferEvents {
		f.size -= len(f.items[drop].Data)
		f.items[drop] = Item{} // lets the garbage collector free the data
		drop++
	}
	f.items, f.first = f.items[drop:], f.first+int64(drop)
	f.metrics.buffered.Set(float64(f.size))
}

// clearBuffer drops all items. It skips a number that no item had, so that a
// subscriber that had read the whole buffer is behind it, too.
func (f *Feed) clearBuffer() {
	f.first += int64(len(f.items)) + 1
	f.items, f.size = nil, 0
	f.metrics.buffered.Set(0)
}

// state returns the head of each shard and the number of the next item. It waits
// until all shards are followed.
func (f *Feed) state(ctx context.Context) (heads Cursor, next int64, err error) {
	for {
		f.mu.Lock()
		shard := slices.IndexFunc(f.heads, func(head int64) bool { return head < 0 })
		followed := len(f.heads) > 0 && !slices.Contains(f.heads, notFollowed)
		heads, next, begins, changed, closed := Cursor(slices.Clone(f.heads)), f.first+int64(len(f.items)), f.begins, f.changed, f.closed
		f.mu.Unlock()
		switch {
		case closed:
			return nil, 0, ErrClosed
		case followed && shard < 0:
			return heads, next, nil
		case followed:
			err = f.loadHead(ctx, int32(shard), begins)
		default:
			select {
			case <-changed:
			case <-ctx.Done():
				err = fmt.Errorf("the events of all shards are not followed yet: %w", catalog.ErrUnavailable)
			}
		}
		if err != nil {
			return nil, 0, err
		}
	}
}

// loadHead reads the head of a shard from the journal. One goroutine at a time asks
// the journal; the others use its result.
func (f *Feed) loadHead(ctx context.Context, shard int32, begins int) error {
	select {
	case f.asking <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	defer func() { <-f.asking }()
	needed := func() bool { return f.begins == begins && f.heads[shard] == unknown }
	f.mu.Lock()
	ask := needed()
	f.asked, f.meanwhile = shard, nil
	f.mu.Unlock()
	if !ask {
		return nil
	}
	next, err := f.journal.Next(ctx, shard)
	f.mu.Lock()
	defer f.mu.Unlock()
	f.asked = -1
	if err != nil || !needed() {
		return err
	}
	for _, seq := range f.meanwhile { // settled after the journal was asked
		if seq == next {
			next++
		}
	}
	f.heads[shard] = next - 1
	return nil
}

// page returns buffered items from the number on. ok is false when the buffer no
// longer has them; changed is closed when there may be more.
func (f *Feed) page(number int64) (items []Item, changed <-chan struct{}, ok bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case f.closed:
		return nil, nil, false, ErrClosed
	case number < f.first:
		return nil, nil, false, nil
	}
	items = f.items[number-f.first:]
	return slices.Clone(items[:min(len(items), pageSize)]), f.changed, true, nil
}
