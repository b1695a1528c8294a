package enginetest

import (
	"errors"
	"fmt"
	"reflect"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
)

// deadLetter returns the dead letter of the shard with that number.
func deadLetter(shard int32, number int64) eventlog.DeadLetter {
	return eventlog.DeadLetter{
		Position: catalog.Position{Shard: shard, Seq: number}, Offset: 100 + number,
		Cause: fmt.Sprint("cause ", number), At: moment.Add(time.Duration(number) * time.Second),
		Key: []byte("key"), Value: []byte("value\x00\xff"), Size: 7,
		Headers: []eventlog.RecordHeader{{Key: "from", Value: []byte{0, 1}}, {Key: "broken\xff", Value: []byte("x")}},
	}
}

func deadLetterSettle(t *testing.T, s Store) {
	o := claim(t, s, 2)
	b := o.batch(command("c1", "p1", catalog.CreateProduct{Data: data("")}))
	empty := deadLetter(2, 2)
	empty.Key, empty.Value, empty.Headers, empty.Size = nil, nil, nil, 0 // a Kafka record may be empty
	b.DeadLetters = []eventlog.DeadLetter{deadLetter(2, 1), empty}
	b.To += 2
	if _, _, err := settle(t.Context(), s, b, moment); err != nil {
		t.Fatal(err)
	}
	want := eventlog.ShardState{Shard: 2, Epoch: b.Epoch, Offset: 3, NextSeq: 2, NextDeadLetter: 3}
	sameState(t, s, want)

	// A fenced batch stores no dead letters.
	b.DeadLetters = []eventlog.DeadLetter{deadLetter(2, 3)}
	if _, _, err := settle(t.Context(), s, b, moment); !errors.Is(err, catalog.ErrFenced) {
		t.Fatalf("second Settle = %v; want ErrFenced", err)
	}
	sameState(t, s, want)
	for from, n := range map[int64]int{1: 2, 2: 1, 3: 0} {
		got, err := s.DeadLetters(t.Context(), 2, from, 10)
		if err != nil {
			t.Fatal(err)
		}
		if all := []eventlog.DeadLetter{deadLetter(2, 1), empty}[2-n:]; len(got) != n || n > 0 && !reflect.DeepEqual(got, all) {
			t.Errorf("DeadLetters from %d = %+v; want %+v", from, got, all)
		}
	}
	if got, err := s.DeadLetters(t.Context(), 2, 1, 1); err != nil || len(got) != 1 {
		t.Errorf("DeadLetters with limit 1 = %d, %v; want 1", len(got), err)
	}
	if got, err := s.DeadLetters(t.Context(), 1, 1, 10); err != nil || len(got) != 0 {
		t.Errorf("DeadLetters of another shard = %d, %v; want none", len(got), err)
	}
}

func deadLetterPages(t *testing.T, s Store) {
	want := map[string][]string{} // expected letters by shard, or for "all"
	for n := int64(4); n > 0; n-- {
		for shard := int32(3); shard >= 0; shard-- { // equal times are ordered by shard
			p := deadLetter(shard, n).Position.String()
			want["all"] = append(want["all"], p)
			want[fmt.Sprint(shard)] = append(want[fmt.Sprint(shard)], p)
		}
	}
	for shard := range int32(4) {
		b := claim(t, s, shard).batch()
		for n := range int64(4) {
			b.DeadLetters = append(b.DeadLetters, deadLetter(shard, n+1))
		}
		b.To += 4
		if _, _, err := settle(t.Context(), s, b, moment); err != nil {
			t.Fatal(err)
		}
	}
	list := func(shard *int32) (all []string) {
		for after := (catalog.Position{}); ; {
			page, err := s.ListDeadLetters(t.Context(), shard, after, 3)
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range page {
				if whole := deadLetter(d.Shard, d.Seq); d.Cause != whole.Cause || d.Offset != whole.Offset || !d.At.Equal(whole.At) || d.Size != 7 || d.Value != nil {
					t.Fatalf("ListDeadLetters returned %+v; want %+v without key, value and headers", d, whole)
				}
				all = append(all, d.Position.String())
				after = d.Position
			}
			if len(page) < 3 {
				return all
			}
		}
	}
	if got := list(nil); !reflect.DeepEqual(got, want["all"]) {
		t.Errorf("ListDeadLetters of all shards = %v; want %v", got, want["all"])
	}
	for shard := range int32(4) {
		if got := list(&shard); !reflect.DeepEqual(got, want[fmt.Sprint(shard)]) {
			t.Errorf("ListDeadLetters of shard %d = %v; want %v", shard, got, want[fmt.Sprint(shard)])
		}
	}
}
