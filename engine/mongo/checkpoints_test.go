package mongo

import (
	"encoding/json"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
)

func TestCheckpoints(t *testing.T) {
	now := time.Now()
	at := func(shard int32, seq, offset int64) eventlog.Checkpoint {
		return eventlog.Checkpoint{Position: catalog.Position{Shard: shard, Seq: seq}, Offset: offset}
	}
	// save returns the document that the process saves.
	save := func(t *testing.T, c *checkpoints, all ...eventlog.Checkpoint) checkpointDocument {
		t.Helper()
		shards, revision, _ := c.next(all)
		text, err := json.Marshal(shards)
		if err != nil {
			t.Fatal(err)
		}
		c.saved(shards)
		return checkpointDocument{ID: c.process, Revision: revision, SavedAt: now, Shards: string(text)}
	}
	// wants fails the test unless a process that reads the documents finds the checkpoints.
	wants := func(t *testing.T, documents []checkpointDocument, wanted ...eventlog.Checkpoint) {
		t.Helper()
		all, err := newCheckpoints("other").read(documents, now)
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range wanted {
			if c := all[want.Shard]; c.Seq != want.Seq || c.Offset != want.Offset {
				t.Errorf("shard %d is at seq %d, offset %d; want %d, %d", want.Shard, c.Seq, c.Offset, want.Seq, want.Offset)
			}
		}
	}
	t.Run("the highest seq of all documents counts, whichever was saved last", func(t *testing.T) {
		first := save(t, newCheckpoints("a"), at(0, 10, 20))
		second := save(t, newCheckpoints("b"), at(0, 9, 30), at(1, 1, 1))
		wants(t, []checkpointDocument{first, second}, at(0, 10, 20), at(1, 1, 1))
	})
	t.Run("for one seq the later offset counts, although it is lower in a topic that was recreated", func(t *testing.T) {
		a, b := newCheckpoints("a"), newCheckpoints("b")
		first := save(t, a, at(0, 10, 20))
		if _, err := b.read([]checkpointDocument{first}, now); err != nil { // b takes the shard over
			t.Fatal(err)
		}
		second := save(t, b, at(0, 10, 3))
		wants(t, []checkpointDocument{first, second}, at(0, 10, 3))
		wants(t, []checkpointDocument{second, first}, at(0, 10, 3))
	})
	t.Run("the first save of a process replaces documents that are not saved any more, and no others", func(t *testing.T) {
		old, used := save(t, newCheckpoints("a"), at(0, 10, 20), at(1, 5, 6)), save(t, newCheckpoints("b"), at(3, 1, 1))
		later := now.Add(2 * retiredAfter)
		used.SavedAt = later
		c := newCheckpoints("c")
		for i, want := range []int{1, 0} {
			if _, err := c.read([]checkpointDocument{old, used}, later); err != nil {
				t.Fatal(err)
			}
			shards, _, retired := c.next([]eventlog.Checkpoint{at(2, 7, 8)})
			if len(retired) != want || want > 0 && retired[0] != "a" || len(shards) != 3 {
				t.Errorf("save %d replaces %v and has %v; want %d documents, that of a, and its checkpoints beside shard 2", i, retired, shards, want)
			}
		}
	})
	t.Run("a document does not have checkpoints that others have saved meanwhile", func(t *testing.T) {
		a, b := newCheckpoints("a"), newCheckpoints("b")
		first := save(t, a, at(0, 10, 20))
		if _, err := b.read([]checkpointDocument{first}, now); err != nil {
			t.Fatal(err)
		}
		if shards, _, _ := b.next([]eventlog.Checkpoint{at(1, 1, 1)}); len(shards) != 1 {
			t.Errorf("the document has %v; want shard 1 alone", shards)
		}
	})
	t.Run("a save that failed is forgotten, and the next one has a higher revision", func(t *testing.T) {
		c := newCheckpoints("c")
		_, failed, _ := c.next([]eventlog.Checkpoint{at(0, 10, 20)})
		shards, next, _ := c.next([]eventlog.Checkpoint{at(1, 1, 1)})
		if next <= failed || len(shards) != 1 || shards[0].Shard != 1 {
			t.Errorf("revision %d after %d has %v; want a higher one, and shard 1 alone", next, failed, shards)
		}
	})
}
