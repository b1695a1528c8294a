package main

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"catalog"
)

// Promise names a promise by how it is broken.
type Promise string

// The promises.
const (
	Lost    Promise = "lost"         // an accepted command has no outcome
	Doubled Promise = "doubled"      // a command has two outcomes
	Order   Promise = "out of order" // commands of a product were not settled in the order of acceptance
	Wrong   Promise = "wrong"        // an outcome or a response breaks the rules, or belongs to no command
	Unequal Promise = "unequal"      // a store differs from the journal
	Stale   Promise = "stale"        // a read at the position of a write returned an older state
)

// Breach is a broken promise, with the trace of its product.
type Breach struct {
	Promise Promise
	Round   string
	Product string
	What    string
	Trace   []string
}

// Check compares the responses to clients with the contents of the stores, product
// by product. It returns all breaches, those with the shortest trace first.
func Check(commands []Command, found Found) []Breach {
	c := checker{found: found, traces: map[string]*productTrace{}}
	for i := range commands {
		s := c.trace(commands[i].Product)
		s.add(&commands[i])
	}
	c.checkLog()
	for _, s := range c.traces {
		slices.SortFunc(s.commands, func(a, b *Command) int { return a.Number - b.Number })
		s.check()
	}
	c.forgive()
	c.checkStores()
	var all []Breach
	for id, s := range c.traces {
		for _, b := range s.breaches {
			b.Product, b.Trace = id, s.text()
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b Breach) int {
		if len(a.Trace) != len(b.Trace) {
			return len(a.Trace) - len(b.Trace)
		}
		return strings.Compare(a.Product+a.What, b.Product+b.What)
	})
	return all
}

// productTrace is everything known about one product.
type productTrace struct {
	commands      []*Command
	byKey         map[catalog.ID]*Command // commands with a key, by the id derived from it
	byFingerprint map[[32]byte]*Command   // commands without a key
	events        []catalog.Event         // events of the journal
	product       catalog.Product         // the product after these events
	lost          []*Command              // accepted commands without an outcome
	breaches      []Breach
}

type checker struct {
	found  Found
	traces map[string]*productTrace
}

func (c *checker) trace(product string) *productTrace {
	s, ok := c.traces[product]
	if !ok {
		s = &productTrace{byKey: map[catalog.ID]*Command{}, byFingerprint: map[[32]byte]*Command{}}
		c.traces[product] = s
	}
	return s
}

func (s *productTrace) add(c *Command) {
	s.commands = append(s.commands, c)
	if c.Key != "" {
		s.byKey[catalog.DerivedID("key", c.Op, c.path(), c.Key)] = c
	} else {
		s.byFingerprint[c.fingerprint()] = c
	}
}

func (s *productTrace) breach(p Promise, round, format string, args ...any) {
	if round == "" && len(s.commands) > 0 {
		round = s.commands[len(s.commands)-1].Round
	}
	s.breaches = append(s.breaches, Breach{Promise: p, Round: round, What: fmt.Sprintf(format, args...)})
}

// checkLog assigns the events of the journal to their products and compares the
// journal with the topic. Seqs must be 1, 2, 3 … in both.
func (c *checker) checkLog() {
	for shard, events := range c.found.Journal {
		for i, e := range events {
			s := c.trace(e.Product.ID.String())
			if want := int64(i) + 1; e.Seq != want || e.Shard != shard {
				s.breach(Wrong, "", "the journal of shard %d has event %s instead of %d", shard, e.Position, want)
			}
			s.events = append(s.events, e)
		}
		if c.found.Topic == nil {
			continue
		}
		next := 0
		for _, e := range c.found.Topic[shard] {
			s := c.trace(e.Product.ID.String())
			switch {
			case e.Seq <= int64(next): // a duplicate
			case e.Seq > int64(next)+1:
				s.breach(Order, "", "the topic has event %s instead of %d", e.Position, next+1)
				next = int(e.Seq)
			default:
				next++
			}
			if int(e.Seq) > len(events) {
				s.breach(Wrong, "", "the topic has event %s, the journal does not", e.Position)
			} else if j := events[e.Seq-1]; j.Command != e.Command || j.Outcome != e.Outcome || j.Product.Version != e.Product.Version || !j.Product.Equal(e.Product) {
				s.breach(Wrong, "", "event %s is %v in the journal and %v in the topic", e.Position, j, e)
			}
		}
		for _, e := range events[min(next, len(events)):] {
			c.trace(e.Product.ID.String()).breach(Lost, "", "event %s is not in the topic", e.Position)
		}
	}
}

