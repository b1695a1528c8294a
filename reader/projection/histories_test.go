package projection_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"

	"catalog"
	"catalog/eventlog"
	"catalog/reader"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// TestEventConsumer_histories delivers generated histories, each in a shard of its
// own: 100,000 with CATALOG_TEST_FULL=1, else 4,000. Whatever a topic does to the
// events (repeat, reorder or lose them, remove the oldest) and whatever happens to
// the consumer (batches that end anywhere, writes that fail half way, restarts),
// view and index end with the products of the history.
func TestEventConsumer_histories(t *testing.T) {
	const (
		workers   = 4
		perReader = 500 // a shard begins with the checkpoints of all shards of its reader
	)
	histories := 4_000
	if readertest.Full() {
		histories = 100_000
	}
	seed := rand.Uint64()
	var done sync.WaitGroup
	for worker := range uint64(workers) {
		done.Go(func() {
			for first := uint64(0); first < uint64(histories/workers); first += perReader {
				p := newPlayer(t, perReader)
				for shard := range int32(perReader) {
					r := rand.New(rand.NewPCG(seed, worker<<32|first+uint64(shard)))
					if err := p.play(t, r, shard); err != nil {
						t.Errorf("history %d of worker %d, seed %d: %v", first+uint64(shard), worker, seed, err)
						return
					}
				}
				if err := p.checkIndex(t); err != nil {
					t.Errorf("worker %d, seed %d: %v", worker, seed, err)
				}
				if p.view.failures == 0 || p.restarts == 0 || p.truncated == 0 {
					t.Errorf("void: %d failed writes, %d restarts of shards, %d truncated topics; want some of each", p.view.failures, p.restarts, p.truncated)
				}
			}
		})
	}
	done.Wait()
}

// player delivers histories to a reader in memory.
type player struct {
	*reader.Reader
	view      *failingView
	index     *readertest.Index
	log       *readertest.ManualLog
	journals  journals
	restarts  int // restarts of shards
	truncated int // topics that no longer had the next event
	consumers [2]eventlog.Consumer[catalog.Event]
}

func newPlayer(t *testing.T, shards int) *player {
	p := &player{
		view:     newMemoryView(),
		index:    readertest.NewIndex(),
		log:      readertest.NewManualLog(shards),
		journals: make(journals, shards),
	}
	p.Reader = readertest.New(reader.Deps{View: p.view, Cache: readertest.NewCache(), Index: p.index, Log: p.log, Journal: p.journals})
	p.consumers = p.log.Run(t, p.Reader)
	return p
}

// play delivers a generated history to a shard, and checks the result.
func (p *player) play(t *testing.T, r *rand.Rand, shard int32) error {
	ctx := t.Context()
	history := generateHistory(r, shard)
	p.journals[shard] = history
	topic := disorder(r, history)
	p.log.Ends[shard] = int64(len(topic))
	for _, c := range p.consumers {
		p.log.Starts[shard] = 0
		if err := p.deliver(ctx, r, c, shard, topic); err != nil {
			return err
		}
	}
	readertest.Eventually(t, func() error {
		if at := p.view.checkpoint(shard); at.Seq != int64(len(history)) || at.Offset != int64(len(topic)) {
			return fmt.Errorf("%w: it is seq %d, offset %d; want seq %d, offset %d", errNotSaved, at.Seq, at.Offset, len(history), len(topic))
		}
		return nil
	}, errNotSaved)
	for _, want := range eventlog.LastVersions(history) {
		got, err := p.view.Product(ctx, want.ID)
		if err != nil || got.Version != want.Version || got.Deleted != want.Deleted || got.Name != want.Name {
			return fmt.Errorf("view: Product = version %d, deleted %v, %w; want version %d, deleted %v", got.Version, got.Deleted, err, want.Version, want.Deleted)
		}
		got, err = p.Product(ctx, want.ID, catalog.Position{Shard: shard, Seq: int64(len(history))})
		if want.Deleted != errors.Is(err, catalog.ErrNotFound) || !want.Deleted && got.Version != want.Version {
			return fmt.Errorf("reader: Product = version %d, %w; want version %d, deleted %v", got.Version, err, want.Version, want.Deleted)
		}
	}
	return nil
}

// deliver hands over the records of a topic in batches that end anywhere. After
// an error, and sometimes without one, the consumer begins the shard again.
func (p *player) deliver(ctx context.Context, r *rand.Rand, c eventlog.Consumer[catalog.Event], shard int32, topic []catalog.Event) error {
	p.view.fail(nil)
	at, err := c.Begin(ctx, shard)
	for err == nil && at < int64(len(topic)) {
		p.view.fail(rand.New(rand.NewPCG(r.Uint64(), 0)))
		to := at + 1 + r.Int64N(int64(len(topic))-at)
		failed := c.Handle(ctx, eventlog.Records[catalog.Event]{Shard: shard, From: at, To: to, Items: topic[at:to]})
		p.view.fail(nil)
		at = to
		if failed == nil && r.IntN(8) > 0 {
			continue
		}
		if failed != nil && !errors.Is(failed, errWriteFailed) {
			return failed
		}
		if r.IntN(4) == 0 { // the topic removes its oldest records
			p.log.Starts[shard] = r.Int64N(int64(len(topic)) + 1)
		}
		c.End(shard)
		p.restarts++
		if at, err = c.Begin(ctx, shard); at == p.log.Starts[shard] && at > 0 {
			p.truncated++
		}
	}
	return err
}

