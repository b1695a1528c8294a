package reader_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/reader"
)

// 100,000 generated histories, each in a shard of its own: what a topic may do to
// the events (repeat them, move them, lose them, forget its beginning), and what
// may become of who reads them (batches cut anywhere, writes that fail half done,
// another beginning), leads to the products of the history in view and index.
func TestEveryHistoryLeadsToItsProductsHoweverItIsDelivered(t *testing.T) {
	const histories, workers = 100_000, 4
	seed := rand.Uint64()
	var done sync.WaitGroup
	for worker := range uint64(workers) {
		done.Go(func() {
			w := newTheatre(t, histories/workers)
			for shard := range int32(histories / workers) {
				r := rand.New(rand.NewPCG(seed, worker<<32|uint64(shard)))
				if err := w.play(t.Context(), r, shard); err != nil {
					t.Errorf("history %d of worker %d, seed %d: %v", shard, worker, seed, err)
					return
				}
			}
			if err := w.found(t.Context()); err != nil {
				t.Errorf("worker %d, seed %d: %v", worker, seed, err)
			}
			if w.view.failures == 0 || w.begun == 0 || w.trimmed == 0 {
				t.Errorf("void: %d writes failed, %d shards were begun again, %d topics trimmed", w.view.failures, w.begun, w.trimmed)
			}
		})
	}
	done.Wait()
}

// theatre is a reader in memory to which histories are played.
type theatre struct {
	*reader.Reader
	view      *forgetful
	index     *index
	log       *stage
	journals  journals
	begun     int // shards that were begun again
	trimmed   int // topics that had forgotten what came next
	consumers [2]eventlog.Consumer[catalog.Event]
}

func newTheatre(t *testing.T, shards int) *theatre {
	w := &theatre{
		view:     &forgetful{products: map[catalog.ID]catalog.Product{}, progress: map[int32]eventlog.Checkpoint{}},
		index:    &index{products: map[catalog.ID]catalog.Product{}},
		log:      &stage{starts: make([]int64, shards), ends: make([]int64, shards), consumers: make(chan eventlog.Consumer[catalog.Event])},
		journals: make(journals, shards),
	}
	w.Reader = reader.New(w.view, newCache(), w.index, w.log, w.journals, slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry())
	w.consumers = w.log.enter(t, w.Reader)
	return w
}

// play delivers a generated history to a shard, and compares what it leads to.
func (w *theatre) play(ctx context.Context, r *rand.Rand, shard int32) error {
	history := generated(r, shard)
	w.journals[shard] = history
	topic := disordered(r, history)
	w.log.ends[shard] = int64(len(topic))
	for _, c := range w.consumers {
		w.log.starts[shard] = 0
		if err := w.deliver(ctx, r, c, shard, topic); err != nil {
			return err
		}
	}
	w.view.chance = nil
	if p, err := w.view.Checkpoint(ctx, shard); err != nil || p.Seq != int64(len(history)) || p.Offset != int64(len(topic)) {
		return fmt.Errorf("the view is at %+v, not at seq %d and offset %d (%w)", p, len(history), len(topic), err)
	}
	for _, want := range eventlog.LastVersions(history) {
		got, err := w.view.Product(ctx, want.ID)
		if err != nil || got.Version != want.Version || got.Deleted != want.Deleted || got.Name != want.Name {
			return fmt.Errorf("the view has %+v (%w); want %+v", got, err, want)
		}
		got, err = w.Product(ctx, want.ID, catalog.Position{Shard: shard, Seq: int64(len(history))})
		if want.Deleted != errors.Is(err, catalog.ErrNotFound) || !want.Deleted && got.Version != want.Version {
			return fmt.Errorf("a read answers %+v (%w); want %+v", got, err, want)
		}
	}
	return nil
}

// deliver hands over the records of a topic in batches cut anywhere. Whoever
// fails, or is told to, begins again where he says.
func (w *theatre) deliver(ctx context.Context, r *rand.Rand, c eventlog.Consumer[catalog.Event], shard int32, topic []catalog.Event) error {
	w.view.chance = nil
	at, err := c.Begin(ctx, shard)
	for err == nil && at < int64(len(topic)) {
		w.view.chance = r
		to := at + 1 + r.Int64N(int64(len(topic))-at)
		failed := c.Handle(ctx, eventlog.Records[catalog.Event]{Shard: shard, From: at, To: to, Items: topic[at:to]})
		w.view.chance = nil
		at = to
		if failed == nil && r.IntN(8) > 0 {
			continue
		}
		if failed != nil && !errors.Is(failed, errForgetful) {
			return failed
		}
		if r.IntN(4) == 0 { // the topic forgets its beginning
			w.log.starts[shard] = r.Int64N(int64(len(topic)) + 1)
		}
		c.End(shard)
		w.begun++
		if at, err = c.Begin(ctx, shard); at == w.log.starts[shard] && at > 0 {
			w.trimmed++
		}
	}
	return err
}