// check replays the events of the product against the rules as a client knows
// them.
func (s *productTrace) check() {
	outcome := map[*Command]catalog.Event{}
	states := map[int64]Read{} // states of the product after each event, by seq
	last := 0                  // number of the last accepted command with an outcome
	for _, e := range s.events {
		cmd := s.commandOf(e)
		if cmd == nil {
			s.breach(Wrong, "", "event %s belongs to no command that a client sent", e.Position)
			continue
		}
		if first, ok := outcome[cmd]; ok {
			s.breach(Doubled, cmd.Round, "command %d has outcome %s %s, and %s %s", cmd.Number, first.Outcome, first.Position, e.Outcome, e.Position)
			continue
		}
		outcome[cmd] = e
		if cmd.State == Declined {
			s.breach(Wrong, cmd.Round, "command %d was declined but settled", cmd.Number)
		}
		if cmd.accepted() {
			if cmd.Number < last {
				s.breach(Order, cmd.Round, "command %d was settled after command %d", cmd.Number, last)
			}
			last = max(last, cmd.Number)
		}
		s.apply(cmd, e)
		states[e.Seq] = Read{s.product.Exists(), s.product.Version}
	}
	for _, cmd := range s.commands {
		e, ok := outcome[cmd]
		if !ok {
			if cmd.accepted() {
				s.lost = append(s.lost, cmd)
			}
			continue
		}
		if cmd.Read != nil && !cmd.Read.after(e, states) {
			s.breach(Stale, cmd.Round, "a read at position %s of command %d returned %+v", e.Position, cmd.Number, *cmd.Read)
		}
		s.compare(cmd, e, cmd.Response)
		if cmd.Repeated != nil {
			s.compare(cmd, e, *cmd.Repeated)
		}
	}
}

// after reports whether the read returned a state of the product after the event or a later one.
func (r Read) after(e catalog.Event, states map[int64]Read) bool {
	for seq, state := range states {
		if seq >= e.Seq && state.Exists == r.Exists && (state.Version == r.Version || !r.Exists) {
			return true
		}
	}
	return false
}

// forgive reports accepted commands without an outcome, except those that Kafka itself lost:
// sent before it was killed, and no more in each shard than records were cut off.
func (c *checker) forgive() {
	left := make([]map[int32]int, len(c.found.Truncated))
	for i, t := range c.found.Truncated {
		left[i] = maps.Clone(t.Records)
	}
	for id, s := range c.traces {
		product, _ := catalog.ParseID(id)
		shard := catalog.Shard(product, shards)
		for _, cmd := range s.lost {
			i := slices.IndexFunc(c.found.Truncated, func(t Truncation) bool { return t.Topic == "commands" && cmd.SentAt.Before(t.At) })
			if i >= 0 && left[i][shard] > 0 {
				left[i][shard]--
				continue
			}
			s.breach(Lost, cmd.Round, "command %d was accepted but has no outcome", cmd.Number)
		}
	}
}

// commandOf returns the command of the event, or nil. When the gateway made the
// id, the fingerprint identifies the command: no two are equal.
func (s *productTrace) commandOf(e catalog.Event) *Command {
	if c, ok := s.byKey[e.Command]; ok {
		return c
	}
	return s.byFingerprint[e.Fingerprint]
}