// checkIndex compares the index with all histories, once it has all events.
func (p *player) checkIndex(t *testing.T) error {
	last := int32(len(p.journals) - 1)
	readertest.Eventually(t, func() error {
		_, err := p.Search(t.Context(), catalog.Query{}, catalog.Position{Shard: last, Seq: int64(len(p.journals[last]))})
		if errors.Is(err, catalog.ErrUnavailable) { // other shards are not in the index yet
			err = catalog.ErrStale
		}
		return err
	}, catalog.ErrStale)
	for shard, history := range p.journals {
		var want eventlog.Contents
		for _, product := range eventlog.LastVersions(history) {
			if product.Exists() {
				want.Add(product.ID, product.Version)
			}
		}
		if at := p.index.Written(int32(shard)); at.Contents != want {
			return fmt.Errorf("index: checkpoint %+v; want contents %+v", at, want)
		}
	}
	var err error
	p.index.Edit(func(products map[catalog.ID]catalog.Product) {
		for _, history := range p.journals {
			for _, want := range eventlog.LastVersions(history) {
				if got := products[want.ID]; got.Version != want.Version || got.Deleted != want.Deleted {
					err = fmt.Errorf("index: version %d, deleted %v; want version %d, deleted %v", got.Version, got.Deleted, want.Version, want.Deleted)
				}
			}
		}
	})
	return err
}

// generateHistory returns a history of a few products of one shard: they are
// created, changed, deleted and created again, and some commands are refused.
func generateHistory(r *rand.Rand, shard int32) []catalog.Event {
	var products [3]catalog.Product
	history := make([]catalog.Event, 1+r.IntN(16))
	for i := range history {
		n := r.IntN(len(products))
		p := &products[n]
		e := catalog.Event{Position: catalog.Position{Shard: shard, Seq: int64(i + 1)}, Outcome: catalog.Changed, SettledAt: readertest.Moment}
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

// disorder returns a history as a topic may deliver it. The last event is always
// in it: a consumer cannot notice that the last event is missing.
func disorder(r *rand.Rand, history []catalog.Event) []catalog.Event {
	var topic []catalog.Event
	for i, e := range history {
		if i == len(history)-1 || r.IntN(10) > 0 {
			topic = append(topic, e)
		}
		if r.IntN(5) == 0 { // some events are repeated
			topic = append(topic, history[r.IntN(i+1):i+1]...)
		}
	}
	for range r.IntN(3) { // two ranges of events change places
		from := r.IntN(len(topic))
		to := from + r.IntN(len(topic)-from)
		middle := from + r.IntN(to-from+1)
		moved := append(append([]catalog.Event{}, topic[middle:to]...), topic[from:middle]...)
		copy(topic[from:to], moved)
	}
	return topic
}

// journals is the journal of several shards.
type journals []readertest.Journal

func (j journals) Next(ctx context.Context, shard int32) (int64, error) {
	return j[shard].Next(ctx, shard)
}

func (j journals) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	return j[shard].Replay(ctx, shard, from, to, handle)
}

func (j journals) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	return j[shard].Snapshot(ctx, shard, only, handle)
}

var errWriteFailed = errors.New("the write failed")

// failingView is a view in memory whose writes fail at random, half done.
type failingView struct {
	projection.View

	mu           sync.Mutex
	failAtRandom *rand.Rand // nil for no failures
	failures     int
	products     map[catalog.ID]catalog.Product
	checkpoints  map[int32]eventlog.Checkpoint
}

// newMemoryView returns an empty view whose writes do not fail.
func newMemoryView() *failingView {
	return &failingView{products: map[catalog.ID]catalog.Product{}, checkpoints: map[int32]eventlog.Checkpoint{}}
}

// fail makes writes fail at random; nil stops the failures.
func (v *failingView) fail(r *rand.Rand) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failAtRandom = r
}

// fails reports whether a write fails: on average one of once writes. The caller holds mu.
func (v *failingView) fails(once int) bool {
	if v.failAtRandom == nil || v.failAtRandom.IntN(once) > 0 {
		return false
	}
	v.failures++
	return true
}

func (v *failingView) Apply(_ context.Context, created, changed []catalog.Product) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range slices.Concat(created, changed) {
		if v.fails(10) {
			return errWriteFailed
		}
		if p.Version > v.products[p.ID].Version {
			v.products[p.ID] = p
		}
	}
	return nil
}

func (v *failingView) Overwrite(_ context.Context, was int64, p catalog.Product) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.products[p.ID].Version == was {
		v.products[p.ID] = p
	}
	return nil
}

func (v *failingView) Product(_ context.Context, id catalog.ID) (catalog.Product, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if p, ok := v.products[id]; ok {
		return p, nil
	}
	return catalog.Product{}, catalog.ErrNotFound
}

func (v *failingView) Checkpoints(context.Context) ([]eventlog.Checkpoint, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.Collect(maps.Values(v.checkpoints)), nil
}

func (v *failingView) checkpoint(shard int32) eventlog.Checkpoint {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.checkpoints[shard]
}

func (v *failingView) SaveCheckpoints(_ context.Context, all []eventlog.Checkpoint) error {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, p := range all {
		if v.fails(200) { // rarely, because a pause follows
			return errWriteFailed
		}
		if p.Seq >= v.checkpoints[p.Shard].Seq {
			v.checkpoints[p.Shard] = p
		}
	}
	return nil
}
