package enginetest

import (
	"errors"
	"fmt"
	"maps"
	"sync"
	"testing"

	"catalog"
	"catalog/eventlog"
)

// errAny is an error that a batch may have.
var errAny = errors.New("any error, or none")

// settleGroup settles one batch of each owner in a group, and checks that the store holds the
// results that Settle returns. wants are the errors of the batches.
func settleGroup(t *testing.T, owners []*owner, g eventlog.Group, wants ...error) []eventlog.Settled {
	t.Helper()
	settled, err := owners[0].s.Settle(t.Context(), g, moment)
	if err != nil {
		t.Fatal(err)
	}
	if len(settled) != len(g) {
		t.Fatalf("Settle returned the outcomes of %d batches; want %d", len(settled), len(g))
	}
	for i, o := range owners {
		s := settled[i]
		if !errors.Is(wants[i], errAny) && !errors.Is(s.Err, wants[i]) {
			t.Errorf("shard %d: Settle = %v; want %v", o.st.Shard, s.Err, wants[i])
		}
		if s.Err != nil && (len(s.Events) != 0 || s.To != g[i].From) {
			t.Errorf("shard %d: %d events up to offset %d with an error; want none", o.st.Shard, len(s.Events), s.To)
		}
		if s.Err == nil {
			o.st.Offset, o.st.NextSeq = s.To, o.st.NextSeq+int64(len(s.Events))
			all := journal(t.Context(), t, o.s, o.st.Shard)
			sameEvents(t, fmt.Sprintf("journal of shard %d", o.st.Shard), all[len(all)-len(s.Events):], s.Events)
		}
		sameState(t, o.s, o.st)
		for _, p := range eventlog.LastVersions(s.Events) {
			sameProduct(t.Context(), t, o.s, p)
		}
	}
	return settled
}

func claimAll(t *testing.T, s Store, n int) []*owner {
	owners := make([]*owner, n)
	for i := range owners {
		owners[i] = claim(t, s, int32(i))
	}
	return owners
}

func groupTransaction(t *testing.T, s Store) {
	owners := claimAll(t, s, 3)
	var g eventlog.Group
	for i, o := range owners {
		p := fmt.Sprint("p", i)
		b := o.batch(command(p+" create", p, catalog.CreateProduct{Data: data(p)}), command(p+" rename", p, rename("Stool")), command(p+" create", p, rename("x")))
		b.Records = []eventlog.RecordID{{Offset: 2, Epoch: int32(i), Digest: [16]byte{byte(i) + 1}}}
		b.Published = 0
		g = append(g, b)
	}
	letter := deadLetter(1, 1)
	letter.Offset = 3
	g[1].DeadLetters, g[1].To, g[1].Records = []eventlog.DeadLetter{letter}, 4, []eventlog.RecordID{{Offset: 3, Digest: [16]byte{9}}}
	for i, o := range owners {
		o.st.Last = g[i].Records[0]
	}
	owners[1].st.NextDeadLetter++
	for i, settled := range settleGroup(t, owners, g, nil, nil, nil) {
		if len(settled.Events) != 2 || settled.Events[0].Shard != int32(i) || settled.Events[0].Seq != 1 || settled.To != g[i].To {
			t.Errorf("batch %d: %d events up to offset %d; want 2 up to %d", i, len(settled.Events), settled.To, g[i].To)
		}
	}
	if letters, err := s.DeadLetters(t.Context(), 1, 1, 10); err != nil || len(letters) != 1 {
		t.Errorf("DeadLetters = %d, %v; want 1", len(letters), err)
	}
}

func groupFenced(t *testing.T, s Store) {
	owners := claimAll(t, s, 4)
	owners[3].settle(t, []catalog.Outcome{catalog.Created}, command("stopped", "stopped", catalog.CreateProduct{Data: data("")}))
	var g eventlog.Group
	for i, o := range owners {
		g = append(g, o.batch(command(fmt.Sprint(i), fmt.Sprint(i), catalog.CreateProduct{Data: data("A")})))
	}
	next := claim(t, s, 0)
	*owners[0] = *next
	g[2].From, g[2].To, g[2].Offsets = 7, 8, []int64{7}
	if err := s.StopShard(t.Context(), 3, owners[3].st.Epoch, "for the test"); err != nil {
		t.Fatal(err)
	}
	owners[3].st.Epoch, owners[3].st.Stopped = owners[3].st.Epoch+1, "for the test"
	g[3].Epoch++
	// The SKU of the fenced batches is free for the batch that is settled.
	settled := settleGroup(t, owners, g, catalog.ErrFenced, nil, catalog.ErrFenced, catalog.ErrFenced)
	if got := outcomes(settled[1].Events); len(got) != 1 || got[0] != catalog.Created {
		t.Errorf("outcomes = %v; want created", got)
	}
	for _, p := range []string{"0", "2", "3"} {
		if _, err := s.Product(t.Context(), product(p)); !errors.Is(err, catalog.ErrNotFound) {
			t.Errorf("Product %s of a fenced batch = %v; want ErrNotFound", p, err)
		}
	}
}