// apply compares the outcome with the rules, and applies the event to the
// product.
func (s *productTrace) apply(cmd *Command, e catalog.Event) {
	p := &s.product
	want, code := catalog.Changed, catalog.Code("")
	switch {
	case cmd.If != 0 && (!p.Exists() || p.Version != cmd.If):
		want, code = catalog.Refused, catalog.CodeVersion
	case p.Exists() && cmd.Op == http.MethodPost:
		want, code = catalog.Refused, catalog.CodeExists
	case !p.Exists() && (cmd.Op == http.MethodPatch || cmd.Op == http.MethodDelete):
		want, code = catalog.Refused, catalog.CodeNotFound
	case e.Outcome == catalog.Refused && strings.HasPrefix(cmd.SKU, "WANTED-"):
		want, code = catalog.Refused, catalog.CodeSKUTaken
	case cmd.Op == http.MethodDelete:
		want = catalog.Deleted
	case !p.Exists():
		want = catalog.Created
	}
	if e.Outcome != want || e.Refusal != nil && e.Refusal.Code != code {
		s.breach(Wrong, cmd.Round, "command %d at version %d is %s %v; want %s %s", cmd.Number, p.Version, e.Outcome, e.Refusal, want, code)
	}
	version, sku := p.Version, p.SKU
	if e.Applied() {
		version++
		if cmd.Op != http.MethodPatch || cmd.SKU != "" {
			sku = cmd.SKU
		}
		*p = e.Product
	}
	if e.Product.Version != version {
		s.breach(Wrong, cmd.Round, "command %d makes version %d; want %d", cmd.Number, e.Product.Version, version)
	}
	if e.Applied() && cmd.Op != http.MethodDelete && (e.Product.Name != cmd.Name || e.Product.SKU != sku) {
		s.breach(Wrong, cmd.Round, "command %d makes %q with SKU %q; want %q with %q", cmd.Number, e.Product.Name, e.Product.SKU, cmd.Name, sku)
	}
	p.Version = e.Product.Version
}

// statuses maps outcomes to the HTTP status of their response.
var statuses = map[catalog.Outcome]int{
	catalog.Created: http.StatusCreated, catalog.Changed: http.StatusOK, catalog.Unchanged: http.StatusOK, catalog.Deleted: http.StatusNoContent,
}

// compare compares a response with the outcome.
func (s *productTrace) compare(cmd *Command, e catalog.Event, a Response) {
	if cmd.State != Settled {
		return
	}
	same := a.Position == e.Position.String() && a.Command == e.Command.String()
	if e.Outcome == catalog.Refused {
		same = same && a.Code == string(e.Refusal.Code)
	} else {
		same = same && a.Status == statuses[e.Outcome] && (a.Version == e.Product.Version || e.Outcome == catalog.Deleted)
	}
	if !same {
		s.breach(Wrong, cmd.Round, "command %d is %s %s at version %d; its client got %+v", cmd.Number, e.Outcome, e.Position, e.Product.Version, a)
	}
}

// checkStores compares each store with the products after all events of the
// journal.
func (c *checker) checkStores() {
	owners := map[string]string{}
	for id, s := range c.traces {
		if s.product.Exists() && s.product.SKU != "" {
			if other, ok := owners[s.product.SKU]; ok {
				s.breach(Wrong, "", "product %s has the same SKU %s", other, s.product.SKU)
			}
			owners[s.product.SKU] = id
		}
	}
	for store, products := range c.found.Stores {
		for id, s := range c.traces {
			pid, _ := catalog.ParseID(id)
			p, ok := products[pid]
			switch want := s.product; {
			case ok && !want.Exists():
				s.breach(Unequal, "", "the %s has version %d of the product, which does not exist", store, p.Version)
			case !ok && want.Exists():
				s.breach(Unequal, "", "the %s does not have the product, which is at version %d", store, want.Version)
			case ok && !asRead(p).Equal(asRead(want)):
				s.breach(Unequal, "", "the %s has version %d %q of the product, which is at version %d %q", store, p.Version, p.Name, want.Version, want.Name)
			}
		}
		for id := range products {
			if _, ok := c.traces[id.String()]; !ok {
				c.trace(id.String()).breach(Unequal, "", "the %s has a product of no command", store)
			}
		}
	}
}

// asRead returns p with the past prices that a client of the HTTP API receives: the
// lowest prior price.
func asRead(p catalog.Product) catalog.Product {
	lowest, ok := p.LowestPrior(catalog.BeforeLastReduction)
	p.PastPrices = nil
	if ok {
		p.PastPrices = []catalog.PastPrice{{Money: lowest, Until: p.UpdatedAt}}
	}
	return p
}

// text returns the trace as lines: the commands, then the events.
func (s *productTrace) text() []string {
	var lines []string
	for _, c := range s.commands {
		lines = append(lines, c.String())
	}
	for _, e := range s.events {
		text := fmt.Sprintf("   %s %s, version %d %q, command %s", e.Position, e.Outcome, e.Product.Version, e.Product.Name, e.Command)
		if e.Refusal != nil {
			text += ": " + string(e.Refusal.Code)
		}
		lines = append(lines, text)
	}
	return lines
}
