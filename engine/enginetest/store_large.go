package enginetest

import (
	"fmt"
	"testing"

	"catalog"
	"catalog/eventlog"
)

// largest returns the data of one of the largest products there can be.
func largest(sku string) catalog.ProductData {
	d := longestFields()
	d.SKU = sku
	return d
}

// largestEvent is more than an event can have, in bytes.
const largestEvent = 1 << 20

// settleParts settles the commands in as few transactions as the store allows,
// checks each of them, and returns all events and the number of transactions.
func settleParts(t *testing.T, o *owner, commands []catalog.Command, deadLetters ...eventlog.DeadLetter) (all []catalog.Event, transactions int) {
	t.Helper()
	for from := o.st.Offset; len(commands) > 0; transactions++ {
		b := o.batch(commands...)
		b.DeadLetters = deadLetters
		events, to, err := settle(t.Context(), o.s, b, moment)
		if err != nil {
			t.Fatal(err)
		}
		if to <= b.From || to > b.To {
			t.Fatalf("Settle of the offsets %d to %d came to %d", b.From, b.To, to)
		}
		bytes := 0
		for _, e := range events {
			bytes += e.Size()
		}
		if bytes > eventlog.MaxBatchBytes+largestEvent {
			t.Fatalf("a transaction has %d events of %d bytes; want at most %d and one event more", len(events), bytes, eventlog.MaxBatchBytes)
		}
		var settled int64
		for len(deadLetters) > 0 && deadLetters[0].Offset < to {
			deadLetters = deadLetters[1:]
			settled++
		}
		o.st.Offset, o.st.NextSeq, o.st.NextDeadLetter = to, o.st.NextSeq+int64(len(events)), o.st.NextDeadLetter+settled
		sameState(t, o.s, o.st)
		all = append(all, events...)
		commands = commands[to-b.From:]
		if o.st.Offset-from != int64(len(all)) {
			t.Fatalf("%d events up to offset %d; want one for each of the %d commands", len(all), to, o.st.Offset-from)
		}
	}
	return all, transactions
}

func settleLargeEvents(t *testing.T, s Store) {
	o := claim(t, s, 0)
	commands := []catalog.Command{command("create", "p", catalog.CreateProduct{Data: largest("A")})}
	for i := range 40 {
		commands = append(commands, command(fmt.Sprint("rename ", i), "p", rename(fmt.Sprint("Chair ", i))))
	}
	commands = append(commands, command("rename 7", "p", rename("again"))) // a repeated command has no event
	events, transactions := settleParts(t, o, commands[:41])
	if transactions < 10 {
		t.Errorf("%d MB of events were settled in %d transactions", len(events)*8/10, transactions)
	}
	for i, e := range events {
		if e.Seq != int64(i)+1 || e.Product.Version != int64(i)+1 || e.Command != commands[i].ID {
			t.Fatalf("event %d has seq %d, version %d", i, e.Seq, e.Product.Version)
		}
	}
	sameEvents(t, "Journal", journal(t.Context(), t, s, 0), events)
	sameProduct(t.Context(), t, s, events[40].Product)
	o.settle(t, []catalog.Outcome{}, commands[41])
}

