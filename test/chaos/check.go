package main

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"catalog"
)

// Promise is one that can be broken.
type Promise string

// The promises.
const (
	Lost    Promise = "lost"         // an accepted command has no outcome
	Doubled Promise = "doubled"      // a command has two
	Order   Promise = "out of order" // commands of a product were settled in another order than they were accepted in
	Wrong   Promise = "wrong"        // an outcome or an answer is not what the rules say, or came from nowhere
	Unequal Promise = "unequal"      // a store is not what the journal says
)

// Breach is a broken promise, with the story of the product it is about.
type Breach struct {
	Promise Promise
	Round   string
	Product string
	What    string
	Story   []string
}

// Check compares what clients were told with what there is in the end, product
// by product. It answers all breaches, those with the shortest story first.
func Check(commands []Command, found Found) []Breach {
	c := checker{found: found, stories: map[string]*story{}}
	for i := range commands {
		s := c.story(commands[i].Product)
		s.add(&commands[i])
	}
	c.log()
	for _, s := range c.stories {
		slices.SortFunc(s.commands, func(a, b *Command) int { return a.Number - b.Number })
		s.check()
	}
	c.stores()
	var all []Breach
	for id, s := range c.stories {
		for _, b := range s.breaches {
			b.Product, b.Story = id, s.lines()
			all = append(all, b)
		}
	}
	slices.SortFunc(all, func(a, b Breach) int {
		if len(a.Story) != len(b.Story) {
			return len(a.Story) - len(b.Story)
		}
		return strings.Compare(a.Product+a.What, b.Product+b.What)
	})
	return all
}

// story is all that is known of one product.
type story struct {
	commands []*Command
	byKey    map[catalog.ID]*Command // those with a key, by the id that it makes
	byWish   map[[32]byte]*Command   // those without
	events   []catalog.Event         // of the journal
	product  catalog.Product         // what they have made
	breaches []Breach
}

type checker struct {
	found   Found
	stories map[string]*story
}

func (c *checker) story(product string) *story {
	s, ok := c.stories[product]
	if !ok {
		s = &story{byKey: map[catalog.ID]*Command{}, byWish: map[[32]byte]*Command{}}
		c.stories[product] = s
	}
	return s
}

func (s *story) add(c *Command) {
	s.commands = append(s.commands, c)
	if c.Key != "" {
		s.byKey[catalog.DerivedID("key", c.Op, c.path(), c.Key)] = c
	} else {
		s.byWish[c.fingerprint()] = c
	}
}

func (s *story) breach(p Promise, round, format string, args ...any) {
	if round == "" && len(s.commands) > 0 {
		round = s.commands[len(s.commands)-1].Round
	}
	s.breaches = append(s.breaches, Breach{Promise: p, Round: round, What: fmt.Sprintf(format, args...)})
}

// log deals the events of the journal out to their products, and compares the
// journal with the topic. Both must go on by one from 1.
func (c *checker) log() {
	for shard, events := range c.found.Journal {
		for i, e := range events {
			s := c.story(e.Product.ID.String())
			if want := int64(i) + 1; e.Seq != want || e.Shard != shard {
				s.breach(Wrong, "", "the journal of shard %d has event %s where %d comes next", shard, e.Position, want)
			}
			s.events = append(s.events, e)
		}
		if c.found.Topic == nil {
			continue
		}
		next := 0
		for _, e := range c.found.Topic[shard] {
			s := c.story(e.Product.ID.String())
			switch {
			case e.Seq <= int64(next): // a repeat
			case e.Seq > int64(next)+1:
				s.breach(Order, "", "the topic has event %s where %d comes next", e.Position, next+1)
				next = int(e.Seq)
			default:
				next++
			}
			if int(e.Seq) > len(events) {
				s.breach(Wrong, "", "the topic has event %s, and the journal has none", e.Position)
			} else if j := events[e.Seq-1]; j.Command != e.Command || j.Outcome != e.Outcome || j.Product.Version != e.Product.Version || !j.Product.Equal(e.Product) {
				s.breach(Wrong, "", "event %s is %v in the journal and %v in the topic", e.Position, j, e)
			}
		}
		for _, e := range events[min(next, len(events)):] {
			c.story(e.Product.ID.String()).breach(Lost, "", "event %s is not in the topic", e.Position)
		}
	}
}

