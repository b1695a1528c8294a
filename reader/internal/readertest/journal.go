package readertest

import (
	"context"
	"fmt"
	"slices"
	"sync"

	"catalog"
	"catalog/eventlog"
)

// Journal is a journal of fixed events of one shard. Events before the first one
// are archived.
type Journal []catalog.Event

// Next returns the seq after the last event.
func (j Journal) Next(context.Context, int32) (int64, error) {
	if len(j) == 0 {
		return 1, nil
	}
	return j[len(j)-1].Seq + 1, nil
}

// Replay calls handle with each event.
func (j Journal) Replay(_ context.Context, _ int32, from, to int64, handle func([]catalog.Event) error) error {
	if len(j) > 0 && from < j[0].Seq {
		return fmt.Errorf("event %d: %w", from, catalog.ErrArchived)
	}
	for _, e := range j {
		if e.Seq >= from && (to == 0 || e.Seq <= to) {
			if err := handle([]catalog.Event{e}); err != nil {
				return err
			}
		}
	}
	return nil
}

// Snapshot calls handle with the products after all events.
func (j Journal) Snapshot(_ context.Context, _ int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	products := slices.DeleteFunc(eventlog.LastVersions(j), func(p catalog.Product) bool { return only != nil && !slices.Contains(only, p.ID) })
	if len(j) == 0 || len(products) == 0 {
		return int64(len(j)) + 1, nil
	}
	return j[len(j)-1].Seq + 1, handle(products)
}

// GrowingJournal is a journal of one shard to which the test adds events.
type GrowingJournal struct {
	mu     sync.Mutex
	events []catalog.Event
}

func (g *GrowingJournal) snapshot() Journal {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.events[:len(g.events):len(g.events)]
}

// Next returns the seq after the last event.
func (g *GrowingJournal) Next(ctx context.Context, shard int32) (int64, error) {
	return g.snapshot().Next(ctx, shard)
}

// Replay calls handle with each event.
func (g *GrowingJournal) Replay(ctx context.Context, shard int32, from, to int64, handle func([]catalog.Event) error) error {
	return g.snapshot().Replay(ctx, shard, from, to, handle)
}

// Snapshot calls handle with the products after all events.
func (g *GrowingJournal) Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error) {
	return g.snapshot().Snapshot(ctx, shard, only, handle)
}

// Settle adds the next version of the product of that name, or its tombstone,
// and returns the event.
func (g *GrowingJournal) Settle(name string, deleted bool) catalog.Event {
	g.mu.Lock()
	defer g.mu.Unlock()
	e := catalog.Event{
		Position: catalog.Position{Seq: int64(len(g.events)) + 1}, Outcome: catalog.Changed, Command: catalog.DerivedID(name, fmt.Sprint(len(g.events))), SettledAt: Moment,
		Product: catalog.Product{ID: catalog.DerivedID(name), Version: 1, CreatedAt: Moment, UpdatedAt: Moment},
	}
	for _, before := range g.events {
		if before.Product.ID == e.Product.ID {
			e.Product.Version = before.Product.Version + 1
		}
	}
	if deleted {
		e.Outcome, e.Product.Deleted = catalog.Deleted, true
	} else {
		e.Product.ProductData = catalog.ProductData{Name: name, Description: fmt.Sprint(e.Product.Version)}
	}
	g.events = append(g.events, e)
	return e
}
