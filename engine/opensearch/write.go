package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"golang.org/x/sync/errgroup"

	"catalog"
	"catalog/eventlog"
)

// maxBulk is about how many bytes are written by one call.
const maxBulk = 2 << 20

// operation is what is written at one id, by a version.
type operation struct {
	id      string
	version int64
	again   bool // the same version may be written again
	body    any
}

// write writes operations to a generation. Where the same or a newer version is
// there, nothing changes.
func (x *Index) write(ctx context.Context, number int, all []operation) error {
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	for i, o := range all {
		kind := "external"
		if o.again {
			kind = "external_gte"
		}
		action := map[string]any{"index": map[string]any{"_id": o.id, "version": o.version, "version_type": kind}}
		if err := errors.Join(out.Encode(action), out.Encode(o.body)); err != nil {
			return err
		}
		if lines.Len() < maxBulk && i < len(all)-1 {
			continue
		}
		var answer struct {
			Errors bool `json:"errors"`
			Items  []struct {
				Index struct {
					Status int `json:"status"`
					Error  struct {
						Type string `json:"type"`
					} `json:"error"`
				} `json:"index"`
			} `json:"items"`
		}
		// An index that has been removed must not be made again by being written.
		path := "/" + x.kept(number) + "/_bulk?require_alias=true&filter_path=errors,items.*.status,items.*.error.type"
		if err := x.client.call(ctx, http.MethodPost, path, lines.Bytes(), &answer); err != nil {
			return err
		}
		for _, item := range answer.Items {
			if s := item.Index.Status; answer.Errors && s >= 300 && s != http.StatusConflict {
				return &refusal{s, item.Index.Error.Type}
			}
		}
		lines.Reset()
	}
	return nil
}

// operations write products.
func operations(products []catalog.Product) ([]operation, error) {
	all := make([]operation, len(products))
	for i, p := range products {
		d, err := document(p)
		if err != nil {
			return nil, fmt.Errorf("index product %s: %w", p.ID, err)
		}
		all[i] = operation{id: p.ID.String(), version: p.Version, body: d}
	}
	return all, nil
}

// reach are the operations that write progress.
func reach(all []eventlog.Checkpoint) []operation {
	var list []operation
	for _, p := range all {
		list = append(list, operation{
			id: fmt.Sprint("shard-", p.Shard), version: p.Seq, again: true,
			body: shardProgress{progress, p.Shard, p.Seq, p.Offset},
		})
	}
	return list
}

// Apply stores products and tombstones that are newer than what is there. Then it
// lets them be found, those too that another reader has written and not yet shown,
// and stores the progress.
//
// It writes to all generations. When it has, it looks again which ones there
// are: one that was made after that last look is filled with a snapshot of later.
func (x *Index) Apply(ctx context.Context, products []catalog.Product, progress []eventlog.Checkpoint) error {
	list, err := operations(products)
	if err != nil {
		return err
	}
	if err := x.apply(ctx, list, reach(progress)); err != nil {
		return fmt.Errorf("write %d products to OpenSearch: %w", len(products), err)
	}
	return nil
}

func (x *Index) apply(ctx context.Context, products, progress []operation) error {
	written := map[int]bool{}
	for {
		g, err := x.look(ctx)
		if err != nil {
			return err
		}
		if len(g.all) == 0 {
			return errNone
		}
		done := true
		for _, number := range g.all {
			if written[number] {
				continue
			}
			written[number], done = true, false
			if err := x.write(ctx, number, products); err != nil && !is(err, noIndex) { // given up meanwhile
				return err
			}
		}
		if !done {
			continue
		}
		// Both wait for the disk. Who reads the progress before all can be found
		// refreshes first.
		both, ctx := errgroup.WithContext(ctx)
		for _, number := range g.all {
			for _, do := range []func() error{
				func() error { return x.refresh(ctx, number) },
				func() error { return x.write(ctx, number, progress) },
			} {
				both.Go(func() error {
					if err := do(); !is(err, noIndex) {
						return err
					}
					return nil
				})
			}
		}
		return both.Wait()
	}
}

var errNone = errors.New("there is no search index in OpenSearch; start a reader again, or make it with catalog rebuild -index")

// show writes products and lets them be found.
func (x *Index) show(ctx context.Context, number int, products []operation) error {
	if err := x.write(ctx, number, products); err != nil {
		return err
	}
	return x.refresh(ctx, number)
}

func (x *Index) refresh(ctx context.Context, number int) error {
	return x.client.call(ctx, http.MethodPost, "/"+x.kept(number)+"/_refresh", nil, nil)
}

// Progress answers the progress of each shard of which something was applied.
func (x *Index) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	g, err := x.look(ctx)
	if err == nil && g.live == 0 {
		err = errNone
	}
	if err != nil {
		return nil, fmt.Errorf("progress of the search index: %w", err)
	}
	return x.progress(ctx, g.live)
}

func (x *Index) progress(ctx context.Context, number int) (all []eventlog.Checkpoint, _ error) {
	if err := x.refresh(ctx, number); err != nil {
		return nil, fmt.Errorf("progress of the search index: %w", err)
	}
	var found answer
	if err := x.client.call(ctx, http.MethodPost, "/"+x.kept(number)+"/_search", map[string]any{
		"size": 10_000, "query": is1(fieldState, progress),
	}, &found); err != nil {
		return nil, fmt.Errorf("progress of the search index: %w", err)
	}
	for _, h := range found.Hits.Hits {
		var p shardProgress
		if err := json.Unmarshal(h.Source, &p); err != nil {
			return nil, fmt.Errorf("progress of the search index: %w", err)
		}
		all = append(all, eventlog.Checkpoint{Position: catalog.Position{Shard: p.Shard, Seq: p.Seq}, Offset: p.Offset})
	}
	return all, nil
}

// Correct puts products in the place of those that are wrong, whatever version
// those have. A newer one that comes meanwhile stays.
func (x *Index) Overwrite(ctx context.Context, products []catalog.Product) error {
	g, err := x.look(ctx)
	if err != nil {
		return fmt.Errorf("correct the search index: %w", err)
	}
	for _, number := range g.all {
		for _, p := range products {
			if err := x.correct(ctx, number, p); err != nil && !is(err, noIndex) {
				return fmt.Errorf("correct product %s of the search index: %w", p.ID, err)
			}
		}
	}
	return nil
}

// correct removes what is there, unless it is older, and writes p, which leaves a
// tombstone of version 0 where there should be nothing.
func (x *Index) correct(ctx context.Context, number int, p catalog.Product) error {
	list, err := operations([]catalog.Product{p})
	if err != nil {
		return err
	}
	path := "/" + x.kept(number) + "/_doc/" + p.ID.String()
	removed := false
	for {
		d, err := x.get(ctx, number, p.ID)
		if err != nil {
			return err
		}
		if d.Found && d.Version >= p.Version {
			if removed {
				return x.refresh(ctx, number) // p itself is there, or what came meanwhile
			}
			err := x.client.call(ctx, http.MethodDelete, fmt.Sprintf("%s?if_seq_no=%d&if_primary_term=%d", path, d.SeqNo, d.PrimaryTerm), nil, nil)
			if err != nil {
				if is(err, conflict) {
					return nil // it has changed: it is looked at again another time
				}
				return err
			}
		}
		removed = true
		// The version that was removed is remembered for a moment, until a refresh.
		if err := x.show(ctx, number, list); err != nil {
			return err
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
