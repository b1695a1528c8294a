package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"catalog"
	"catalog/internal/wire"
)

const (
	settleTimeout  = 30 * time.Second       // time for writers to settle the commands of a page of products
	settleInterval = 100 * time.Millisecond // between two looks whether they are settled
)

// productStore is the store whose products normalizeTexts reads.
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
var errNotSettled = errors.New("not settled")

// normalizeTexts changes the texts of stored products to the form that the gateway gives
// them (wire.NormalizeText). It sends commands, page by page, and waits for each page,
// so that clients do not wait behind a backlog. A product that has changed meanwhile is
// left to the client's command; a repeated run sends what is missing.
func normalizeTexts(ctx context.Context, store productStore, log commandLog, shards int, timeout time.Duration, report func(string)) error {
	changed := 0
	for shard := range int32(shards) {
		_, err := store.Snapshot(ctx, shard, nil, func(page []catalog.Product) error {
			n, err := normalizePage(ctx, store, log, page, timeout, report)
			changed += n
			return err
		})
		if errors.Is(err, errNotSettled) {
			report(fmt.Sprintf("no writer has settled a command within %s; run catalog migrate again when writers run, to normalize the texts of the other products", timeout))
			break
		}
		if err != nil {
			return fmt.Errorf("normalize texts: %w", err)
		}
	}
	if changed > 0 {
		report(fmt.Sprintf("the texts of %d products are normalized", changed))
	}
	return nil
}

// normalizePage normalizes the texts of a page of products, and returns how many it has
// changed.
func normalizePage(ctx context.Context, store productStore, log commandLog, page []catalog.Product, timeout time.Duration, report func(string)) (changed int, err error) {
	var commands []catalog.Command
	for _, p := range page {
		d := wire.NormalizeData(p.ProductData)
		if !p.Exists() || d.Equal(p.ProductData) {
			continue
		}
		if d.SKU != p.SKU {
			owners, err := store.SKUs(ctx, []string{d.SKU})
			if err != nil {
				return 0, err
			}
			if owner, taken := owners[d.SKU]; taken && owner != p.ID {
				report(fmt.Sprintf("product %s keeps its SKU %+q, because product %s has %q; give it another one", p.ID, p.SKU, owner, d.SKU))
				if d.SKU = p.SKU; d.Equal(p.ProductData) {
					continue
				}
			}
		}
		commands = append(commands, catalog.Command{
			// The same command in each run: it is settled once.
			ID: catalog.DerivedID("normalize texts", p.ID.String(), fmt.Sprint(p.Version)), Product: p.ID,
			Op: catalog.PutProduct{Data: d}, If: catalog.Condition{Version: p.Version},
			Actor: "catalog migrate", AcceptedAt: wire.TruncateTime(time.Now()),
		})
	}
	if len(commands) == 0 {
		return 0, nil
	}
	if err := log.SendCommands(ctx, commands...); err != nil {
		return 0, err
	}
	deadline := time.Now().Add(timeout)
	for _, c := range commands {
		e, err := receipt(ctx, store, c.ID, deadline)
		switch {
		case err != nil:
			return changed, err
		case e.Outcome == catalog.Refused && e.Refusal.Code != catalog.CodeVersion:
			report(fmt.Sprintf("the texts of product %s stay as they are: %v", c.Product, e.Refusal))
		case e.Outcome == catalog.Changed:
			changed++
		}
	}
	return changed, nil
}

// receipt waits until the command is settled.
func receipt(ctx context.Context, store productStore, command catalog.ID, deadline time.Time) (catalog.Event, error) {
	for {
		e, err := store.Receipt(ctx, command)
		if !errors.Is(err, catalog.ErrNotFound) {
			return e, err
		}
		if time.Now().After(deadline) {
			return e, errNotSettled
		}
		select {
		case <-time.After(settleInterval):
		case <-ctx.Done():
			return e, ctx.Err()
		}
	}
}
