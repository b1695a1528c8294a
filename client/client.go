// Package client speaks to a catalogue over HTTP.
//
// It reads its own writes: what it wrote last, in each shard, is sent along with
// each read as a position. And it may repeat: a write carries a key of its own, so that one
// whose answer was lost is done once all the same.
package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"catalog"
	"catalog/api"
	"catalog/internal/wire"
)

// Client is safe for use by many at once.
type Client struct {
	base string
	http *http.Client
	// Patience is how long a call that may be repeated is repeated while the
	// server cannot be reached or says that it is not available.
	Patience time.Duration

	mu    sync.Mutex
	wrote map[int32]int64 // by shard, the seq of what this client wrote there last
}

// New is a client of the server at base, such as http://127.0.0.1:8080.
func New(base string) *Client {
	return &Client{
		base: strings.TrimRight(base, "/"),
		http: &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: 32, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: 60 * time.Second,
		}},
		Patience: 10 * time.Second,
		wrote:    map[int32]int64{},
	}
}

// Problem is an answer that is an error.
type Problem struct{ api.Problem }

// Error says what is wrong in one line.
func (p *Problem) Error() string {
	text := p.Title
	if p.Detail != "" {
		text += ": " + p.Detail
	}
	for _, f := range p.Errors {
		text += "; " + f.Field + " " + f.Reason
	}
	return text
}

// Is makes a problem match the catalog's kinds of errors.
func (p *Problem) Is(target error) bool {
	return errors.Is(&catalog.Refusal{Code: catalog.Code(p.Code)}, target)
}

// Written is what a write has made.
type Written struct {
	Product  catalog.Product // only the ID after a delete
	Created  bool
	Position catalog.Position
	Command  catalog.ID
}

// Create makes a product.
func (c *Client) Create(ctx context.Context, d catalog.ProductData) (Written, error) {
	return c.write(ctx, http.MethodPost, "/api/v1/products", nil, wire.ProductDataToJSON(d))
}

// Put makes or replaces a product. ifVersion 0 is any version.
func (c *Client) Put(ctx context.Context, id catalog.ID, d catalog.ProductData, ifVersion int64) (Written, error) {
	return c.write(ctx, http.MethodPut, "/api/v1/products/"+id.String(), ifMatch(ifVersion), wire.ProductDataToJSON(d))
}

// Patch applies a JSON merge patch to a product. ifVersion 0 is any version.
func (c *Client) Patch(ctx context.Context, id catalog.ID, patch json.RawMessage, ifVersion int64) (Written, error) {
	return c.write(ctx, http.MethodPatch, "/api/v1/products/"+id.String(), ifMatch(ifVersion), patch)
}

// Delete removes a product. ifVersion 0 is any version.
func (c *Client) Delete(ctx context.Context, id catalog.ID, ifVersion int64) (Written, error) {
	return c.write(ctx, http.MethodDelete, "/api/v1/products/"+id.String(), ifMatch(ifVersion), nil)
}

// Restore makes an old version of a product the new one. ifVersion 0 is any
// version.
func (c *Client) Restore(ctx context.Context, id catalog.ID, version, ifVersion int64) (Written, error) {
	return c.write(ctx, http.MethodPost, "/api/v1/products/"+id.String()+"/restore", ifMatch(ifVersion), api.Restore{Version: version})
}

func ifMatch(version int64) http.Header {
	if version == 0 {
		return nil
	}
	return http.Header{"If-Match": {`"` + strconv.FormatInt(version, 10) + `"`}}
}

func (c *Client) write(ctx context.Context, method, path string, header http.Header, body any) (Written, error) {
	if header == nil {
		header = http.Header{}
	}
	header.Set("Idempotency-Key", uuid.NewString())
	header.Set("Prefer", "wait=30")
	var w Written
	var p api.Product
	r, err := c.call(ctx, method, path, header, body, &p)
	if err != nil {
		return w, err
	}
	if r.status == http.StatusAccepted {
		return w, fmt.Errorf("the command is accepted, but not settled after 30 s; see %s%s", c.base, r.header.Get("Location"))
	}
	w.Created = r.status == http.StatusCreated
	w.Command, _ = catalog.ParseID(r.header.Get("Command-Id"))
	if w.Position, err = catalog.ParsePosition(r.header.Get("Catalog-Position")); err != nil {
		return w, err
	}
	if r.status == http.StatusNoContent {
		w.Product.ID, err = catalog.ParseID(path[strings.LastIndexByte(path, '/')+1:])
	} else {
		w.Product, err = wire.ProductFromJSON(p)
	}
	c.remember(w.Position)
	return w, err
}

