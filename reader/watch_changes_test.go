package reader_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"testing"
	"testing/synctest"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/wire"
	"catalog/reader"
	"catalog/reader/internal/readertest"
	"catalog/reader/projection"
)

// watchStream is the stream of a WatchChanges call.
type watchStream struct {
	grpc.ServerStream
	ctx  context.Context
	sent chan *catalogv1.WatchChangesResponse // a client that does not receive from it is slow
}

func (s *watchStream) Context() context.Context { return s.ctx }

func (s *watchStream) Send(m *catalogv1.WatchChangesResponse) error {
	select {
	case s.sent <- m:
		return nil
	case <-s.ctx.Done():
		return io.ErrClosedPipe
	}
}

// next returns the next change and its id. It skips heartbeats.
func (s *watchStream) next(t *testing.T) (change, id string) {
	t.Helper()
	for m := range s.sent {
		if m.GetEvent() == nil {
			continue
		}
		e, err := wire.EventFromProto(m.GetEvent())
		if err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s %s %d", e.Outcome, e.Product.Name, e.Product.Version), m.GetId()
	}
	return "", ""
}

func (s *watchStream) wantNext(t *testing.T, want string) (id string) {
	t.Helper()
	got, id := s.next(t)
	if got != want {
		t.Errorf("next change = %q; want %q", got, want)
	}
	return id
}

// watchChanges calls WatchChanges, as gRPC does. It returns the stream and a
// channel for the error with which the call ends.
func watchChanges(t *testing.T, r *reader.Reader, request *catalogv1.WatchChangesRequest) (*watchStream, <-chan error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	s, done := &watchStream{ctx: ctx, sent: make(chan *catalogv1.WatchChangesResponse)}, make(chan error, 1)
	go func() {
		done <- reader.Server{Reader: r}.WatchChanges(request, s)
		cancel() // the stream ends with the call
	}()
	return s, done
}

func TestWatchChanges(t *testing.T) {
	j := &readertest.GrowingJournal{}
	h := readertest.Start(t, readertest.Config{Journal: j})
	put := func(name string, deleted bool) {
		e := j.Settle(name, deleted)
		h.Feed(t, e.Seq-1, e)
	}
	put("a", false)
	s, _ := watchChanges(t, h.Reader, &catalogv1.WatchChangesRequest{})
	first := <-s.sent
	if first.GetEvent() != nil || first.GetId() == "" {
		t.Fatalf("first message = %v; want an id without an event", first)
	}
	put("b", false)
	put("a", true)
	var id string
	t.Run("future changes come in order", func(t *testing.T) {
		id = s.wantNext(t, "changed b 1")
		s.wantNext(t, "deleted  2")
	})
	t.Run("a call resumes after an id", func(t *testing.T) {
		for after, want := range map[string]string{"0": "changed a 1", first.GetId(): "changed b 1", id: "deleted  2"} {
			s, _ := watchChanges(t, h.Reader, &catalogv1.WatchChangesRequest{After: after})
			s.wantNext(t, want)
		}
	})
	t.Run("a filter passes the changes of one product", func(t *testing.T) {
		b := catalog.DerivedID("b")
		s, _ := watchChanges(t, h.Reader, &catalogv1.WatchChangesRequest{After: "0", ProductId: b[:]})
		put("c", false)
		put("b", false)
		s.wantNext(t, "changed b 1")
		s.wantNext(t, "changed b 2")
	})
	t.Run("an invalid id is refused", func(t *testing.T) {
		_, done := watchChanges(t, h.Reader, &catalogv1.WatchChangesRequest{After: "invalid"})
		var refused *catalog.Refusal
		if err := <-done; !errors.As(err, &refused) || refused.Fields[0].Field != "after" {
			t.Errorf("WatchChanges = %v; want a refusal of the field after", err)
		}
	})
	t.Run("EndChanges ends the call", func(t *testing.T) {
		s, done := watchChanges(t, h.Reader, &catalogv1.WatchChangesRequest{})
		<-s.sent
		h.EndChanges()
		if err := <-done; !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("WatchChanges = %v; want ErrUnavailable", err)
		}
	})
}

func TestWatchChanges_slow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &readertest.GrowingJournal{}
		h := readertest.Start(t, readertest.Config{View: discardView{}, Journal: j})
		slow, cut := watchChanges(t, h.Reader, &catalogv1.WatchChangesRequest{})
		fast, _ := watchChanges(t, h.Reader, &catalogv1.WatchChangesRequest{})
		id := (<-slow.sent).GetId()
		<-fast.sent // from now on it gets all changes
		const changes = 1_000
		for i := range changes {
			e := j.Settle(fmt.Sprint(i), false)
			h.Feed(t, e.Seq-1, e)
			if got, _ := fast.next(t); got != fmt.Sprintf("changed %d 1", i) {
				t.Fatalf("the fast client got %q after %d changes", got, i)
			}
		}
		if err := <-cut; status.Code(err) != codes.ResourceExhausted {
			t.Errorf("WatchChanges = %v for a slow client; want ResourceExhausted", err)
		}
		again, _ := watchChanges(t, h.Reader, &catalogv1.WatchChangesRequest{After: id})
		for i := range changes {
			if got, _ := again.next(t); got != fmt.Sprintf("changed %d 1", i) {
				t.Fatalf("the resumed client got %q after %d changes", got, i)
			}
		}
		if m := <-again.sent; m.GetEvent() != nil || m.GetId() == id {
			t.Errorf("message without changes = %v; want a heartbeat with a new id", m)
		}
	})
}

// discardView is a view that stores nothing.
type discardView struct{ projection.View }

func (discardView) Apply(context.Context, []catalog.Product, []catalog.Product) error { return nil }
func (discardView) SaveCheckpoints(context.Context, []eventlog.Checkpoint) error      { return nil }
func (discardView) Checkpoints(context.Context) ([]eventlog.Checkpoint, error)        { return nil, nil }
