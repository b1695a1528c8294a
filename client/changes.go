package client

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strings"
	"time"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// Change is one new version of a product.
type Change struct {
	ID       string // resume after this change with Watch.After
	Kind     catalog.Outcome
	Product  catalog.Product // after a deletion, only ID, Version and Deleted are set
	Position catalog.Position
	At       time.Time
}

// Watch selects changes. The zero value selects all changes from now on.
type Watch struct {
	// Product selects the changes of one product; zero selects all products.
	Product catalog.ID
	// Category selects products in this category or below it, and changes by which
	// a product leaves it. "" selects all categories.
	Category string
	// After is the ID of a Change to resume after; "0" is before the first change,
	// and "" means from now on.
	After string
}

// Limits of a change stream.
const (
	// silenceTimeout is the time without data after which a stream is reconnected:
	// three heartbeats of the server.
	silenceTimeout = 45 * time.Second
	// maxReconnectPause is the longest pause before a stream is reconnected.
	maxReconnectPause = 5 * time.Second
)

// Changes returns the changes that w selects, those of one product in order,
// until ctx ends. It reconnects when a connection ends. No change is missed; the
// last changes before a reconnect may come twice. The sequence ends with the
// error of ctx, or with one that a retry does not help.
func (c *Client) Changes(ctx context.Context, w Watch) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for try := 0; ; try++ {
			done, err := c.watch(ctx, &w, func(change Change) bool {
				try = 0
				return yield(change, nil)
			})
			switch {
			case done:
				return
			case ctx.Err() != nil:
				yield(Change{}, ctx.Err())
				return
			case !reconnectable(err):
				yield(Change{}, err)
				return
			}
			pause := min(minPause<<min(try, 10), maxReconnectPause)
			select {
			case <-time.After(pause/2 + rand.N(pause)):
			case <-ctx.Done():
			}
		}
	}
}

// reconnectable reports whether a new connection may help. A stream outlives
// errors of the server that would fail a call.
func reconnectable(err error) bool {
	var p *Problem
	return retryable(err) || errors.As(err, &p) && p.Status >= http.StatusInternalServerError
}

// watch reads one stream to its end and keeps its progress in w.After. done is
// true when yield returned false.
func (c *Client) watch(ctx context.Context, w *Watch, yield func(Change) bool) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(silenceTimeout, cancel)
	defer silence.Stop()
	query, header := url.Values{}, http.Header{"Accept": {"text/event-stream"}}
	if w.Product != (catalog.ID{}) {
		query.Set("product", w.Product.String())
	}
	if w.Category != "" {
		query.Set("category", w.Category)
	}
	if w.After != "" {
		header.Set("Last-Event-ID", w.After)
	}
	_, err = c.send(ctx, http.MethodGet, "/api/v1/changes?"+query.Encode(), header, nil, func(body io.Reader) error {
		lines := bufio.NewReader(body)
		var change Change
		var data string
		for {
			line, err := lines.ReadString('\n')
			if err != nil {
				return &interruptedError{error: err}
			}
			silence.Reset(silenceTimeout)
			field, value, _ := strings.Cut(strings.TrimRight(line, "\r\n"), ":")
			value = strings.TrimPrefix(value, " ")
			switch field {
			case "id":
				change.ID = value
			case "event":
				change.Kind = catalog.Outcome(value)
			case "data":
				data = value
			}
			if line != "\n" {
				continue
			}
			if data != "" {
				if err := change.read(data); err != nil {
					return err
				}
				if !yield(change) {
					done = true
					return nil
				}
			}
			if change.ID != "" { // resume here after a reconnect
				w.After = change.ID
			}
			change, data = Change{}, ""
		}
	})
	return done, err
}

// read parses the data of an event.
func (c *Change) read(data string) error {
	var m api.ProductChange
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		return fmt.Errorf("parse a change: %w", err)
	}
	var err error
	if c.Position, err = catalog.ParsePosition(m.Position); err != nil {
		return err
	}
	c.At, c.Product = m.At, catalog.Product{ID: catalog.ID(m.ProductId), Version: m.Version, Deleted: c.Kind == catalog.Deleted}
	if c.Kind != catalog.Deleted {
		c.Product, err = wire.ProductFromJSON(m.Product)
	}
	return err
}
