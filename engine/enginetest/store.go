// Package catalogtest holds the suites that say what an engine must do. An
// engine is done when it passes the one of its role.
package enginetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
	"catalog/writer"
)

// Store is a writer.Store that also shows a product as the truth has it, or
// answers ErrNotFound.
type Store interface {
	writer.Store
	Product(ctx context.Context, id catalog.ID) (catalog.Product, error)

	// Reset and Restore are for catalog repair.
	ResetShards(ctx context.Context, topics eventlog.Topics, offsets map[int32]int64) error
	AppendEvents(ctx context.Context, events []catalog.Event) error
}

// TestStore says what a writer.Store must do. Each open answers a store of its
// own, without shards; open closes it at the end of the test.
func TestStore(t *testing.T, open func(t *testing.T) Store) {
	for _, c := range []struct {
		name string
		test func(t *testing.T, s Store)
	}{
		{"the number of shards is fixed by the first Prepare", prepareOnce},
		{"several may prepare at once", prepareAtOnce},
		{"a shard that was not prepared is an error", noSuchShard},
		{"a claim raises the epoch and keeps all else", claimRaisesEpoch},
		{"Settle moves everything in one go", settleMovesAll},
		{"an empty batch moves the offset", emptyBatch},
		{"what is published never goes back", publishedNeverGoesBack},
		{"a batch settled twice counts once", settledTwice},
		{"an old epoch is fenced", oldEpochFenced},
		{"one of many who settle the same batch wins", sameBatchAtOnce},
		{"after a claim the owner before it changes nothing more", claimWhileSettling},
		{"a cancelled Settle changes nothing", cancelledSettle},
		{"commands of one batch see what those before them did", foldWithinBatch},
		{"a repeated command gets no second event", repeatedCommands},
		{"a refused command has its row in the journal", refusedCommands},
		{"a deleted product is made again at the next version", tombstones},
		{"every field comes back exactly", fieldsComeBack},
		{"no text in a command can stop its shard", poison},
		{"a batch of a thousand is one batch", thousand},
		{"an SKU has one owner within a batch", skuWithinBatch},
		{"an SKU has one owner between batches", skuBetweenBatches},
		{"an SKU that many shards want at once goes to one", skuRace},
		{"two shards that want the same SKUs in opposite order both settle", skuCrossing},
		{"an SKU is given up and taken in one batch", skuHandedOn},
		{"two products swap their SKUs over a third name in one batch", skuSwapped},
		{"an SKU is free after its product is deleted", skuFreed},
		{"dead letters come back as they came, in the transaction of their batch", deadLetters},
		{"dead letters are listed from the newest, page by page", deadPages},
		{"a store belongs to the topics of the first who asked, until it is reset", resets},
		{"a store that was set back is brought forward by the events", restored},
		{"the journal answers ranges in order", journalRanges},
		{"a command without an event has no receipt", receipts},
		{"history pages from the newest version", historyPages},
		{"whatever is settled, store and rules agree", agreesWithRules},
		{"a snapshot has every product of its shard and no other", snapshots},
		{"a snapshot is what one moment was", snapshotMoment},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open(t))
		})
	}
}

// settler is the owner of one shard of a store.
type settler struct {
	s  Store
	st eventlog.ShardState
}

// own prepares four shards and claims the shard.
func own(t *testing.T, s Store, shard int32) *settler {
	t.Helper()
	if err := s.InitShards(t.Context(), 4); err != nil {
		t.Fatal(err)
	}
	st, err := s.Claim(t.Context(), shard)
	if err != nil {
		t.Fatal(err)
	}
	return &settler{s, st}
}

// batch is the next batch of the shard.
func (o *settler) batch(commands ...catalog.Command) eventlog.Batch {
	return eventlog.Batch{
		Shard: o.st.Shard, Epoch: o.st.Epoch, From: o.st.Offset, To: o.st.Offset + int64(len(commands)),
		NextSeq: o.st.NextSeq, NextDeadLetter: o.st.NextDeadLetter, Published: o.st.Published, Commands: commands,
	}
}

// try settles the commands as the next batch.
func (o *settler) try(ctx context.Context, commands ...catalog.Command) ([]catalog.Event, error) {
	b := o.batch(commands...)
	events, err := o.s.Settle(ctx, b, moment)
	if err == nil {
		o.st.Offset, o.st.NextSeq = b.To, o.st.NextSeq+int64(len(events))
	}
	return events, err
}

// settle settles the commands as the next batch, which must work, and checks
// the kinds of the events.
func (o *settler) settle(t testing.TB, want []catalog.Outcome, commands ...catalog.Command) []catalog.Event {
	t.Helper()
	events, err := o.try(t.Context(), commands...)
	if err != nil {
		t.Fatal(err)
	}
	kinds := make([]catalog.Outcome, len(events))
	for i, e := range events {
		kinds[i] = e.Outcome
	}
	if !slices.Equal(kinds, want) {
		t.Fatalf("events are %v, want %v", kinds, want)
	}
	return events
}

var moment = time.Date(2026, 3, 4, 5, 6, 7, 123456000, time.UTC)

// product is the id of the product of that name.
func product(name string) catalog.ID { return catalog.DerivedID("product", name) }

