package enginetest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
)

// hourly settles a batch of one command for each version of product p, an hour
// after the one before. Every batch knows that all earlier events are published.
func hourly(t *testing.T, o *owner, p string, versions int) []catalog.Event {
	t.Helper()
	var all []catalog.Event
	for i := range versions {
		c := command(fmt.Sprint(p, i), p, catalog.PutProduct{Data: data(fmt.Sprint(p, i))})
		b := o.batch(c)
		b.Published = o.st.NextSeq - 1
		events, _, err := settle(t.Context(), o.s, b, moment.Add(time.Duration(i)*time.Hour))
		if err != nil || len(events) != 1 || !events[0].Applied() {
			t.Fatalf("Settle = %d events, %v", len(events), err)
		}
		o.st.Offset, o.st.NextSeq, o.st.Published = b.To, b.NextSeq+1, b.Published
		all = append(all, events...)
	}
	return all
}

func archivable(t *testing.T, s Store) {
	o := claim(t, s, 1)
	hourly(t, o, "p", 6)
	for _, c := range []struct {
		shard  int32
		before time.Duration // time after the first event
		want   int64
	}{
		{1, 0, 0},
		{1, time.Microsecond, 1},
		{1, 3 * time.Hour, 3},
		{1, 1000 * time.Hour, 5}, // event 6 may not be published
		{2, 1000 * time.Hour, 0},
	} {
		if to, err := s.Archivable(t.Context(), c.shard, moment.Add(c.before)); err != nil || to != c.want {
			t.Errorf("Archivable(shard %d, %s) = %d, %v; want %d", c.shard, c.before, to, err, c.want)
		}
	}
	if _, err := s.RemoveEvents(t.Context(), 1, 2, 10); err != nil {
		t.Fatal(err)
	}
	for before, want := range map[time.Duration]int64{time.Hour: 2, 3 * time.Hour: 3} {
		if to, err := s.Archivable(t.Context(), 1, moment.Add(before)); err != nil || to != want {
			t.Errorf("Archivable(%s) after RemoveEvents = %d, %v; want %d", before, to, err, want)
		}
	}
}

func removeEvents(t *testing.T, s Store) {
	o, other := claim(t, s, 1), claim(t, s, 2)
	events := hourly(t, o, "p", 6)
	untouched := hourly(t, other, "q", 2)
	remove := func(to int64, limit int, want int64) {
		t.Helper()
		got, err := s.RemoveEvents(t.Context(), 1, to, limit)
		if err != nil || got != want {
			t.Errorf("RemoveEvents(to %d, limit %d) = %d, %v; want %d", to, limit, got, err, want)
		}
		st := o.st
		st.Archived = want
		sameState(t, s, st)
		sameEvents(t, "journal", journal(t.Context(), t, s, 1), events[want:])
	}
	remove(4, 3, 3)
	remove(4, 3, 4)
	remove(4, 3, 4)
	remove(2, 3, 4)
	if _, err := s.RemoveEvents(t.Context(), 1, 6, 10); err == nil {
		t.Error("RemoveEvents of an event that may not be published = nil; want an error")
	}
	remove(4, 3, 4)
	sameEvents(t, "journal of the other shard", journal(t.Context(), t, s, 2), untouched)
	if _, err := s.Receipt(t.Context(), events[0].Command); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Receipt of an archived event = %v; want ErrNotFound", err)
	}
	sameProduct(t.Context(), t, s, events[5].Product)
	o.settle(t, []catalog.Outcome{catalog.Changed}, command("next", "p", rename("x")))
}

func archivedHistory(t *testing.T, s Store) {
	o := claim(t, s, 1)
	events := hourly(t, o, "p", 3)
	hourly(t, o, "q", 3)
	history := func(before int64) []catalog.Event {
		t.Helper()
		got, _, err := s.History(t.Context(), product("p"), before, 10)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	if _, err := s.RemoveEvents(t.Context(), 1, 2, 10); err != nil {
		t.Fatal(err)
	}
	sameEvents(t, "History after two versions are archived", history(0), events[2:])
	sameEvents(t, "History before the oldest version", history(3), nil)
	if _, err := s.RemoveEvents(t.Context(), 1, 3, 10); err != nil {
		t.Fatal(err)
	}
	want := eventlog.CurrentVersion(events[2].Product)
	for _, before := range []int64{0, 4, 100} {
		sameEvents(t, fmt.Sprintf("History(before %d) after all versions are archived", before), history(before), []catalog.Event{want})
	}
	sameEvents(t, "History before the current version", history(3), nil)
}
