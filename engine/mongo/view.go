package mongo

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"
	"golang.org/x/sync/errgroup"

	"catalog"
	"catalog/eventlog"
)

// A page of Scan, which is one call of its handle, ends at scanPage products or scanBytes bytes of
// documents. The server sends firstScanBatch documents first, and then as many at once as fit into
// a page at the size of those before.
const scanPage, scanBytes, firstScanBatch = 500, eventlog.MaxPageBytes, 8

// Apply stores the products that are newer than the stored ones. created are
// products that the view probably lacks, changed are those that it probably has.
func (v *View) Apply(ctx context.Context, created, changed []catalog.Product) error {
	if err := v.put(ctx, v.products, productEntries(created), productEntries(changed)); err != nil {
		return fmt.Errorf("apply %d products to the view: %w", len(created)+len(changed), markUnavailable(err))
	}
	return nil
}

// entry is a document to store unless the stored one is newer.
type entry struct {
	document any
	id       any
	older    bson.E // matches a stored document that is older
	first    bool   // no document can be older
	size     int    // approximate size in bytes
}

func productEntries(products []catalog.Product) []entry {
	entries := make([]entry, len(products))
	for i, p := range products {
		d := newDocument(p)
		older := bson.E{Key: "version", Value: bson.D{{Key: "$lt", Value: d.Version}}}
		entries[i] = entry{document: d, id: d.ID, older: older, first: p.Version == 1, size: p.Size()}
	}
	return entries
}

// put stores entries. Each needs one write if absent entries are absent and present
// ones present: an absent one is inserted, a present one replaced if the stored one is
// older. Entries that a replacement has not found are inserted, and those that an
// insertion has found are replaced. A document that exists is never removed by others,
// so no further step is needed.
//
// (One write would do with an upsert that filters by version. But it reports a
// duplicate key for an entry that is not newer, and FerretDB then leaves out the rest.)
func (v *View) put(ctx context.Context, c *mongo.Collection, absent, present []entry) error {
	missing, err := concurrently(ctx, split(present, replacesPerCommand), func(ctx context.Context, part []entry) ([]entry, error) {
		found, err := v.replace(ctx, c, part)
		if found < len(part) {
			return part, err // the server does not report which products it has inserted
		}
		return nil, err
	})
	if err != nil {
		return err
	}
	exist, err := concurrently(ctx, split(slices.Concat(absent, missing), insertsPerCommand), func(ctx context.Context, part []entry) ([]entry, error) {
		return v.insert(ctx, c, part)
	})
	if err != nil {
		return err
	}
	_, err = concurrently(ctx, split(exist, replacesPerCommand), func(ctx context.Context, part []entry) ([]entry, error) {
		_, err := v.replace(ctx, c, part)
		return nil, err
	})
	return err
}

// concurrently calls f for each part, and returns the entries that the calls return.
// The limits of send decide how many run at once.
func concurrently(ctx context.Context, parts [][]entry, f func(context.Context, []entry) ([]entry, error)) (all []entry, err error) {
	calls, ctx := errgroup.WithContext(ctx)
	results := make([][]entry, len(parts))
	for i, part := range parts {
		calls.Go(func() (err error) {
			results[i], err = f(ctx, part)
			return err
		})
	}
	err = calls.Wait()
	return slices.Concat(results...), err
}

// split divides entries into commands of at most limit entries and about
// maxCommandBytes.
func split(entries []entry, limit int) (parts [][]entry) {
	for len(entries) > 0 {
		n, size := 0, 0
		for n < min(len(entries), limit) && size < maxCommandBytes {
			size += entries[n].size
			n++
		}
		parts, entries = append(parts, entries[:n:n]), entries[n:]
	}
	return parts
}

// replace replaces the stored documents that are older, and returns how many it has
// found.
func (v *View) replace(ctx context.Context, c *mongo.Collection, entries []entry) (found int, err error) {
	updates := make([]mongo.WriteModel, len(entries))
	for i, e := range entries {
		updates[i] = mongo.NewReplaceOneModel().SetFilter(bson.D{{Key: "_id", Value: e.id}, e.older}).SetReplacement(e.document)
	}
	err = v.send(ctx, entries, len(entries), func() error {
		r, err := c.BulkWrite(ctx, updates)
		if err == nil {
			found = int(r.MatchedCount)
		}
		return err
	})
	return found, err
}

