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
)

// Server answers queries over gRPC. It implements
// catalogv1.ReaderServiceServer; package rpc makes statuses of its errors.
type Server struct {
	catalogv1.UnimplementedReaderServiceServer
	Reader *Reader
}

// GetProduct answers one product.
func (s Server) GetProduct(ctx context.Context, r *catalogv1.GetProductRequest) (*catalogv1.GetProductResponse, error) {
	at := wire.PositionFromProto(r.GetPosition())
	as := s.Reader.viewed.position(at.Shard) // before the product is read, which is as it was then or later
	p, err := s.Reader.Product(ctx, catalog.ID(r.GetId()), at)
	if err != nil {
		return nil, err
	}
	as.Seq = max(as.Seq, at.Seq)
	return &catalogv1.GetProductResponse{Product: wire.ProductToProto(p), Position: wire.PositionToProto(as)}, nil
}

// GetProducts answers what is known of several products.
func (s Server) GetProducts(ctx context.Context, r *catalogv1.GetProductsRequest) (*catalogv1.GetProductsResponse, error) {
	answers, ids := make([]*catalogv1.ProductResult, len(r.GetProducts())), make([]catalog.ID, 0, len(r.GetProducts()))
	for i, q := range r.GetProducts() {
		answers[i] = &catalogv1.ProductResult{}
		at := wire.PositionFromProto(q.GetPosition())
		if as := s.Reader.viewed.position(at.Shard); as.Seq >= at.Seq { // before the products are read, as in GetProduct
			answers[i].Known, answers[i].Position = true, wire.PositionToProto(as)
			ids = append(ids, catalog.ID(q.GetId()))
		}
	}
	known := s.Reader.Products(ctx, ids)
	for i, q := range r.GetProducts() {
		encoded, ok := known[catalog.ID(q.GetId())]
		if answers[i].Known = answers[i].Known && ok; answers[i].Known {
			answers[i].Product = encoded
		}
	}
	return &catalogv1.GetProductsResponse{Results: answers}, nil
}

// SearchProducts answers a page of products.
func (s Server) SearchProducts(ctx context.Context, r *catalogv1.SearchProductsRequest) (*catalogv1.SearchProductsResponse, error) {
	page, err := s.Reader.Search(ctx, wire.QueryFromProto(r), wire.PositionsFromProto(r.GetPositions())...)
	if err != nil {
		return nil, err
	}
	return wire.PageToProto(page), nil
}

// SuggestProducts answers what a person may mean who is still typing.
func (s Server) SuggestProducts(ctx context.Context, r *catalogv1.SuggestProductsRequest) (*catalogv1.SuggestProductsResponse, error) {
	all, err := s.Reader.Suggest(ctx, r.GetText(), int(r.GetLimit()), wire.PositionsFromProto(r.GetPositions())...)
	if err != nil {
		return nil, err
	}
	return wire.SuggestionsToProto(all), nil
}

// WatchChanges sends what becomes of products until the caller goes.
func (s Server) WatchChanges(r *catalogv1.WatchChangesRequest, stream grpc.ServerStreamingServer[catalogv1.WatchChangesResponse]) error {
	w := watcher{filter: changefeed.Filter{Category: r.GetCategory()}, send: stream.Send}
	copy(w.filter.Product[:], r.GetProductId())
	return s.Reader.watch(stream.Context(), r.GetAfter(), w)
}

// Verify compares what the reader keeps with the truth.
func (s Server) Verify(r *catalogv1.VerifyRequest, stream grpc.ServerStreamingServer[catalogv1.VerifyResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	send := func(m *catalogv1.VerifyResponse) {
		if err := stream.Send(m); err != nil {
			cancel(err)
		}
	}
	made, err := s.Reader.Verify(ctx, Verification{
		Repair: r.GetRepair(),
		Progress: func(store string, products, of int64) {
			send(&catalogv1.VerifyResponse{Update: &catalogv1.VerifyResponse_Progress{Progress: &catalogv1.JobProgress{Step: store, Products: products, Of: of}}})
		},
		Difference: func(d Difference) {
			send(&catalogv1.VerifyResponse{Update: &catalogv1.VerifyResponse_Difference{Difference: &catalogv1.Difference{
				Store: d.Store, Shard: d.Shard, Got: wire.ProductToProto(d.Got), Want: wire.ProductToProto(d.Want), Repaired: d.Repaired,
			}}})
		},
	})
	if err != nil {
		return s.told(ctx, "compare with the truth", err)
	}
	for _, c := range made {
		send(&catalogv1.VerifyResponse{Update: &catalogv1.VerifyResponse_Comparison{Comparison: &catalogv1.Comparison{
			Store: c.Store, Shards: c.Shards, OfShards: c.OfShards, Products: c.Products, Differing: c.Differing, Repaired: c.Repaired,
		}}})
	}
	return context.Cause(ctx)
}

// Rebuild makes the view, the index or both anew.
func (s Server) Rebuild(r *catalogv1.RebuildRequest, stream grpc.ServerStreamingServer[catalogv1.RebuildResponse]) error {
	ctx, cancel := context.WithCancelCause(stream.Context())
	defer cancel(nil)
	err := s.Reader.Rebuild(ctx, r.GetStores(), RebuildAction(r.GetAction()), func(step string, products, of int64) {
		if err := stream.Send(&catalogv1.RebuildResponse{Progress: &catalogv1.JobProgress{Step: step, Products: products, Of: of}}); err != nil {
			cancel(err)
		}
	})
	return s.told(ctx, "rebuild", err)
}

// told is the status of what did not come to its end. Who asks for it runs the
// catalogue, and is told why.
func (s Server) told(ctx context.Context, what string, err error) error {
	if err == nil || ctx.Err() != nil {
		return err
	}
	s.Reader.logger.WarnContext(ctx, what+" has failed", "err", err)
	return status.Error(codes.Aborted, err.Error())
}