// found compares the index with all histories, once it has everything.
func (w *theatre) found(ctx context.Context) error {
	last := int32(len(w.journals) - 1)
	if _, err := w.Search(ctx, catalog.Query{}, catalog.Position{Shard: last, Seq: int64(len(w.journals[last]))}); err != nil {
		return err
	}
	var err error
	w.index.set(func(products map[catalog.ID]catalog.Product) {
		for _, history := range w.journals {
			for _, want := range eventlog.LastVersions(history) {
				if got := products[want.ID]; got.Version != want.Version || got.Deleted != want.Deleted {
					err = fmt.Errorf("the index has %+v, want %+v", got, want)
				}
			}
		}
	})
	return err
}

// generated is a history of a few products of one shard: they are made, changed,
// deleted and made again, and some commands are refused.
func generated(r *rand.Rand, shard int32) []catalog.Event {
	var products [3]catalog.Product
	history := make([]catalog.Event, 1+r.IntN(16))
	for i := range history {
		n := r.IntN(len(products))
		p := &products[n]
		e := catalog.Event{Position: catalog.Position{Shard: shard, Seq: int64(i + 1)}, Outcome: catalog.Changed, SettledAt: moment}
		switch {
		case r.IntN(6) == 0:
			e.Outcome, e.Refusal = catalog.Refused, &catalog.Refusal{}
		case p.Exists() && r.IntN(3) == 0:
			p.Version++
			e.Outcome, p.Deleted, p.ProductData = catalog.Deleted, true, catalog.ProductData{}
		default:
			if !p.Exists() {
				e.Outcome = catalog.Created
			}
			p.ID, p.Deleted = catalog.DerivedID(fmt.Sprint(shard), fmt.Sprint(n)), false
			p.Version++
			p.ProductData = catalog.ProductData{Name: fmt.Sprint(p.Version)}
		}
		if e.Outcome != catalog.Refused {
			e.Product = *p
		}
		history[i] = e
	}
	return history
}

// disordered is a history as a topic may have it. The last event is in it:
// without it nobody could know.
func disordered(r *rand.Rand, history []catalog.Event) []catalog.Event {
	var topic []catalog.Event
	for i, e := range history {
		if i == len(history)-1 || r.IntN(10) > 0 {
			topic = append(topic, e)
		}
		if r.IntN(5) == 0 { // a stretch comes again
			topic = append(topic, history[r.IntN(i+1):i+1]...)
		}
	}
	for range r.IntN(3) { // two stretches change places
		from := r.IntN(len(topic))
		to := from + r.IntN(len(topic)-from)
		middle := from + r.IntN(to-from+1)
		moved := append(append([]catalog.Event{}, topic[middle:to]...), topic[from:middle]...)
		copy(topic[from:to], moved)
	}
	return topic
}

// stage is a log that hands its consumers to whoever plays.
type stage struct {
	starts, ends []int64
	consumers    chan eventlog.Consumer[catalog.Event]
}

// enter runs a reader until the test ends, and answers the consumers of its view
// and of its index.
func (s *stage) enter(t *testing.T, r *reader.Reader) (consumers [2]eventlog.Consumer[catalog.Event]) {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	running.Go(func() { _ = r.RunView(ctx) })
	consumers[0] = <-s.consumers
	running.Go(func() { _ = r.RunIndex(ctx) })
	consumers[1] = <-s.consumers
	return consumers
}

func (s *stage) ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
	return s.ConsumeAllShards(ctx, "", c)
}

func (s *stage) ConsumeAllShards(ctx context.Context, _ string, c eventlog.Consumer[catalog.Event]) error {
	s.consumers <- c
	<-ctx.Done()
	return nil
}

func (s *stage) EventOffsets(context.Context) (starts, ends []int64, err error) {
	return s.starts, s.ends, nil
}

// journals are those of the shards.
type journals []journal

func (j journals) Next(ctx context.Context, shard int32) (int64, error) {
	return j[shard].Next(ctx, shard)
}

func (j journals) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	return j[shard].Replay(ctx, shard, from, to, handle)
}

func (j journals) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	return j[shard].Snapshot(ctx, shard, only, handle)
}

var errForgetful = errors.New("the view does not want to")

// forgetful is a view in memory, of which writes fail by chance, half done.
type forgetful struct {
	reader.View
	chance   *rand.Rand // nil for none
	failures int
	mu       sync.Mutex
	products map[catalog.ID]catalog.Product
	progress map[int32]eventlog.Checkpoint
}

func (f *forgetful) fails() bool {
	if f.chance == nil || f.chance.IntN(10) > 0 {
		return false
	}
	f.failures++
	return true
}

func (f *forgetful) Apply(_ context.Context, products []catalog.Product) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range products {
		if f.fails() {
			return errForgetful
		}
		if p.Version > f.products[p.ID].Version {
			f.products[p.ID] = p
		}
	}
	return nil
}

func (f *forgetful) Product(_ context.Context, id catalog.ID) (catalog.Product, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.products[id]; ok {
		return p, nil
	}
	return catalog.Product{}, catalog.ErrNotFound
}

func (f *forgetful) Checkpoint(_ context.Context, shard int32) (eventlog.Checkpoint, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if p, ok := f.progress[shard]; ok {
		return p, nil
	}
	return eventlog.Checkpoint{Position: catalog.Position{Shard: shard}}, nil
}

func (f *forgetful) SaveCheckpoint(_ context.Context, p eventlog.Checkpoint) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.fails() {
		return errForgetful
	}
	if p.Seq >= f.progress[p.Shard].Seq {
		f.progress[p.Shard] = p
	}
	return nil
}