// command is a command with an id of its own name, on the product of that
// name.
func command(name, on string, op catalog.Operation) catalog.Command {
	return catalog.Command{
		ID: catalog.DerivedID("command", name), Product: product(on), Op: op,
		Actor: "tester", Trace: "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
		AcceptedAt: moment.Add(-time.Second),
	}
}

// draft is a plain draft with that SKU.
func draft(sku string) catalog.ProductData {
	return catalog.ProductData{SKU: sku, Name: "Chair", Price: price(149, 900_000_000, "EUR")}
}

func price(units int64, nanos int32, currency string) catalog.Money {
	return catalog.Money{Decimal: catalog.Decimal{Units: units, Nanos: nanos}, Currency: currency}
}

func rename(name string) catalog.PatchProduct {
	return catalog.PatchProduct{Patch: catalog.Patch{Name: &name}}
}

func giveSKU(sku string) catalog.PatchProduct {
	return catalog.PatchProduct{Patch: catalog.Patch{SKU: &sku}}
}

// sameEvents fails the test when got and want are not the same, to the byte.
func sameEvents(t rapid.TB, what string, got, want []catalog.Event) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%s: %d events, want %d", what, len(got), len(want))
	}
	for i := range got {
		g, err1 := wire.EncodeEvent(got[i])
		w, err2 := wire.EncodeEvent(want[i])
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(g, w) {
			t.Fatalf("%s: event %d of %d is\n%+v\nwant\n%+v", what, i+1, len(got), got[i], want[i])
		}
	}
}

// sameProduct fails the test when the store has anything but want.
func sameProduct(ctx context.Context, t rapid.TB, s Store, want catalog.Product) {
	t.Helper()
	got, err := s.Product(ctx, want.ID)
	if err != nil {
		t.Fatal(err)
	}
	if !got.ProductData.Equal(want.ProductData) || got.Version != want.Version || got.Deleted != want.Deleted ||
		!got.CreatedAt.Equal(want.CreatedAt) || !got.UpdatedAt.Equal(want.UpdatedAt) || !slices.Equal(got.PastPrices, want.PastPrices) {
		t.Fatalf("the store has\n%+v\nwant\n%+v", got, want)
	}
}

// sameState fails the test when the shard is stored in another state.
func sameState(t *testing.T, s Store, want eventlog.ShardState) {
	t.Helper()
	got, err := s.State(t.Context(), want.Shard)
	if err != nil {
		t.Fatal(err)
	}
	if got != want {
		t.Fatalf("shard is stored as %+v, want %+v", got, want)
	}
}

