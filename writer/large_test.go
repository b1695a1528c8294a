package writer_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/memory"
	"catalog/internal/rpc"
	"catalog/writer"
)

// largeRecords returns a command that creates one of the largest products there can
// be, and n commands that change its name, as records from offset 0 on.
func largeRecords(n int) eventlog.Records[catalog.Command] {
	r := records(0, 1)
	c := r.Items[0]
	d := c.Op.(catalog.CreateProduct).Data
	d.Attributes = map[string]string{}
	for i := range catalog.MaxAttributes {
		d.Attributes[fmt.Sprint("attribute ", i)] = strings.Repeat("😀", catalog.MaxAttributeValue)
	}
	c.Op = catalog.CreateProduct{Data: d}
	r.Items[0] = c
	for i := range n {
		name := fmt.Sprint("Chair, renamed ", i)
		c.ID, c.Op = id("rename", i), catalog.PatchProduct{Patch: catalog.Patch{Name: &name}}
		r.Items, r.Offsets = append(r.Items, c), append(r.Offsets, r.To)
		r.To++
	}
	return r
}

// partStore records what each transaction settles, and fails one of them.
type partStore struct {
	writer.Store
	events []int // number of events by transaction
	failAt int   // number of the call of Settle that fails; 0 for none
	commit bool  // the transaction that fails is committed nevertheless
	calls  int
}

func (s *partStore) Settle(ctx context.Context, g eventlog.Group, now time.Time) ([]eventlog.Settled, error) {
	s.calls++
	if s.calls == s.failAt && !s.commit {
		return nil, errLost
	}
	settled, err := s.Store.Settle(ctx, g, now)
	if err == nil {
		s.events = append(s.events, len(settled[0].Events))
	}
	if s.calls == s.failAt {
		return nil, errLost
	}
	return settled, err
}

func upTo(n int64) (seqs []int64) {
	for i := range n {
		seqs = append(seqs, i+1)
	}
	return seqs
}

func TestHandle_largeProducts(t *testing.T) {
	const n = 20
	t.Run("a batch whose events are large is settled in several transactions", func(t *testing.T) {
		store := &partStore{Store: newStore(t)}
		w, l := newWriter(t, store)
		begin(t, w, 0)
		handle(t, w, largeRecords(n))
		wantSeqs(t, l, upTo(n+1)...)
		if len(store.events) < n/4 {
			t.Errorf("%d events of 0.8 MB were settled in %d transactions: %v", n+1, len(store.events), store.events)
		}
		handle(t, w, records(n+1, 3))
		wantSeqs(t, l, upTo(n+4)...)
	})
	t.Run("after a failed transaction the batch continues after the transactions before it", func(t *testing.T) {
		store := &partStore{Store: newStore(t), failAt: 3}
		w, l := newWriter(t, store)
		begin(t, w, 0)
		if err := w.Handle(t.Context(), largeRecords(n)); !errors.Is(err, errLost) {
			t.Fatalf("Handle = %v, want the error of the store", err)
		}
		handle(t, w, largeRecords(n))
		wantSeqs(t, l, upTo(n+1)...)
	})
	t.Run("a part whose response is lost counts once", func(t *testing.T) {
		store := &partStore{Store: newStore(t), failAt: 2, commit: true}
		w, l := newWriter(t, store)
		begin(t, w, 0)
		handle(t, w, largeRecords(n))
		wantSeqs(t, l, upTo(n+1)...)
	})
	t.Run("a takeover publishes what is missing, a few events at a time", func(t *testing.T) {
		store := newStore(t)
		w, l := newWriter(t, store)
		begin(t, w, 0)
		l.held = true // nothing of it is published
		handle(t, w, largeRecords(n))
		next := &pageLog{fakeLog: &fakeLog{t: t, store: store}}
		begin(t, writerOn(store, next), n+1)
		wantSeqs(t, next.fakeLog, upTo(n+1)...)
		if next.most > eventlog.MaxPageBytes+1<<20 {
			t.Errorf("a takeover published %d bytes at once", next.most)
		}
	})
}

// pageLog records the largest number of bytes in one call of PublishEvents.
type pageLog struct {
	*fakeLog
	most int
}

