package writer_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/sqlite"
	"catalog/eventlog"
	"catalog/internal/wire"
	"catalog/writer"
)

const shards = 4

// newStore opens an empty truth.
func newStore(t testing.TB) *sqlite.Store {
	t.Helper()
	return openStore(t, filepath.Join(t.TempDir(), "catalog.db"))
}

func openStore(t testing.TB, path string) *sqlite.Store {
	t.Helper()
	db, err := sqlite.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
	})
	s := sqlite.NewStore(db)
	if err := s.InitShards(t.Context(), shards); err != nil {
		t.Fatal(err)
	}
	return s
}

// topic is an events topic in memory. While held it keeps what is published
// and answers it when let go.
type topic struct {
	t     *testing.T
	store writer.Store // to see that nothing is published before its commit

	mu     sync.Mutex
	events []catalog.Event
	dead   []eventlog.DeadLetter
	sent   []catalog.Command
	fail   func(e catalog.Event) error
	held   bool
	queue  []func()
}

func (l *topic) ConsumeCommands(context.Context, eventlog.Consumer[catalog.Command]) error {
	return nil
}

func (l *topic) Topics() eventlog.Topics {
	return eventlog.Topics{Commands: catalog.ID{1}, Events: catalog.ID{2}}
}

func (l *topic) LastSeq(context.Context, int32) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.events) == 0 {
		return 0, nil
	}
	return l.events[len(l.events)-1].Seq, nil
}

func (l *topic) PublishEvents(ctx context.Context, events []catalog.Event, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		if st, err := l.store.State(ctx, e.Shard); err != nil || st.NextSeq <= e.Seq {
			l.t.Errorf("event %s is published, and the store is at seq %d, %v", e.Position, st.NextSeq-1, err)
		}
	}
	send := func() {
		var failed error
		for _, e := range events {
			if l.fail != nil {
				if err := l.fail(e); err != nil {
					failed = err
					continue // those behind it may be stored all the same
				}
			}
			l.events = append(l.events, e)
		}
		done(failed)
	}
	if l.held {
		l.queue = append(l.queue, send)
		return
	}
	send()
}

func (l *topic) LastDeadLetter(context.Context, int32) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.dead) == 0 {
		return 0, nil
	}
	return l.dead[len(l.dead)-1].Seq, nil
}

func (l *topic) PublishDeadLetters(_ context.Context, letters []eventlog.DeadLetter, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	send := func() {
		l.dead = append(l.dead, letters...)
		done(nil)
	}
	if l.held {
		l.queue = append(l.queue, send)
		return
	}
	send()
}

func (l *topic) SendCommands(_ context.Context, commands ...catalog.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, commands...)
	return nil
}

func (l *topic) letGo() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, send := range l.queue {
		send()
	}
	l.held, l.queue = false, nil
}

