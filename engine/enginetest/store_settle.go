package enginetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
)

func settleTransaction(t *testing.T, s Store) {
	o := claim(t, s, 2)
	b := o.batch(
		command("c1", "p1", catalog.CreateProduct{Data: data("A-1")}),
		command("c2", "p2", catalog.PutProduct{Data: data("")}),
	)
	b.To, b.Published = b.From+7, 0 // the batch spans five records that are not commands
	now := moment.Add(789 * time.Nanosecond)
	events, _, err := settle(t.Context(), s, b, now)
	if err != nil {
		t.Fatal(err)
	}
	want := eventlog.Settle(eventlog.Group{b}, eventlog.GroupState{}, moment)[0].Events // now, truncated to microseconds
	sameEvents(t, "Settle", events, want)
	sameEvents(t, "Journal", journal(t.Context(), t, s, 2), want)
	for _, e := range want {
		sameProduct(t.Context(), t, s, e.Product)
	}
	sameState(t, s, eventlog.ShardState{Shard: 2, Epoch: 1, Offset: 7, NextSeq: 3, NextDeadLetter: 1})
}

func settleEmptyBatch(t *testing.T, s Store) {
	o := claim(t, s, 0)
	b := o.batch()
	b.To = 3
	if events, _, err := settle(t.Context(), s, b, moment); err != nil || len(events) != 0 {
		t.Fatalf("Settle = %d events, %v; want none", len(events), err)
	}
	sameState(t, s, eventlog.ShardState{Shard: 0, Epoch: 1, Offset: 3, NextSeq: 1, NextDeadLetter: 1})
}