func (l *pageLog) PublishEvents(ctx context.Context, events []catalog.Event, done func(error)) {
	bytes := 0
	for _, e := range events {
		bytes += e.Size()
	}
	l.most = max(l.most, bytes)
	l.fakeLog.PublishEvents(ctx, events, done)
}

// replayStream is a stream of Replay whose client takes no message.
type replayStream struct {
	grpc.ServerStream
	ctx     context.Context
	blocked bool
	sent    atomic.Int32
}

func (s *replayStream) Context() context.Context { return s.ctx }

func (s *replayStream) SendMsg(any) error {
	if s.blocked {
		<-s.ctx.Done()
		return s.ctx.Err()
	}
	s.sent.Add(1)
	return nil
}

// journalStore is a store with one event in the journal.
type journalStore struct{ writer.Store }

func (journalStore) State(context.Context, int32) (eventlog.ShardState, error) {
	return eventlog.ShardState{NextSeq: 2}, nil
}

func (journalStore) Journal(context.Context, int32, int64, int64, int) ([]catalog.Event, error) {
	return []catalog.Event{{Position: catalog.Position{Seq: 1}, Outcome: catalog.Refused}}, nil
}

func (journalStore) Snapshot(context.Context, int32, []catalog.ID, func([]catalog.Product) error) (int64, error) {
	return 2, nil
}

func TestServer_streams(t *testing.T) {
	t.Run("a stream whose client takes nothing ends, and another one starts", testStalledStreams)
	t.Run("replays to clients that take nothing leave operators and new readers their snapshots", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			s := writer.Server{Store: journalStore{}, Memory: memory.NewBudget(memory.ServiceBudget, prometheus.NewRegistry())}
			ctx, leave := context.WithCancel(t.Context())
			for range 100 {
				go func() {
					_ = s.Replay(&catalogv1.ReplayRequest{FromSeq: 1},
						&grpc.GenericServerStream[catalogv1.ReplayRequest, catalogv1.ReplayResponse]{ServerStream: &replayStream{ctx: ctx, blocked: true}})
				}()
			}
			synctest.Wait()
			snapshot := &replayStream{ctx: ctx}
			go func() {
				_ = s.Snapshot(&catalogv1.SnapshotRequest{},
					&grpc.GenericServerStream[catalogv1.SnapshotRequest, catalogv1.SnapshotResponse]{ServerStream: snapshot})
			}()
			if synctest.Wait(); snapshot.sent.Load() != 1 {
				t.Errorf("the snapshot sent %d messages, want 1", snapshot.sent.Load())
			}
			leave()
		})
	})
}

func testStalledStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := writer.Server{Store: journalStore{}, Memory: memory.NewBudget(memory.ServiceBudget, prometheus.NewRegistry())}
		replay := func(stream *replayStream) error { // with the limits of a server
			return s.Replay(&catalogv1.ReplayRequest{FromSeq: 1},
				&grpc.GenericServerStream[catalogv1.ReplayRequest, catalogv1.ReplayResponse]{ServerStream: rpc.LimitStream(stream)})
		}
		ended := make(chan error)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		streams := 0
		for { // clients that take nothing, until no other stream may start
			blocked := &replayStream{ctx: ctx, blocked: true}
			go func() { ended <- replay(blocked) }()
			synctest.Wait()
			streams++
			probe := &replayStream{ctx: ctx}
			probed := make(chan error, 1)
			go func() { probed <- replay(probe) }()
			if synctest.Wait(); probe.sent.Load() == 0 {
				// The stream waits, and starts when a client has stalled for too long.
				if err := <-ended; !errors.Is(err, catalog.ErrUnavailable) {
					t.Errorf("Replay to a client that takes nothing = %v, want ErrUnavailable", err)
				}
				if err := <-probed; err != nil || probe.sent.Load() != 1 {
					t.Errorf("the stream that waited = %v with %d messages, want 1", err, probe.sent.Load())
				}
				break
			}
			if streams > 1000 {
				t.Fatal("the number of streams is not limited")
			}
		}
		for range streams - 1 {
			<-ended
		}
	})
}
