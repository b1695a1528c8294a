package writer

import (
	"context"
	"fmt"

	"google.golang.org/grpc"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/breaker"
	"catalog/internal/memory"
	"catalog/internal/wire"
)

// Server is the gRPC service of the writer: reads that need the store, which
// no view can serve. Package rpc converts its errors to statuses.
type Server struct {
	catalogv1.UnimplementedWriterServiceServer
	Store   Store
	Breaker *breaker.Breaker // breaker for the calls that a client of the gateway waits for
	Log     Log              // log for ReplayDeadLetter
	Memory  *memory.Budget   // bounds the streams; nil means no limit
}

// GetReceipt returns the event of a command.
func (s Server) GetReceipt(ctx context.Context, r *catalogv1.GetReceiptRequest) (*catalogv1.GetReceiptResponse, error) {
	var e catalog.Event
	err := s.Breaker.Do(ctx, s.probe, func(ctx context.Context) (err error) {
		e, err = s.Store.Receipt(ctx, catalog.ID(r.GetCommandId()))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &catalogv1.GetReceiptResponse{Event: wire.EventToProto(e)}, nil
}

// ListHistory returns a page of the events that made the versions of a product.
func (s Server) ListHistory(ctx context.Context, r *catalogv1.ListHistoryRequest) (*catalogv1.ListHistoryResponse, error) {
	var events []catalog.Event
	var more bool
	err := s.Breaker.Do(ctx, s.probe, func(ctx context.Context) (err error) {
		events, more, err = s.Store.History(ctx, catalog.ID(r.GetProductId()), r.GetBeforeVersion(), int(r.GetLimit()))
		return err
	})
	if err != nil {
		return nil, err
	}
	return &catalogv1.ListHistoryResponse{Events: eventsToProto(events), More: more}, nil
}

// FindSKUs returns the products that own the SKUs.
func (s Server) FindSKUs(ctx context.Context, r *catalogv1.FindSKUsRequest) (*catalogv1.FindSKUsResponse, error) {
	var owners map[string]catalog.ID
	err := s.Breaker.Do(ctx, s.probe, func(ctx context.Context) (err error) {
		owners, err = s.Store.SKUs(ctx, r.GetSkus())
		return err
	})
	if err != nil {
		return nil, err
	}
	response := &catalogv1.FindSKUsResponse{Products: make(map[string][]byte, len(owners))}
	for sku, id := range owners {
		response.Products[sku] = id[:]
	}
	return response, nil
}

// probe is a cheap read by which the breaker detects that the store is back.
func (s Server) probe(ctx context.Context) error {
	_, err := s.Store.State(ctx, 0)
	return err
}

// Replay streams events of a shard from the journal, in order. It returns
// ErrArchived when the first event is archived.
func (s Server) Replay(r *catalogv1.ReplayRequest, stream grpc.ServerStreamingServer[catalogv1.ReplayResponse]) error {
	ctx := stream.Context()
	end, err := s.startStream(ctx, "writer.replays", replayShare)
	if err != nil {
		return err
	}
	defer end()
	state, err := s.state(ctx, r.GetShard())
	if err != nil {
		return err
	}
	to := state.NextSeq - 1
	if r.GetToSeq() > 0 {
		to = min(to, r.GetToSeq())
	}
	for from := r.GetFromSeq(); from <= to; {
		events, err := s.Store.Journal(ctx, r.GetShard(), from, to, replayBatch)
		if err != nil {
			return err
		}
		if len(events) == 0 || events[0].Seq != from {
			return s.missingEvent(ctx, r.GetShard(), from)
		}
		if err := stream.Send(&catalogv1.ReplayResponse{Events: eventsToProto(events)}); err != nil {
			return err
		}
		from = events[len(events)-1].Seq + 1
	}
	return nil
}

// state returns the state of the shard, or a refusal when the store has no such shard.
func (s Server) state(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	st, err := s.Store.State(ctx, shard)
	if err == nil {
		return st, nil
	}
	if all, e := s.Store.States(ctx); e == nil && int(shard) >= len(all) {
		return st, catalog.Invalid("shard", fmt.Sprintf("must be less than %d, the number of shards", len(all)))
	}
	return st, err
}

// missingEvent returns the error for an event that the journal does not have.
func (s Server) missingEvent(ctx context.Context, shard int32, seq int64) error {
	state, err := s.Store.State(ctx, shard)
	switch {
	case err != nil:
		return err
	case seq <= state.Archived:
		return fmt.Errorf("shard %d: event %d: %w", shard, seq, catalog.ErrArchived)
	}
	return fmt.Errorf("shard %d: event %d is missing in the journal", shard, seq)
}

// Snapshot streams the products of a shard, page by page, then the seq that the next
// event had before the first page.
func (s Server) Snapshot(r *catalogv1.SnapshotRequest, stream grpc.ServerStreamingServer[catalogv1.SnapshotResponse]) error {
	end, err := s.startStream(stream.Context(), "writer.snapshots", snapshotShare)
	if err != nil {
		return err
	}
	defer end()
	if _, err := s.state(stream.Context(), r.GetShard()); err != nil {
		return err
	}
	var only []catalog.ID // nil means all products
	for _, id := range r.GetProductIds() {
		only = append(only, catalog.ID(id))
	}
	next, err := s.Store.Snapshot(stream.Context(), r.GetShard(), only, func(products []catalog.Product) error {
		m := &catalogv1.SnapshotResponse{Products: make([]*catalogv1.Product, len(products))}
		for i, p := range products {
			m.Products[i] = wire.ProductToProto(p)
		}
		return stream.Send(m)
	})
	if err != nil {
		return err
	}
	return stream.Send(&catalogv1.SnapshotResponse{NextSeq: next})
}

// startStream waits until the share of this size has room for another stream, and
// returns the function that ends the stream.
func (s Server) startStream(ctx context.Context, name string, size int64) (end func(), err error) {
	share := s.Memory.Share(name, size)
	if err := share.Acquire(ctx, pageBytes); err != nil {
		return nil, err
	}
	return func() { share.Release(pageBytes) }, nil
}

func eventsToProto(events []catalog.Event) []*catalogv1.Event {
	m := make([]*catalogv1.Event, len(events))
	for i, e := range events {
		m[i] = wire.EventToProto(e)
	}
	return m
}
