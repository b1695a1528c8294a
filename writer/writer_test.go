package writer_test

import (
	"context"
	"fmt"
	"log/slog"
	"path/filepath"
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

const (
	shards = 4

	// waitLimit ends a wait that would never end. It is far above what a busy
	// machine needs.
	waitLimit = 2 * time.Minute
)

// newStore opens an empty store.
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

// fakeLog is a log of one shard in memory. While held is set it delays
// publishes until release.
type fakeLog struct {
	t     *testing.T
	store writer.Store // store, to check that no event is published before its commit

	mu     sync.Mutex
	events []catalog.Event
	stored int // number of events when the last one was found or stored
	dead   []eventlog.DeadLetter
	sent   []catalog.Command
	fail   func(e catalog.Event) error // an error is the outcome of the publish of e
	held   bool
	queue  []func()
}

func (l *fakeLog) ConsumeCommands(context.Context, eventlog.Consumer[catalog.Command]) error {
	return nil
}

func (l *fakeLog) Topics() eventlog.Topics {
	return eventlog.Topics{Commands: catalog.ID{1}, Events: catalog.ID{2}}
}

func (l *fakeLog) LastSeq(context.Context, int32, int64) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.stored = len(l.events); l.stored == 0 {
		return 0, nil
	}
	return l.events[l.stored-1].Seq, nil
}

func (l *fakeLog) EventsLost(context.Context, int32) (bool, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.events) < l.stored, nil
}

func (l *fakeLog) ViewOffsets(context.Context) (published, applied []int64, err error) {
	return nil, nil, nil
}

func (l *fakeLog) PublishEvents(ctx context.Context, events []catalog.Event, done func(error)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range events {
		if st, err := l.store.State(ctx, e.Shard); err != nil || st.NextSeq <= e.Seq {
			l.t.Errorf("event %s published while the store is at seq %d, %v", e.Position, st.NextSeq-1, err)
		}
	}
	send := func() {
		var failed error
		for _, e := range events {
			if l.fail != nil {
				if err := l.fail(e); err != nil {
					failed = err
					continue // events after it may be stored nevertheless
				}
			}
			l.events = append(l.events, e)
			l.stored = len(l.events)
		}
		done(failed)
	}
	if l.held {
		l.queue = append(l.queue, send)
		return
	}
	send()
}

func (l *fakeLog) LastDeadLetter(context.Context, int32) (int64, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.dead) == 0 {
		return 0, nil
	}
	return l.dead[len(l.dead)-1].Seq, nil
}

func (l *fakeLog) PublishDeadLetters(_ context.Context, letters []eventlog.DeadLetter, done func(error)) {
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

func (l *fakeLog) SendCommands(_ context.Context, commands ...catalog.Command) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.sent = append(l.sent, commands...)
	return nil
}

func (l *fakeLog) release() {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, send := range l.queue {
		send()
	}
	l.held, l.queue = false, nil
}

func (l *fakeLog) seqs() (seqs []int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

// newWriter returns a writer on the store and its log.
func newWriter(t *testing.T, store writer.Store) (*writer.Writer, *fakeLog) {
	l := &fakeLog{t: t, store: store}
	return writerOn(store, l), l
}

func writerOn(store writer.Store, l writer.Log) *writer.Writer {
	return writer.New(writer.Deps{Store: store, Log: l, Logger: slog.New(slog.DiscardHandler), Now: time.Now, Registry: prometheus.NewRegistry()})
}

func id(parts ...any) catalog.ID { return catalog.DerivedID("test", fmt.Sprint(parts...)) }

// create returns command i of shard 0.
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

// records returns n commands of shard 0 from the offset on.
func records(from, n int) eventlog.Records[catalog.Command] {
	r := eventlog.Records[catalog.Command]{From: int64(from), To: int64(from + n)}
	for i := range n {
		r.Items, r.Offsets = append(r.Items, create(from+i)), append(r.Offsets, int64(from+i))
	}
	return r
}

// moved returns the records at other offsets, from the given one on.
func moved(r eventlog.Records[catalog.Command], from int64) eventlog.Records[catalog.Command] {
	for i := range r.Offsets {
		r.Offsets[i] += from - r.From
	}
	r.From, r.To = from, r.To+from-r.From
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

func wantSeqs(t *testing.T, l *fakeLog, want ...int64) {
	t.Helper()
	if got := l.seqs(); !slices.Equal(got, want) {
		t.Errorf("published %v, want %v", got, want)
	}
}