func groupSKUs(t *testing.T, s Store) {
	owners := claimAll(t, s, 3)
	owners[0].settle(t, []catalog.Outcome{catalog.Created}, command("1", "p", catalog.CreateProduct{Data: data("A")}))
	owners[1].settle(t, []catalog.Outcome{catalog.Created}, command("2", "q", catalog.CreateProduct{Data: data("B")}))
	want := func(settled []eventlog.Settled, outcomes ...catalog.Outcome) {
		t.Helper()
		for i, s := range settled {
			if len(s.Events) != 1 || s.Events[0].Outcome != outcomes[i] {
				t.Errorf("shard %d: %+v; want %s", i, s.Events, outcomes[i])
			}
		}
	}
	// Shard 0 frees A, shard 1 takes A and frees B, shard 2 takes B.
	want(settleGroup(t, owners, eventlog.Group{
		owners[0].batch(command("3", "p", giveSKU("C"))),
		owners[1].batch(command("4", "q", giveSKU("A"))),
		owners[2].batch(command("5", "r", catalog.CreateProduct{Data: data("B")})),
	}, nil, nil, nil), catalog.Changed, catalog.Changed, catalog.Created)
	// A shard that comes before the one that frees an SKU does not get it. A new SKU
	// belongs to the first shard that takes it.
	want(settleGroup(t, owners, eventlog.Group{
		owners[0].batch(command("6", "p", giveSKU("A"))),
		owners[1].batch(command("7", "q", giveSKU("N"))),
		owners[2].batch(command("8", "r", giveSKU("N"))),
	}, nil, nil, nil), catalog.Refused, catalog.Changed, catalog.Refused)
	got, err := s.SKUs(t.Context(), []string{"A", "B", "C", "N"})
	if want := map[string]catalog.ID{"B": product("r"), "C": product("p"), "N": product("q")}; err != nil || !maps.Equal(got, want) {
		t.Errorf("SKUs = %v, %v; want %v", got, err, want)
	}
}

func groupLarge(t *testing.T, s Store) {
	const n = 5 // events of 0.8 MB: more than one transaction takes
	owners := claimAll(t, s, 4)
	var creates, deletes eventlog.Group
	for i, o := range owners[:3] {
		var commands []catalog.Command
		for j := range n {
			p := fmt.Sprint(i, " ", j)
			commands = append(commands, command("create "+p, p, catalog.CreateProduct{Data: largest(p)}))
		}
		creates = append(creates, o.batch(commands...))
	}
	idle := owners[3].batch()
	idle.To = 3 // records that are not commands
	creates = append(creates, idle)
	settled := settleGroup(t, owners, creates, nil, eventlog.ErrLeftOut, eventlog.ErrLeftOut, nil)
	if k := len(settled[0].Events); k < 2 || k > 4 {
		t.Errorf("the first batch was settled up to offset %d; want a part", settled[0].To)
	}
	for i, o := range owners[:3] { // alone, a batch is always settled
		settleParts(t, o, creates[i].Commands[o.st.Offset:])
		var commands []catalog.Command
		for j := range n {
			p := fmt.Sprint(i, " ", j)
			commands = append(commands, command("delete "+p, p, catalog.DeleteProduct{})) // a deletion reads 0.8 MB and writes little
		}
		deletes = append(deletes, o.batch(commands...))
	}
	read := 0
	for _, s := range settleGroup(t, owners[:3], deletes, nil, errAny, errAny) {
		read += len(s.Events)
	}
	if read < 2 || read > 10 {
		t.Errorf("a transaction read %d products of 0.8 MB; want a part of %d", read, 3*n)
	}
}

func groupConcurrent(t *testing.T, s Store) {
	owners := claimAll(t, s, 4)
	for round := range 5 {
		var (
			wg   sync.WaitGroup
			lock sync.Mutex
			won  [4]int
		)
		for call := range 6 {
			wg.Go(func() {
				var g eventlog.Group
				for i, o := range owners {
					if i != call%4 { // groups overlap and differ
						g = append(g, o.batch(command(fmt.Sprint(round, " ", i), fmt.Sprint(i), catalog.PutProduct{Data: data(fmt.Sprint(round, " ", i))})))
					}
				}
				settled, err := s.Settle(t.Context(), g, moment)
				if err != nil {
					t.Error(err)
					return
				}
				lock.Lock()
				defer lock.Unlock()
				for i, s := range settled {
					if s.Err == nil {
						won[g[i].Shard]++
					} else if !errors.Is(s.Err, catalog.ErrFenced) && !errors.Is(s.Err, eventlog.ErrLeftOut) {
						t.Errorf("shard %d: %v; want ErrFenced or ErrLeftOut", g[i].Shard, s.Err)
					}
				}
			})
		}
		wg.Wait()
		for i, o := range owners {
			if won[i] > 1 {
				t.Fatalf("%d calls settled the batch of shard %d; want 1", won[i], i)
			}
			o.st.Offset, o.st.NextSeq = o.st.Offset+int64(won[i]), o.st.NextSeq+int64(won[i])
			sameState(t, s, o.st)
		}
	}
}
