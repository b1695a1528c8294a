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

const (
	// maxBulk is about how many bytes one bulk call writes. OpenSearch recommends a few megabytes.
	maxBulk = 2 << 20
	// maxCheckpoints is how many checkpoints are read: the most that one search returns by default,
	// and far more than there are shards.
	maxCheckpoints = 10_000
	// overwritePoll is how long Overwrite waits before it reads a document again.
	overwritePoll = 20 * time.Millisecond
)

// operation writes a document with a version.
type operation struct {
	id               string
	version          int64
	allowSameVersion bool // replace a document of the same version
	document         any
}

// write writes documents to a generation. A document with the same or a newer version stays, unless
// the operation allows the same version.
func (x *Index) write(ctx context.Context, generation int, operations []operation) error {
	var lines bytes.Buffer
	out := json.NewEncoder(&lines)
	for i, o := range operations {
		versionType := "external"
		if o.allowSameVersion {
			versionType = "external_gte"
		}
		action := map[string]any{"index": map[string]any{"_id": o.id, "version": o.version, "version_type": versionType}}
		if err := errors.Join(out.Encode(action), out.Encode(o.document)); err != nil {
			return err
		}
		if lines.Len() < maxBulk && i < len(operations)-1 {
			continue
		}
		if err := x.bulk(ctx, generation, lines.Bytes()); err != nil {
			return err
		}
		lines.Reset()
	}
	return nil
}

// bulk sends one bulk call. Version conflicts are not errors. With require_alias, a write to a
// generation that was removed fails instead of creating the index again.
func (x *Index) bulk(ctx context.Context, generation int, lines []byte) error {
	var response struct {
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
	path := "/" + x.activeAlias(generation) + "/_bulk?require_alias=true&filter_path=errors,items.*.status,items.*.error.type"
	if err := x.client.call(ctx, http.MethodPost, path, lines, &response); err != nil {
		return err
	}
	for _, item := range response.Items {
		if s := item.Index.Status; response.Errors && s >= 300 && s != http.StatusConflict {
			return &responseError{s, item.Index.Error.Type}
		}
	}
	return nil
}

// productOperations returns the operations that write products and tombstones.
func productOperations(products []catalog.Product) ([]operation, error) {
	all := make([]operation, len(products))
	for i, p := range products {
		d, err := newDocument(p)
		if err != nil {
			return nil, fmt.Errorf("index product %s: %w", p.ID, err)
		}
		all[i] = operation{id: p.ID.String(), version: p.Version, document: d}
	}
	return all, nil
}

// checkpointOperations returns the operations that write checkpoints. The seq of a checkpoint is the
// version of its document.
func checkpointOperations(checkpoints []eventlog.Checkpoint) (all []operation) {
	for _, c := range checkpoints {
		all = append(all, operation{
			id: fmt.Sprint("shard-", c.Shard), version: c.Seq, allowSameVersion: true,
			document: checkpointDocument{stateCheckpoint, c.Shard, c.Seq, c.Offset},
		})
	}
	return all
}

// Apply stores the products and tombstones that are newer than the stored ones. Then it makes them
// visible to searches, together with writes of other readers that are not visible yet, and stores the
// checkpoints.
//
// It writes to all active generations, and lists the generations again afterwards. A generation
// created after that last list is loaded from a later snapshot, which has these products.
func (x *Index) Apply(ctx context.Context, products []catalog.Product, checkpoints []eventlog.Checkpoint) error {
	operations, err := productOperations(products)
	if err != nil {
		return err
	}
	if err := x.apply(ctx, operations, checkpointOperations(checkpoints)); err != nil {
		return fmt.Errorf("write %d products to OpenSearch: %w", len(products), err)
	}
	return nil
}

func (x *Index) apply(ctx context.Context, products, checkpoints []operation) error {
	written := map[int]bool{}
	for {
		g, err := x.listGenerations(ctx)
		if err != nil {
			return err
		}
		if len(g.active) == 0 {
			return errNoIndex
		}
		done := true
		for _, generation := range g.active {
			if written[generation] {
				continue
			}
			written[generation], done = true, false
			if err := ignoreNoIndex(x.write(ctx, generation, products)); err != nil {
				return err
			}
		}
		if done {
			return x.publish(ctx, g.active, checkpoints)
		}
	}
}

// publish makes written products visible and writes checkpoints, in all generations at once, since
// each of these calls waits for the disk. The order does not matter: a reader of checkpoints
// refreshes the index first.
func (x *Index) publish(ctx context.Context, active []int, checkpoints []operation) error {
	g, ctx := errgroup.WithContext(ctx)
	for _, generation := range active {
		g.Go(func() error { return ignoreNoIndex(x.refresh(ctx, generation)) })
		g.Go(func() error { return ignoreNoIndex(x.write(ctx, generation, checkpoints)) })
	}
	return g.Wait()
}

// ignoreNoIndex returns nil for the error of a generation that was removed meanwhile.
func ignoreNoIndex(err error) error {
	if isErrorType(err, errTypeNoIndex) {
		return nil
	}
	return err
}

// refresh makes all writes to a generation visible to searches.
func (x *Index) refresh(ctx context.Context, generation int) error {
	return x.client.call(ctx, http.MethodPost, "/"+x.activeAlias(generation)+"/_refresh", nil, nil)
}

// Checkpoints returns the checkpoint of each shard of which an event was applied.
func (x *Index) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	live, err := x.liveGeneration(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the checkpoints of the search index: %w", err)
	}
	return x.checkpoints(ctx, live)
}

