package repair_test

import (
	"context"
	"errors"
	"fmt"
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
	later     []eventlog.ShardState // result of all calls of States but the first one; nil for the same result
	appendErr error
	calls     []string
	events    []catalog.Event
	topics    eventlog.Topics
	resets    map[int32]eventlog.ShardReset
}

func (s *fakeStore) States(context.Context) ([]eventlog.ShardState, error) {
	states := s.states
	if s.later != nil {
		s.states, s.later = s.later, nil
	}
	return states, nil
}

func (s *fakeStore) BindTopics(context.Context, eventlog.Topics) (eventlog.Topics, error) {
	return bound, nil
}

func (s *fakeStore) ResetShards(_ context.Context, topics eventlog.Topics, resets map[int32]eventlog.ShardReset) error {
	s.calls, s.topics, s.resets = append(s.calls, "ResetShards"), topics, resets
	return nil
}

// Product returns the product that all events of shard 0 have changed.
func (s *fakeStore) Product(_ context.Context, id catalog.ID) (catalog.Product, error) {
	if s.states[0].NextSeq == 1 {
		return catalog.Product{}, catalog.ErrNotFound
	}
	return catalog.Product{ID: id, Version: s.states[0].NextSeq - 1}, nil
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
	deleted    int64 // events deleted before the first one
	cut        int64 // result of FindCut; 0 for no cut
	wrong, set []eventlog.TopicSetting
}

func (l *fakeLog) Shards() int             { return len(l.start) }
func (l *fakeLog) Topics() eventlog.Topics { return l.topics }

func (l *fakeLog) CommandOffsets(context.Context) (starts, ends []int64, err error) {
	return l.start, l.end, nil
}

func (l *fakeLog) WrongSettings(context.Context) ([]eventlog.TopicSetting, error) {
	return l.wrong, nil
}

func (l *fakeLog) SetTopics(_ context.Context, wrong []eventlog.TopicSetting) error {
	l.set = wrong
	return nil
}

func (l *fakeLog) EventOffsets(context.Context) (starts, ends []int64, err error) {
	for _, seqs := range l.seqs {
		starts, ends = append(starts, l.deleted), append(ends, l.deleted+int64(len(seqs)))
	}
	return starts, ends, nil
}

func (l *fakeLog) FindCut(_ context.Context, _ int32, last eventlog.RecordID) (int64, bool, error) {
	return l.cut, l.cut > 0, nil
}

func (l *fakeLog) LastSeq(ctx context.Context, shard int32, from int64) (last int64, err error) {
	return last, l.ReadEvents(ctx, shard, from, func(e catalog.Event) error {
		last = e.Seq
		return nil
	})
}

// ReadEvents returns events that change product 1 to the version that is their seq,
// or to 1,000,000 if the seq is negative.
func (l *fakeLog) ReadEvents(_ context.Context, shard int32, from int64, handle func(catalog.Event) error) error {
	for i, seq := range l.seqs[shard] {
		e := catalog.Event{Position: catalog.Position{Shard: shard, Seq: seq}, Outcome: catalog.Changed, Product: catalog.Product{ID: catalog.ID{1}, Version: seq}}
		if seq < 0 {
			e.Seq, e.Product.Version = -seq, 1_000_000
		}
		if int64(i)+l.deleted < from {
			continue
		}
		if err := handle(e); err != nil {
			return err
		}
	}
	return nil
}

// consistent returns a store and a log of two shards that agree: shard 0 has settled
// the commands up to offset 10 and published 3 events, shard 1 has done nothing.
func consistent() (*fakeStore, *fakeLog) {
	return &fakeStore{states: []eventlog.ShardState{{Shard: 0, Offset: 10, NextSeq: 4}, {Shard: 1, NextSeq: 1}}},
		&fakeLog{topics: bound, start: []int64{5, 0}, end: []int64{12, 0}, seqs: [][]int64{{1, 2, 3}, nil}}
}

func TestExamine_runningWriters(t *testing.T) {
	store, log := consistent()
	store.later = slices.Clone(store.states)
	store.later[0].NextSeq, log.seqs[0] = 5, []int64{1, 2, 3, 4} // settled and published after the states were read
	plan, err := repair.Examine(t.Context(), store, log, repair.Options{})
	if err != nil || len(plan.Findings) > 0 {
		t.Errorf("Examine finds %v, %v; want nothing", plan.Findings, err)
	}
}

