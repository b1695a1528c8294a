package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

const (
	settleTimeout  = 30 * time.Second       // time for writers to settle the commands of a page of products
	settleInterval = 100 * time.Millisecond // pause between two checks whether the commands are settled

	// maxNormalizeAttempts is how often a product is read and a command sent for it: a
	// client may change it, or take its new SKU, between the two.
	maxNormalizeAttempts = 3
)

// productStore is the store whose products a normalizer reads.
type productStore interface {
	Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (int64, error)
	SKUs(ctx context.Context, skus []string) (map[string]catalog.ID, error)
	Receipt(ctx context.Context, command catalog.ID) (catalog.Event, error)
}

// commandLog sends commands.
type commandLog interface {
	SendCommands(ctx context.Context, commands ...catalog.Command) error
}

// errNotSettled means that no writer has settled the commands in time.
var errNotSettled = fmt.Errorf("no writer has settled a command within %s", settleTimeout)

// normalizer changes the texts of stored products to the form that the gateway gives
// them (wire.NormalizeText). It sends commands, page by page, and waits for each page,
// so that clients do not wait behind a backlog. A product that a client has changed
// meanwhile is read again. A repeated run sends what is missing.
type normalizer struct {
	store   productStore
	log     commandLog
	shards  int
	actor   string        // actor of the commands
	timeout time.Duration // time for the commands of a page to be settled
	report  func(string)  // called with a line for each product whose texts stay as they are
}

// run normalizes the texts of all products, and returns how many it has changed.
func (n normalizer) run(ctx context.Context) (changed int, err error) {
	for shard := range int32(n.shards) {
		c, err := n.shard(ctx, shard, nil, maxNormalizeAttempts)
		changed += c
		if err != nil {
			return changed, fmt.Errorf("normalize texts: %w", err)
		}
	}
	return changed, nil
}

// shard normalizes the texts of the products of a shard; only of those in only, unless
// only is nil.
func (n normalizer) shard(ctx context.Context, shard int32, only []catalog.ID, attempts int) (changed int, err error) {
	_, err = n.store.Snapshot(ctx, shard, only, func(page []catalog.Product) error {
		c, refused, err := n.page(ctx, page)
		changed += c
		if err != nil || len(refused) == 0 {
			return err
		}
		if attempts > 1 {
			c, err = n.shard(ctx, shard, slices.Collect(maps.Keys(refused)), attempts-1)
			changed += c
			return err
		}
		for id, reason := range refused {
			n.report(fmt.Sprintf("the texts of product %s stay as they are: %v", id, reason))
		}
		return nil
	})
	return changed, err
}

// fileStore is a store in a file that no other process writes to. It also stores the version of the
// form of its texts.
type fileStore interface {
	State(ctx context.Context, shard int32) (eventlog.ShardState, error)
	TextForm(ctx context.Context) (int, error)
	SetTextForm(ctx context.Context, form int) error
}

// once calls run for a store in a file, unless an earlier call has completed. ends are the offsets
// of the next commands, by shard: a process of an earlier version may have left commands in the
// log, which a writer has to settle first.
func (n normalizer) once(ctx context.Context, file fileStore, ends []int64) (changed int, err error) {
	form, err := file.TextForm(ctx)
	if err != nil || form >= wire.TextForm {
		return 0, err
	}
	deadline := time.Now().Add(n.timeout)
	for shard, end := range ends {
		if err := waitUntil(ctx, deadline, func() (bool, error) {
			st, err := file.State(ctx, int32(shard))
			return st.Offset >= end, err
		}); err != nil {
			return 0, err
		}
	}
	if changed, err = n.run(ctx); err != nil {
		return changed, err
	}
	return changed, file.SetTextForm(ctx, wire.TextForm)
}

// page normalizes the texts of a page of products, and returns how many it has changed and
// which commands were refused.
func (n normalizer) page(ctx context.Context, page []catalog.Product) (changed int, refused map[catalog.ID]error, err error) {
	var commands []catalog.Command
	for _, p := range page {
		d := wire.NormalizeData(p.ProductData)
		if d.SKU != p.SKU {
			owners, err := n.store.SKUs(ctx, []string{d.SKU})
			if err != nil {
				return 0, nil, err
			}
			if owner, taken := owners[d.SKU]; taken && owner != p.ID {
				n.report(fmt.Sprintf("product %s keeps its SKU %+q, because product %s has %q, in this or another case; give it another one", p.ID, p.SKU, owner, d.SKU))
				d.SKU = p.SKU
			}
		}
		if !p.Exists() || d.Equal(p.ProductData) {
			continue
		}
		commands = append(commands, catalog.Command{
			// The same command in each run, so that it is settled once.
			ID: catalog.DerivedID("normalize texts", p.ID.String(), fmt.Sprint(p.Version), d.SKU), Product: p.ID,
			Op: catalog.PutProduct{Data: d}, If: catalog.Condition{Version: p.Version},
			Actor: n.actor, AcceptedAt: wire.TruncateTime(time.Now()),
		})
	}
	if len(commands) == 0 {
		return 0, nil, nil
	}
	if err := n.log.SendCommands(ctx, commands...); err != nil {
		return 0, nil, err
	}
	refused = map[catalog.ID]error{}
	deadline := time.Now().Add(n.timeout)
	for _, c := range commands {
		e, err := n.receipt(ctx, c.ID, deadline)
		switch {
		case err != nil:
			return changed, nil, err
		case e.Outcome == catalog.Refused:
			refused[c.Product] = e.Refusal
		case e.Outcome == catalog.Changed:
			changed++
		}
	}
	return changed, refused, nil
}

// receipt waits until the command is settled.
func (n normalizer) receipt(ctx context.Context, command catalog.ID, deadline time.Time) (e catalog.Event, err error) {
	err = waitUntil(ctx, deadline, func() (settled bool, err error) {
		if e, err = n.store.Receipt(ctx, command); errors.Is(err, catalog.ErrNotFound) {
			return false, nil
		}
		return true, err
	})
	return e, err
}

// waitUntil calls done until it returns true or an error. At the deadline it returns
// errNotSettled.
func waitUntil(ctx context.Context, deadline time.Time, done func() (bool, error)) error {
	for {
		if ok, err := done(); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return errNotSettled
		}
		select {
		case <-time.After(settleInterval):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