// journal is everything in the shard's journal.
func journal(ctx context.Context, t rapid.TB, s Store, shard int32) []catalog.Event {
	t.Helper()
	events, err := s.Journal(ctx, shard, 1, 1<<40, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func prepareOnce(t *testing.T, s Store) {
	for range 2 {
		if err := s.InitShards(t.Context(), 6); err != nil {
			t.Fatal(err)
		}
	}
	for _, n := range []int{5, 7} {
		err := s.InitShards(t.Context(), n)
		if err == nil || !strings.Contains(err.Error(), "6") || !strings.Contains(err.Error(), strconv.Itoa(n)) {
			t.Errorf("Prepare(%d) after Prepare(6) = %v; want an error that names both", n, err)
		}
	}
	for shard := range int32(6) {
		sameState(t, s, eventlog.ShardState{Shard: shard, NextSeq: 1, NextDeadLetter: 1})
	}
	if _, err := s.State(t.Context(), 6); err == nil {
		t.Error("there is a seventh shard")
	}
	for _, n := range []int{0, -1} {
		if err := s.InitShards(t.Context(), n); err == nil {
			t.Errorf("Prepare(%d) is no error", n)
		}
	}
}

func prepareAtOnce(t *testing.T, s Store) {
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

func noSuchShard(t *testing.T, s Store) {
	if err := s.InitShards(t.Context(), 2); err != nil {
		t.Fatal(err)
	}
	if st, err := s.Claim(t.Context(), 2); err == nil {
		t.Errorf("Claim = %+v", st)
	}
	if st, err := s.State(t.Context(), 2); err == nil {
		t.Errorf("State = %+v", st)
	}
	o := &settler{s, eventlog.ShardState{Shard: 2, NextSeq: 1, NextDeadLetter: 1}}
	if events, err := o.try(t.Context(), command("c", "p", catalog.PutProduct{Data: draft("")})); err == nil {
		t.Errorf("Settle = %+v", events)
	}
}

func claimRaisesEpoch(t *testing.T, s Store) {
	o := own(t, s, 1)
	if want := (eventlog.ShardState{Shard: 1, Epoch: 1, NextSeq: 1, NextDeadLetter: 1}); o.st != want {
		t.Fatalf("first Claim = %+v, want %+v", o.st, want)
	}
	o.settle(t, []catalog.Outcome{catalog.Created}, command("c", "p", catalog.CreateProduct{Data: draft("")}))
	again, err := s.Claim(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if want := (eventlog.ShardState{Shard: 1, Epoch: 2, Offset: 1, NextSeq: 2, NextDeadLetter: 1}); again != want {
		t.Fatalf("second Claim = %+v, want %+v", again, want)
	}
	sameState(t, s, again)
	sameState(t, s, eventlog.ShardState{Shard: 0, NextSeq: 1, NextDeadLetter: 1})
}

func settleMovesAll(t *testing.T, s Store) {
	o := own(t, s, 2)
	b := o.batch(
		command("c1", "p1", catalog.CreateProduct{Data: draft("A-1")}),
		command("c2", "p2", catalog.PutProduct{Data: draft("")}),
	)
	b.To, b.Published = b.From+7, 0 // five records were no commands
	now := moment.Add(789 * time.Nanosecond)
	events, err := s.Settle(t.Context(), b, now)
	if err != nil {
		t.Fatal(err)
	}
	want := eventlog.Settle(b, eventlog.BatchState{}, moment) // to the microsecond
	sameEvents(t, "Settle", events, want)
	sameEvents(t, "Journal", journal(t.Context(), t, s, 2), want)
	for _, e := range want {
		sameProduct(t.Context(), t, s, e.Product)
	}
	sameState(t, s, eventlog.ShardState{Shard: 2, Epoch: 1, Offset: 7, NextSeq: 3, NextDeadLetter: 1})
}

func emptyBatch(t *testing.T, s Store) {
	o := own(t, s, 0)
	b := o.batch()
	b.To = 3
	if events, err := s.Settle(t.Context(), b, moment); err != nil || len(events) != 0 {
		t.Fatalf("Settle = %v, %v", events, err)
	}
	sameState(t, s, eventlog.ShardState{Shard: 0, Epoch: 1, Offset: 3, NextSeq: 1, NextDeadLetter: 1})
}

func publishedNeverGoesBack(t *testing.T, s Store) {
	o := own(t, s, 0)
	for _, c := range []struct{ published, want int64 }{{2, 2}, {1, 2}, {5, 5}, {0, 5}} {
		o.st.Published = c.published
		o.settle(t, []catalog.Outcome{})
		got, err := s.State(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		if got.Published != c.want {
			t.Errorf("after %d published is %d, want %d", c.published, got.Published, c.want)
		}
	}
}

func settledTwice(t *testing.T, s Store) {
	o := own(t, s, 0)
	b := o.batch(command("c", "p", catalog.CreateProduct{Data: draft("A")}))
	if _, err := s.Settle(t.Context(), b, moment); err != nil {
		t.Fatal(err)
	}
	b.Commands = []catalog.Command{command("d", "q", catalog.CreateProduct{Data: draft("B")})}
	if events, err := s.Settle(t.Context(), b, moment); !errors.Is(err, catalog.ErrFenced) || events != nil {
		t.Fatalf("second Settle = %v, %v; want no events, ErrFenced", events, err)
	}
	sameState(t, s, eventlog.ShardState{Shard: 0, Epoch: 1, Offset: 1, NextSeq: 2, NextDeadLetter: 1})
	if n := len(journal(t.Context(), t, s, 0)); n != 1 {
		t.Errorf("the journal has %d rows, want 1", n)
	}
	if _, err := s.Product(t.Context(), product("q")); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("the product of the fenced batch: %v", err)
	}
}

func oldEpochFenced(t *testing.T, s Store) {
	before, after := own(t, s, 0), own(t, s, 0)
	c := command("c", "p", catalog.CreateProduct{Data: draft("")})
	if events, err := before.try(t.Context(), c); !errors.Is(err, catalog.ErrFenced) || events != nil {
		t.Fatalf("Settle of the owner before = %v, %v; want no events, ErrFenced", events, err)
	}
	after.settle(t, []catalog.Outcome{catalog.Created}, c)

	// Nor may an owner be wrong about the offset or the number of the next event.
	for _, wrong := range []struct{ from, seq int64 }{{-1, 0}, {1, 0}, {0, -1}, {0, 1}} {
		b := after.batch(command("d", "p", rename("Stool")))
		b.From, b.NextSeq = b.From+wrong.from, b.NextSeq+wrong.seq
		if events, err := s.Settle(t.Context(), b, moment); !errors.Is(err, catalog.ErrFenced) || events != nil {
			t.Fatalf("Settle from %d, seq %d = %v, %v; want no events, ErrFenced", b.From, b.NextSeq, events, err)
		}
	}
	sameState(t, s, after.st)
}

func sameBatchAtOnce(t *testing.T, s Store) {
	o := own(t, s, 0)
	for round := range 10 {
		b := o.batch(command(fmt.Sprint("c", round), "p", catalog.PutProduct{Data: draft(fmt.Sprint("S", round))}))
		var (
			wg   sync.WaitGroup
			lock sync.Mutex
			won  int
		)
		for range 6 {
			wg.Go(func() {
				events, err := s.Settle(t.Context(), b, moment)
				lock.Lock()
				defer lock.Unlock()
				switch {
				case err == nil && len(events) == 1:
					won++
				case !errors.Is(err, catalog.ErrFenced):
					t.Errorf("Settle = %v, %v", events, err)
				}
			})
		}
		wg.Wait()
		if won != 1 {
			t.Fatalf("%d of 6 have settled the batch", won)
		}
		o.st.Offset, o.st.NextSeq = o.st.Offset+1, o.st.NextSeq+1
	}
	sameState(t, s, o.st)
}

func claimWhileSettling(t *testing.T, s Store) {
	o := own(t, s, 0)
	for round := range 10 {
		var (
			begun   = make(chan struct{})
			claimed = make(chan struct{})
			last    = make(chan eventlog.ShardState, 1)
		)
		go func(before settler) {
			defer func() { last <- before.st }()
			for i := 0; ; i++ {
				late := false
				select {
				case <-claimed:
					late = true
				default:
				}
				_, err := before.try(t.Context(), command(fmt.Sprint(round, ".", i), "p", catalog.PutProduct{Data: draft(fmt.Sprint("S", i))}))
				if i == 0 {
					close(begun)
				}
				if late && err == nil {
					t.Error("the owner before settles after the claim")
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
			t.Fatalf("claimed %+v, but the owner before had got to %+v", st, want)
		}
		o.st = st
	}
	sameState(t, s, o.st)
}

func cancelledSettle(t *testing.T, s Store) {
	o := own(t, s, 0)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c := command("c", "p", catalog.CreateProduct{Data: draft("")})
	if events, err := o.try(ctx, c); !errors.Is(err, context.Canceled) || events != nil {
		t.Fatalf("Settle = %v, %v; want no events, context.Canceled", events, err)
	}
	sameState(t, s, o.st)
	o.settle(t, []catalog.Outcome{catalog.Created}, c)
}

func foldWithinBatch(t *testing.T, s Store) {
	o := own(t, s, 0)
	events := o.settle(t,
		[]catalog.Outcome{catalog.Created, catalog.Changed, catalog.Unchanged, catalog.Deleted, catalog.Created, catalog.Changed},
		command("1", "p", catalog.CreateProduct{Data: draft("A")}),
		command("2", "p", rename("Stool")),
		command("3", "p", rename("Stool")),
		command("4", "p", catalog.DeleteProduct{}),
		command("5", "p", catalog.CreateProduct{Data: draft("A")}),
		command("6", "p", rename("Bench")),
	)
	sameEvents(t, "Journal", journal(t.Context(), t, s, 0), events)
	sameProduct(t.Context(), t, s, events[5].Product)
	if p := events[5].Product; p.Version != 5 || p.Name != "Bench" {
		t.Errorf("the last event has version %d of %q", p.Version, p.Name)
	}
}

func repeatedCommands(t *testing.T, s Store) {
	o := own(t, s, 0)
	create := command("1", "p", catalog.CreateProduct{Data: draft("")})
	refused := command("2", "none", rename("Stool"))
	first := o.settle(t, []catalog.Outcome{catalog.Created, catalog.Refused}, create, create, refused, refused)
	o.settle(t, []catalog.Outcome{}, create, refused)
	o.settle(t, []catalog.Outcome{catalog.Changed}, refused, command("3", "p", rename("Stool")), create)

	// The first command of an id is the one that counts, whatever comes later.
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

func refusedCommands(t *testing.T, s Store) {
	o := own(t, s, 0)
	bad := draft("")
	bad.Name, bad.Price = "", price(1, 1, "JPY")
	events := o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Created, catalog.Refused, catalog.Refused},
		command("1", "p", catalog.CreateProduct{Data: bad}),
		command("2", "p", catalog.CreateProduct{Data: draft("")}),
		command("3", "p", catalog.CreateProduct{Data: draft("")}),
		command("4", "q", catalog.DeleteProduct{}),
	)
	for i, want := range []error{catalog.ErrInvalid, nil, catalog.ErrExists, catalog.ErrNotFound} {
		if want != nil && !errors.Is(events[i].Refusal, want) {
			t.Errorf("event %d is refused with %v, want %v", i+1, events[i].Refusal, want)
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
		t.Errorf("a refused command has made a product: %v", err)
	}
	if _, err := s.History(t.Context(), product("q"), 0, 10); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("a refused command has made a history: %v", err)
	}
}

func tombstones(t *testing.T, s Store) {
	o := own(t, s, 0)
	o.settle(t, []catalog.Outcome{catalog.Created}, command("1", "p", catalog.CreateProduct{Data: draft("A")}))
	gone := o.settle(t, []catalog.Outcome{catalog.Deleted}, command("2", "p", catalog.DeleteProduct{}))[0].Product
	if gone.Version != 2 || !gone.Deleted || !gone.ProductData.Equal(catalog.ProductData{}) {
		t.Fatalf("the tombstone is %+v", gone)
	}
	sameProduct(t.Context(), t, s, gone)
	o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Refused},
		command("3", "p", catalog.DeleteProduct{}), command("4", "p", rename("Stool")))
	events, err := s.Settle(t.Context(), o.batch(command("5", "p", catalog.PutProduct{Data: draft("A")})), moment.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	again := events[0].Product
	if again.Version != 3 || again.Deleted || !again.CreatedAt.Equal(moment.Add(time.Hour)) {
		t.Fatalf("made again it is %+v", again)
	}
	sameProduct(t.Context(), t, s, again)
}

func fieldsComeBack(t *testing.T, s Store) {
	drafts := extremes()
	o := own(t, s, 0)
	for name, d := range drafts {
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
			t.Errorf("%s: the event says %+v", name, created[0].Product.ProductData)
		}
		sameProduct(t.Context(), t, s, created[0].Product)

		// What the store reads to decide on is the same too.
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

func poison(t *testing.T, s Store) {
	o := own(t, s, 0)
	for i, sku := range []string{"\x00", "a\x00b", "\u0001", strings.Repeat("x", 1<<20), "\U0010ffff"} {
		c := command(fmt.Sprint("create ", i), "p", catalog.CreateProduct{Data: draft(sku)})
		if draft(sku).Validate() != nil {
			o.settle(t, []catalog.Outcome{catalog.Refused}, c)
		} else {
			o.settle(t, []catalog.Outcome{catalog.Created}, c)
		}
		if _, err := s.SKUs(t.Context(), []string{sku}); err != nil {
			t.Errorf("SKUs: %v", err)
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

func thousand(t *testing.T, s Store) {
	o := own(t, s, 0)
	var commands []catalog.Command
	var kinds []catalog.Outcome
	for i := range 1000 {
		commands = append(commands, command(fmt.Sprint("c", i), fmt.Sprint("p", i), catalog.CreateProduct{Data: draft(fmt.Sprint("S", i))}))
		kinds = append(kinds, catalog.Created)
	}
	events := o.settle(t, kinds, commands...)
	sameEvents(t, "Journal", journal(t.Context(), t, s, 0), events)
	sameProduct(t.Context(), t, s, events[999].Product)
	var skus []string
	for i, c := range commands {
		commands[i] = command(fmt.Sprint("d", i), fmt.Sprint("p", i), rename(fmt.Sprint("Chair ", i)))
		skus = append(skus, c.Op.(catalog.CreateProduct).Data.SKU)
		kinds[i] = catalog.Changed
	}
	o.settle(t, kinds, commands...)
	if owners, err := s.SKUs(t.Context(), skus); err != nil || len(owners) != 1000 {
		t.Errorf("SKUs answers %d of 1000: %v", len(owners), err)
	}
}

func skuWithinBatch(t *testing.T, s Store) {
	o := own(t, s, 0)
	events := o.settle(t, []catalog.Outcome{catalog.Created, catalog.Refused, catalog.Created},
		command("1", "p", catalog.CreateProduct{Data: draft("A")}),
		command("2", "q", catalog.CreateProduct{Data: draft("A")}),
		command("3", "r", catalog.CreateProduct{Data: draft("a")}), // case counts
	)
	if !errors.Is(events[1].Refusal, catalog.ErrSKUTaken) {
		t.Errorf("refused with %v", events[1].Refusal)
	}
}

func skuBetweenBatches(t *testing.T, s Store) {
	o, other := own(t, s, 0), own(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created}, command("1", "p", catalog.CreateProduct{Data: draft("A")}))
	for i, o := range []*settler{o, other} {
		q := fmt.Sprint("q", i)
		events := o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Created, catalog.Refused},
			command(q+"1", q, catalog.CreateProduct{Data: draft("A")}),
			command(q+"2", q, catalog.CreateProduct{Data: draft("")}),
			command(q+"3", q, giveSKU("A")))
		if !errors.Is(events[0].Refusal, catalog.ErrSKUTaken) || !errors.Is(events[2].Refusal, catalog.ErrSKUTaken) {
			t.Errorf("refused with %v and %v", events[0].Refusal, events[2].Refusal)
		}
	}
}

func skuRace(t *testing.T, s Store) {
	var owners [4]*settler
	for shard := range owners {
		owners[shard] = own(t, s, int32(shard))
	}
	for round := range 25 {
		var (
			wg    sync.WaitGroup
			won   [len(owners)]bool
			sku   = fmt.Sprint("S", round)
			start = make(chan struct{})
		)
		for i, o := range owners {
			wg.Go(func() {
				name := fmt.Sprint(round, ".", i)
				<-start
				events, err := o.try(t.Context(),
					command(name, name, catalog.CreateProduct{Data: draft(sku)}),
					command(name+" other", name+" other", catalog.CreateProduct{Data: draft("")}))
				switch {
				case err != nil:
					t.Error(err)
				case len(events) != 2 || events[1].Outcome != catalog.Created:
					t.Errorf("events are %+v", events)
				case events[0].Outcome == catalog.Created:
					won[i] = true
				case !errors.Is(events[0].Refusal, catalog.ErrSKUTaken):
					t.Errorf("refused with %v", events[0].Refusal)
				}
			})
		}
		close(start)
		wg.Wait()
		got, err := s.SKUs(t.Context(), []string{sku})
		if err != nil {
			t.Fatal(err)
		}
		for i := range owners {
			if owner := got[sku] == product(fmt.Sprint(round, ".", i)); owner != won[i] {
				t.Errorf("round %d: shard %d was told %v, but is %v", round, i, won[i], owner)
			}
		}
		if len(got) != 1 {
			t.Errorf("round %d: nobody has the SKU", round)
		}
	}
}

func skuCrossing(t *testing.T, s Store) {
	owners := [...]*settler{own(t, s, 0), own(t, s, 1)}
	for round := range 5 {
		var wg sync.WaitGroup
		skus := []string{fmt.Sprint("A", round), fmt.Sprint("B", round)}
		for i, o := range owners {
			wg.Go(func() {
				first, second := fmt.Sprint(round, " first ", i), fmt.Sprint(round, " second ", i)
				events, err := o.try(t.Context(),
					command(first, first, catalog.CreateProduct{Data: draft(skus[i])}),
					command(second, second, catalog.CreateProduct{Data: draft(skus[1-i])}))
				if err != nil || len(events) != 2 {
					t.Errorf("Settle = %v, %v", events, err)
				}
			})
		}
		wg.Wait()
		if got, err := s.SKUs(t.Context(), skus); err != nil || len(got) != 2 {
			t.Errorf("SKUs = %v, %v; want both taken", got, err)
		}
	}
}

func skuHandedOn(t *testing.T, s Store) {
	o := own(t, s, 0)
	o.settle(t, []catalog.Outcome{catalog.Created, catalog.Created},
		command("1", "p", catalog.CreateProduct{Data: draft("A")}),
		command("2", "q", catalog.CreateProduct{Data: draft("B")}))
	o.settle(t, []catalog.Outcome{catalog.Changed, catalog.Changed, catalog.Refused},
		command("3", "p", giveSKU("C")),
		command("4", "q", giveSKU("A")),
		command("5", "p", giveSKU("A")))
	o.settle(t, []catalog.Outcome{catalog.Changed, catalog.Created},
		command("6", "q", giveSKU("")),
		command("7", "r", catalog.PutProduct{Data: draft("A")}))
	owners, err := s.SKUs(t.Context(), []string{"A", "B", "C", ""})
	if want := map[string]catalog.ID{"A": product("r"), "C": product("p")}; err != nil || !maps.Equal(owners, want) {
		t.Errorf("SKUs = %v, %v; want %v", owners, err, want)
	}
}

func skuSwapped(t *testing.T, s Store) {
	o := own(t, s, 0)
	o.settle(t, []catalog.Outcome{catalog.Created, catalog.Created},
		command("1", "p", catalog.CreateProduct{Data: draft("A")}),
		command("2", "q", catalog.CreateProduct{Data: draft("B")}))
	o.settle(t, []catalog.Outcome{catalog.Changed, catalog.Changed, catalog.Changed},
		command("3", "p", giveSKU("T")),
		command("4", "q", giveSKU("A")),
		command("5", "p", giveSKU("B")))
	owners, err := s.SKUs(t.Context(), []string{"A", "B", "T"})
	if want := map[string]catalog.ID{"A": product("q"), "B": product("p")}; err != nil || !maps.Equal(owners, want) {
		t.Errorf("SKUs = %v, %v; want %v", owners, err, want)
	}
}

func skuFreed(t *testing.T, s Store) {
	o, other := own(t, s, 0), own(t, s, 1)
	o.settle(t, []catalog.Outcome{catalog.Created}, command("1", "p", catalog.CreateProduct{Data: draft("A")}))
	o.settle(t, []catalog.Outcome{catalog.Deleted}, command("2", "p", catalog.DeleteProduct{}))
	other.settle(t, []catalog.Outcome{catalog.Created}, command("3", "q", catalog.CreateProduct{Data: draft("A")}))
	o.settle(t, []catalog.Outcome{catalog.Refused, catalog.Created},
		command("4", "p", catalog.PutProduct{Data: draft("A")}),
		command("5", "p", catalog.PutProduct{Data: draft("B")}))
}

func journalRanges(t *testing.T, s Store) {
	o, other := own(t, s, 0), own(t, s, 1)
	var all []catalog.Event
	for i := range 5 {
		all = append(all, o.settle(t, []catalog.Outcome{catalog.Created, catalog.Refused},
			command(fmt.Sprint("c", i), fmt.Sprint("p", i), catalog.CreateProduct{Data: draft("")}),
			command(fmt.Sprint("d", i), fmt.Sprint("p", i), catalog.CreateProduct{Data: draft("")}))...)
	}
	other.settle(t, []catalog.Outcome{catalog.Created}, command("other", "other", catalog.CreateProduct{Data: draft("")}))
	for _, c := range []struct {
		from, to int64
		limit    int
		want     []catalog.Event
	}{
		{1, 10, 100, all},
		{1, 1 << 40, 100, all},
		{0, 3, 100, all[:3]},
		{4, 6, 100, all[3:6]},
		{4, 10, 2, all[3:5]},
		{10, 10, 1, all[9:]},
		{11, 20, 5, nil},
		{6, 4, 5, nil},
	} {
		got, err := s.Journal(t.Context(), 0, c.from, c.to, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		sameEvents(t, fmt.Sprintf("Journal(%d, %d, limit %d)", c.from, c.to, c.limit), got, c.want)
	}
}

func receipts(t *testing.T, s Store) {
	o := own(t, s, 0)
	if e, err := s.Receipt(t.Context(), catalog.DerivedID("command", "c")); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("Receipt before = %+v, %v; want ErrNotFound", e, err)
	}
	events := o.settle(t, []catalog.Outcome{catalog.Created}, command("c", "p", catalog.CreateProduct{Data: draft("")}))
	e, err := s.Receipt(t.Context(), catalog.DerivedID("command", "c"))
	if err != nil {
		t.Fatal(err)
	}
	sameEvents(t, "Receipt", []catalog.Event{e}, events)
}

func historyPages(t *testing.T, s Store) {
	o := own(t, s, 0)
	if _, err := s.History(t.Context(), product("p"), 0, 10); !errors.Is(err, catalog.ErrNotFound) {
		t.Errorf("History of nothing: %v, want ErrNotFound", err)
	}
	var versions []catalog.Event // newest first
	settle := func(kind catalog.Outcome, c catalog.Command) {
		versions = append(o.settle(t, []catalog.Outcome{kind}, c), versions...)
	}
	settle(catalog.Created, command("1", "p", catalog.CreateProduct{Data: draft("")}))
	settle(catalog.Changed, command("2", "p", rename("Stool")))
	o.settle(t, []catalog.Outcome{catalog.Unchanged}, command("3", "p", rename("Stool")))
	o.settle(t, []catalog.Outcome{catalog.Refused}, command("4", "p", catalog.CreateProduct{}))
	settle(catalog.Deleted, command("5", "p", catalog.DeleteProduct{}))
	settle(catalog.Created, command("6", "p", catalog.PutProduct{Data: draft("")}))
	o.settle(t, []catalog.Outcome{catalog.Created}, command("7", "q", catalog.PutProduct{Data: draft("")}))
	for _, c := range []struct {
		before int64
		limit  int
		want   []catalog.Event
	}{
		{0, 100, versions},
		{0, 3, versions[:3]},
		{2, 3, versions[3:]},
		{3, 1, versions[2:3]},
		{1, 10, nil},
		{99, 10, versions},
	} {
		got, err := s.History(t.Context(), product("p"), c.before, c.limit)
		if err != nil {
			t.Fatal(err)
		}
		sameEvents(t, fmt.Sprintf("History(before %d, limit %d)", c.before, c.limit), got, c.want)
	}
}

// agreesWithRules settles random commands on few products with few SKUs, so
// that they meet, and compares the store with the rules of package catalog on
// maps.
func agreesWithRules(t *testing.T, s Store) {
	ctx := t.Context()
	own(t, s, 0)
	run := 0
	rapid.Check(t, func(r *rapid.T) {
		run++
		name := func(kind string, n int) string { return fmt.Sprint(run, " ", kind, " ", n) }
		const shards = 2
		var (
			products = map[catalog.ID]catalog.Product{}
			settled  = map[catalog.ID]bool{}
			skus     = map[string]catalog.ID{}
			journals [shards][]catalog.Event
			owners   [shards]*settler
			now      = moment
		)
		for shard := range owners {
			st, err := s.Claim(ctx, int32(shard))
			if err != nil {
				r.Fatal(err)
			}
			owners[shard] = &settler{s, st}
		}
		start := [shards]int64{owners[0].st.NextSeq, owners[1].st.NextSeq}
		sku := rapid.Map(rapid.IntRange(0, 3), func(n int) string {
			if n == 0 {
				return ""
			}
			return name("sku", n)
		})
		names := rapid.SampledFrom([]string{"Chair", "Stool", ""}) // "" is refused
		ops := rapid.Custom(func(r *rapid.T) catalog.Operation {
			d := catalog.ProductData{SKU: sku.Draw(r, "sku"), Name: names.Draw(r, "name"), Price: price(1, 0, "EUR")}
			switch rapid.IntRange(0, 5).Draw(r, "operation") {
			case 0:
				return catalog.CreateProduct{Data: d}
			case 1:
				return catalog.PutProduct{Data: d}
			case 2:
				return giveSKU(d.SKU)
			case 3:
				currency := "EUR"
				return catalog.PatchProduct{Create: true, Patch: catalog.Patch{SKU: &d.SKU, Name: &d.Name, Currency: &currency}}
			case 4:
				return rename(d.Name)
			}
			return catalog.DeleteProduct{}
		})
		for range rapid.IntRange(1, 6).Draw(r, "batches") {
			shard := rapid.IntRange(0, shards-1).Draw(r, "shard")
			var commands []catalog.Command
			for range rapid.IntRange(0, 8).Draw(r, "commands") {
				n := rapid.IntRange(0, 30).Draw(r, "command")*shards + shard
				p := rapid.IntRange(0, 2).Draw(r, "product")*shards + shard
				c := command(name("command", n), name("product", p), ops.Draw(r, "op"))
				c.If.Version = int64(rapid.SampledFrom([]int{0, 0, 0, 1, 2}).Draw(r, "version"))
				commands = append(commands, c)
			}
			now = now.Add(time.Duration(rapid.IntRange(-10, 1000).Draw(r, "pause")) * time.Millisecond)
			o := owners[shard]
			b := o.batch(commands...)
			want := eventlog.Settle(b, eventlog.BatchState{Products: products, Settled: settled, SKUs: skus}, now)
			got, err := s.Settle(ctx, b, now)
			if err != nil {
				r.Fatal(err)
			}
			sameEvents(r, "Settle", got, want)
			o.st.Offset, o.st.NextSeq = b.To, o.st.NextSeq+int64(len(got))
			journals[shard] = append(journals[shard], want...)
			for _, e := range want {
				settled[e.Command] = true
			}
			for _, p := range eventlog.LastVersions(want) {
				delete(skus, products[p.ID].SKU)
				products[p.ID] = p
			}
			for _, p := range products {
				if p.SKU != "" {
					skus[p.SKU] = p.ID
				}
			}
		}
		for shard, o := range owners {
			got, err := s.Journal(ctx, int32(shard), start[shard], 1<<40, 1000)
			if err != nil {
				r.Fatal(err)
			}
			sameEvents(r, "Journal", got, journals[shard])
			st, err := s.State(ctx, int32(shard))
			if err != nil || st != o.st {
				r.Fatalf("State = %+v, %v; want %+v", st, err, o.st)
			}
		}
		for _, p := range products {
			sameProduct(ctx, r, s, p)
		}
		got, err := s.SKUs(ctx, []string{name("sku", 1), name("sku", 2), name("sku", 3)})
		if err != nil || !maps.Equal(got, skus) {
			r.Fatalf("SKUs = %v, %v; want %v", got, err, skus)
		}
	})
}

// snapshot answers a snapshot of the shard.
func snapshot(t testing.TB, s Store, shard int32, only []catalog.ID) (map[catalog.ID]catalog.Product, int64) {
	t.Helper()
	all := map[catalog.ID]catalog.Product{}
	next, err := s.Snapshot(t.Context(), shard, only, func(products []catalog.Product) error {
		for _, p := range products {
			all[p.ID] = p
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all, next
}

func snapshots(t *testing.T, s Store) {
	const n = 2_300
	one, other := own(t, s, 1), own(t, s, 2)
	if all, next := snapshot(t, s, 1, nil); len(all) != 0 || next != 1 {
		t.Fatalf("of an empty shard it has %d products, and the next seq is %d", len(all), next)
	}
	var commands []catalog.Command
	for i := range n {
		commands = append(commands, command(fmt.Sprint("create ", i), fmt.Sprint(i), catalog.CreateProduct{Data: draft("")}))
	}
	if _, err := one.try(t.Context(), commands...); err != nil {
		t.Fatal(err)
	}
	one.settle(t, []catalog.Outcome{catalog.Deleted, catalog.Changed},
		command("delete", "7", catalog.DeleteProduct{}), command("rename", "8", rename("Sofa")))
	other.settle(t, []catalog.Outcome{catalog.Created}, command("other", "other", catalog.CreateProduct{Data: draft("")}))

	all, next := snapshot(t, s, 1, nil)
	if len(all) != n || next != n+3 {
		t.Fatalf("it has %d products, and the next seq is %d", len(all), next)
	}
	for _, p := range all {
		sameProduct(t.Context(), t, s, p)
	}
	if p := all[product("7")]; !p.Deleted || p.Version != 2 {
		t.Errorf("the tombstone is %+v", p)
	}
	some, next := snapshot(t, s, 1, []catalog.ID{product("8"), product("other"), product("nobody")})
	if len(some) != 1 || some[product("8")].Version != 2 || next != n+3 {
		t.Errorf("of three that are named it has %v, and the next seq is %d", some, next)
	}
	if none, _ := snapshot(t, s, 1, []catalog.ID{}); len(none) != 0 {
		t.Errorf("when none is wanted it has %d", len(none))
	}
	enough := errors.New("enough")
	if _, err := s.Snapshot(t.Context(), 1, nil, func([]catalog.Product) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("Snapshot = %v; want what handle answered", err)
	}
	if _, err := s.Snapshot(t.Context(), 99, nil, nil); err == nil {
		t.Error("there is a snapshot of a shard that is not there")
	}
}

func snapshotMoment(t *testing.T, s Store) {
	o := own(t, s, 0)
	var commands []catalog.Command
	for i := range 1_500 {
		commands = append(commands, command(fmt.Sprint("create ", i), fmt.Sprint(i), catalog.CreateProduct{Data: draft("")}))
	}
	if _, err := o.try(t.Context(), commands...); err != nil {
		t.Fatal(err)
	}
	pages := 0
	next, err := s.Snapshot(t.Context(), 0, nil, func(products []catalog.Product) error {
		pages++
		for _, p := range products {
			if p.Version != 1 {
				t.Errorf("page %d has version %d", pages, p.Version)
			}
		}
		if pages > 1 {
			return nil
		}
		var renames []catalog.Command // between two pages all are changed, and there is one more
		for i := range 1_500 {
			renames = append(renames, command(fmt.Sprint("rename ", i), fmt.Sprint(i), rename("Sofa")))
		}
		_, err := o.try(t.Context(), append(renames, command("more", "more", catalog.CreateProduct{Data: draft("")}))...)
		return err
	})
	if err != nil || pages != 2 || next != 1_501 {
		t.Fatalf("Snapshot = %d, %v, in %d pages", next, err, pages)
	}
}