// remember keeps the position of a write.
func (c *Client) remember(p catalog.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.wrote[p.Shard]; !there && len(c.wrote) >= catalog.MaxPositions {
		clear(c.wrote) // more cannot be sent; what was written long ago can be seen by now
	}
	c.wrote[p.Shard] = max(c.wrote[p.Shard], p.Seq)
}

// positions is the header of a read that sees what this client wrote.
func (c *Client) positions() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.wrote) == 0 {
		return http.Header{}
	}
	var all []string
	for shard, seq := range c.wrote {
		all = append(all, catalog.Position{Shard: shard, Seq: seq}.String())
	}
	return http.Header{"Catalog-Position": {strings.Join(all, ",")}}
}

// Product reads a product.
func (c *Client) Product(ctx context.Context, id catalog.ID) (catalog.Product, error) {
	var p api.Product
	if _, err := c.call(ctx, http.MethodGet, "/api/v1/products/"+id.String(), c.positions(), nil, &p); err != nil {
		return catalog.Product{}, err
	}
	return wire.ProductFromJSON(p)
}

// ProductAs reads a product as it was at a version.
func (c *Client) ProductAs(ctx context.Context, id catalog.ID, version int64) (catalog.Product, error) {
	return c.old(ctx, id, "version", strconv.FormatInt(version, 10))
}

// ProductAt reads a product as it was at a time.
func (c *Client) ProductAt(ctx context.Context, id catalog.ID, at time.Time) (catalog.Product, error) {
	return c.old(ctx, id, "at", at.UTC().Format(time.RFC3339Nano))
}

func (c *Client) old(ctx context.Context, id catalog.ID, name, value string) (catalog.Product, error) {
	var p api.Product
	if _, err := c.call(ctx, http.MethodGet, "/api/v1/products/"+id.String()+"?"+name+"="+value, http.Header{}, nil, &p); err != nil {
		return catalog.Product{}, err
	}
	return wire.ProductFromJSON(p)
}

// Search reads a page of products.
func (c *Client) Search(ctx context.Context, q catalog.Query) (catalog.Page, error) {
	values := url.Values{}
	set := func(name, value string) {
		if value != "" {
			values.Set(name, value)
		}
	}
	set("q", q.Text)
	set("category", q.Category)
	set("brand", q.Brand)
	set("gtin", q.GTIN)
	set("tag", q.Tag)
	set("currency", q.Currency)
	set("sort", string(q.Sort))
	set("cursor", q.Cursor)
	for key, value := range q.Attributes {
		values.Add("attribute", key+":"+value)
	}
	if q.MinPrice != nil {
		set("minPrice", q.MinPrice.String())
	}
	if q.MaxPrice != nil {
		set("maxPrice", q.MaxPrice.String())
	}
	if q.Limit > 0 {
		set("limit", strconv.Itoa(q.Limit))
	}
	if q.Facets {
		set("facets", "true")
	}
	values["facet"] = q.FacetAttributes
	if q.Highlight {
		set("highlight", "true")
	}
	var m api.Page
	if _, err := c.call(ctx, http.MethodGet, "/api/v1/products?"+values.Encode(), c.positions(), nil, &m); err != nil {
		return catalog.Page{}, err
	}
	return wire.PageFromJSON(m)
}

// Suggest answers what a text that is still being typed may become, at most limit
// of each kind.
func (c *Client) Suggest(ctx context.Context, text string, limit int) (catalog.Suggestions, error) {
	values := url.Values{"q": {text}, "limit": {strconv.Itoa(limit)}}
	var m api.Suggestions
	if _, err := c.call(ctx, http.MethodGet, "/api/v1/suggest?"+values.Encode(), c.positions(), nil, &m); err != nil {
		return catalog.Suggestions{}, err
	}
	return wire.SuggestionsFromJSON(m)
}

