package repair_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/repair"
)

var (
	bound     = eventlog.Topics{Commands: catalog.ID{1}, Events: catalog.ID{2}}
	newTopics = eventlog.Topics{Commands: catalog.ID{3}, Events: catalog.ID{4}}
)

// fakeStore records what a repair changes.
type fakeStore struct {
	states    []eventlog.ShardState
	appendErr error
	calls     []string
	events    []catalog.Event
	topics    eventlog.Topics
	offsets   map[int32]int64
}

func (s *fakeStore) States(context.Context) ([]eventlog.ShardState, error) { return s.states, nil }

func (s *fakeStore) BindTopics(context.Context, eventlog.Topics) (eventlog.Topics, error) {
	return bound, nil
}

func (s *fakeStore) ResetShards(_ context.Context, topics eventlog.Topics, offsets map[int32]int64) error {
	s.calls, s.topics, s.offsets = append(s.calls, "ResetShards"), topics, offsets
	return nil
}

func (s *fakeStore) AppendEvents(_ context.Context, events []catalog.Event) error {
	s.calls, s.events = append(s.calls, "AppendEvents"), events
	return s.appendErr
}

// fakeLog has commands with the offsets start ≤ offset < end, and the events with the
// given seqs, in each shard.
type fakeLog struct {
	topics     eventlog.Topics
	start, end []int64
	seqs       [][]int64
}

func (l *fakeLog) Shards() int             { return len(l.start) }
func (l *fakeLog) Topics() eventlog.Topics { return l.topics }

func (l *fakeLog) CommandOffsets(context.Context) (starts, ends []int64, err error) {
	return l.start, l.end, nil
}

func (l *fakeLog) LastSeq(_ context.Context, shard int32) (int64, error) {
	if seqs := l.seqs[shard]; len(seqs) > 0 {
		return seqs[len(seqs)-1], nil
	}
	return 0, nil
}

func (l *fakeLog) ReadEvents(_ context.Context, shard int32, seq int64) ([]catalog.Event, error) {
	var events []catalog.Event
	for _, s := range l.seqs[shard] {
		if s == seq+int64(len(events)) {
			events = append(events, catalog.Event{Position: catalog.Position{Shard: shard, Seq: s}})
		}
	}
	return events, nil
}

// consistent returns a store and a log of two shards that agree: shard 0 has settled
// the commands up to offset 10 and published 3 events, shard 1 has done nothing.
func consistent() (*fakeStore, *fakeLog) {
	return &fakeStore{states: []eventlog.ShardState{{Shard: 0, Offset: 10, NextSeq: 4}, {Shard: 1, NextSeq: 1}}},
		&fakeLog{topics: bound, start: []int64{5, 0}, end: []int64{12, 0}, seqs: [][]int64{{1, 2, 3}, nil}}
}