func settlePublished(t *testing.T, s Store) {
	o := claim(t, s, 0)
	for _, c := range []struct{ published, want int64 }{{2, 2}, {1, 2}, {5, 5}, {0, 5}} {
		o.st.Published = c.published
		o.settle(t, []catalog.Outcome{})
		got, err := s.State(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got.Published != c.want {
			t.Errorf("Published = %d after a batch with %d; want %d", got.Published, c.published, c.want)
		}
	}
}

func settleLastRecord(t *testing.T, s Store) {
	o := claim(t, s, 0)
	records := []eventlog.RecordID{{Offset: 0, Epoch: 3, Digest: [16]byte{1}}, {Offset: 4, Epoch: 5, Digest: [16]byte{2}}}
	last := func() eventlog.RecordID {
		st, err := s.State(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		return st.Last
	}
	b := o.batch()
	b.To, b.Records = 5, records
	if _, _, err := settle(t.Context(), s, b, moment); err != nil || last() != records[1] {
		t.Fatalf("Last = %+v after Settle = %v; want the record at offset 4", last(), err)
	}
	b.From, b.To, b.Records = 5, 6, nil
	if _, _, err := settle(t.Context(), s, b, moment); err != nil || last().Known() {
		t.Errorf("Last = %+v after a batch of unknown records, %v; want none", last(), err)
	}
	b.From, b.To, b.Records = 6, 7, []eventlog.RecordID{{Offset: 6, Digest: [16]byte{3}}}
	if _, _, err := settle(t.Context(), s, b, moment); err != nil || !last().Known() {
		t.Errorf("Last = %+v, %v; want the record at offset 6", last(), err)
	}
	same := int64(7)
	if err := s.ResetShards(t.Context(), eventlog.Topics{}, map[int32]eventlog.ShardReset{0: {Offset: &same}}); err != nil || last().Known() {
		t.Errorf("Last = %+v after a reset, %v; want none", last(), err)
	}
}

func settleTwice(t *testing.T, s Store) {
	o := claim(t, s, 0)
	b := o.batch(command("c", "p", catalog.CreateProduct{Data: data("A")}))
	if _, _, err := settle(t.Context(), s, b, moment); err != nil {
		t.Fatal(err)
	}
	b.Commands = []catalog.Command{command("d", "q", catalog.CreateProduct{Data: data("B")})}
	if events, _, err := settle(t.Context(), s, b, moment); !errors.Is(err, catalog.ErrFenced) || events != nil {
		t.Fatalf("second Settle = %d events, %v; want no events, ErrFenced", len(events), err)
	}
	sameState(t, s, eventlog.ShardState{Shard: 0, Epoch: 1, Offset: 1, NextSeq: 2, NextDeadLetter: 1})
	if n := len(journal(t.Context(), t, s, 0)); n != 1 {
		t.Errorf("the journal has %d events; want 1", n)
	}
	if _, err := s.Product(t.Context(), product("q")); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Product of the fenced batch = %v; want ErrNotFound", err)
	}
}

func settleFenced(t *testing.T, s Store) {
	former, current := claim(t, s, 0), claim(t, s, 0)
	c := command("c", "p", catalog.CreateProduct{Data: data("")})
	if events, err := former.try(t.Context(), c); !errors.Is(err, catalog.ErrFenced) || events != nil {
		t.Fatalf("Settle of the former owner = %d events, %v; want no events, ErrFenced", len(events), err)
	}
	current.settle(t, []catalog.Outcome{catalog.Created}, c)

	// The offset and the number of the next event must be right as well.
	for _, wrong := range []struct{ from, seq int64 }{{-1, 0}, {1, 0}, {0, -1}, {0, 1}} {
		b := current.batch(command("d", "p", rename("Stool")))
		b.From, b.NextSeq = b.From+wrong.from, b.NextSeq+wrong.seq
		if events, _, err := settle(t.Context(), s, b, moment); !errors.Is(err, catalog.ErrFenced) || events != nil {
			t.Fatalf("Settle from %d, seq %d = %d events, %v; want no events, ErrFenced", b.From, b.NextSeq, len(events), err)
		}
	}
	sameState(t, s, current.st)
}

func settleConcurrent(t *testing.T, s Store) {
	o := claim(t, s, 0)
	for round := range 10 {
		b := o.batch(command(fmt.Sprint("c", round), "p", catalog.PutProduct{Data: data(fmt.Sprint("S", round))}))
		var (
			wg   sync.WaitGroup
			lock sync.Mutex
			won  int
		)
		for range 6 {
			wg.Go(func() {
				events, _, err := settle(t.Context(), s, b, moment)
				lock.Lock()
				defer lock.Unlock()
				switch {
				case err == nil && len(events) == 1:
					won++
				case !errors.Is(err, catalog.ErrFenced):
					t.Errorf("Settle = %d events, %v; want one event or ErrFenced", len(events), err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Fatalf("%d of 6 calls settled the batch; want 1", won)
		}
		o.st.Offset, o.st.NextSeq = o.st.Offset+1, o.st.NextSeq+1
	}
	sameState(t, s, o.st)
}

func settleDuringClaim(t *testing.T, s Store) {
	o := claim(t, s, 0)
	for round := range 10 {
		var (
			begun   = make(chan struct{})
			claimed = make(chan struct{})
			last    = make(chan eventlog.ShardState, 1)
		)
		go func(former owner) {
			defer func() { last <- former.st }()
			for i := 0; ; i++ {
				late := false
				select {
				case <-claimed:
					late = true
				default:
				}
				_, err := former.try(t.Context(), command(fmt.Sprint(round, ".", i), "p", catalog.PutProduct{Data: data(fmt.Sprint("S", i))}))
				if i == 0 {
					close(begun)
				}
				if late && err == nil {
					t.Error("the former owner settled a batch after Claim")
				} else if err != nil && !errors.Is(err, catalog.ErrFenced) {
					t.Error(err)
				}
				if late || err != nil {
					return
				}
			}
		}(*o)
		<-begun
		st, err := s.Claim(t.Context(), 0)
		close(claimed)
		if err != nil {
			t.Fatal(err)
		}
		want := <-last
		if want.Epoch++; st != want {
			t.Fatalf("Claim = %+v; want the state of the former owner, %+v", st, want)
		}
		o.st = st
	}
	sameState(t, s, o.st)
}

func settleCanceled(t *testing.T, s Store) {
	o := claim(t, s, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := command("c", "p", catalog.CreateProduct{Data: data("")})
	if events, err := o.try(ctx, c); !errors.Is(err, context.Canceled) || events != nil {
		t.Fatalf("Settle = %d events, %v; want no events, context.Canceled", len(events), err)
	}
	sameState(t, s, o.st)
	o.settle(t, []catalog.Outcome{catalog.Created}, c)
}

func settleSeesEarlierCommands(t *testing.T, s Store) {
	o := claim(t, s, 0)
	events := o.settle(t,
		[]catalog.Outcome{catalog.Created, catalog.Changed, catalog.Unchanged, catalog.Deleted, catalog.Created, catalog.Changed},
		command("1", "p", catalog.CreateProduct{Data: data("A")}),
		command("2", "p", rename("Stool")),
		command("3", "p", rename("Stool")),
		command("4", "p", catalog.DeleteProduct{}),
		command("5", "p", catalog.CreateProduct{Data: data("A")}),
		command("6", "p", rename("Bench")),
	)
	sameEvents(t, "Journal", journal(t.Context(), t, s, 0), events)
	sameProduct(t.Context(), t, s, events[5].Product)
	if p := events[5].Product; p.Version != 5 || p.Name != "Bench" {
		t.Errorf("last event = version %d, name %q; want version 5, name Bench", p.Version, p.Name)
	}
}

func settleRepeatedCommands(t *testing.T, s Store) {
	o := claim(t, s, 0)
	create := command("1", "p", catalog.CreateProduct{Data: data("")})
	refused := command("2", "none", rename("Stool"))
	first := o.settle(t, []catalog.Outcome{catalog.Created, catalog.Refused}, create, create, refused, refused)
	o.settle(t, []catalog.Outcome{}, create, refused)
	o.settle(t, []catalog.Outcome{catalog.Changed}, refused, command("3", "p", rename("Stool")), create)

	// The first command with an id counts, even when a later one differs.
	other := create
	other.Op = catalog.DeleteProduct{}
	o.settle(t, []catalog.Outcome{}, other)
	receipt, err := s.Receipt(t.Context(), create.ID)
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, "Receipt", []catalog.Event{receipt}, first[:1])
	sameState(t, s, eventlog.ShardState{Shard: 0, Epoch: 1, Offset: 10, NextSeq: 4, NextDeadLetter: 1})
}

func settleRefusedCommands(t *testing.T, s Store) {
	o := claim(t, s, 0)
	bad := data("")
	bad.Name, bad.Price = "", price(1, 1, "JPY")
	events := o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Created, catalog.Refused, catalog.Refused},
		command("1", "p", catalog.CreateProduct{Data: bad}),
		command("2", "p", catalog.CreateProduct{Data: data("")}),
		command("3", "p", catalog.CreateProduct{Data: data("")}),
		command("4", "q", catalog.DeleteProduct{}),
	)
	for i, want := range []error{catalog.ErrInvalid, nil, catalog.ErrExists, catalog.ErrNotFound} {
		if want != nil && !errors.Is(events[i].Refusal, want) {
			t.Errorf("event %d: refusal = %v; want %v", i+1, events[i].Refusal, want)
		}
		receipt, err := s.Receipt(t.Context(), events[i].Command)
		if err != nil {
			t.Fatal(err)
		}
		sameEvents(t, "Receipt", []catalog.Event{receipt}, events[i:i+1])
	}
	sameEvents(t, "Journal", journal(t.Context(), t, s, 0), events)
	sameProduct(t.Context(), t, s, events[1].Product)
	if _, err := s.Product(t.Context(), product("q")); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Product after a refused command = %v; want ErrNotFound", err)
	}
	if _, _, err := s.History(t.Context(), product("q"), 0, 10); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("History after a refused command = %v; want ErrNotFound", err)
	}
}

func settleTombstones(t *testing.T, s Store) {
	o := claim(t, s, 0)
	o.settle(t, []catalog.Outcome{catalog.Created}, command("1", "p", catalog.CreateProduct{Data: data("A")}))
	deleted := o.settle(t, []catalog.Outcome{catalog.Deleted}, command("2", "p", catalog.DeleteProduct{}))[0].Product
	if deleted.Version != 2 || !deleted.Deleted || !deleted.ProductData.Equal(catalog.ProductData{}) {
		t.Fatalf("deleted product = %+v; want an empty tombstone at version 2", deleted)
	}
	sameProduct(t.Context(), t, s, deleted)
	o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Refused},
		command("3", "p", catalog.DeleteProduct{}), command("4", "p", rename("Stool")))
	events, _, err := settle(t.Context(), s, o.batch(command("5", "p", catalog.PutProduct{Data: data("A")})), moment.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	again := events[0].Product
	if again.Version != 3 || again.Deleted || !again.CreatedAt.Equal(moment.Add(time.Hour)) {
		t.Fatalf("product created again = %+v; want version 3, created one hour later", again)
	}
	sameProduct(t.Context(), t, s, again)
}

