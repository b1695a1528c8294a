package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// Load sends commands to change its products. Each product has one client, so the
// order of its commands is known. The clock decides when a command is due, not the
// responses to the commands before it.
type Load struct {
	APIs    []string // gateways, used in turn
	Rate    int      // commands a second
	history *history
	http    *http.Client
	random  *rand.Rand
	clients []*client
	tally   *tally // counts failed requests during upgrades; nil counts nothing
}

const (
	retryFor  = time.Minute // a command is repeated for this long until its state is known
	queueSize = 200         // commands of a product that are due but not sent
)

// newLoad returns a Load with n products.
func newLoad(apis []string, rate, n int, seed uint64) *Load {
	l := &Load{
		APIs: apis, Rate: rate, history: &history{}, random: rand.New(rand.NewPCG(seed, 0)),
		http: &http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{MaxIdleConnsPerHost: 256}},
	}
	for i := range n {
		c := &client{load: l, random: rand.New(rand.NewPCG(seed, uint64(i)+1)), number: i, due: make(chan string, queueSize)}
		c.run = strconv.FormatUint(seed, 36) + "-" + strconv.Itoa(i)
		l.clients = append(l.clients, c)
	}
	return l
}

// Run sends at least n commands of the round, and continues until enough is
// closed. It returns when the state of each command is known.
func (l *Load) Run(ctx context.Context, round string, n int, enough <-chan struct{}) {
	var wg sync.WaitGroup
	for _, c := range l.clients {
		wg.Go(func() { c.work(ctx) })
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began, sent := time.Now(), 0
	for done := false; !done; {
		select {
		case <-tick.C:
		case <-ctx.Done():
			done = true
		}
		for due := int(time.Since(began).Seconds()*float64(l.Rate)) - sent; due > 0; due-- {
			select {
			case l.clients[l.random.IntN(len(l.clients))].due <- round:
				sent++
			default: // this client is far behind; others may not be
			}
		}
		select {
		case <-enough:
			done = done || sent >= n
		default:
		}
	}
	for _, c := range l.clients {
		c.due <- "" // ends the client
	}
	wg.Wait()
}

// client sends the commands of one product.
type client struct {
	load    *Load
	random  *rand.Rand
	number  int
	run     string      // a name that is unique among all clients and runs
	due     chan string // rounds of commands to send; "" for the end
	product string
	sent    int
	exists  bool  // whether the product exists, as far as the client knows
	version int64 // version of the product, as far as the client knows
}

func (c *client) work(ctx context.Context) {
	for round := range c.due {
		if round == "" || ctx.Err() != nil {
			return
		}
		c.load.history.add(c.send(ctx, c.next(round)))
	}
}

// next returns a random command.
func (c *client) next(round string) Command {
	c.sent++
	cmd := Command{Round: round, Product: c.product, Number: c.sent, Name: fmt.Sprintf("%s %d", c.run, c.sent), Key: fmt.Sprintf("%s-%d", c.run, c.sent)}
	switch dice := c.random.IntN(100); {
	case c.product == "" && c.number%2 == 0:
		cmd.Op, cmd.SKU = http.MethodPost, "OWN-"+c.run
		id := catalog.DerivedID("key", http.MethodPost, "/api/v1/products", cmd.Key)
		cmd.Product = id.String()
	case c.product == "":
		cmd.Op = http.MethodPut
		id := catalog.DerivedID("chaos", c.run)
		cmd.Product = id.String()
	case c.exists && dice < 10:
		cmd.Op = http.MethodDelete
	case c.exists && dice < 70, dice < 10:
		cmd.Op = http.MethodPatch
		if dice%10 == 0 { // an SKU that other clients use, too
			cmd.SKU = "WANTED-" + strconv.Itoa(c.random.IntN(20))
		}
	default:
		cmd.Op = http.MethodPut
	}
	c.product = cmd.Product
	if cmd.Op != http.MethodPost && c.version > 0 && c.random.IntN(4) == 0 {
		cmd.If = max(1, c.version-int64(c.random.IntN(5)/4)) // sometimes an old one
	}
	if (cmd.Op == http.MethodPut || cmd.Op == http.MethodPatch) && c.random.IntN(4) == 0 {
		cmd.Key = ""
	}
	return cmd
}

// send sends the command until its state is known. A command without a key is
// sent again only when it was certainly not accepted.
func (c *client) send(ctx context.Context, cmd Command) Command {
	prefer := "wait=5"
	if c.random.IntN(2) == 0 {
		prefer = "respond-async"
	}
	uncertain := false
	for end := time.Now().Add(retryFor); ; {
		cmd.SentAt = time.Now()
		resp, state := c.attempt(ctx, cmd, prefer)
		cmd.Tries++
		cmd.Response, cmd.RespondedAt = resp, time.Now()
		uncertain = uncertain || state == Unknown
		switch state {
		case Settled, Accepted:
			cmd.State = state
			if state == Settled {
				c.update(cmd)
				if cmd.Key != "" && c.random.IntN(20) == 0 { // repeat the request
					if repeated, state := c.attempt(ctx, cmd, prefer); state == Settled {
						cmd.Repeated = &repeated
					}
				}
				if resp.Status < 300 && c.random.IntN(4) == 0 {
					api := c.load.APIs[c.random.IntN(len(c.load.APIs))]
					if p, exists, ok := c.load.getProduct(ctx, api, cmd.Product, resp.Position); ok {
						cmd.Read = &Read{exists, p.Version}
					}
				}
			}
			return cmd
		case Unknown:
			if cmd.Key == "" {
				cmd.State = Unknown
				return cmd
			}
		}
		if ctx.Err() != nil || time.Now().After(end) {
			cmd.State = state
			if uncertain {
				cmd.State = Unknown
			}
			return cmd
		}
		select {
		case <-time.After(20*time.Millisecond + time.Duration(c.random.IntN(200))*time.Millisecond):
		case <-ctx.Done():
		}
	}
}

// update stores what a settled command shows about the product.
func (c *client) update(cmd Command) {
	switch cmd.Response.Status {
	case http.StatusCreated, http.StatusOK:
		c.exists, c.version = true, cmd.Response.Version
	case http.StatusNoContent, http.StatusNotFound:
		c.exists = false
	}
}

// attempt sends the request once and returns the response and the state that it
// implies.
func (c *client) attempt(ctx context.Context, cmd Command, prefer string) (Response, State) {
	r, err := http.NewRequestWithContext(ctx, cmd.Op, c.load.APIs[c.random.IntN(len(c.load.APIs))]+cmd.path(), bytes.NewReader(cmd.body()))
	if err != nil {
		return Response{Code: err.Error()}, Declined
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Prefer", prefer)
	if cmd.Key != "" {
		r.Header.Set("Idempotency-Key", cmd.Key)
	}
	if cmd.If != 0 {
		r.Header.Set("If-Match", strconv.Quote(strconv.FormatInt(cmd.If, 10)))
	}
	w, err := c.load.http.Do(r)
	if err != nil {
		c.load.tally.request(cmd.Op, 0, err)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return Response{}, Declined
	}
	if err != nil {
		return Response{}, Unknown
	}
	defer w.Body.Close()
	body, err := io.ReadAll(w.Body)
	c.load.tally.request(cmd.Op, w.StatusCode, err)
	if err != nil {
		return Response{}, Unknown
	}
	a := Response{Status: w.StatusCode, Position: w.Header.Get("Catalog-Position"), Command: w.Header.Get("Command-Id")}
	a.Version, _ = strconv.ParseInt(strings.Trim(w.Header.Get("ETag"), `"`), 10, 64)
	if w.StatusCode >= 400 {
		var problem struct{ Code string }
		_ = json.Unmarshal(body, &problem)
		a.Code = problem.Code
	}
	switch {
	case w.StatusCode == http.StatusAccepted:
		return a, Accepted
	case w.StatusCode < 500 && w.StatusCode != http.StatusTooManyRequests:
		return a, Settled
	case w.StatusCode == http.StatusServiceUnavailable, w.StatusCode == http.StatusTooManyRequests:
		return a, Declined
	}
	return a, Unknown
}

// getProduct reads one product at the position; with "" the read may come from a
// cache. ok is false when there is no valid response.
func (l *Load) getProduct(ctx context.Context, base, id, position string) (p catalog.Product, exists, ok bool) {
	var m api.Product
	status := l.read(ctx, base+"/api/v1/products/"+id, position, &m)
	if status == http.StatusNotFound {
		return p, false, true
	}
	if status != http.StatusOK {
		return p, false, false
	}
	p, err := wire.ProductFromJSON(m)
	return p, true, err == nil
}

// sendGet sends a GET with a position, or "".
func (l *Load) sendGet(ctx context.Context, url, position string) (*http.Response, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	if position != "" {
		r.Header.Set("Catalog-Position", position)
	}
	return l.http.Do(r)
}

// read decodes the body at the URL into to and returns the status, or 0.
func (l *Load) read(ctx context.Context, url, position string, to any) int {
	w, err := l.sendGet(ctx, url, position)
	if err != nil {
		return 0
	}
	defer w.Body.Close()
	if w.StatusCode == http.StatusOK && json.NewDecoder(w.Body).Decode(to) != nil {
		return 0
	}
	return w.StatusCode
}
