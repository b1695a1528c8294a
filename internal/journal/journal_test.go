package journal_test

import (
	"context"
	"errors"
	"io"
	"slices"
	"testing"

	"google.golang.org/grpc"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/journal"
	"catalog/internal/wire"
)

// stream is a stream of messages that ends with err.
type stream[M any] struct {
	grpc.ClientStream
	messages []*M
	err      error
}

func (s *stream[M]) Recv() (*M, error) {
	if len(s.messages) == 0 {
		return nil, s.err
	}
	m := s.messages[0]
	s.messages = s.messages[1:]
	return m, nil
}

// writer is a writer with three events of one shard, each a product of its own.
type writer struct {
	catalogv1.WriterServiceClient // only the overridden methods are called

	events   []catalog.Event
	err      error           // error at the end of a stream
	ctx      context.Context // context of the last call
	snapshot *catalogv1.SnapshotRequest
}

func newWriter(err error) *writer {
	w := &writer{err: err}
	for seq := int64(1); seq <= 3; seq++ {
		e := catalog.Event{Position: catalog.Position{Shard: 1, Seq: seq}, Outcome: catalog.Created}
		e.Product = catalog.Product{ID: catalog.DerivedID(string(rune('a' + seq))), Version: 1, ProductData: catalog.ProductData{Name: "Lamp", Price: catalog.Money{Currency: "EUR"}}}
		w.events = append(w.events, e)
	}
	return w
}

func (w *writer) Replay(ctx context.Context, r *catalogv1.ReplayRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[catalogv1.ReplayResponse], error) {
	w.ctx = ctx
	s := &stream[catalogv1.ReplayResponse]{err: w.err}
	to := r.GetToSeq()
	if to == 0 {
		to = int64(len(w.events))
	}
	for _, e := range w.events[r.GetFromSeq()-1 : to] {
		s.messages = append(s.messages, &catalogv1.ReplayResponse{Events: []*catalogv1.Event{wire.EventToProto(e)}})
	}
	return s, nil
}

func (w *writer) Snapshot(ctx context.Context, r *catalogv1.SnapshotRequest, _ ...grpc.CallOption) (grpc.ServerStreamingClient[catalogv1.SnapshotResponse], error) {
	w.ctx, w.snapshot = ctx, r
	m := &catalogv1.SnapshotResponse{NextSeq: int64(len(w.events) + 1)}
	for _, e := range w.events {
		if len(r.GetProductIds()) == 0 || slices.ContainsFunc(r.GetProductIds(), func(id []byte) bool { return catalog.ID(id) == e.Product.ID }) {
			m.Products = append(m.Products, wire.ProductToProto(e.Product))
		}
	}
	return &stream[catalogv1.SnapshotResponse]{messages: []*catalogv1.SnapshotResponse{m}, err: w.err}, nil
}

func TestJournal(t *testing.T) {
	t.Run("Replay returns the events of a range in order", func(t *testing.T) {
		var got []int64
		err := journal.Journal{Client: newWriter(io.EOF)}.Replay(t.Context(), 1, 2, 0, func(events []catalog.Event) error {
			for _, e := range events {
				got = append(got, e.Seq)
			}
			return nil
		})
		if err != nil || !slices.Equal(got, []int64{2, 3}) {
			t.Errorf("Replay = %v, %v; want 2, 3", got, err)
		}
	})
	t.Run("Replay stops at an error of the handler and ends the stream", func(t *testing.T) {
		w, failed, calls := newWriter(io.EOF), errors.New("disk is full"), 0
		err := journal.Journal{Client: w}.Replay(t.Context(), 1, 1, 0, func([]catalog.Event) error { calls++; return failed })
		if !errors.Is(err, failed) || calls != 1 || w.ctx.Err() == nil {
			t.Errorf("Replay = %v after %d calls, stream context %v", err, calls, w.ctx.Err())
		}
	})
	t.Run("Replay returns an error of the stream, not a short result", func(t *testing.T) {
		err := journal.Journal{Client: newWriter(catalog.ErrUnavailable)}.Replay(t.Context(), 1, 1, 0, func([]catalog.Event) error { return nil })
		if !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Replay = %v, want ErrUnavailable", err)
		}
	})
	t.Run("Snapshot returns the requested products and the next seq", func(t *testing.T) {
		w := newWriter(io.EOF)
		var got []catalog.ID
		next, err := journal.Journal{Client: w}.Snapshot(t.Context(), 1, []catalog.ID{w.events[1].Product.ID}, func(products []catalog.Product) error {
			for _, p := range products {
				got = append(got, p.ID)
			}
			return nil
		})
		if err != nil || next != 4 || !slices.Equal(got, []catalog.ID{w.events[1].Product.ID}) {
			t.Errorf("Snapshot = %d, %v with %v; want 4 and the second product", next, err, got)
		}
	})
	t.Run("Snapshot returns an error of the stream", func(t *testing.T) {
		if next, err := (journal.Journal{Client: newWriter(catalog.ErrUnavailable)}).Snapshot(t.Context(), 1, nil, func([]catalog.Product) error { return nil }); next != 0 || !errors.Is(err, catalog.ErrUnavailable) {
			t.Errorf("Snapshot = %d, %v; want ErrUnavailable", next, err)
		}
	})
	t.Run("Next transfers no products", func(t *testing.T) {
		w := newWriter(io.EOF)
		next, err := journal.Journal{Client: w}.Next(t.Context(), 1)
		if err != nil || next != 4 || len(w.snapshot.GetProductIds()) != 1 || catalog.ID(w.snapshot.GetProductIds()[0]) != (catalog.ID{}) {
			t.Errorf("Next = %d, %v with request %v; want 4", next, err, w.snapshot)
		}
	})
}
