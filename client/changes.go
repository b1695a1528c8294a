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
	ID       string // to go on behind it later; see [Watch]
	Kind     catalog.Outcome
	Product  catalog.Product // of a deleted one only ID and Version
	Position catalog.Position
	At       time.Time
}

// Watch says what changes to follow. The zero value is all from now on.
type Watch struct {
	Product  catalog.ID // only this one
	Category string     // only those in it or below it, or that have just left it
	After    string     // the ID of a Change, which is gone on behind; "0" is the beginning
}

// quiet is after how long without a sign of life a stream is given up.
const quiet = 45 * time.Second

// Changes answers what changes, in order for each product, until ctx ends, and
// goes on by itself where a connection ends. Nothing is missed; what came
// shortly before a connection ended may come twice. It ends with an error that
// asking again cannot help, or with that of ctx.
func (c *Client) Changes(ctx context.Context, w Watch) iter.Seq2[Change, error] {
	return func(yield func(Change, error) bool) {
		for try := 0; ; try++ {
			done, err := c.watch(ctx, &w, func(change Change) bool {
				try = 0
				return yield(change, nil)
			})
			var p *Problem
			var cut *interrupted
			switch {
			case done:
				return
			case ctx.Err() != nil:
				yield(Change{}, ctx.Err())
				return
			case errors.As(err, &p) && p.Status < 500 && p.Status != http.StatusTooManyRequests, p == nil && !errors.As(err, &cut):
				yield(Change{}, err)
				return
			}
			pause := min(50*time.Millisecond<<min(try, 10), 5*time.Second)
			select {
			case <-time.After(pause/2 + rand.N(pause)):
			case <-ctx.Done():
			}
		}
	}
}

// watch follows one stream to its end, and keeps in w how far it has come. It
// is done when yield wants no more.
func (c *Client) watch(ctx context.Context, w *Watch, yield func(Change) bool) (done bool, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	silence := time.AfterFunc(quiet, cancel)
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
				return &interrupted{err}
			}
			silence.Reset(quiet)
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
			if change.ID != "" { // whoever asks again has what came before
				w.After = change.ID
			}
			change, data = Change{}, ""
		}
	})
	return done, err
}

// read reads the data of an event.
func (c *Change) read(data string) error {
	var m api.ProductChange
	if err := json.Unmarshal([]byte(data), &m); err != nil {
		return fmt.Errorf("read a change: %w", err)
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
