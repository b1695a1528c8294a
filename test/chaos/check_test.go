package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
)

// record returns a run without a broken promise: two products, one of them with all
// kinds of commands.
func record(t *testing.T) ([]Command, Found) {
	t.Helper()
	found := Found{Journal: map[int32][]catalog.Event{}, Topic: map[int32][]catalog.Event{}, Stores: map[string]map[catalog.ID]catalog.Product{"view": {}, "index": {}}}
	var commands []Command
	products := map[catalog.ID]catalog.Product{}
	add := func(product, op string, with func(*Command)) {
		id := catalog.DerivedID(product)
		n := 1
		for _, c := range commands {
			if c.Product == id.String() {
				n++
			}
		}
		c := Command{Round: "r", Product: id.String(), Number: n, Op: op, Name: fmt.Sprint(product, n), Key: fmt.Sprint(product, "-", n), State: Settled, Tries: 1}
		if with != nil {
			with(&c)
		}
		cmd := catalog.Command{ID: catalog.DerivedID("key", c.Op, c.path(), c.Key), Product: id, If: catalog.Condition{Version: c.If}}
		if c.Key == "" {
			cmd.ID = catalog.DerivedID("gateway", c.Name)
		}
		switch op {
		case http.MethodPut:
			cmd.Op = catalog.PutProduct{Data: c.data()}
		case http.MethodPatch:
			cmd.Op = catalog.PatchProduct{Patch: catalog.Patch{Name: &c.Name}}
		case http.MethodDelete:
			cmd.Op = catalog.DeleteProduct{}
		}
		p := products[id]
		p.ID = id
		shard := catalog.Shard(id, shards)
		settled := eventlog.Settle(eventlog.Group{{Shard: shard, NextSeq: int64(len(found.Journal[shard])) + 1, Commands: []catalog.Command{cmd}}},
			eventlog.GroupState{Products: map[catalog.ID]catalog.Product{id: p}}, time.UnixMicro(1))
		e := settled[0].Events[0]
		if e.Applied() {
			products[id] = e.Product
		}
		found.Journal[shard] = append(found.Journal[shard], e)
		found.Topic[shard] = append(found.Topic[shard], e, e) // duplicates are allowed
		c.Response = Response{Status: statuses[e.Outcome], Version: e.Product.Version, Position: e.Position.String(), Command: e.Command.String()}
		if e.Refusal != nil {
			c.Response = Response{Status: 412, Code: string(e.Refusal.Code), Position: e.Position.String(), Command: e.Command.String()}
		}
		commands = append(commands, c)
	}
	add("a", http.MethodPut, nil)
	add("b", http.MethodPut, nil)
	add("a", http.MethodPatch, func(c *Command) { c.Key = "" })
	add("a", http.MethodPatch, func(c *Command) { c.If = 1 })
	add("a", http.MethodDelete, nil)
	add("a", http.MethodPut, func(c *Command) { c.State = Accepted })
	add("b", http.MethodPatch, nil)
	for id, p := range products {
		found.Stores["view"][id], found.Stores["index"][id] = p, p
	}
	return commands, found
}

func TestCheck_goodRun(t *testing.T) {
	commands, found := record(t)
	if breaches := Check(commands, found); len(breaches) > 0 {
		t.Errorf("%d breaches, the first: %+v", len(breaches), breaches[0])
	}
	t.Run("after it was saved and reloaded", func(t *testing.T) {
		file := filepath.Join(t.TempDir(), "history")
		if err := save(file, commands, found); err != nil {
			t.Fatal(err)
		}
		again, reloaded, err := reload(file)
		if err != nil {
			t.Fatal(err)
		}
		if !reflect.DeepEqual(again, commands) || len(reloaded.Topic) != len(found.Topic) || len(reloaded.Stores) != 2 {
			t.Errorf("reload returns %d commands, %d stores; want what was saved", len(again), len(reloaded.Stores))
		}
		if breaches := Check(again, reloaded); len(breaches) > 0 {
			t.Errorf("%d breaches, the first: %+v", len(breaches), breaches[0])
		}
	})
}

// TestCheck_truncation checks which commands may be lost when Kafka lost records.
func TestCheck_truncation(t *testing.T) {
	killed := time.UnixMicro(100)
	for _, test := range []struct {
		name   string
		sentAt time.Time
		cut    int // records of the shard
		lost   bool
	}{
		{"a command sent before Kafka lost records may be among them", killed.Add(-1), 1, false},
		{"no more commands may be lost than records were", killed.Add(-1), 0, true},
		{"a command sent after the loss must have an outcome", killed.Add(1), 1, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			commands, found := record(t)
			lost := Command{Round: "r", Product: catalog.DerivedID("z").String(), Number: 1, Op: http.MethodPut, Name: "z", Key: "z", State: Accepted, SentAt: test.sentAt}
			shard := catalog.Shard(catalog.DerivedID("z"), shards)
			found.Truncated = []Truncation{{Topic: "commands", At: killed, Records: map[int32]int{shard: test.cut}}}
			breaches := Check(append(commands, lost), found)
			if got := len(breaches) > 0; got != test.lost {
				t.Errorf("Check finds %+v; want a lost command: %v", breaches, test.lost)
			}
		})
	}
}

