package writer_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/writer"
)

func TestHandle(t *testing.T) {
	t.Run("settled events are published in the order of the journal", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		begin(t, w, 0)
		handle(t, w, records(0, 3))
		handle(t, w, records(3, 2))
		handle(t, w, eventlog.Records[catalog.Command]{From: 5, To: 9}) // no command
		repeated := moved(records(0, 2), 9)
		handle(t, w, repeated)
		handle(t, w, records(11, 1))
		wantSeqs(t, l, 1, 2, 3, 4, 5, 6)
		journal, err := store.Journal(t.Context(), 0, 1, 10, 100)
		if err != nil || !reflect.DeepEqual(journal, l.events) {
			t.Errorf("Journal = %d events, %v; want the %d published ones", len(journal), err, len(l.events))
		}
		w.End(0)
		begin(t, w, 12)
		wantSeqs(t, l, 1, 2, 3, 4, 5, 6)
	})
	t.Run("a writer that lost its shard settles and publishes nothing", func(t *testing.T) {
		store := newStore(t)
		w1, l1 := newWriter(t, store)
		w2, l2 := newWriter(t, store)
		begin(t, w1, 0)
		begin(t, w2, 0)
		if err := w1.Handle(t.Context(), records(0, 2)); !errors.Is(err, catalog.ErrFenced) {
			t.Errorf("Handle of the first writer = %v, want ErrFenced", err)
		}
		handle(t, w2, records(0, 2))
		wantSeqs(t, l1)
		wantSeqs(t, l2, 1, 2)
	})
}

// lossyStore is a store that loses the response of the next call of Settle or
// State.
type lossyStore struct {
	writer.Store
	commit    bool  // Settle commits before its response is lost
	settleErr error // error instead of the next response of Settle
	stateErr  error // error instead of the next response of State
}

func (s *lossyStore) Settle(ctx context.Context, g eventlog.Group, now time.Time) (settled []eventlog.Settled, err error) {
	lost := s.settleErr
	if lost == nil || s.commit {
		settled, err = s.Store.Settle(ctx, g, now)
	}
	if s.settleErr = nil; lost != nil {
		return nil, lost
	}
	return settled, err
}

func (s *lossyStore) State(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	if err := s.stateErr; err != nil {
		s.stateErr = nil
		return eventlog.ShardState{}, err
	}
	return s.Store.State(ctx, shard)
}

var errLost = errors.New("connection reset")

func TestHandle_lostResponse(t *testing.T) {
	t.Run("a commit with a lost response counts once", func(t *testing.T) {
		store := &lossyStore{Store: newStore(t), commit: true}
		w, l := newWriter(t, store)
		l.store = store.Store
		begin(t, w, 0)
		store.settleErr = errLost
		handle(t, w, records(0, 3))
		store.settleErr = errLost
		repeated := moved(records(0, 1), 3)
		handle(t, w, repeated)
		handle(t, w, records(4, 1))
		wantSeqs(t, l, 1, 2, 3, 4)
	})
	t.Run("a failed transaction is retried", func(t *testing.T) {
		store := &lossyStore{Store: newStore(t), settleErr: errLost}
		w, l := newWriter(t, store)
		begin(t, w, 0)
		if err := w.Handle(t.Context(), records(0, 3)); !errors.Is(err, errLost) || errors.Is(err, catalog.ErrFenced) {
			t.Errorf("Handle = %v, want the error of the store", err)
		}
		handle(t, w, records(0, 3))
		wantSeqs(t, l, 1, 2, 3)
	})
	t.Run("an unknown outcome is resolved by the next Begin", func(t *testing.T) {
		store := &lossyStore{Store: newStore(t), commit: true, settleErr: errLost, stateErr: errLost}
		w, l := newWriter(t, store)
		l.store = store.Store
		begin(t, w, 0)
		if err := w.Handle(t.Context(), records(0, 3)); !errors.Is(err, errLost) || errors.Is(err, catalog.ErrFenced) {
			t.Errorf("Handle = %v, want the error of the store", err)
		}
		if err := w.Handle(t.Context(), records(0, 3)); !errors.Is(err, catalog.ErrFenced) {
			t.Errorf("second Handle = %v, want ErrFenced", err)
		}
		w.End(0)
		begin(t, w, 3)
		wantSeqs(t, l, 1, 2, 3)
	})
}

