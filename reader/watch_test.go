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
)

// watch is a stream of a call to WatchChanges.
type watch struct {
	grpc.ServerStream
	ctx  context.Context
	sent chan *catalogv1.WatchChangesResponse // taken one by one: who does not is slow
}

func (w *watch) Context() context.Context { return w.ctx }

func (w *watch) Send(m *catalogv1.WatchChangesResponse) error {
	select {
	case w.sent <- m:
		return nil
	case <-w.ctx.Done():
		return io.ErrClosedPipe
	}
}

// next answers the next change and its id. Answers without a change are passed
// over.
func (w *watch) next(t *testing.T) (change, id string) {
	t.Helper()
	for m := range w.sent {
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

// follow calls WatchChanges, as gRPC does, and answers the stream and how the
// call ends.
func follow(t *testing.T, r *reader.Reader, request *catalogv1.WatchChangesRequest) (*watch, <-chan error) {
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	t.Cleanup(cancel)
	w, done := &watch{ctx: ctx, sent: make(chan *catalogv1.WatchChangesResponse)}, make(chan error, 1)
	go func() {
		done <- reader.Server{Reader: r}.WatchChanges(request, w)
		cancel() // the stream ends with the call
	}()
	return w, done
}

func TestChangesAreWatchedFromAnywhereOnAndInOrder(t *testing.T) {
	j := &live{}
	w := startOn(t, view(t), &log{}, j)
	put := func(name string, deleted bool) {
		e := j.settle(name, deleted)
		w.feed(t, e.Seq-1, e)
	}
	put("a", false)

	s, _ := follow(t, w.Reader, &catalogv1.WatchChangesRequest{})
	first := <-s.sent
	if first.GetEvent() != nil || first.GetId() == "" {
		t.Fatalf("a stream begins with %v", first)
	}
	put("b", false)
	put("a", true)
	got, id := s.next(t)
	if got != "changed b 1" {
		t.Errorf("first comes %s", got)
	}
	if got, _ := s.next(t); got != "deleted  2" {
		t.Errorf("then comes %s", got)
	}
	for after, want := range map[string]string{"0": "changed a 1", first.GetId(): "changed b 1", id: "deleted  2"} {
		s, _ := follow(t, w.Reader, &catalogv1.WatchChangesRequest{After: after})
		if got, _ := s.next(t); got != want {
			t.Errorf("behind %q comes %s, want %s", after, got, want)
		}
	}
	b := catalog.DerivedID("b")
	s, _ = follow(t, w.Reader, &catalogv1.WatchChangesRequest{After: "0", ProductId: b[:]})
	put("c", false)
	put("b", false)
	for _, want := range []string{"changed b 1", "changed b 2"} {
		if got, _ := s.next(t); got != want {
			t.Errorf("of b comes %s, want %s", got, want)
		}
	}

	_, done := follow(t, w.Reader, &catalogv1.WatchChangesRequest{After: "not one of ours"})
	var refused *catalog.Refusal
	if err := <-done; !errors.As(err, &refused) || refused.Fields[0].Field != "after" {
		t.Errorf("a broken id ends with %v", err)
	}
	last, done := follow(t, w.Reader, &catalogv1.WatchChangesRequest{})
	<-last.sent
	w.EndChanges()
	if err := <-done; !errors.Is(err, catalog.ErrUnavailable) {
		t.Errorf("a reader that stops ends a stream with %v", err)
	}
}

func TestWhoDoesNotReadChangesIsCutOffAndOthersAreNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := &live{}
		w := startWith(t, memory{}, &index{products: map[catalog.ID]catalog.Product{}}, &log{}, j)
		slow, cut := follow(t, w.Reader, &catalogv1.WatchChangesRequest{})
		fast, _ := follow(t, w.Reader, &catalogv1.WatchChangesRequest{})
		id := (<-slow.sent).GetId()
		<-fast.sent // from here on it hears all
		for i := range 1_000 {
			e := j.settle(fmt.Sprint(i), false)
			w.feed(t, e.Seq-1, e)
			if got, _ := fast.next(t); got != fmt.Sprintf("changed %d 1", i) {
				t.Fatalf("who reads gets %q after %d changes", got, i)
			}
		}
		if err := <-cut; status.Code(err) != codes.ResourceExhausted {
			t.Errorf("who does not read is told %v", err)
		}
		again, _ := follow(t, w.Reader, &catalogv1.WatchChangesRequest{After: id})
		for i := range 1_000 {
			if got, _ := again.next(t); got != fmt.Sprintf("changed %d 1", i) {
				t.Fatalf("who goes on gets %q after %d changes", got, i)
			}
		}
		// A quiet stream tells from time to time how far all is.
		if m := <-again.sent; m.GetEvent() != nil || m.GetId() == id {
			t.Errorf("a quiet stream says %v", m)
		}
	})
}

// memory is a view that nobody reads.
type memory struct{ reader.View }

func (memory) Apply(context.Context, []catalog.Product) error            { return nil }
func (memory) SaveCheckpoint(context.Context, eventlog.Checkpoint) error { return nil }
func (memory) Checkpoint(_ context.Context, shard int32) (eventlog.Checkpoint, error) {
	return eventlog.Checkpoint{Position: catalog.Position{Shard: shard}}, nil
}
