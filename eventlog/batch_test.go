package eventlog_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"catalog"
	"catalog/eventlog"
)

func TestBatch(t *testing.T) {
	// Commands on the products a, b, a at the offsets 5, 7 and 9, and dead letters at
	// 6 and 8.
	b := eventlog.Batch{
		From: 5, To: 10, Offsets: []int64{5, 7, 9}, DeadLetters: []eventlog.DeadLetter{{Offset: 6}, {Offset: 8}},
		Commands: []catalog.Command{{Product: name("a")}, {Product: name("b")}, {Product: name("a")}},
	}
	check := func(t *testing.T, got eventlog.Batch, to int64, commands, letters int) {
		t.Helper()
		if got.From != 5 || got.To != to || len(got.Commands) != commands || len(got.Offsets) != commands || len(got.DeadLetters) != letters {
			t.Errorf("part up to %d with %d commands, %d offsets and %d dead letters; want %d, %d, %d, %d",
				got.To, len(got.Commands), len(got.Offsets), len(got.DeadLetters), to, commands, commands, letters)
		}
	}
	t.Run("UpTo returns the records before an offset", func(t *testing.T) {
		for _, c := range []struct {
			offset            int64
			commands, letters int
		}{{5, 0, 0}, {6, 1, 0}, {7, 1, 1}, {8, 2, 1}, {9, 2, 2}, {10, 3, 2}} {
			check(t, b.UpTo(c.offset), c.offset, c.commands, c.letters)
		}
		check(t, b.UpTo(99), 10, 3, 2)
	})
	t.Run("Products lists each product once, in the order of the commands", func(t *testing.T) {
		g := eventlog.Group{b, {Shard: 1, Commands: []catalog.Command{{Product: name("c")}}}}
		if got, want := g.Products(), []catalog.ID{name("a"), name("b"), name("c")}; !slices.Equal(got, want) {
			t.Errorf("Products = %v; want %v", got, want)
		}
	})
}

func TestSettle_largeEvents(t *testing.T) {
	d := chair()
	d.Attributes = map[string]string{}
	for i := range catalog.MaxAttributes {
		d.Attributes[fmt.Sprint("attribute ", i)] = strings.Repeat("😀", catalog.MaxAttributeValue)
	}
	b := eventlog.Batch{NextSeq: 1, To: 2_000}
	for i := range 1_000 {
		c := catalog.Command{ID: name(fmt.Sprint(i)), Product: name("p"), Op: catalog.PutProduct{Data: d}}
		if i > 0 {
			n := fmt.Sprint("Chair ", i)
			c.Op = catalog.PatchProduct{Patch: catalog.Patch{Name: &n}}
		}
		b.Commands, b.Offsets = append(b.Commands, c), append(b.Offsets, int64(2*i))
	}
	t.Run("a batch ends with the event that reaches the limit", func(t *testing.T) {
		settled := eventlog.Settle(eventlog.Group{b}, eventlog.GroupState{}, now)[0]
		events := settled.Events
		bytes := 0
		for _, e := range events {
			bytes += e.Size()
		}
		last := events[len(events)-1].Size()
		if bytes < eventlog.MaxBatchBytes || bytes-last >= eventlog.MaxBatchBytes {
			t.Errorf("%d events have %d bytes, the last one %d; want them to reach %d", len(events), bytes, last, eventlog.MaxBatchBytes)
		}
		if settled.To != int64(2*len(events)) {
			t.Errorf("Settle came to offset %d after %d events", settled.To, len(events))
		}
	})
	t.Run("repeated commands have no bytes", func(t *testing.T) {
		repeated := map[eventlog.ShardCommand]bool{}
		for _, c := range b.Commands {
			repeated[eventlog.ShardCommand{Command: c.ID}] = true
		}
		if settled := eventlog.Settle(eventlog.Group{b}, eventlog.GroupState{Settled: repeated}, now)[0]; len(settled.Events) != 0 || settled.To != b.To {
			t.Errorf("Settle = %d events, up to %d; want none, up to %d", len(settled.Events), settled.To, b.To)
		}
	})
}
