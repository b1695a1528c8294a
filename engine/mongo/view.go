package mongo

import (
	"context"
	"errors"
	"fmt"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"catalog"
	"catalog/eventlog"
)

// A page of Scan, which is one call of its handle, ends at scanPage products or scanBytes bytes of
// documents. The server sends firstScanBatch documents first, and then as many at once as fit into
// a page at the size of those before.
const scanPage, scanBytes, firstScanBatch = 500, eventlog.MaxPageBytes, 8

// Apply stores the products that are newer than the stored ones. Each product
// takes two updates, and a stale product makes both do nothing: insert it if there
// is none, then replace it if the stored version is older. (An upsert that filters
// by version would fail with a duplicate key for a stale product.)
func (v *View) Apply(ctx context.Context, products []catalog.Product) error {
	for rest := products; len(rest) > 0; {
		n, size := 0, 0
		for n < min(len(rest), productsPerCommand) && size < maxCommandBytes {
			size += rest[n].Size()
			n++
		}
		if err := v.apply(ctx, rest[:n], int64(size)); err != nil {
			return fmt.Errorf("apply %d products to the view: %w", len(products), markUnavailable(err))
		}
		rest = rest[n:]
	}
	return nil
}

// apply stores products of the size with one command.
func (v *View) apply(ctx context.Context, products []catalog.Product, size int64) error {
	if err := v.writing.Acquire(ctx, size); err != nil {
		return err
	}
	defer v.writing.Release(size)
	var updates []mongo.WriteModel
	for _, p := range products {
		d := newDocument(p)
		insert, err := insertIfAbsent(d)
		if err != nil {
			return err
		}
		older := bson.D{{Key: "_id", Value: d.ID}, {Key: "version", Value: bson.D{{Key: "$lt", Value: d.Version}}}}
		updates = append(updates, insert, mongo.NewReplaceOneModel().SetFilter(older).SetReplacement(d))
	}
	return v.write(ctx, v.products, updates)
}

// write sends updates as one command, in order, when MaxInflight allows it. It
// repeats the command after errors that a repetition can cure; all updates of this
// package are idempotent. Two processes that insert the same document get a
// duplicate key error, after which the document exists.
func (v *View) write(ctx context.Context, c *mongo.Collection, updates []mongo.WriteModel) error {
	n := int64(len(updates))
	if err := v.inflight.Acquire(ctx, n); err != nil {
		return err
	}
	defer v.inflight.Release(n)
	var err error
	for range 1 + len(updates) { // every duplicate key error means that one more document exists
		if _, err = c.BulkWrite(ctx, updates, options.BulkWrite().SetOrdered(true)); !mongo.IsDuplicateKeyError(err) && !notSent(err) && !internalError(err) {
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
	d := newDocument(p)
	filter := bson.D{{Key: "_id", Value: d.ID}, {Key: "version", Value: old}}
	var update mongo.WriteModel = mongo.NewReplaceOneModel().SetFilter(filter).SetReplacement(d)
	var err error
	switch {
	case p.Version == 0:
		update = mongo.NewDeleteOneModel().SetFilter(filter)
	case old == 0:
		update, err = insertIfAbsent(d)
	}
	if err == nil {
		err = v.write(ctx, v.products, []mongo.WriteModel{update})
	}
	if err != nil {
		return fmt.Errorf("overwrite product %s in the view: %w", p.ID, markUnavailable(err))
	}
	return nil
}

// checkpoint is a document of the collection checkpoints.
type checkpoint struct {
	Shard  int32 `bson:"_id"`
	Seq    int64 `bson:"seq"`    // of the last applied event
	Offset int64 `bson:"offset"` // of the next record in the partition
}

// Checkpoint returns the checkpoint of the shard. Its position is 0 when none is
// stored.
func (v *View) Checkpoint(ctx context.Context, shard int32) (eventlog.Checkpoint, error) {
	d := checkpoint{Shard: shard}
	err := v.checkpoints.FindOne(ctx, bson.D{{Key: "_id", Value: shard}}).Decode(&d)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return eventlog.Checkpoint{}, fmt.Errorf("checkpoint of shard %d: %w", shard, markUnavailable(err))
	}
	return eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: d.Seq}, Offset: d.Offset}, nil
}

// SaveCheckpoint stores the checkpoint of a shard, unless a higher seq is stored.
func (v *View) SaveCheckpoint(ctx context.Context, p eventlog.Checkpoint) error {
	fields := bson.D{{Key: "seq", Value: p.Seq}, {Key: "offset", Value: p.Offset}}
	err := v.write(ctx, v.checkpoints, []mongo.WriteModel{
		mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: p.Shard}}).
			SetUpdate(bson.D{{Key: "$setOnInsert", Value: fields}}).SetUpsert(true),
		mongo.NewUpdateOneModel().SetFilter(bson.D{{Key: "_id", Value: p.Shard}, {Key: "seq", Value: bson.D{{Key: "$lte", Value: p.Seq}}}}).
			SetUpdate(bson.D{{Key: "$set", Value: fields}}),
	})
	if err != nil {
		return fmt.Errorf("save checkpoint %s: %w", p.Position, markUnavailable(err))
	}
	return nil
}
