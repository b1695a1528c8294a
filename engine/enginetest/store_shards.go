package enginetest

import (
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func storeInitShards(t *testing.T, s Store) {
	for range 2 {
		if err := s.InitShards(t.Context(), 6); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{5, 7} {
		err := s.InitShards(t.Context(), n)
		if err == nil || !strings.Contains(err.Error(), "6") || !strings.Contains(err.Error(), strconv.Itoa(n)) {
			t.Errorf("InitShards(%d) after InitShards(6) = %v; want an error that names both numbers", n, err)
		}
	}
	for shard := range int32(6) {
		sameState(t, s, eventlog.ShardState{Shard: shard, NextSeq: 1, NextDeadLetter: 1})
	}
	if _, err := s.State(t.Context(), 6); err == nil {
		t.Error("State of shard 6 of 6 = nil; want an error")
	}
	for _, n := range []int{0, -1} {
		if err := s.InitShards(t.Context(), n); err == nil {
			t.Errorf("InitShards(%d) = nil; want an error", n)
		}
	}
}

func storeInitShardsConcurrent(t *testing.T, s Store) {
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if err := s.InitShards(t.Context(), 64); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	sameState(t, s, eventlog.ShardState{Shard: 63, NextSeq: 1, NextDeadLetter: 1})
}

func storeUnknownShard(t *testing.T, s Store) {
	if err := s.InitShards(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Claim(t.Context(), 2); err == nil {
		t.Errorf("Claim of an unknown shard = %+v; want an error", st)
	}
	if st, err := s.State(t.Context(), 2); err == nil {
		t.Errorf("State of an unknown shard = %+v; want an error", st)
	}
	o := &owner{s, eventlog.ShardState{Shard: 2, NextSeq: 1, NextDeadLetter: 1}}
	if events, err := o.try(t.Context(), command("c", "p", catalog.PutProduct{Data: data("")})); err == nil {
		t.Errorf("Settle of an unknown shard = %d events; want an error", len(events))
	}
}

func storeStopShard(t *testing.T, s Store) {
	o := claim(t, s, 1)
	if err := s.StopShard(t.Context(), 1, o.st.Epoch-1, "too late"); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("StopShard of a former owner = %v; want ErrFenced", err)
	}
	if err := s.StopShard(t.Context(), 1, o.st.Epoch, "records are lost"); err != nil {
		t.Fatal(err)
	}
	c := command("c", "p", catalog.CreateProduct{Data: data("")})
	if _, err := o.try(t.Context(), c); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("Settle of the owner that stopped the shard = %v; want ErrFenced", err)
	}
	st, err := s.Claim(t.Context(), 1)
	if err != nil || st.Stopped != "records are lost" {
		t.Fatalf("Claim = %+v, %v; want the reason of the stop", st, err)
	}
	if _, err := (&owner{s, st}).try(t.Context(), c); !errors.Is(err, catalog.ErrFenced) {
		t.Errorf("Settle of the next owner = %v; want ErrFenced", err)
	}
	if err := s.ResetShards(t.Context(), eventlog.Topics{}, nil); err != nil {
		t.Fatal(err)
	}
	o = claim(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created}, c)
}

func storeClaim(t *testing.T, s Store) {
	o := claim(t, s, 1)
	if want := (eventlog.ShardState{Shard: 1, Epoch: 1, NextSeq: 1, NextDeadLetter: 1}); o.st != want {
		t.Fatalf("first Claim = %+v; want %+v", o.st, want)
	}
	o.settle(t, []catalog.Outcome{catalog.Created}, command("c", "p", catalog.CreateProduct{Data: data("")}))
	again, err := s.Claim(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := (eventlog.ShardState{Shard: 1, Epoch: 2, Offset: 1, NextSeq: 2, NextDeadLetter: 1}); again != want {
		t.Fatalf("second Claim = %+v; want %+v", again, want)
	}
	sameState(t, s, again)
	sameState(t, s, eventlog.ShardState{Shard: 0, NextSeq: 1, NextDeadLetter: 1})
}