func (l *topic) seqs() (seqs []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// newWriter makes a writer on the store and a topic of its own.
func newWriter(t *testing.T, store writer.Store) (*writer.Writer, *topic) {
	l := &topic{t: t, store: store}
	return writerOn(store, l), l
}

func writerOn(store writer.Store, l writer.Log) *writer.Writer {
	return writer.New(writer.Deps{Store: store, Log: l, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Registry: prometheus.NewRegistry()})
}

func id(parts ...any) catalog.ID { return catalog.DerivedID("test", fmt.Sprint(parts...)) }

// create is the i-th command of shard 0.
func create(i int) catalog.Command {
	product := id("product", i)
	for n := 0; catalog.Shard(product, shards) != 0; n++ {
		product = id("product", i, n)
	}
	return catalog.Command{
		ID: id("command", i), Product: product, AcceptedAt: wire.TruncateTime(time.Now()),
		Op: catalog.CreateProduct{Data: catalog.ProductData{Name: fmt.Sprint("Chair ", i), Price: catalog.Money{Decimal: catalog.Decimal{Units: 12}, Currency: "EUR"}}},
	}
}

// records are n commands of shard 0 from the offset on.
func records(from, n int) eventlog.Records[catalog.Command] {
	r := eventlog.Records[catalog.Command]{From: int64(from), To: int64(from + n)}
	for i := range n {
		r.Items = append(r.Items, create(from+i))
	}
	return r
}

func begin(t *testing.T, w *writer.Writer, want int64) {
	t.Helper()
	if offset, err := w.Begin(t.Context(), 0); err != nil || offset != want {
		t.Fatalf("Begin = %d, %v; want %d", offset, err, want)
	}
}

func handle(t *testing.T, w *writer.Writer, r eventlog.Records[catalog.Command]) {
	t.Helper()
	if err := w.Handle(t.Context(), r); err != nil {
		t.Fatal(err)
	}
}

func wantSeqs(t *testing.T, l *topic, want ...int64) {
	t.Helper()
	if got := l.seqs(); !slices.Equal(got, want) {
		t.Errorf("published %v, want %v", got, want)
	}
}

func TestWhatIsSettledIsPublishedInTheOrderOfTheJournal(t *testing.T) {
	store := newStore(t)
	w, l := newWriter(t, store)
	begin(t, w, 0)
	handle(t, w, records(0, 3))
	handle(t, w, records(3, 2))
	handle(t, w, eventlog.Records[catalog.Command]{From: 5, To: 9}) // all dead letters
	again := records(0, 2)
	again.From, again.To = 9, 11
	handle(t, w, again) // nothing but repeats
	handle(t, w, records(11, 1))
	wantSeqs(t, l, 1, 2, 3, 4, 5, 6)
	journal, err := store.Journal(t.Context(), 0, 1, 10, 100)
	if err != nil || !reflect.DeepEqual(journal, l.events) {
		t.Errorf("the journal has %v, %v; published was %v", journal, err, l.events)
	}
	w.End(0)
	begin(t, w, 12)
	wantSeqs(t, l, 1, 2, 3, 4, 5, 6)
}

func TestATakeoverPublishesWhatWasSettledAndNotPublished(t *testing.T) {
	store := newStore(t)
	w, l := newWriter(t, store)
	begin(t, w, 0)
	handle(t, w, records(0, 2))
	l.held = true // the first writer dies with these unsent
	for i := range 3 {
		handle(t, w, records(2+400*i, 400))
	}
	next := &topic{t: t, store: store, events: slices.Clone(l.events)}
	begin(t, writerOn(store, next), 1202)
	seqs := next.seqs()
	if len(seqs) != 1202 {
		t.Fatalf("%d events, want 1202", len(seqs))
	}
	for i, seq := range seqs {
		if seq != int64(i)+1 {
			t.Fatalf("event %d has seq %d", i, seq)
		}
	}
}

func TestATakeoverPublishesNothingThatTheTopicHasForgotten(t *testing.T) {
	store := newStore(t)
	w, l := newWriter(t, store)
	begin(t, w, 0)
	handle(t, w, records(0, 5))
	handle(t, w, records(5, 1)) // tells the store that 5 are published
	l.events = nil              // retention
	begin(t, writerOn(store, l), 6)
	wantSeqs(t, l, 6)
}

func TestAWriterWhoseShardWasTakenSettlesAndPublishesNothing(t *testing.T) {
	store := newStore(t)
	w1, l1 := newWriter(t, store)
	w2, l2 := newWriter(t, store)
	begin(t, w1, 0)
	begin(t, w2, 0)
	if err := w1.Handle(t.Context(), records(0, 2)); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("Handle of the first = %v, want ErrFenced", err)
	}
	handle(t, w2, records(0, 2))
	wantSeqs(t, l1)
	wantSeqs(t, l2, 1, 2)
}

// lossy is a store whose next answer to Settle is lost: after the commit, or
// instead of it.
type lossy struct {
	writer.Store
	commit   bool
	lose     error // nil for an answer
	loseNext error // of State
}

func (s *lossy) Settle(ctx context.Context, b eventlog.Batch, now time.Time) (events []catalog.Event, err error) {
	lost := s.lose
	if lost == nil || s.commit {
		events, err = s.Store.Settle(ctx, b, now)
	}
	if s.lose = nil; lost != nil {
		return nil, lost
	}
	return events, err
}