func TestBegin(t *testing.T) {
	t.Run("a takeover publishes the events that were settled and not published", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		begin(t, w, 0)
		handle(t, w, records(0, 2))
		l.held = true // the first writer dies before these are sent
		for i := range 3 {
			handle(t, w, records(2+400*i, 400))
		}
		next := &fakeLog{t: t, store: store, events: slices.Clone(l.events)}
		begin(t, writerOn(store, next), 1202)
		seqs := next.seqs()
		if len(seqs) != 1202 {
			t.Fatalf("%d events published, want 1202", len(seqs))
		}
		for i, seq := range seqs {
			if seq != int64(i)+1 {
				t.Fatalf("seq of event %d = %d, want %d", i, seq, i+1)
			}
		}
	})
	t.Run("a takeover does not publish events that retention has deleted", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		begin(t, w, 0)
		handle(t, w, records(0, 5))
		handle(t, w, records(5, 1)) // stores that 5 events are published
		l.events = nil              // retention deletes all events
		begin(t, writerOn(store, l), 6)
		wantSeqs(t, l, 6)
	})
	t.Run("a takeover publishes the events that the topic has lost at its end", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		begin(t, w, 0)
		handle(t, w, records(0, 5))
		handle(t, w, records(5, 1)) // stores that 5 events are published
		l.events = l.events[:2]
		begin(t, writerOn(store, l), 6)
		wantSeqs(t, l, 1, 2, 3, 4, 5, 6)
	})
	t.Run("no writer begins a shard that has lost commands before it is repaired", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		begin(t, w, 0)
		r := records(0, 2)
		r.IDs = []eventlog.RecordID{{Offset: 0, Digest: [16]byte{1}}, {Offset: 1, Epoch: 4, Digest: [16]byte{2}}}
		handle(t, w, r)
		if last := w.LastRecord(0); last != r.IDs[1] {
			t.Errorf("LastRecord = %+v, want %+v", last, r.IDs[1])
		}
		if err := w.RecordsLost(t.Context(), 0, errors.New("the log was cut; run catalog repair")); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			_, err := writerOn(store, l).Begin(t.Context(), 0)
			if !errors.Is(err, catalog.ErrInconsistent) || !strings.Contains(err.Error(), "the log was cut; run catalog repair") {
				t.Errorf("Begin = %v, want ErrInconsistent with the reason", err)
			}
		}
		if err := store.ResetShards(t.Context(), l.Topics(), nil); err != nil {
			t.Fatal(err)
		}
		next := writerOn(store, l)
		begin(t, next, 2)
		if last := next.LastRecord(0); last != r.IDs[1] {
			t.Errorf("LastRecord of the next owner = %+v, want %+v", last, r.IDs[1])
		}
	})
	t.Run("a topic ahead of the store is inconsistent", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		l.events = []catalog.Event{{Position: catalog.Position{Seq: 7}}}
		if _, err := w.Begin(t.Context(), 0); !errors.Is(err, catalog.ErrInconsistent) {
			t.Errorf("Begin with seq 7 in the topic of an empty journal = %v, want ErrInconsistent", err)
		}
	})
	t.Run("recreated topics are inconsistent", func(t *testing.T) {
		store := newStore(t)
		if _, err := store.BindTopics(t.Context(), eventlog.Topics{Commands: catalog.ID{1}, Events: catalog.ID{9}}); err != nil {
			t.Fatal(err)
		}
		w, _ := newWriter(t, store)
		if _, err := w.Begin(t.Context(), 0); !errors.Is(err, catalog.ErrInconsistent) {
			t.Errorf("Begin with another events topic = %v, want ErrInconsistent", err)
		}
	})
}

func TestCheck(t *testing.T) {
	t.Run("events that the topic has lost while the shard is idle are published again", func(t *testing.T) {
		for _, kept := range []int{0, 2} {
			w, l := newWriter(t, newStore(t))
			begin(t, w, 0)
			handle(t, w, records(0, 4))
			if err := w.Check(t.Context(), 0); err != nil {
				t.Errorf("Check of a whole topic = %v, want nil", err)
			}
			l.events = l.events[:kept]
			if err := w.Check(t.Context(), 0); !errors.Is(err, catalog.ErrFenced) {
				t.Errorf("Check of a topic that has %d of 4 events = %v, want ErrFenced", kept, err)
			}
			w.End(0)
			begin(t, w, 4)
			if seqs := l.seqs(); len(seqs) == 0 || seqs[len(seqs)-1] != 4 {
				t.Errorf("published %v, want events up to seq 4", seqs)
			}
			if err := w.Check(t.Context(), 0); err != nil {
				t.Errorf("Check after the next Begin = %v, want nil", err)
			}
		}
	})
	t.Run("a shard that another writer claimed is fenced", func(t *testing.T) {
		store := newStore(t)
		w1, _ := newWriter(t, store)
		begin(t, w1, 0)
		handle(t, w1, records(0, 1))
		if err := w1.Check(t.Context(), 0); err != nil {
			t.Errorf("Check of an owned shard = %v, want nil", err)
		}
		w2, _ := newWriter(t, store)
		begin(t, w2, 1)
		// The states that the first Check read may be used for maxStatesAge.
		deadline := time.Now().Add(waitLimit)
		for !errors.Is(w1.Check(t.Context(), 0), catalog.ErrFenced) {
			if time.Now().After(deadline) {
				t.Fatal("Check of a lost shard is not ErrFenced")
			}
			time.Sleep(10 * time.Millisecond)
		}
	})
}
