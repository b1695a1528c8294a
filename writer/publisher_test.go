package writer_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func TestPublisher(t *testing.T) {
	t.Run("a failed publish fences the shard and is repeated by Begin", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		begin(t, w, 0)
		handle(t, w, records(0, 2))
		// Event 3 cannot be sent; 4 to 6, which are in flight, can.
		l.held = true
		l.fail = func(e catalog.Event) error {
			if e.Seq == 3 {
				return errors.New("not authorized")
			}
			return nil
		}
		handle(t, w, records(2, 2))
		handle(t, w, records(4, 2))
		l.release()
		wantSeqs(t, l, 1, 2, 4, 5, 6)
		if err := w.Handle(t.Context(), records(6, 1)); !errors.Is(err, catalog.ErrFenced) {
			t.Errorf("Handle after the failure = %v, want ErrFenced", err)
		}
		if err := w.Check(t.Context(), 0); !errors.Is(err, catalog.ErrFenced) {
			t.Errorf("Check after the failure = %v, want ErrFenced", err)
		}
		w.End(0)
		if _, err := w.Begin(t.Context(), 0); err == nil {
			t.Error("Begin = nil while event 3 cannot be sent, want an error")
		}
		l.fail = nil
		begin(t, w, 6)
		handle(t, w, records(6, 1))
		got := l.seqs()
		if want := []int64{3, 4, 5, 6, 7}; !slices.Equal(got[len(got)-5:], want) {
			t.Errorf("published %v, want %v at the end", got, want)
		}
		if st, err := store.State(t.Context(), 0); err != nil || st.Published != 6 {
			t.Errorf("stored Published = %d, %v; want 6", st.Published, err)
		}
	})
}

func TestPublisher_refusedEvent(t *testing.T) {
	t.Run("an event that the log refuses for good stops its shard until the log accepts it", func(t *testing.T) {
		w, l := newWriter(t, newStore(t))
		l.fail = func(e catalog.Event) error {
			if e.Seq == 2 {
				return fmt.Errorf("%w: too large", catalog.ErrInconsistent)
			}
			return nil
		}
		begin(t, w, 0)
		handle(t, w, records(0, 3))
		if err := w.Check(t.Context(), 0); !errors.Is(err, catalog.ErrInconsistent) {
			t.Errorf("Check = %v, want ErrInconsistent", err)
		}
		if err := w.Handle(t.Context(), records(3, 1)); !errors.Is(err, catalog.ErrInconsistent) {
			t.Errorf("Handle = %v, want ErrInconsistent", err)
		}
		w.End(0)
		if _, err := w.Begin(t.Context(), 0); !errors.Is(err, catalog.ErrInconsistent) {
			t.Errorf("Begin = %v, want ErrInconsistent", err)
		}
		l.fail = nil
		begin(t, w, 3)
		handle(t, w, records(3, 1))
		wantSeqs(t, l, 1, 3, 1, 3, 1, 2, 3, 4)
	})
}

func TestPublisher_deadLetters(t *testing.T) {
	t.Run("undecodable records are stored and published with their batch", func(t *testing.T) {
		store := &lossyStore{Store: newStore(t), commit: true}
		w, l := newWriter(t, store)
		l.store = store.Store
		begin(t, w, 0)
		r := records(0, 3)
		r.To, r.DeadLetters = 5, junk(3, 2)
		handle(t, w, r)
		store.settleErr = errLost // fails the next batch, which has no commands
		handle(t, w, eventlog.Records[catalog.Command]{From: 5, To: 6, DeadLetters: junk(5, 1)})
		handle(t, w, records(6, 1))
		wantSeqs(t, l, 1, 2, 3, 4)
		wantDeadLetters(t, l, 1, 2, 3)
		stored, err := store.DeadLetters(t.Context(), 0, 1, 10)
		if err != nil || len(stored) != 3 || stored[2].Offset != 5 || stored[0].Cause != "it is junk" || stored[0].At.IsZero() {
			t.Errorf("stored dead letters = %+v, %v; want those of offsets 3 to 5", stored, err)
		}
	})
	t.Run("a takeover publishes missing dead letters", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		begin(t, w, 0)
		handle(t, w, eventlog.Records[catalog.Command]{To: 5, DeadLetters: junk(0, 5)})
		l.held = true // the first writer dies before these are sent
		handle(t, w, eventlog.Records[catalog.Command]{From: 5, To: 30, DeadLetters: junk(5, 25)})
		next := &fakeLog{t: t, store: store, dead: slices.Clone(l.dead)}
		begin(t, writerOn(store, next), 30)
		var want []int64
		for i := range int64(30) {
			want = append(want, i+1)
		}
		wantDeadLetters(t, next, want...)
		begin(t, writerOn(store, next), 30)
		wantDeadLetters(t, next, want...)
	})
}

// junk returns n undecodable records of shard 0 from the offset on.
func junk(from, n int) []eventlog.DeadLetter {
	letters := make([]eventlog.DeadLetter, n)
	for i := range letters {
		letters[i] = eventlog.DeadLetter{Offset: int64(from + i), Cause: "it is junk", Value: []byte("junk"), Size: 4}
	}
	return letters
}

// wantDeadLetters checks the numbers of the published dead letters.
func wantDeadLetters(t *testing.T, l *fakeLog, want ...int64) {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var got []int64
	for _, d := range l.dead {
		got = append(got, d.Seq)
	}
	if !slices.Equal(got, want) {
		t.Errorf("published dead letters %v, want %v", got, want)
	}
}