func (s *lossy) State(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	if err := s.loseNext; err != nil {
		s.loseNext = nil
		return eventlog.ShardState{}, err
	}
	return s.Store.State(ctx, shard)
}

var errLost = errors.New("connection reset")

func TestACommitWhoseAnswerIsLostCountsOnce(t *testing.T) {
	store := &lossy{Store: newStore(t), commit: true}
	w, l := newWriter(t, store)
	l.store = store.Store
	begin(t, w, 0)
	store.lose = errLost
	handle(t, w, records(0, 3))
	store.lose = errLost
	again := records(0, 1)
	again.From, again.To = 3, 4
	handle(t, w, again) // nothing but a repeat
	handle(t, w, records(4, 1))
	wantSeqs(t, l, 1, 2, 3, 4)
}

func TestATransactionThatFailedIsTriedAgain(t *testing.T) {
	store := &lossy{Store: newStore(t), lose: errLost}
	w, l := newWriter(t, store)
	begin(t, w, 0)
	if err := w.Handle(t.Context(), records(0, 3)); !errors.Is(err, errLost) || errors.Is(err, catalog.ErrFenced) {
		t.Errorf("Handle = %v, want the error of the store", err)
	}
	handle(t, w, records(0, 3))
	wantSeqs(t, l, 1, 2, 3)
}

func TestACommitThatNothingIsHeardOfIsFoundByBeginningAgain(t *testing.T) {
	store := &lossy{Store: newStore(t), commit: true, lose: errLost, loseNext: errLost}
	w, l := newWriter(t, store)
	l.store = store.Store
	begin(t, w, 0)
	if err := w.Handle(t.Context(), records(0, 3)); !errors.Is(err, errLost) || errors.Is(err, catalog.ErrFenced) {
		t.Errorf("Handle = %v, want the error of the store", err)
	}
	if err := w.Handle(t.Context(), records(0, 3)); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("the second Handle = %v, want ErrFenced", err)
	}
	w.End(0)
	begin(t, w, 3)
	wantSeqs(t, l, 1, 2, 3)
}

func TestAPublishThatFailsIsMadeUpForByBeginningAgain(t *testing.T) {
	store := newStore(t)
	w, l := newWriter(t, store)
	begin(t, w, 0)
	handle(t, w, records(0, 2))
	// Event 3 cannot be sent, and 4 to 6, which were on their way, can.
	l.held = true
	l.fail = func(e catalog.Event) error {
		if e.Seq == 3 {
			return errors.New("not authorized")
		}
		return nil
	}
	handle(t, w, records(2, 2))
	handle(t, w, records(4, 2))
	l.letGo()
	wantSeqs(t, l, 1, 2, 4, 5, 6)
	if err := w.Handle(t.Context(), records(6, 1)); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("Handle after the failure = %v, want ErrFenced", err)
	}
	w.End(0)
	if _, err := w.Begin(t.Context(), 0); err == nil {
		t.Error("Begin is no error while event 3 cannot be sent")
	}
	l.fail = nil
	begin(t, w, 6)
	handle(t, w, records(6, 1))
	got := l.seqs()
	if want := []int64{3, 4, 5, 6, 7}; !slices.Equal(got[len(got)-5:], want) {
		t.Errorf("published %v, want it to end with %v", got, want)
	}
	if st, err := store.State(t.Context(), 0); err != nil || st.Published != 6 {
		t.Errorf("the store says that %d are published, %v; want 6", st.Published, err)
	}
}

func TestATopicThatIsAheadOfTheStoreIsRefused(t *testing.T) {
	store := newStore(t)
	w, l := newWriter(t, store)
	l.events = []catalog.Event{{Position: catalog.Position{Seq: 7}}}
	if _, err := w.Begin(t.Context(), 0); err == nil {
		t.Error("Begin is no error, and the topic has seq 7 of an empty journal")
	}
}