func TestExamine(t *testing.T) {
	tests := []struct {
		name     string
		spoil    func(*fakeStore, *fakeLog)
		findings []repair.Finding
		topics   eventlog.Topics
		offsets  map[int32]int64
		seqs     []int64 // of shard 0, appended to the store
	}{
		{"a consistent store and log need no repair", func(*fakeStore, *fakeLog) {}, nil, bound, map[int32]int64{}, nil},
		{
			"a store at the start and at the end of the topic needs no repair",
			func(s *fakeStore, _ *fakeLog) { s.states[0].Offset = 5 },
			nil, bound, map[int32]int64{}, nil,
		},
		{
			"a store that has not published its last events needs no repair",
			func(s *fakeStore, _ *fakeLog) { s.states[0].NextSeq = 9 },
			nil, bound, map[int32]int64{}, nil,
		},
		{
			"all shards read a recreated commands topic from its start",
			func(_ *fakeStore, l *fakeLog) {
				l.topics.Commands, l.start, l.end = newTopics.Commands, []int64{2, 1}, []int64{3, 1}
			},
			[]repair.Finding{{Where: "commands", Problem: "the topic was recreated", Remedy: "read the new topic from its start; commands that are settled are not settled again"}},
			eventlog.Topics{Commands: newTopics.Commands, Events: bound.Events}, map[int32]int64{0: 2, 1: 1}, nil,
		},
		{
			"a recreated events topic moves no shard",
			func(_ *fakeStore, l *fakeLog) { l.topics.Events, l.seqs = newTopics.Events, make([][]int64, 2) },
			[]repair.Finding{{Where: "events", Problem: "the topic was recreated", Remedy: "publish to the new topic; readers take the events it lacks from the journal"}},
			eventlog.Topics{Commands: bound.Commands, Events: newTopics.Events}, map[int32]int64{}, nil,
		},
		{
			"a shard whose next commands are lost continues at the first one in the topic",
			func(s *fakeStore, _ *fakeLog) { s.states[0].Offset = 3 },
			[]repair.Finding{{Where: "commands, shard 0", Problem: "the store is at offset 3 and the topic begins at 5", Remedy: "continue at 5; 2 records are lost"}},
			bound, map[int32]int64{0: 5}, nil,
		},
		{
			"a shard beyond the end of the topic reads it from its start",
			func(s *fakeStore, _ *fakeLog) { s.states[0].Offset = 13 },
			[]repair.Finding{{Where: "commands, shard 0", Problem: "the store is at offset 13 and the topic ends at 12", Remedy: "continue at 5; commands that are settled are not settled again"}},
			bound, map[int32]int64{0: 5}, nil,
		},
		{
			"a store restored from a backup gets the events that it lacks",
			func(s *fakeStore, _ *fakeLog) { s.states[0].NextSeq = 2 },
			[]repair.Finding{{Where: "events, shard 0", Problem: "the store is at seq 1 and the topic at 3: the store was restored from a backup", Remedy: "copy 2 events from the topic to the store"}},
			bound, map[int32]int64{}, []int64{2, 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store, log := consistent()
			tt.spoil(store, log)
			plan, err := repair.Examine(t.Context(), store, log)
			if err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(plan.Findings, tt.findings) {
				t.Errorf("Findings = %q; want %q", plan.Findings, tt.findings)
			}
			if len(store.calls) > 0 {
				t.Errorf("Examine called %v; want no change", store.calls)
			}
			if err := plan.Apply(t.Context(), store); err != nil {
				t.Fatal(err)
			}
			if store.topics != tt.topics || !maps.Equal(store.offsets, tt.offsets) {
				t.Errorf("ResetShards(%v, %v); want %v, %v", store.topics, store.offsets, tt.topics, tt.offsets)
			}
			var seqs []int64
			for _, e := range store.events {
				seqs = append(seqs, e.Position.Seq)
			}
			if !slices.Equal(seqs, tt.seqs) {
				t.Errorf("AppendEvents got the seqs %v; want %v", seqs, tt.seqs)
			}
		})
	}
	t.Run("another number of shards cannot be repaired", func(t *testing.T) {
		store, log := consistent()
		store.states = store.states[:1]
		if _, err := repair.Examine(t.Context(), store, log); err == nil || !strings.Contains(err.Error(), "the topics have 2 partitions and the store has 1 shards") {
			t.Fatalf("Examine = %v; want an error with both numbers", err)
		}
	})
	t.Run("a backup older than the events topic cannot be repaired", func(t *testing.T) {
		store, log := consistent()
		store.states[0].NextSeq, log.seqs[0] = 2, []int64{3, 4}
		if _, err := repair.Examine(t.Context(), store, log); err == nil || !strings.Contains(err.Error(), "no longer has seq 2: restore a newer backup") {
			t.Fatalf("Examine = %v; want an error with the seq that is missing", err)
		}
	})
}

func TestPlan_Apply(t *testing.T) {
	store, log := consistent()
	store.states[0].NextSeq = 2
	plan, err := repair.Examine(t.Context(), store, log)
	if err != nil {
		t.Fatal(err)
	}
	t.Run("events are appended before shards are reset", func(t *testing.T) {
		if err := plan.Apply(t.Context(), store); err != nil || !slices.Equal(store.calls, []string{"AppendEvents", "ResetShards"}) {
			t.Fatalf("Apply = %v after %v; want AppendEvents, then ResetShards", err, store.calls)
		}
	})
	t.Run("shards are not reset when events cannot be appended", func(t *testing.T) {
		full := errors.New("disk full")
		store.calls, store.appendErr = nil, full
		if err := plan.Apply(t.Context(), store); !errors.Is(err, full) || !slices.Equal(store.calls, []string{"AppendEvents"}) {
			t.Fatalf("Apply = %v after %v; want the error of AppendEvents alone", err, store.calls)
		}
	})
}