func settleFields(t *testing.T, s Store) {
	o := claim(t, s, 0)
	for name, d := range extremes() {
		if err := d.Validate(); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		c := command(name, name, catalog.CreateProduct{Data: d})
		c.Actor, c.Trace = strings.Repeat("ä", 200), strings.Repeat("t", 64)
		c.AcceptedAt = time.Date(9999, 12, 31, 23, 59, 59, 999_999_000, time.UTC)
		if name == "least" {
			c.Actor, c.Trace, c.AcceptedAt = "", "", time.Time{}
		}
		created := o.settle(t, []catalog.Outcome{catalog.Created}, c)
		if !created[0].Product.ProductData.Equal(d) {
			t.Errorf("%s: the event has other data:\n%s", name, differences(created[0].Product.ProductData, d))
		}
		sameProduct(t.Context(), t, s, created[0].Product)

		// Settle reads the same data from the store: the command changes nothing.
		unchanged := o.settle(t, []catalog.Outcome{catalog.Unchanged}, command(name+" again", name, catalog.PutProduct{Data: d}))
		sameEvents(t, name, journal(t.Context(), t, s, 0)[o.st.NextSeq-3:], append(created, unchanged...))
		if d.SKU != "" {
			owners, err := s.SKUs(t.Context(), []string{d.SKU})
			if want := map[string]catalog.ID{d.SKU: product(name)}; err != nil || !maps.Equal(owners, want) {
				t.Errorf("%s: SKUs = %v, %v; want %v", name, owners, err, want)
			}
		}
	}
}