// History reads the versions of a product, newest first.
func (c *Client) History(ctx context.Context, id catalog.ID) ([]api.Version, error) {
	var all []api.Version
	for before := int64(0); ; {
		path := "/api/v1/products/" + id.String() + "/history?limit=100"
		if before > 0 {
			path += "&before=" + strconv.FormatInt(before, 10)
		}
		var h api.History
		if _, err := c.call(ctx, http.MethodGet, path, nil, nil, &h); err != nil {
			return nil, err
		}
		all = append(all, h.Items...)
		if before = h.NextBefore; before == 0 {
			return all, nil
		}
	}
}

// Import sends lines of NDJSON and answers one result for each. Lines say what
// product they are about and what it should be, so sending them again is safe,
// and is done while the server is away.
func (c *Client) Import(ctx context.Context, lines []byte) ([]api.ImportResult, error) {
	var results []api.ImportResult
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	_, err := c.repeat(ctx, func() (reply, error) {
		return c.send(ctx, http.MethodPost, "/api/v1/imports", header, lines, func(body io.Reader) error {
			results = results[:0]
			for d := json.NewDecoder(body); ; {
				var result api.ImportResult
				switch err := d.Decode(&result); {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return &interrupted{err}
				case result.Line == 0:
					return &Problem{result.Problem}
				case result.Outcome == api.ImportResultOutcomePending:
					return &interrupted{errors.New("rows are not settled yet")}
				}
				results = append(results, result)
			}
		})
	})
	for _, result := range results {
		if p, e := catalog.ParsePosition(result.Position); e == nil && p.Seq > 0 {
			c.remember(p)
		}
	}
	return results, err
}

// call sends a request, again if it may help, and reads the answer into to.
func (c *Client) call(ctx context.Context, method, path string, header http.Header, body, to any) (reply, error) {
	var sent []byte
	if body != nil {
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return reply{}, err
		}
		header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	return c.repeat(ctx, func() (reply, error) {
		return c.send(ctx, method, path, header, sent, func(body io.Reader) error {
			if err := json.NewDecoder(body).Decode(to); err != nil {
				return &interrupted{err}
			}
			return nil
		})
	})
}

// interrupted is an answer that did not arrive whole.
type interrupted struct{ error }

func (i *interrupted) Unwrap() error { return i.error }

// reply is what an answer says beside its body.
type reply struct {
	status int
	header http.Header
}

// send sends one request and has read read the body of the answer, unless it
// is an error, which is a *Problem, or has no body.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body []byte, read func(io.Reader) error) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	maps.Copy(request.Header, header)
	r, err := c.http.Do(request)
	if err != nil {
		return reply{}, &interrupted{err}
	}
	defer r.Body.Close()
	answer := reply{r.StatusCode, r.Header}
	switch {
	case r.StatusCode == http.StatusNoContent:
		return answer, nil
	case r.StatusCode < 400:
		return answer, read(r.Body)
	}
	p := &Problem{}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<20)).Decode(&p.Problem); err != nil || p.Title == "" {
		p.Title, p.Status = "the server answered "+r.Status, r.StatusCode
	}
	return answer, p
}

// repeat tries until it works, or fails for good, or patience ends.
func (c *Client) repeat(ctx context.Context, try func() (reply, error)) (reply, error) {
	end := time.Now().Add(c.Patience)
	for n := 0; ; n++ {
		r, err := try()
		var p *Problem
		var i *interrupted
		switch {
		case err == nil:
			return r, nil
		case errors.As(err, &p) && p.Status != http.StatusServiceUnavailable && p.Status != http.StatusGatewayTimeout && p.Status != http.StatusTooManyRequests:
			return r, err
		case p == nil && !errors.As(err, &i):
			return r, err
		}
		pause := min(50*time.Millisecond<<min(n, 5), time.Second)
		pause += rand.N(pause)
		if s, e := strconv.Atoi(r.header.Get("Retry-After")); e == nil {
			pause = time.Duration(s)*time.Second + rand.N(100*time.Millisecond)
		}
		if time.Now().Add(pause).After(end) {
			return r, fmt.Errorf("%s: %w", c.base, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}
