package mongo

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"go.mongodb.org/mongo-driver/v2/bson"
	"go.mongodb.org/mongo-driver/v2/mongo"
	"go.mongodb.org/mongo-driver/v2/mongo/options"

	"catalog"
	"catalog/eventlog"
)

// generations is the only document of the collection generations. Generation 0 is
// in the collections products and process_checkpoints, generation n in products_n and
// process_checkpoints_n.
type generations struct {
	ID              string `bson:"_id"`
	Live            int64  `bson:"live"`
	Standby         int64  `bson:"standby"`
	StandbyComplete bool   `bson:"standbyComplete"`
	ReadBoth        bool   `bson:"readBoth"`
}

// generationsID is the id of the document.
const generationsID = "view"

// Generation returns the view of generation n, which is in the same database.
func (v *View) Generation(n int64) *View {
	v.all.mu.Lock()
	defer v.all.mu.Unlock()
	g := v.all.views[n]
	if g == nil {
		g = v.newGeneration(n)
		v.all.views[n] = g
	}
	return g
}

// openGenerations holds the views of the generations that this process has used, since
// each knows its checkpoints.
type openGenerations struct {
	mu    sync.Mutex
	views map[int64]*View
}

func (v *View) newGeneration(n int64) *View {
	g, suffix := *v, ""
	if n > 0 {
		suffix = fmt.Sprintf("_%d", n)
	}
	g.products, g.checkpointDocuments = g.db.Collection("products"+suffix), g.db.Collection("process_checkpoints"+suffix)
	g.checkpoints = newCheckpoints(v.process)
	return &g
}

func (v *View) generations() *mongo.Collection {
	return v.db.Collection("generations")
}

// Generations returns the generations of the view.
func (v *View) Generations(ctx context.Context) (eventlog.ViewGenerations, error) {
	var d generations
	err := v.generations().FindOne(ctx, bson.D{{Key: "_id", Value: generationsID}}).Decode(&d)
	if err != nil && !errors.Is(err, mongo.ErrNoDocuments) {
		return eventlog.ViewGenerations{}, fmt.Errorf("generations of the view: %w", markUnavailable(err))
	}
	return eventlog.ViewGenerations{Live: d.Live, Standby: d.Standby, StandbyComplete: d.StandbyComplete, ReadBoth: d.ReadBoth}, nil
}

// CompareAndSwap replaces the generations of the view. It returns ErrFenced when
// they are not old any more.
func (v *View) CompareAndSwap(ctx context.Context, old, to eventlog.ViewGenerations) error {
	fields := func(g eventlog.ViewGenerations) bson.D {
		return bson.D{{Key: "live", Value: g.Live}, {Key: "standby", Value: g.Standby}, {Key: "standbyComplete", Value: g.StandbyComplete}, {Key: "readBoth", Value: g.ReadBoth}}
	}
	id := bson.D{{Key: "_id", Value: generationsID}}
	_, err := v.generations().UpdateOne(ctx, id, bson.D{{Key: "$setOnInsert", Value: fields(eventlog.ViewGenerations{})}}, options.UpdateOne().SetUpsert(true))
	if err == nil {
		var r *mongo.UpdateResult
		r, err = v.generations().UpdateOne(ctx, append(id, fields(old)...), bson.D{{Key: "$set", Value: fields(to)}})
		if err == nil && r.MatchedCount == 0 {
			err = catalog.ErrFenced
		}
	}
	if err != nil {
		return fmt.Errorf("switch the view from generation %d to %d: %w", old.Live, to.Live, markUnavailable(err))
	}
	return nil
}

// Create creates generation n, empty. It replaces an existing one. MongoDB creates
// the collections at the first write.
func (v *View) Create(ctx context.Context, n int64) error { return v.Drop(ctx, n) }

// Drop deletes generation n.
func (v *View) Drop(ctx context.Context, n int64) error {
	g := v.Generation(n)
	v.all.mu.Lock()
	delete(v.all.views, n)
	v.all.mu.Unlock()
	if err := errors.Join(g.products.Drop(ctx), g.checkpointDocuments.Drop(ctx)); err != nil {
		return fmt.Errorf("drop generation %d of the view: %w", n, markUnavailable(err))
	}
	return nil
}

// Shared returns true: other processes may use the database at the same time.
func (v *View) Shared() bool { return true }