// checkpoints refreshes the generation before it reads its checkpoints, so that a search sees every
// product that they cover.
func (x *Index) checkpoints(ctx context.Context, generation int) (all []eventlog.Checkpoint, _ error) {
	if err := x.refresh(ctx, generation); err != nil {
		return nil, fmt.Errorf("read the checkpoints of the search index: %w", err)
	}
	var response searchResponse
	if err := x.client.call(ctx, http.MethodPost, "/"+x.activeAlias(generation)+"/_search", map[string]any{
		"size": maxCheckpoints, "query": termQuery(fieldState, stateCheckpoint),
	}, &response); err != nil {
		return nil, fmt.Errorf("read the checkpoints of the search index: %w", err)
	}
	for _, h := range response.Hits.Hits {
		var d checkpointDocument
		if err := json.Unmarshal(h.Source, &d); err != nil {
			return nil, fmt.Errorf("read the checkpoints of the search index: %w", err)
		}
		all = append(all, eventlog.Checkpoint{Position: catalog.Position{Shard: d.Shard, Seq: d.Seq}, Offset: d.Offset})
	}
	return all, nil
}

// Overwrite replaces products whatever their stored versions are. A newer version that another
// process writes meanwhile stays.
func (x *Index) Overwrite(ctx context.Context, products []catalog.Product) error {
	g, err := x.listGenerations(ctx)
	if err != nil {
		return fmt.Errorf("overwrite products of the search index: %w", err)
	}
	for _, generation := range g.active {
		for _, p := range products {
			if err := ignoreNoIndex(x.overwriteProduct(ctx, generation, p)); err != nil {
				return fmt.Errorf("overwrite product %s of the search index: %w", p.ID, err)
			}
		}
	}
	return nil
}

// overwriteProduct deletes the stored document unless it is older than p, and writes p. For a product
// that should not exist it leaves a tombstone of version 0.
//
// OpenSearch remembers the version of a deleted document until a refresh and rejects p as long as
// that is newer, so overwriteProduct writes until it reads p back.
func (x *Index) overwriteProduct(ctx context.Context, generation int, p catalog.Product) error {
	operations, err := productOperations([]catalog.Product{p})
	if err != nil {
		return err
	}
	path := "/" + x.activeAlias(generation) + "/_doc/" + p.ID.String()
	deleted := false
	for {
		d, err := x.get(ctx, generation, p.ID)
		if err != nil {
			return err
		}
		if d.Found && d.Version >= p.Version {
			if deleted {
				return x.refresh(ctx, generation) // the document is p, or a newer version written meanwhile
			}
			err := x.client.call(ctx, http.MethodDelete, fmt.Sprintf("%s?if_seq_no=%d&if_primary_term=%d", path, d.SeqNo, d.PrimaryTerm), nil, nil)
			if isErrorType(err, errTypeVersionConflict) {
				return nil // the document has changed meanwhile; the next comparison checks it again
			}
			if err != nil {
				return err
			}
		}
		deleted = true
		if err := x.write(ctx, generation, operations); err != nil {
			return err
		}
		if err := x.refresh(ctx, generation); err != nil {
			return err
		}
		select {
		case <-time.After(overwritePoll):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