// insert inserts the entries that are not stored, and returns the others, without
// those that cannot be newer.
func (v *View) insert(ctx context.Context, c *mongo.Collection, entries []entry) (exist []entry, err error) {
	documents := make([]any, len(entries))
	for i, e := range entries {
		documents[i] = e.document
	}
	err = v.send(ctx, entries, 1, func() error {
		_, err := c.InsertMany(ctx, documents, options.InsertMany().SetOrdered(false))
		exist, err = duplicates(entries, err)
		return err
	})
	return exist, err
}

// duplicates returns the entries of an insertion that exist, when err has no other
// reason.
func duplicates(entries []entry, err error) (exist []entry, _ error) {
	var failed mongo.BulkWriteException
	if !errors.As(err, &failed) || failed.WriteConcernError != nil {
		return nil, err
	}
	for _, e := range failed.WriteErrors {
		switch {
		case !mongo.IsDuplicateKeyError(e.WriteError):
			return nil, err
		case !entries[e.Index].first:
			exist = append(exist, entries[e.Index])
		}
	}
	return exist, nil
}

// send calls command, which sends the entries as that many updates, once the
// limits of memory and of updates allow it. It repeats the command after errors
// that a retry may fix: all commands of this package may be repeated.
func (v *View) send(ctx context.Context, entries []entry, updates int, command func() error) error {
	size := int64(0)
	for _, e := range entries {
		size += int64(e.size)
	}
	if err := v.writing.Acquire(ctx, size); err != nil {
		return err
	}
	defer v.writing.Release(size)
	if err := v.inflight.Acquire(ctx, int64(updates)); err != nil {
		return err
	}
	defer v.inflight.Release(int64(updates))
	var err error
	for range attempts {
		if err = command(); !notSent(err) && !internalError(err) {
			break
		}
	}
	return err
}

// Product returns the product, which may be a tombstone, or ErrNotFound.
func (v *View) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	var d document
	err := v.products.FindOne(ctx, bson.D{{Key: "_id", Value: id.String()}}).Decode(&d)
	if errors.Is(err, mongo.ErrNoDocuments) {
		err = catalog.ErrNotFound
	}
	if err != nil {
		return catalog.Product{}, fmt.Errorf("product %s: %w", id, markUnavailable(err))
	}
	return d.product()
}

// Scan calls handle with pages of all products, tombstones included, in no
// particular order. It stops at the first error of handle and returns it.
func (v *View) Scan(ctx context.Context, handle func([]catalog.Product) error) error {
	cursor, err := v.products.Find(ctx, bson.D{}, options.Find().SetBatchSize(firstScanBatch))
	if err != nil {
		return fmt.Errorf("scan the view: %w", markUnavailable(err))
	}
	defer cursor.Close(context.WithoutCancel(ctx))
	products, size := make([]catalog.Product, 0, scanPage), 0
	for cursor.Next(ctx) {
		if cursor.RemainingBatchLength() == 0 && len(products) > 0 {
			cursor.SetBatchSize(int32(min(scanPage, 1+scanBytes/(1+size/len(products)))))
		}
		var d document
		if err := cursor.Decode(&d); err != nil {
			return fmt.Errorf("scan the view: %w", err)
		}
		p, err := d.product()
		if err != nil {
			return fmt.Errorf("scan the view: %w", err)
		}
		products, size = append(products, p), size+len(cursor.Current)
		if len(products) == scanPage || size >= scanBytes {
			if err := handle(products); err != nil {
				return err
			}
			clear(products) // lets the garbage collector free their texts
			products, size = products[:0], 0
		}
	}
	if err := cursor.Err(); err != nil {
		return fmt.Errorf("scan the view: %w", markUnavailable(err))
	}
	return handle(products)
}

// Overwrite replaces the stored product if its version is old. old 0 means that no
// product may be stored; p.Version 0 deletes the stored one.
func (v *View) Overwrite(ctx context.Context, old int64, p catalog.Product) error {
	e := productEntries([]catalog.Product{p})
	e[0].older.Value = old // not an older version, but this one
	var err error
	switch {
	case p.Version == 0:
		err = v.send(ctx, e, 1, func() error {
			_, err := v.products.DeleteOne(ctx, bson.D{{Key: "_id", Value: e[0].id}, e[0].older})
			return err
		})
	case old == 0:
		_, err = v.insert(ctx, v.products, e)
	default:
		_, err = v.replace(ctx, v.products, e)
	}
	if err != nil {
		return fmt.Errorf("overwrite product %s in the view: %w", p.ID, markUnavailable(err))
	}
	return nil
}
