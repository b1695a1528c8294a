package reader

import (
	"context"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/changefeed"
	"catalog/internal/wire"
	"catalog/reader/audit"
)

// Server serves queries over gRPC. It implements
// catalogv1.ReaderServiceServer. Package rpc turns its errors into statuses.
type Server struct {
	catalogv1.UnimplementedReaderServiceServer
	Reader *Reader
}

// whenSent calls f when the response of the gRPC call is sent, and at once outside of
// a call.
func whenSent(ctx context.Context, f func()) {
	if grpc.ServerTransportStreamFromContext(ctx) == nil {
		f()
		return
	}
	context.AfterFunc(ctx, f)
}

// GetProduct returns one product and a position: the product is as of that
// position or later.
func (s Server) GetProduct(ctx context.Context, r *catalogv1.GetProductRequest) (*catalogv1.GetProductResponse, error) {
	at := wire.PositionFromProto(r.GetPosition())
	applied := s.Reader.positions.view.Position(at.Shard) // taken before the read: the product is as of this position or later
	p, err := s.Reader.Product(ctx, catalog.ID(r.GetId()), at)
	if err != nil {
		return nil, err
	}
	applied.Seq = max(applied.Seq, at.Seq)
	return &catalogv1.GetProductResponse{Product: wire.ProductToProto(p), Position: wire.PositionToProto(applied)}, nil
}

// GetProducts returns several products. It marks a product as not known when it
// cannot be read quickly or when the view has not reached its position.
func (s Server) GetProducts(ctx context.Context, r *catalogv1.GetProductsRequest) (*catalogv1.GetProductsResponse, error) {
	results, ids := make([]*catalogv1.ProductResult, len(r.GetProducts())), make([]catalog.ID, 0, len(r.GetProducts()))
	for i, q := range r.GetProducts() {
		results[i] = &catalogv1.ProductResult{}
		at := wire.PositionFromProto(q.GetPosition())
		if applied := s.Reader.positions.view.Position(at.Shard); applied.Seq >= at.Seq { // taken before the read, as in GetProduct
			results[i].Known, results[i].Position = true, wire.PositionToProto(applied)
			ids = append(ids, catalog.ID(q.GetId()))
		}
	}
	known := s.Reader.Products(ctx, ids)
	for i, q := range r.GetProducts() {
		encoded, ok := known[catalog.ID(q.GetId())]
		if results[i].Known = results[i].Known && ok; results[i].Known {
			results[i].Product = encoded
		}
	}
	return &catalogv1.GetProductsResponse{Results: results}, nil
}

// SearchProducts returns a page of products.
func (s Server) SearchProducts(ctx context.Context, r *catalogv1.SearchProductsRequest) (*catalogv1.SearchProductsResponse, error) {
	page, err := s.Reader.Search(ctx, wire.QueryFromProto(r), wire.PositionsFromProto(r.GetPositions())...)
	if err != nil {
		return nil, err
	}
	return wire.PageToProto(page), nil
}

// SuggestProducts returns completions of a text that is being typed.
func (s Server) SuggestProducts(ctx context.Context, r *catalogv1.SuggestProductsRequest) (*catalogv1.SuggestProductsResponse, error) {
	all, err := s.Reader.Suggest(ctx, r.GetText(), int(r.GetLimit()), wire.PositionsFromProto(r.GetPositions())...)
	if err != nil {
		return nil, err
	}
	return wire.SuggestionsToProto(all), nil
}

// WatchChanges streams the changes of products until the client ends the call.
func (s Server) WatchChanges(r *catalogv1.WatchChangesRequest, stream grpc.ServerStreamingServer[catalogv1.WatchChangesResponse]) error {
	var product catalog.ID
	copy(product[:], r.GetProductId())
	w := watcher{filter: changefeed.NewFilter(product, r.GetCategory()), send: stream.Send}
	return s.Reader.watch(stream.Context(), r.GetAfter(), w)
}

// Verify compares the stores of this reader with the journal, and streams
// progress, differences and, at the end, one comparison for each store.
func (s Server) Verify(r *catalogv1.VerifyRequest, stream grpc.ServerStreamingServer[catalogv1.VerifyResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	send := func(m *catalogv1.VerifyResponse) {
		if err := stream.Send(m); err != nil {
			cancel(err)
		}
	}
	comparisons, err := s.Reader.Auditor.Verify(ctx, audit.Verification{
		Repair: r.GetRepair(),
		Progress: func(store string, products, of int64) {
			send(&catalogv1.VerifyResponse{Update: &catalogv1.VerifyResponse_Progress{Progress: &catalogv1.JobProgress{Step: store, Products: products, Of: of}}})
		},
		Difference: func(d audit.Difference) {
			send(&catalogv1.VerifyResponse{Update: &catalogv1.VerifyResponse_Difference{Difference: &catalogv1.Difference{
				Store: d.Store, Shard: d.Shard, Got: wire.ProductToProto(d.Got), Want: wire.ProductToProto(d.Want), Repaired: d.Repaired,
			}}})
		},
	})
	if err != nil {
		return s.operatorError(ctx, "verification failed", err)
	}
	for _, c := range comparisons {
		send(&catalogv1.VerifyResponse{Update: &catalogv1.VerifyResponse_Comparison{Comparison: &catalogv1.Comparison{
			Store: c.Store, Shards: c.Shards, OfShards: c.OfShards, Products: c.Products, Differing: c.Differing, Repaired: c.Repaired,
		}}})
	}
	return context.Cause(ctx)
}

// Rebuild rebuilds the view, the index or both, and streams progress.
func (s Server) Rebuild(r *catalogv1.RebuildRequest, stream grpc.ServerStreamingServer[catalogv1.RebuildResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	err := s.Reader.Auditor.Rebuild(ctx, r.GetStores(), audit.RebuildAction(r.GetAction()), func(step string, products, of int64) {
		if err := stream.Send(&catalogv1.RebuildResponse{Progress: &catalogv1.JobProgress{Step: step, Products: products, Of: of}}); err != nil {
			cancel(err)
		}
	})
	return s.operatorError(ctx, "rebuild failed", err)
}

// operatorError logs err and returns it as a status with its full text: only
// operators call these methods, and they need the reason.
func (s Server) operatorError(ctx context.Context, message string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	s.Reader.logger.WarnContext(ctx, message, "err", err)
	return status.Error(codes.Aborted, err.Error())
}