func TestExamine(t *testing.T) {
	tests := []struct {
		name       string
		spoil      func(*fakeStore, *fakeLog)
		findings   []string // parts of the findings
		topics     eventlog.Topics
		offsets    map[int32]int64
		eventsFrom map[int32]int64
		seqs       []int64 // seqs of shard 0, appended to the store
	}{
		{"a consistent store and log need no repair", func(*fakeStore, *fakeLog) {}, nil, bound, nil, nil, nil},
		{
			"a store at the start and at the end of the topic needs no repair",
			func(s *fakeStore, _ *fakeLog) { s.states[0].Offset = 5 },
			nil, bound, nil, nil, nil,
		},
		{
			"a store that has not published its last events needs no repair",
			func(s *fakeStore, _ *fakeLog) { s.states[0].NextSeq = 9 },
			nil, bound, nil, nil, nil,
		},
		{
			"all shards read a recreated commands topic from its start",
			func(_ *fakeStore, l *fakeLog) {
				l.topics.Commands, l.start, l.end = newTopics.Commands, []int64{2, 1}, []int64{3, 1}
			},
			[]string{"commands: the topic was recreated: read the new topic from its start"},
			eventlog.Topics{Commands: newTopics.Commands, Events: bound.Events}, map[int32]int64{0: 2, 1: 1}, nil, nil,
		},
		{
			"a recreated events topic moves no shard",
			func(s *fakeStore, l *fakeLog) {
				l.topics.Events, l.seqs, s.states[0].EventsFrom = newTopics.Events, make([][]int64, 2), 7
			},
			[]string{"events: the topic was recreated: publish to the new topic"},
			eventlog.Topics{Commands: bound.Commands, Events: newTopics.Events}, nil, map[int32]int64{0: 0}, nil,
		},
		{
			"a shard whose next commands are lost continues at the first one in the topic",
			func(s *fakeStore, _ *fakeLog) { s.states[0].Offset = 3 },
			[]string{"commands, shard 0: the store is at offset 3 and the topic begins at 5: continue at 5: lost: 2 records"},
			bound, map[int32]int64{0: 5}, nil, nil,
		},
		{
			"a shard beyond the end of the topic reads it from its start",
			func(s *fakeStore, _ *fakeLog) { s.states[0].Offset = 13 },
			[]string{"has lost the records before offset 13 that the store has settled; it ends at 12: continue at 5; commands that are settled are not settled again"},
			bound, map[int32]int64{0: 5}, nil, nil,
		},
		{
			"a shard of a topic that was cut and has grown again continues where it was cut",
			func(s *fakeStore, l *fakeLog) {
				s.states[0].Last, l.cut = eventlog.RecordID{Offset: 9, Digest: [16]byte{1}}, 7
			},
			[]string{"commands, shard 0: the topic has lost the records before offset 10 that the store has settled; it ends at 12: continue at 7"},
			bound, map[int32]int64{0: 7}, nil, nil,
		},
		{
			"a stopped shard without another inconsistency is settled again",
			func(s *fakeStore, _ *fakeLog) { s.states[0].Stopped = "records are lost" },
			[]string{"commands, shard 0: a writer has stopped the shard: records are lost: let writers settle"},
			bound, nil, nil, nil,
		},
		{
			"a store restored from a backup gets the events that it lacks",
			func(s *fakeStore, _ *fakeLog) { s.states[0].NextSeq = 2 },
			[]string{"events, shard 0: the store is at seq 1 and the topic at 3: the store was restored from a backup: copy 2 events"},
			bound, nil, nil, []int64{2, 3},
		},
		{
			"an event far ahead is ignored",
			func(_ *fakeStore, l *fakeLog) { l.seqs[0] = []int64{1, 2, 3, 900} },
			[]string{"events, shard 0: the topic has events up to seq 900 that do not continue the journal, which ends at 3"},
			bound, nil, map[int32]int64{0: 4}, nil,
		},
		{
			"an event far ahead in a shard without others is ignored",
			func(_ *fakeStore, l *fakeLog) { l.seqs[1] = []int64{900} },
			[]string{"events, shard 1: the topic has events up to seq 900"},
			bound, nil, map[int32]int64{1: 1}, nil,
		},
		{
			"a next event that does not make the next version of its product is ignored",
			func(_ *fakeStore, l *fakeLog) { l.seqs[0] = []int64{1, 2, 3, -4} },
			[]string{"events, shard 0: the topic has events up to seq 4 that do not continue the journal, which ends at 3"},
			bound, nil, map[int32]int64{0: 4}, nil,
		},
		{
			"a restored store gets its events, and not the forged ones between and behind them",
			func(s *fakeStore, l *fakeLog) { s.states[0].NextSeq, l.seqs[0] = 2, []int64{1, -2, 2, 3, 900} },
			[]string{"copy 2 events", "events up to seq 900 that do not continue the journal, which ends at 3"},
			bound, nil, map[int32]int64{0: 5}, []int64{2, 3},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			store, log := consistent()
			tt.spoil(store, log)
			plan, err := repair.Examine(t.Context(), store, log, repair.Options{})
			if err != nil {
				t.Fatal(err)
			}
			if len(plan.Findings) != len(tt.findings) {
				t.Errorf("Findings = %q; want %q", plan.Findings, tt.findings)
			}
			for i, f := range plan.Findings {
				text := fmt.Sprintf("%s: %s: %s: lost: %s", f.Where, f.Problem, f.Remedy, f.Lost)
				if i < len(tt.findings) && !strings.Contains(text, tt.findings[i]) {
					t.Errorf("finding %q; want %q", text, tt.findings[i])
				}
			}
			if len(store.calls) > 0 {
				t.Errorf("Examine called %v; want no change", store.calls)
			}
			if err := plan.Apply(t.Context(), store, log); err != nil {
				t.Fatal(err)
			}
			offsets, eventsFrom := map[int32]int64{}, map[int32]int64{}
			for shard, r := range store.resets {
				if r.Offset != nil {
					offsets[shard] = *r.Offset
				}
				if r.EventsFrom != nil {
					eventsFrom[shard] = *r.EventsFrom
				}
			}
			if store.topics != tt.topics || !maps.Equal(offsets, tt.offsets) || !maps.Equal(eventsFrom, tt.eventsFrom) {
				t.Errorf("ResetShards(%v, offsets %v, events from %v); want %v, %v, %v", store.topics, offsets, eventsFrom, tt.topics, tt.offsets, tt.eventsFrom)
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
	t.Run("wrong settings of topics are corrected", func(t *testing.T) {
		store, log := consistent()
		log.wrong = []eventlog.TopicSetting{{Topic: "events", Name: "max.message.bytes", Value: "300000", Want: "1048588"}}
		plan, err := repair.Examine(t.Context(), store, log, repair.Options{})
		if err != nil || len(plan.Findings) != 1 || plan.Findings[0].Problem != "max.message.bytes of topic events is 300000 instead of 1048588" {
			t.Fatalf("Examine = %v, %v; want the setting", plan, err)
		}
		if err := plan.Apply(t.Context(), store, log); err != nil || !slices.Equal(log.set, log.wrong) {
			t.Errorf("Apply = %v, set %v; want %v", err, log.set, log.wrong)
		}
	})
	t.Run("another number of shards cannot be repaired", func(t *testing.T) {
		store, log := consistent()
		store.states = store.states[:1]
		if _, err := repair.Examine(t.Context(), store, log, repair.Options{}); err == nil || !strings.Contains(err.Error(), "the topics have 2 partitions and the store has 1 shards") {
			t.Fatalf("Examine = %v; want an error with both numbers", err)
		}
	})
	t.Run("a backup older than the events topic cannot be repaired", func(t *testing.T) {
		store, log := consistent()
		store.states[0].NextSeq, log.seqs[0], log.deleted = 2, []int64{3, 4}, 2
		if _, err := repair.Examine(t.Context(), store, log, repair.Options{}); err == nil || !strings.Contains(err.Error(), "no longer has seq 2: restore a newer backup") {
			t.Fatalf("Examine = %v; want an error with the seq that is missing", err)
		}
		plan, err := repair.Examine(t.Context(), store, log, repair.Options{IgnoreEvents: true})
		if err != nil || len(plan.Findings) != 1 || !strings.Contains(plan.Findings[0].Remedy, "ignore them") {
			t.Fatalf("Examine with IgnoreEvents = %v, %v; want to ignore the events", plan, err)
		}
	})
}

func TestPlan_Apply(t *testing.T) {
	store, log := consistent()
	store.states[0].NextSeq = 2
	plan, err := repair.Examine(t.Context(), store, log, repair.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Run("events are appended before shards are reset", func(t *testing.T) {
		if err := plan.Apply(t.Context(), store, log); err != nil || !slices.Equal(store.calls, []string{"AppendEvents", "ResetShards"}) {
			t.Fatalf("Apply = %v after %v; want AppendEvents, then ResetShards", err, store.calls)
		}
	})
	t.Run("shards are not reset when events cannot be appended", func(t *testing.T) {
		full := errors.New("disk full")
		store.calls, store.appendErr = nil, full
		if err := plan.Apply(t.Context(), store, log); !errors.Is(err, full) || !slices.Equal(store.calls, []string{"AppendEvents"}) {
			t.Fatalf("Apply = %v after %v; want the error of AppendEvents alone", err, store.calls)
		}
	})
}
