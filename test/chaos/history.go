package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"sync"
	"time"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// Command is one wish of a client and what it has heard of it.
type Command struct {
	Round   string `json:"round"`   // in which it was sent
	Product string `json:"product"` // of which it is
	Number  int    `json:"number"`  // of the product's commands: 1, 2, 3 …
	Op      string `json:"op"`      // POST, PUT, PATCH or DELETE
	Name    string `json:"name"`    // wished; no other command wishes it
	SKU     string `json:"sku,omitempty"`
	If      int64  `json:"if,omitempty"`  // version that the product must be at
	Key     string `json:"key,omitempty"` // Idempotency-Key

	Fate   Fate      `json:"fate"`
	Tries  int       `json:"tries"`
	Answer Answer    `json:"answer"`          // the last one
	Again  *Answer   `json:"again,omitempty"` // to the same request, sent once more after it was settled
	Told   time.Time `json:"told"`            // when the last answer came
}

// Fate is what a client knows of its command.
type Fate string

// The fates.
const (
	Settled  Fate = "settled"  // the outcome was answered
	Accepted Fate = "accepted" // it was promised that there will be one
	Unknown  Fate = "unknown"  // it may have happened, or may still happen
	Declined Fate = "declined" // it was answered that it was not taken
)

// taken says whether the system has promised to settle the command.
func (c Command) taken() bool { return c.Fate == Settled || c.Fate == Accepted }

// Answer is what the system said.
type Answer struct {
	Status   int    `json:"status"`
	Version  int64  `json:"version,omitempty"`
	Position string `json:"position,omitempty"`
	Command  string `json:"command,omitempty"` // its id
	Code     string `json:"code,omitempty"`    // of a problem
}

// draft is what a POST or PUT wishes.
func (c Command) draft() catalog.ProductData {
	return catalog.ProductData{Name: c.Name, SKU: c.SKU, Price: catalog.Money{Decimal: catalog.Decimal{Units: 7}, Currency: "EUR"}}
}

// path is where the request goes to.
func (c Command) path() string {
	if c.Op == http.MethodPost {
		return "/api/v1/products"
	}
	return "/api/v1/products/" + c.Product
}

// body is what the request carries.
func (c Command) body() []byte {
	var body any
	switch c.Op {
	case http.MethodPost, http.MethodPut:
		body = wire.ProductDataToJSON(c.draft())
	case http.MethodPatch:
		patch := map[string]string{"name": c.Name}
		if c.SKU != "" {
			patch["sku"] = c.SKU
		}
		body = patch
	default:
		return nil
	}
	b, err := json.Marshal(body)
	if err != nil {
		panic(err) // strings and numbers always can be
	}
	return b
}

// fingerprint is what the journal must keep of the command.
func (c Command) fingerprint() [32]byte {
	id, _ := catalog.ParseID(c.Product)
	wish := catalog.Command{Product: id, If: catalog.Condition{Version: c.If}}
	switch c.Op {
	case http.MethodPost:
		wish.Op = catalog.CreateProduct{Data: c.draft()}
	case http.MethodPut:
		wish.Op = catalog.PutProduct{Data: c.draft()}
	case http.MethodPatch:
		p := catalog.Patch{Name: &c.Name}
		if c.SKU != "" {
			p.SKU = &c.SKU
		}
		wish.Op = catalog.PatchProduct{Patch: p}
	default:
		wish.Op = catalog.DeleteProduct{}
	}
	return wish.Fingerprint()
}

// String is the command in one line, for people.
func (c Command) String() string {
	s := fmt.Sprintf("%d. %s %q", c.Number, c.Op, c.Name)
	if c.SKU != "" {
		s += " sku " + c.SKU
	}
	if c.If != 0 {
		s += fmt.Sprintf(" if at version %d", c.If)
	}
	if c.Key == "" {
		s += " without a key"
	}
	return s + fmt.Sprintf(", in round %s: %s by %d at version %d, %s, after %d tries", c.Round, c.Fate, c.Answer.Status, c.Answer.Version, c.Answer.Position, c.Tries)
}

// Found is what the system holds in the end.
type Found struct {
	Journal map[int32][]catalog.Event                 // of each shard
	Topic   map[int32][]catalog.Event                 // as read from the beginning, repeats too; nil when it was not read
	Stores  map[string]map[catalog.ID]catalog.Product // products that exist, by store
}

// history keeps commands as they end.
type history struct {
	mu       sync.Mutex
	commands []Command
}

func (h *history) add(c Command) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commands = append(h.commands, c)
}

// all answers the commands that have ended.
func (h *history) all() []Command {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.commands[:len(h.commands):len(h.commands)]
}

// line is one line of a file: a command, an event or a product.
type line struct {
	Command *Command     `json:"command,omitempty"`
	Journal []byte       `json:"journal,omitempty"`
	Topic   []byte       `json:"topic,omitempty"`
	Store   string       `json:"store,omitempty"`
	Product *api.Product `json:"product,omitempty"`
}

// save writes all that a check needs to a file.
func save(file string, commands []Command, found Found) (err error) {
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	w := bufio.NewWriter(f)
	e := json.NewEncoder(w)
	for i := range commands {
		err = errors.Join(err, e.Encode(line{Command: &commands[i]}))
	}
	for _, events := range found.Journal {
		for _, event := range events {
			b, bad := wire.EncodeEvent(event)
			err = errors.Join(err, bad, e.Encode(line{Journal: b}))
		}
	}
	for _, events := range found.Topic {
		for _, event := range events {
			b, bad := wire.EncodeEvent(event)
			err = errors.Join(err, bad, e.Encode(line{Topic: b}))
		}
	}
	for store, products := range found.Stores {
		err = errors.Join(err, e.Encode(line{Store: store}))
		for _, p := range products {
			m := wire.ProductToJSON(p)
			err = errors.Join(err, e.Encode(line{Store: store, Product: &m}))
		}
	}
	return errors.Join(err, w.Flush())
}

// reload reads what save has written.
func reload(file string) ([]Command, Found, error) {
	found := Found{Journal: map[int32][]catalog.Event{}, Stores: map[string]map[catalog.ID]catalog.Product{}}
	f, err := os.Open(file)
	if err != nil {
		return nil, found, err
	}
	defer f.Close()
	var commands []Command
	for d := json.NewDecoder(bufio.NewReader(f)); ; {
		var l line
		switch err := d.Decode(&l); {
		case errors.Is(err, io.EOF):
			return commands, found, nil
		case err != nil:
			return nil, found, fmt.Errorf("%s: %w", file, err)
		}
		switch {
		case l.Command != nil:
			commands = append(commands, *l.Command)
		case l.Journal != nil:
			e, err := wire.DecodeEvent(l.Journal)
			if err != nil {
				return nil, found, err
			}
			found.Journal[e.Shard] = append(found.Journal[e.Shard], e)
		case l.Topic != nil:
			e, err := wire.DecodeEvent(l.Topic)
			if err != nil {
				return nil, found, err
			}
			if found.Topic == nil {
				found.Topic = map[int32][]catalog.Event{}
			}
			found.Topic[e.Shard] = append(found.Topic[e.Shard], e)
		case l.Product == nil:
			found.Stores[l.Store] = map[catalog.ID]catalog.Product{}
		default:
			p, err := wire.ProductFromJSON(*l.Product)
			if err != nil {
				return nil, found, err
			}
			found.Stores[l.Store][p.ID] = p
		}
	}
}
