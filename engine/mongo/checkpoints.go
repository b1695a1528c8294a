package mongo

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"go.mongodb.org/mongo-driver/v2/bson"
	"golang.org/x/sync/semaphore"

	"catalog"
	"catalog/eventlog"
)

// retiredAfter is the time after which a document of checkpoints that was not saved again
// may be merged into another one. It is much longer than a save can be late.
const retiredAfter = time.Minute

// checkpoints stores the checkpoints of one generation. Each process has a document with
// those that it has saved, and replaces it at each save. So a save is one update, however
// many shards have moved, and no two processes write the same document. The checkpoint of
// a shard is the latest one of all documents.
type checkpoints struct {
	process string              // id of this process's document
	saving  *semaphore.Weighted // one save at a time

	mu       sync.Mutex
	own      map[int32]checkpoint // checkpoints by shard, in the document of this process
	latest   map[int32]checkpoint // latest checkpoints by shard, of all documents that were read or saved
	revision int64                // revision of the last save
	retired  []string             // documents of others that the first save replaces; own has their checkpoints
}

// checkpointDocument is a document of the collection process_checkpoints.
type checkpointDocument struct {
	ID       string    `bson:"_id"`      // of the process
	Revision int64     `bson:"revision"` // increases with each save of the process
	SavedAt  time.Time `bson:"savedAt"`

	// Shards is a list of checkpoints in JSON. FerretDB would need several milliseconds
	// of CPU time for as many embedded documents.
	Shards string `bson:"shards"`
}

// checkpoint is the checkpoint of one shard.
type checkpoint struct {
	Shard  int32 `json:"shard"`
	Seq    int64 `json:"seq"`    // of the last applied event
	Offset int64 `json:"offset"` // of the next record in the partition
	Change int64 `json:"change"` // number of changes, by all processes, which tells the later one of two with the same seq
}

func newCheckpoints(process string) *checkpoints {
	return &checkpoints{process: process, saving: semaphore.NewWeighted(1), own: map[int32]checkpoint{}, latest: map[int32]checkpoint{}}
}

// merge adds the checkpoints that are later than those in all.
func merge(all map[int32]checkpoint, others ...checkpoint) {
	for _, c := range others {
		old := all[c.Shard]
		if cmp.Or(cmp.Compare(c.Seq, old.Seq), cmp.Compare(c.Change, old.Change), cmp.Compare(c.Offset, old.Offset)) > 0 {
			all[c.Shard] = c
		}
	}
}

// Checkpoints returns the saved checkpoint of each shard that has one.
func (v *View) Checkpoints(ctx context.Context) ([]eventlog.Checkpoint, error) {
	var documents []checkpointDocument
	cursor, err := v.checkpointDocuments.Find(ctx, bson.D{})
	if err == nil {
		err = cursor.All(ctx, &documents)
	}
	if err != nil {
		return nil, fmt.Errorf("checkpoints of the view: %w", markUnavailable(err))
	}
	saved, err := v.checkpoints.read(documents, time.Now())
	if err != nil {
		return nil, fmt.Errorf("checkpoints of the view: %w", err)
	}
	all := make([]eventlog.Checkpoint, 0, len(saved))
	for shard, c := range saved {
		all = append(all, eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: c.Seq}, Offset: c.Offset})
	}
	return all, nil
}

// read merges documents and returns the latest checkpoint of each shard.
func (c *checkpoints) read(documents []checkpointDocument, now time.Time) (map[int32]checkpoint, error) {
	saved, adopted := map[int32]checkpoint{}, map[int32]checkpoint{}
	var old []string
	for _, d := range documents {
		var shards []checkpoint
		if err := json.Unmarshal([]byte(d.Shards), &shards); err != nil {
			return nil, fmt.Errorf("document %q: %w", d.ID, err)
		}
		merge(saved, shards...)
		if now.Sub(d.SavedAt) > retiredAfter {
			old = append(old, d.ID)
			merge(adopted, shards...)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	merge(c.latest, slices.Collect(maps.Values(saved))...)
	if c.revision == 0 {
		c.retired, c.own = old, adopted
	}
	return saved, nil
}

// SaveCheckpoints stores the checkpoints of shards, except where a higher seq is stored.
func (v *View) SaveCheckpoints(ctx context.Context, all []eventlog.Checkpoint) error {
	if err := v.saveCheckpoints(ctx, all); err != nil {
		return fmt.Errorf("save checkpoints of %d shards, the first %s: %w", len(all), all[0].Position, markUnavailable(err))
	}
	return nil
}

func (v *View) saveCheckpoints(ctx context.Context, all []eventlog.Checkpoint) error {
	if err := v.checkpoints.saving.Acquire(ctx, 1); err != nil {
		return err
	}
	defer v.checkpoints.saving.Release(1)
	shards, revision, retired := v.checkpoints.next(all)
	text, err := json.Marshal(shards)
	if err != nil {
		return err
	}
	d := checkpointDocument{ID: v.checkpoints.process, Revision: revision, SavedAt: time.Now(), Shards: string(text)}
	older := bson.E{Key: "revision", Value: bson.D{{Key: "$lt", Value: revision}}} // a former save may be executed late
	if err := v.put(ctx, v.checkpointDocuments, nil, []entry{{document: d, id: d.ID, older: older}}); err != nil {
		return err
	}
	v.checkpoints.saved(shards)
	if len(retired) == 0 {
		return nil
	}
	// Their processes have ended, or store them again with their next save.
	_, err = v.checkpointDocuments.DeleteMany(ctx, bson.D{
		{Key: "_id", Value: bson.D{{Key: "$in", Value: retired}}},
		{Key: "savedAt", Value: bson.D{{Key: "$lt", Value: d.SavedAt.Add(-retiredAfter)}}},
	})
	return err
}

// next returns the contents and the revision of the next document of this process, with
// the checkpoints added, and the documents of others that it replaces.
func (c *checkpoints) next(all []eventlog.Checkpoint) (shards []checkpoint, revision int64, retired []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := maps.Clone(c.own)
	for _, p := range all {
		merge(next, checkpoint{Shard: p.Shard, Seq: p.Seq, Offset: p.Offset, Change: c.latest[p.Shard].Change + 1})
	}
	c.revision++
	retired, c.retired = c.retired, nil
	return slices.Collect(maps.Values(next)), c.revision, retired
}

// saved records that the checkpoints are stored.
func (c *checkpoints) saved(shards []checkpoint) {
	c.mu.Lock()
	defer c.mu.Unlock()
	merge(c.own, shards...)
	merge(c.latest, shards...)
}
