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

// Command is a command of a client, with what the client knows of its result.
type Command struct {
	Round   string `json:"round"`   // of faults in which it was sent
	Product string `json:"product"` // id
	Number  int    `json:"number"`  // among the product's commands: 1, 2, 3 …
	Op      string `json:"op"`      // POST, PUT, PATCH or DELETE
	Name    string `json:"name"`    // of the product; no two commands have the same
	SKU     string `json:"sku,omitempty"`
	If      int64  `json:"if,omitempty"`  // If-Match: required version of the product
	Key     string `json:"key,omitempty"` // Idempotency-Key

	State       State     `json:"state"`
	Tries       int       `json:"tries"`
	Response    Response  `json:"response"`           // the last one
	Repeated    *Response `json:"repeated,omitempty"` // to a repeat of the request after it was settled
	Read        *Read     `json:"read,omitempty"`     // a read at the position of the response
	SentAt      time.Time `json:"sentAt"`             // time of the last request
	RespondedAt time.Time `json:"respondedAt"`        // time of the last response
}

// Read is the result of reading a product.
type Read struct {
	Exists  bool  `json:"exists"`
	Version int64 `json:"version,omitempty"`
}

// State is what a client knows of its command.
type State string

// The states.
const (
	Settled  State = "settled"  // the response has the outcome
	Accepted State = "accepted" // the response promises an outcome
	Unknown  State = "unknown"  // it may have been settled, or may still be
	Declined State = "declined" // the response says that it was not accepted
)

// accepted reports whether the system has promised to settle the command.
func (c Command) accepted() bool { return c.State == Settled || c.State == Accepted }

// Response is the part of a response that the check compares.
type Response struct {
	Status   int    `json:"status"`
	Version  int64  `json:"version,omitempty"`
	Position string `json:"position,omitempty"`
	Command  string `json:"command,omitempty"` // its id
	Code     string `json:"code,omitempty"`    // of a problem
}

// data returns the product data of a POST or PUT.
func (c Command) data() catalog.ProductData {
	return catalog.ProductData{Name: c.Name, SKU: c.SKU, Price: catalog.Money{Decimal: catalog.Decimal{Units: 7}, Currency: "EUR"}}
}

// path returns the path of the request.
func (c Command) path() string {
	if c.Op == http.MethodPost {
		return "/api/v1/products"
	}
	return "/api/v1/products/" + c.Product
}

// body returns the body of the request, or nil.
func (c Command) body() []byte {
	var body any
	switch c.Op {
	case http.MethodPost, http.MethodPut:
		body = wire.ProductDataToJSON(c.data())
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
		panic(err) // cannot happen: strings and numbers only
	}
	return b
}

// fingerprint returns the fingerprint that the journal must have for the command.
func (c Command) fingerprint() [32]byte {
	id, _ := catalog.ParseID(c.Product)
	cmd := catalog.Command{Product: id, If: catalog.Condition{Version: c.If}}
	switch c.Op {
	case http.MethodPost:
		cmd.Op = catalog.CreateProduct{Data: c.data()}
	case http.MethodPut:
		cmd.Op = catalog.PutProduct{Data: c.data()}
	case http.MethodPatch:
		p := catalog.Patch{Name: &c.Name}
		if c.SKU != "" {
			p.SKU = &c.SKU
		}
		cmd.Op = catalog.PatchProduct{Patch: p}
	default:
		cmd.Op = catalog.DeleteProduct{}
	}
	return cmd.Fingerprint()
}

// String returns the command in one line, for reports.
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
	return s + fmt.Sprintf(", in round %s: %s by %d at version %d, %s, after %d tries", c.Round, c.State, c.Response.Status, c.Response.Version, c.Response.Position, c.Tries)
}

// Found holds the contents of the stores of the system.
type Found struct {
	Journal map[int32][]catalog.Event                 // by shard
	Topic   map[int32][]catalog.Event                 // by shard, from the beginning, with duplicates; nil when it was not read
	Stores  map[string]map[catalog.ID]catalog.Product // existing products, by store

	Truncated []Truncation // records that Kafka lost
}

// history collects commands as clients finish them.
type history struct {
	mu       sync.Mutex
	commands []Command
}

func (h *history) add(c Command) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.commands = append(h.commands, c)
}

// all returns the finished commands.
func (h *history) all() []Command {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.commands[:len(h.commands):len(h.commands)]
}

// line is one line of a history file: a command, an event, a product or a truncation.
type line struct {
	Command *Command     `json:"command,omitempty"`
	Journal []byte       `json:"journal,omitempty"`
	Topic   []byte       `json:"topic,omitempty"`
	Store   string       `json:"store,omitempty"`
	Product *api.Product `json:"product,omitempty"`

	Truncation *Truncation `json:"truncation,omitempty"`
}

// save writes everything that Check needs to a file.
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
			m := wire.ProductToJSON(p, catalog.BeforeLastReduction)
			err = errors.Join(err, e.Encode(line{Store: store, Product: &m}))
		}
	}
	for i := range found.Truncated {
		err = errors.Join(err, e.Encode(line{Truncation: &found.Truncated[i]}))
	}
	return errors.Join(err, w.Flush())
}

// reload reads a file of save.
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
		case l.Truncation != nil:
			found.Truncated = append(found.Truncated, *l.Truncation)
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
