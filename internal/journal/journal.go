// Package journal is the journal of the writers as other services read it, over
// gRPC.
package journal

import (
	"context"
	"errors"
	"fmt"
	"io"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/internal/wire"
)

// Journal is the journal of the writers. It implements reader.Journal and
// feed.Journal.
type Journal struct {
	Client catalogv1.WriterServiceClient
}

// Next answers the seq that the next event of the shard will have.
func (j Journal) Next(ctx context.Context, shard int32) (int64, error) {
	// Of a product that nobody has, so that it is the seq alone.
	return j.Snapshot(ctx, shard, []catalog.ID{{}}, func([]catalog.Product) error { return nil })
}

// Replay calls handle with the events of the shard with from ≤ seq ≤ to, in
// order; to 0 is as far as there are.
func (j Journal) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	ctx, cancel := context.WithCancel(ctx) // ends the stream when handle fails
	defer cancel()
	stream, err := j.Client.Replay(ctx, &catalogv1.ReplayRequest{Shard: shard, FromSeq: from, ToSeq: to})
	if err != nil {
		return fmt.Errorf("ask the writer for events: %w", err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("ask the writer for events: %w", err)
		}
		events := make([]catalog.Event, 0, len(m.GetEvents()))
		for _, e := range m.GetEvents() {
			event, err := wire.EventFromProto(e)
			if err != nil {
				return err
			}
			events = append(events, event)
		}
		if err := handle(events); err != nil {
			return err
		}
	}
}

// Snapshot calls handle with the products of the shard, and answers its next
// seq.
func (j Journal) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (nextSeq int64, err error) {
	ctx, cancel := context.WithCancel(ctx) // ends the stream when handle fails
	defer cancel()
	r := &catalogv1.SnapshotRequest{Shard: shard}
	for _, id := range only {
		r.ProductIds = append(r.ProductIds, id[:])
	}
	stream, err := j.Client.Snapshot(ctx, r)
	if err != nil {
		return 0, fmt.Errorf("ask the writer for a snapshot: %w", err)
	}
	for {
		m, err := stream.Recv()
		if errors.Is(err, io.EOF) {
			return nextSeq, nil
		}
		if err != nil {
			return 0, fmt.Errorf("ask the writer for a snapshot: %w", err)
		}
		nextSeq = m.GetNextSeq()
		products := make([]catalog.Product, len(m.GetProducts()))
		for i, p := range m.GetProducts() {
			if products[i], err = wire.ProductFromProto(p); err != nil {
				return 0, err
			}
		}
		if len(products) == 0 {
			continue
		}
		if err := handle(products); err != nil {
			return 0, err
		}
	}
}