// check replays the events of the product, beside the rules as a client knows them.
func (s *story) check() {
	outcome := map[*Command]catalog.Event{}
	last := 0 // number of the last accepted command that has its outcome
	for _, e := range s.events {
		cmd := s.commandOf(e)
		if cmd == nil {
			s.breach(Wrong, "", "event %s is of a command that nobody sent", e.Position)
			continue
		}
		if first, ok := outcome[cmd]; ok {
			s.breach(Doubled, cmd.Round, "command %d has outcome %s %s, and %s %s", cmd.Number, first.Outcome, first.Position, e.Outcome, e.Position)
			continue
		}
		outcome[cmd] = e
		if cmd.Fate == Declined {
			s.breach(Wrong, cmd.Round, "command %d was declined, and is done", cmd.Number)
		}
		if cmd.taken() {
			if cmd.Number < last {
				s.breach(Order, cmd.Round, "command %d was settled after command %d", cmd.Number, last)
			}
			last = max(last, cmd.Number)
		}
		s.apply(cmd, e)
	}
	for _, cmd := range s.commands {
		e, ok := outcome[cmd]
		if !ok {
			if cmd.taken() {
				s.breach(Lost, cmd.Round, "command %d was accepted, and has no outcome", cmd.Number)
			}
			continue
		}
		s.compare(cmd, e, cmd.Answer)
		if cmd.Again != nil {
			s.compare(cmd, e, *cmd.Again)
		}
	}
}

// commandOf answers which command the event is of. Where the id was made by the
// gateway, the wish tells: no two are alike.
func (s *story) commandOf(e catalog.Event) *Command {
	if c, ok := s.byKey[e.Command]; ok {
		return c
	}
	return s.byWish[e.Fingerprint]
}

// apply says what the command must have become, and follows what it did.
func (s *story) apply(cmd *Command, e catalog.Event) {
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
		s.breach(Wrong, cmd.Round, "command %d at version %d is %s %v, and should be %s %s", cmd.Number, p.Version, e.Outcome, e.Refusal, want, code)
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
		s.breach(Wrong, cmd.Round, "command %d makes version %d, and should make %d", cmd.Number, e.Product.Version, version)
	}
	if e.Applied() && cmd.Op != http.MethodDelete && (e.Product.Name != cmd.Name || e.Product.SKU != sku) {
		s.breach(Wrong, cmd.Round, "command %d makes %q with SKU %q, and should make %q with %q", cmd.Number, e.Product.Name, e.Product.SKU, cmd.Name, sku)
	}
	p.Version = e.Product.Version
}

// statuses are those of answers to commands that were applied.
var statuses = map[catalog.Outcome]int{
	catalog.Created: http.StatusCreated, catalog.Changed: http.StatusOK, catalog.Unchanged: http.StatusOK, catalog.Deleted: http.StatusNoContent,
}

// compare compares an answer with the outcome.
func (s *story) compare(cmd *Command, e catalog.Event, a Answer) {
	if cmd.Fate != Settled {
		return
	}
	same := a.Position == e.Position.String() && a.Command == e.Command.String()
	if e.Outcome == catalog.Refused {
		same = same && a.Code == string(e.Refusal.Code)
	} else {
		same = same && a.Status == statuses[e.Outcome] && (a.Version == e.Product.Version || e.Outcome == catalog.Deleted)
	}
	if !same {
		s.breach(Wrong, cmd.Round, "command %d is %s %s at version %d, and its client was told %+v", cmd.Number, e.Outcome, e.Position, e.Product.Version, a)
	}
}

// stores compares each store with what the journal makes of the products.
func (c *checker) stores() {
	owners := map[string]string{}
	for id, s := range c.stories {
		if s.product.Exists() && s.product.SKU != "" {
			if other, ok := owners[s.product.SKU]; ok {
				s.breach(Wrong, "", "the SKU %s is that of product %s too", s.product.SKU, other)
			}
			owners[s.product.SKU] = id
		}
	}
	for store, products := range c.found.Stores {
		for id, s := range c.stories {
			pid, _ := catalog.ParseID(id)
			p, ok := products[pid]
			switch want := s.product; {
			case ok && !want.Exists():
				s.breach(Unequal, "", "the %s has version %d of the product, which does not exist", store, p.Version)
			case !ok && want.Exists():
				s.breach(Unequal, "", "the %s does not have the product, which is at version %d", store, want.Version)
			case ok && !p.Equal(want):
				s.breach(Unequal, "", "the %s has version %d %q of the product, which is at version %d %q", store, p.Version, p.Name, want.Version, want.Name)
			}
		}
		for id := range products {
			if _, ok := c.stories[id.String()]; !ok {
				c.story(id.String()).breach(Unequal, "", "the %s has the product, of which nobody has heard", store)
			}
		}
	}
}

// lines tells the story: what was wished and what became of it.
func (s *story) lines() []string {
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