func settleInvalidText(t *testing.T, s Store) {
	o := claim(t, s, 0)
	for i, sku := range []string{"\x00", "a\x00b", "\u0001", strings.Repeat("x", 1<<20), "\U0010ffff"} {
		c := command(fmt.Sprint("create ", i), "p", catalog.CreateProduct{Data: data(sku)})
		if data(sku).Validate() != nil {
			o.settle(t, []catalog.Outcome{catalog.Refused}, c)
		} else {
			o.settle(t, []catalog.Outcome{catalog.Created}, c)
		}
		if _, err := s.SKUs(t.Context(), []string{sku}); err != nil {
			t.Errorf("SKUs(%.20q) = %v; want no error", sku, err)
		}
	}
	c := command("actor", "p", rename("Stool"))
	c.Actor, c.Trace = "a\x00b", "\x00"
	events := o.settle(t, []catalog.Outcome{catalog.Changed}, c)
	receipt, err := s.Receipt(t.Context(), c.ID)
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, "Receipt", []catalog.Event{receipt}, events)
	bad := "a\x00b"
	o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Refused},
		command("name", "p", rename(bad)),
		command("tags", "p", catalog.PatchProduct{Patch: catalog.Patch{Tags: &[]string{bad}, Attributes: map[string]*string{bad: &bad}}}))
}

func settleThousand(t *testing.T, s Store) {
	o := claim(t, s, 0)
	var commands []catalog.Command
	var outcomes []catalog.Outcome
	for i := range 1000 {
		commands = append(commands, command(fmt.Sprint("c", i), fmt.Sprint("p", i), catalog.CreateProduct{Data: data(fmt.Sprint("S", i))}))
		outcomes = append(outcomes, catalog.Created)
	}
	events := o.settle(t, outcomes, commands...)
	sameEvents(t, "Journal", journal(t.Context(), t, s, 0), events)
	sameProduct(t.Context(), t, s, events[999].Product)
	var skus []string
	for i, c := range commands {
		commands[i] = command(fmt.Sprint("d", i), fmt.Sprint("p", i), rename(fmt.Sprint("Chair ", i)))
		skus = append(skus, c.Op.(catalog.CreateProduct).Data.SKU)
		outcomes[i] = catalog.Changed
	}
	o.settle(t, outcomes, commands...)
	if owners, err := s.SKUs(t.Context(), skus); err != nil || len(owners) != 1000 {
		t.Errorf("SKUs = %d owners, %v; want 1000", len(owners), err)
	}
}