func TestCutTail(t *testing.T) {
	folder := t.TempDir()
	var segment []byte
	for offset := range 5 {
		batch := make([]byte, 80)
		binary.BigEndian.PutUint64(batch, uint64(4*offset))
		binary.BigEndian.PutUint32(batch[8:], 80-12)
		binary.BigEndian.PutUint32(batch[57:], 4)
		segment = append(segment, batch...)
	}
	file := filepath.Join(folder, "00000000000000000000.log")
	if err := os.WriteFile(file, segment, 0o600); err != nil {
		t.Fatal(err)
	}
	n, err := cutTail(folder, 6, 0)
	left, statErr := os.ReadFile(file)
	if err != nil || statErr != nil || n != 8 || len(left) != 3*80 {
		t.Errorf("cutTail = %d, %v, with %d bytes left; want 8 records of two batches cut", n, errors.Join(err, statErr), len(left))
	}
	if n, err := cutTail(folder, 1, 6); err != nil || n != 8 {
		t.Errorf("cutTail below offset 6 = %d, %v; want the 8 records from offset 4 on cut", n, err)
	}
	if err := os.WriteFile(file, segment[:100], 0o600); err != nil {
		t.Fatal(err)
	}
	if n, err := cutTail(folder, 1, 0); err == nil {
		t.Errorf("cutTail of half a batch = %d, nil; want an error", n)
	}
}

// TestCheck_brokenPromises breaks each promise on purpose.
func TestCheck_brokenPromises(t *testing.T) {
	a := catalog.DerivedID("a")
	at := catalog.Shard(a, shards)
	// of returns the index of the event of a's command n.
	of := func(events []catalog.Event, n int) int {
		return slices.IndexFunc(events, func(e catalog.Event) bool {
			return e.Product.ID == a && strings.HasPrefix(e.Product.Name, fmt.Sprint("a", n))
		})
	}
	// renumber makes journal and topic of the shard equal and without a gap.
	renumber := func(f Found) {
		for i := range f.Journal[at] {
			f.Journal[at][i].Seq = int64(i) + 1
		}
		f.Topic[at] = slices.Clone(f.Journal[at])
	}
	for _, test := range []struct {
		name    string
		promise Promise
		plant   func(c []Command, f Found) []Command
	}{
		{"an accepted command without an outcome", Lost, func(c []Command, f Found) []Command {
			f.Journal[at] = slices.Delete(f.Journal[at], of(f.Journal[at], 5), of(f.Journal[at], 5)+1)
			renumber(f)
			return c
		}},
		{"an event that was not published", Lost, func(c []Command, f Found) []Command {
			f.Topic[at] = f.Topic[at][:len(f.Topic[at])-2]
			return c
		}},
		{"an event that is missing in the topic", Order, func(c []Command, f Found) []Command {
			f.Topic[at] = f.Topic[at][2:]
			return c
		}},
		{"an event that the journal does not have", Wrong, func(c []Command, f Found) []Command {
			e := f.Topic[at][0]
			e.Seq = int64(len(f.Journal[at])) + 1
			f.Topic[at] = append(f.Topic[at], e)
			return c
		}},
		{"two outcomes of one command", Doubled, func(c []Command, f Found) []Command {
			e := f.Journal[at][of(f.Journal[at], 2)]
			e.Command = catalog.DerivedID("another")
			f.Journal[at] = append(f.Journal[at], e)
			renumber(f)
			return c
		}},
		{"commands settled in another order", Order, func(c []Command, f Found) []Command {
			j := f.Journal[at]
			x, y := of(j, 1), of(j, 2)
			j[x], j[y] = j[y], j[x]
			renumber(f)
			return c
		}},
		{"a skipped version", Wrong, func(c []Command, f Found) []Command {
			f.Journal[at][of(f.Journal[at], 5)].Product.Version++
			renumber(f)
			return c
		}},
		{"an ignored If-Match", Wrong, func(c []Command, f Found) []Command {
			i := slices.IndexFunc(f.Journal[at], func(e catalog.Event) bool { return e.Outcome == catalog.Refused })
			f.Journal[at][i].Outcome, f.Journal[at][i].Refusal = catalog.Changed, nil
			renumber(f)
			return c
		}},
		{"a response that differs from the outcome", Wrong, func(c []Command, f Found) []Command {
			c[0].Response.Version = 7
			return c
		}},
		{"a different response to a repeated request", Wrong, func(c []Command, f Found) []Command {
			repeated := c[0].Response
			repeated.Position = "0.77"
			c[0].Repeated = &repeated
			return c
		}},
		{"a command that was declined but settled", Wrong, func(c []Command, f Found) []Command {
			c[0].State = Declined
			return c
		}},
		{"a read at a position that returns an older version", Stale, func(c []Command, f Found) []Command {
			i := slices.IndexFunc(c, func(c Command) bool { return c.Product != a.String() && c.Number == 2 })
			c[i].Read = &Read{Exists: true, Version: 1}
			return c
		}},
		{"a read at a position that misses the product", Stale, func(c []Command, f Found) []Command {
			i := slices.IndexFunc(c, func(c Command) bool { return c.Product != a.String() && c.Number == 2 })
			c[i].Read = &Read{}
			return c
		}},
		{"an event of no command", Wrong, func(c []Command, f Found) []Command { return c[1:] }},
		{"a store with an old version", Unequal, func(c []Command, f Found) []Command {
			p := f.Stores["view"][a]
			p.Version--
			f.Stores["view"][a] = p
			return c
		}},
		{"a store without the product", Unequal, func(c []Command, f Found) []Command {
			delete(f.Stores["index"], a)
			return c
		}},
		{"a store with a product of no command", Unequal, func(c []Command, f Found) []Command {
			f.Stores["index"][catalog.DerivedID("c")] = catalog.Product{ID: catalog.DerivedID("c"), Version: 1}
			return c
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			commands, found := record(t)
			breaches := Check(test.plant(commands, found), found)
			if !slices.ContainsFunc(breaches, func(b Breach) bool { return b.Promise == test.promise }) {
				t.Errorf("Check finds no breach of %q among %d", test.promise, len(breaches))
			}
		})
	}
}