func settleLargeProducts(t *testing.T, s Store) {
	o := claim(t, s, 0)
	const n = 12
	var creates, deletes []catalog.Command
	for i := range n {
		creates = append(creates, command(fmt.Sprint("create ", i), fmt.Sprint(i), catalog.CreateProduct{Data: largest(fmt.Sprint(i))}))
		// Deletions have small events, but the store reads the products.
		deletes = append(deletes, command(fmt.Sprint("delete ", i), fmt.Sprint(i), catalog.DeleteProduct{}))
	}
	settleParts(t, o, creates)
	absent := command("absent", "absent", catalog.DeleteProduct{}) // a product without a row
	again := command("again", "0", catalog.PutProduct{Data: data("")})
	letter := deadLetter(0, 1)
	letter.Offset = o.st.Offset + 13 // between the last deletion and the last command
	commands := append(append([]catalog.Command{absent}, deletes...), again)
	// The dead letter has an offset of its own, so the offset of the last command
	// is one higher.
	b := o.batch(commands...)
	b.Offsets[13]++
	b.To++
	b.DeadLetters = []eventlog.DeadLetter{letter}
	var events []catalog.Event
	for transactions := 1; b.From < b.To; transactions++ {
		some, to, err := settle(t.Context(), s, b, moment)
		if err != nil {
			t.Fatal(err)
		}
		if transactions == 1 && (to < b.Offsets[2] || to >= b.Offsets[10]) {
			t.Errorf("the first transaction read 0.8 MB for each product up to offset %d; want some", to)
		}
		events = append(events, some...)
		settled := b.UpTo(to)
		b.NextSeq, b.NextDeadLetter = b.NextSeq+int64(len(some)), b.NextDeadLetter+int64(len(settled.DeadLetters))
		b.From, b.Commands, b.Offsets, b.DeadLetters = to, b.Commands[len(settled.Commands):], b.Offsets[len(settled.Commands):], b.DeadLetters[len(settled.DeadLetters):]
	}
	if len(events) != n+2 || events[0].Outcome != catalog.Refused || events[n+1].Outcome != catalog.Created {
		t.Fatalf("%d events; want a refusal, %d deletions and a creation", len(events), n)
	}
	for i, e := range events[1 : n+1] {
		if e.Outcome != catalog.Deleted || e.Product.Version != 2 {
			t.Errorf("deletion %d: %s, version %d", i, e.Outcome, e.Product.Version)
		}
	}
	letters, err := s.DeadLetters(t.Context(), 0, 1, 10)
	if err != nil || len(letters) != 1 || letters[0].Offset != letter.Offset {
		t.Errorf("DeadLetters = %d, %v; want one", len(letters), err)
	}
}

func largePages(t *testing.T, s Store) {
	o := claim(t, s, 0)
	const versions = 8
	commands := []catalog.Command{command("create", "p", catalog.CreateProduct{Data: largest("A")})}
	for i := range versions - 1 {
		commands = append(commands, command(fmt.Sprint("rename ", i), "p", rename(fmt.Sprint("Chair ", i))))
	}
	events, _ := settleParts(t, o, commands)
	for i := range 3 {
		settleParts(t, o, []catalog.Command{command(fmt.Sprint("other ", i), fmt.Sprint(i), catalog.CreateProduct{Data: largest(fmt.Sprint(i))})})
	}
	t.Run("Journal", func(t *testing.T) {
		page, err := s.Journal(t.Context(), 0, 1, versions, 500)
		if err != nil || len(page) < 1 || len(page) > 2 {
			t.Errorf("Journal = %d of %d events of 0.8 MB, %v; want 1 or 2", len(page), versions, err)
		}
	})
	t.Run("History", func(t *testing.T) {
		var all []catalog.Event
		for before, more := int64(0), true; more; {
			page, older, err := s.History(t.Context(), product("p"), before, 100)
			if err != nil || len(page) > 2 || older && len(page) < 2 {
				t.Fatalf("History before %d = %d events of 0.8 MB, more %v, %v; want 2", before, len(page), older, err)
			}
			all = append(all, page...)
			before, more = page[len(page)-1].Product.Version, older
		}
		for i := range all {
			sameEvents(t, "History", all[i:i+1], events[versions-1-i:versions-i])
		}
		if len(all) != versions {
			t.Errorf("History has %d versions; want %d", len(all), versions)
		}
	})
	t.Run("Snapshot", func(t *testing.T) {
		products := 0
		if _, err := s.Snapshot(t.Context(), 0, nil, func(page []catalog.Product) error {
			if products += len(page); len(page) > 2 {
				t.Errorf("a page has %d products of 0.8 MB; want 1 or 2", len(page))
			}
			return nil
		}); err != nil || products != 4 {
			t.Errorf("Snapshot = %d products, %v; want 4", products, err)
		}
	})
}
