// Package journal reads the journal of the writers over gRPC. Services that are
// no writer use it to replay events and to load snapshots.
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"

	"google.golang.org/grpc"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/rpc"
	"catalog/internal/wire"
)

// Journal is the journal of the writers. It implements changefeed.Journal and the
// Journal interfaces of the reader.
type Journal struct {
	Client catalogv1.WriterServiceClient
}

// Next returns the seq that the next event of the shard will have.
func (j Journal) Next(ctx context.Context, shard int32) (int64, error) {
	// A snapshot of the zero id, which no product has, returns the seq alone.
	return j.Snapshot(ctx, shard, []catalog.ID{{}}, func([]catalog.Product) error { return nil })
}

// Replay calls handle with the events of the shard with from ≤ seq ≤ to, in
// order. A to of 0 means up to the last event. It stops at the first error of
// handle and returns it. It returns ErrArchived when the first event is archived.
func (j Journal) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream when handle fails
	defer cancel()
	stream, err := j.Client.Replay(ctx, &catalogv1.ReplayRequest{Shard: shard, FromSeq: from, ToSeq: to})
	if err != nil {
		return fmt.Errorf("replay events of the writer: %w", err)
	}
	return receive(stream, "replay events of the writer", func(m *catalogv1.ReplayResponse) error {
		events := make([]catalog.Event, len(m.GetEvents()))
		for i, e := range m.GetEvents() {
			if events[i], err = wire.EventFromProto(e); err != nil {
				return err
			}
		}
		return handle(events)
	})
}

// Snapshot calls handle with the products of the shard, or, with ids, with those
// of them that exist, page by page. It returns the seq that the next event had before
// the first page: a product is at least as new as the events before it, and may be
// newer. It stops at the first error of handle.
func (j Journal) Snapshot(ctx context.Context, shard int32, ids []catalog.ID, handle func([]catalog.Product) error) (nextSeq int64, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the stream when handle fails
	defer cancel()
	r := &catalogv1.SnapshotRequest{Shard: shard}
	for _, id := range ids {
		r.ProductIds = append(r.ProductIds, id[:])
	}
	stream, err := j.Client.Snapshot(ctx, r)
	if err != nil {
		return 0, fmt.Errorf("load a snapshot of the writer: %w", err)
	}
	err = receive(stream, "load a snapshot of the writer", func(m *catalogv1.SnapshotResponse) error {
		nextSeq = m.GetNextSeq()
		products := make([]catalog.Product, len(m.GetProducts()))
		for i, p := range m.GetProducts() {
			if products[i], err = wire.ProductFromProto(p); err != nil {
				return err
			}
		}
		if len(products) == 0 {
			return nil
		}
		return handle(products)
	})
	if err != nil {
		return 0, err
	}
	return nextSeq, nil
}

// receive calls handle with each message of the stream. It wraps errors of the
// stream, not those of handle.
func receive[M any](stream grpc.ServerStreamingClient[M], what string, handle func(*M) error) error {
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil && rpc.CodeOf(err) == catalog.CodeArchived:
			return fmt.Errorf("%s: %w: %w", what, catalog.ErrArchived, err)
		case err != nil:
			return fmt.Errorf("%s: %w", what, err)
		}
		if err := handle(m); err != nil {
			return err
		}
	}
}
