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

// generations is the only document of its collection. Generation 0 is the
// collections products and progress, generation n products_n and progress_n.
type generations struct {
	ID    string `bson:"_id"`
	Live  int64  `bson:"live"`
	Also  int64  `bson:"also"`
	Whole bool   `bson:"whole"`
	Both  bool   `bson:"both"`
}

// Generation is the view of that generation, in the same database.
func (v *View) Generation(n int64) *View {
	g, suffix := *v, ""
	if n > 0 {
		suffix = fmt.Sprintf("_%d", n)
	}
	db := v.products.Database()
	g.products, g.progress = db.Collection("products"+suffix), db.Collection("progress"+suffix)
	return &g
}

func (v *View) generations() *mongo.Collection {
	return v.products.Database().Collection("generations")
}

// Generations answers which generations there are.
func (v *View) Generations(ctx context.Context) (eventlog.ViewGenerations, error) {
	var d generations
	err := v.generations().FindOne(ctx, bson.D{{Key: "_id", Value: "view"}}).Decode(&d)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return eventlog.ViewGenerations{}, fmt.Errorf("generations of the view: %w", reach(err))
	}
	return eventlog.ViewGenerations{Live: d.Live, Standby: d.Also, StandbyComplete: d.Whole, ReadBoth: d.Both}, nil
}

// Turn saves which generations there are, if they are still what they were.
func (v *View) CompareAndSwap(ctx context.Context, was, to eventlog.ViewGenerations) error {
	fields := func(g eventlog.ViewGenerations) bson.D {
		return bson.D{{Key: "live", Value: g.Live}, {Key: "also", Value: g.Standby}, {Key: "whole", Value: g.StandbyComplete}, {Key: "both", Value: g.ReadBoth}}
	}
	id := bson.D{{Key: "_id", Value: "view"}}
	_, err := v.generations().UpdateOne(ctx, id, bson.D{{Key: "$setOnInsert", Value: fields(eventlog.ViewGenerations{})}}, options.UpdateOne().SetUpsert(true))
	if err == nil {
		var r *mongo.UpdateResult
		r, err = v.generations().UpdateOne(ctx, append(id, fields(was)...), bson.D{{Key: "$set", Value: fields(to)}})
		if err == nil && r.MatchedCount == 0 {
			err = catalog.ErrFenced
		}
	}
	if err != nil {
		return fmt.Errorf("turn the view from generation %d to %d: %w", was.Live, to.Live, reach(err))
	}
	return nil
}

// Clear empties the generation. Collections are made when they are written.
func (v *View) Create(ctx context.Context, n int64) error { return v.Drop(ctx, n) }

// Drop removes the generation.
func (v *View) Drop(ctx context.Context, n int64) error {
	g := v.Generation(n)
	if err := errors.Join(g.products.Drop(ctx), g.progress.Drop(ctx)); err != nil {
		return fmt.Errorf("drop generation %d of the view: %w", n, reach(err))
	}
	return nil
}

// Shared says that other processes may have the database too.
func (v *View) Shared() bool { return true }
