package writer_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/eventlog"
	"catalog/internal/breaker"
	"catalog/internal/rpc"
	"catalog/internal/wire"
	"catalog/writer"
)

// serve starts a server on the store and returns a client of it.
func serve(t *testing.T, store writer.Store, log writer.Log) catalogv1.WriterServiceClient {
	t.Helper()
	s := rpc.NewServer(slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	catalogv1.RegisterWriterServiceServer(s, writer.Server{Store: store, Breaker: breaker.New("store", prometheus.NewRegistry()), Log: log})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error)
	go func() { done <- s.Run(ctx, l) }()
	c, err := rpc.Dial(l.Addr().String(), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		<-done
	})
	return catalogv1.NewWriterServiceClient(c)
}

// archivedStore is a store whose journal no longer has the events up to seq 100.
type archivedStore struct{ writer.Store }

func (s archivedStore) State(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	st, err := s.Store.State(ctx, shard)
	st.Archived = 100
	return st, err
}

func (s archivedStore) Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error) {
	return s.Store.Journal(ctx, shard, max(from, 101), to, limit)
}

func TestServer(t *testing.T) {
	t.Run("receipts, history, SKUs and the journal are read from the store", testServer)
}

func TestServer_unknownShard(t *testing.T) {
	c := serve(t, newStore(t), nil)
	refused := func(what string, err error) {
		t.Helper()
		if status.Code(err) != codes.InvalidArgument || len(rpc.Fields(err)) != 1 || rpc.Fields(err)[0].Field != "shard" {
			t.Errorf("%s of shard 9999 = %v; want INVALID_ARGUMENT with the field shard", what, err)
		}
	}
	replay, err := c.Replay(t.Context(), &catalogv1.ReplayRequest{Shard: 9999, FromSeq: 1})
	if err == nil {
		_, err = replay.Recv()
	}
	refused("Replay", err)
	snapshot, err := c.Snapshot(t.Context(), &catalogv1.SnapshotRequest{Shard: 9999})
	if err == nil {
		_, err = snapshot.Recv()
	}
	refused("Snapshot", err)
}

func testServer(t *testing.T) {
	store := newStore(t)
	w, l := newWriter(t, store)
	begin(t, w, 0)
	const n = 700 // more than a page of Replay, and settled in time on a busy machine
	r := records(0, n)
	first := r.Items[0]
	data := first.Op.(catalog.CreateProduct).Data
	data.SKU = "A-1"
	r.Items[0].Op = catalog.CreateProduct{Data: data}
	data.Name = "Armchair"
	r.Items[n-1] = catalog.Command{ID: id("put"), Product: first.Product, Op: catalog.PutProduct{Data: data}, AcceptedAt: first.AcceptedAt}
	handle(t, w, r)
	c := serve(t, store, l)
	ctx := t.Context()
	product, unknown := first.Product, id("unknown")

	receipt, err := c.GetReceipt(ctx, &catalogv1.GetReceiptRequest{CommandId: first.ID[:]})
	if err != nil {
		t.Fatal(err)
	}
	if e, err := wire.EventFromProto(receipt.Event); err != nil || e.Seq != 1 || e.Outcome != catalog.Created || e.Product.SKU != "A-1" {
		t.Errorf("GetReceipt = %v, %v; want event 1 of A-1", e, err)
	}
	history, err := c.ListHistory(ctx, &catalogv1.ListHistoryRequest{ProductId: product[:], Limit: 10})
	if err != nil || len(history.Events) != 2 || history.Events[0].Product.Version != 2 {
		t.Errorf("ListHistory = %d events, %v; want versions 2 and 1", len(history.GetEvents()), err)
	}
	owners, err := c.FindSKUs(ctx, &catalogv1.FindSKUsRequest{Skus: []string{"A-1", "A-2"}})
	if err != nil || len(owners.Products) != 1 || string(owners.Products["A-1"]) != string(product[:]) {
		t.Errorf("FindSKUs = %v, %v; want the owner of A-1 alone", owners, err)
	}

	replay := func(from, to int64) (seqs []int64, err error) {
		stream, err := c.Replay(ctx, &catalogv1.ReplayRequest{FromSeq: from, ToSeq: to})
		for err == nil {
			var r *catalogv1.ReplayResponse
			r, err = stream.Recv()
			for _, e := range r.GetEvents() {
				seqs = append(seqs, e.Seq)
			}
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
		return seqs, err
	}
	for _, want := range []struct{ from, to, first, last int64 }{
		{1, 0, 1, n}, {3, 7, 3, 7}, {n - 50, 5000, n - 50, n},
	} {
		seqs, err := replay(want.from, want.to)
		if err != nil || int64(len(seqs)) != want.last-want.first+1 || seqs[0] != want.first || seqs[len(seqs)-1] != want.last {
			t.Errorf("Replay from %d to %d = %d events, %v; want %d to %d", want.from, want.to, len(seqs), err, want.first, want.last)
		}
	}
	if seqs, err := replay(n+1, 0); len(seqs) != 0 || err != nil {
		t.Errorf("Replay after the end = %d events, %v; want none", len(seqs), err)
	}

	c = serve(t, archivedStore{store}, l)
	if seqs, err := replay(100, 0); len(seqs) != 0 || rpc.CodeOf(err) != catalog.CodeArchived {
		t.Errorf("Replay of an archived event = %d events, %v; want the code archived", len(seqs), err)
	}
	if seqs, err := replay(101, 0); len(seqs) != n-100 || err != nil {
		t.Errorf("Replay of the first event that is not archived = %d events, %v; want %d", len(seqs), err, n-100)
	}

	_, err1 := c.GetReceipt(ctx, &catalogv1.GetReceiptRequest{CommandId: unknown[:]})
	_, err2 := c.ListHistory(ctx, &catalogv1.ListHistoryRequest{ProductId: unknown[:], Limit: 1})
	_, err3 := c.GetReceipt(ctx, &catalogv1.GetReceiptRequest{CommandId: []byte("short")})
	_, err4 := replay(0, 0)
	for i, want := range []codes.Code{codes.NotFound, codes.NotFound, codes.InvalidArgument, codes.InvalidArgument} {
		if err := []error{err1, err2, err3, err4}[i]; status.Code(err) != want {
			t.Errorf("error %d = %v, want %v", i+1, err, want)
		}
	}
}
