package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"catalog"
	"catalog/internal/telemetry"
)

// maxResponse is the largest response, in bytes, that the client reads: twice a page of results.
// A call that asks for many large products fails with errTooLarge, and is repeated for fewer.
const maxResponse = 8 << 20

var errTooLarge = fmt.Errorf("the response is larger than %d MiB", maxResponse>>20)

// avoidFor is how long a node that did not respond gets no calls while another one
// responds.
const avoidFor = 5 * time.Second

// client calls the HTTP API of OpenSearch. Calls go to the nodes in turn.
type client struct {
	nodes []*node
	next  *atomic.Uint32
	http  *http.Client
	db    *telemetry.DB
}

// node is an address of OpenSearch.
type node struct {
	url    string
	host   string       // for errors: the URL without user and password
	failed atomic.Int64 // time of the last call without a response, in nanoseconds since 1970; 0 after a response
}

// newClient returns a client for a list of URLs, separated by commas.
func newClient(urls string, h *http.Client) (client, error) {
	c := client{next: new(atomic.Uint32), http: h, db: telemetry.NewDB("opensearch", "")}
	for s := range strings.SplitSeq(urls, ",") {
		u, err := url.Parse(strings.TrimSpace(s))
		if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
			return client{}, errors.New("-opensearch.url: must be the URL of OpenSearch, such as http://127.0.0.1:9200, or several URLs separated by commas") // not the value: it may contain a password
		}
		c.nodes = append(c.nodes, &node{url: strings.TrimSuffix(u.String(), "/"), host: u.Host})
	}
	return c, nil
}

// order returns the nodes in the order in which a call tries them: those that
// responded last time, beginning with another one for each call, then the others.
func (c client) order() []*node {
	first, now := int(c.next.Add(1)), time.Now().UnixNano()
	order, avoided := make([]*node, 0, len(c.nodes)), []*node(nil)
	for i := range c.nodes {
		n := c.nodes[(first+i)%len(c.nodes)]
		if failed := n.failed.Load(); failed > 0 && now-failed < int64(avoidFor) {
			avoided = append(avoided, n)
		} else {
			order = append(order, n)
		}
	}
	return append(order, avoided...)
}

// responseError is a response of OpenSearch with an error status.
type responseError struct {
	status int
	kind   string // the error type of OpenSearch, such as index_not_found_exception; "" for none
}

func (e *responseError) Error() string {
	return fmt.Sprintf("OpenSearch returned %d %s", e.status, e.kind)
}

// Unwrap returns ErrUnavailable for errors that a retry may fix: overload, or a shard that is not
// available yet.
func (e *responseError) Unwrap() error {
	if e.status >= 500 || e.status == http.StatusTooManyRequests {
		return catalog.ErrUnavailable
	}
	return nil
}

// Error types of OpenSearch.
const (
	errTypeNoIndex         = "index_not_found_exception"
	errTypeShardsFailed    = "search_phase_execution_exception"
	errTypeIndexExists     = "resource_already_exists_exception"
	errTypeVersionConflict = "version_conflict_engine_exception"
)

// isErrorType reports whether err is a responseError of that type.
func isErrorType(err error, kind string) bool {
	var e *responseError
	return errors.As(err, &e) && e.kind == kind
}

// call sends a request and decodes the response, unless response is nil. A body of type []byte is
// sent as lines of JSON; any other body is encoded to JSON. When a node does not respond or is
// not part of the cluster, the next one gets the request, if it may be repeated.
func (c client) call(ctx context.Context, method, path string, body, response any) error {
	var content []byte
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		content, contentType = b, "application/x-ndjson"
	default:
		var err error
		if content, err = json.Marshal(b); err != nil {
			return err
		}
	}
	// A switch of aliases and a conditional deletion fail when they are repeated after they succeeded.
	repeatable := method != http.MethodDelete && path != "/_aliases"
	var err error
	for _, n := range c.order() {
		var again bool
		nodeCtx, measured := c.db.Start(ctx, apiName(method, path), "", telemetry.Server(n.host)...)
		again, err = c.callNode(nodeCtx, n, method, path, contentType, content, response)
		measured.End(errorType(err))
		if !again || !repeatable && !notSent(err) {
			break
		}
	}
	return err
}

// callNode sends a request to one node. again reports whether another node may succeed.
func (c client) callNode(ctx context.Context, n *node, method, path, contentType string, content []byte, response any) (again bool, err error) {
	req, err := http.NewRequestWithContext(ctx, method, n.url+path, bytes.NewReader(content))
	if err != nil {
		return false, err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := c.http.Do(req)
	var b []byte
	if err == nil {
		defer resp.Body.Close()
		b, err = io.ReadAll(io.LimitReader(resp.Body, maxResponse+1)) // read to the end, so that the connection can be reused
	}
	if err != nil {
		if !errors.Is(ctx.Err(), context.Canceled) { // the node failed: the caller has not given up
			n.failed.Store(time.Now().UnixNano())
		}
		return ctx.Err() == nil, transportError(ctx, n, err)
	}
	if resp.StatusCode >= 300 {
		err := decodeError(resp.StatusCode, b)
		// A node outside of the cluster returns 503; a search that fails on all shards fails on every node.
		if resp.StatusCode == http.StatusServiceUnavailable && !isErrorType(err, errTypeShardsFailed) {
			n.failed.Store(time.Now().UnixNano())
			return true, err
		}
		return false, err
	}
	n.failed.Store(0)
	if len(b) > maxResponse {
		return false, errTooLarge
	}
	if response == nil {
		return false, nil
	}
	if err := json.Unmarshal(b, response); err != nil {
		return false, fmt.Errorf("decode the response of OpenSearch: %w", err)
	}
	return false, nil
}

// notSent reports whether the request did not reach the node, because there is no connection.
func notSent(err error) bool {
	var op *net.OpError
	return errors.As(err, &op) && op.Op == "dial"
}

// apiName returns the API that a call uses, such as bulk or search, for metrics
// and traces. Calls on a whole index have the name of their method.
func apiName(method, path string) string {
	path, _, _ = strings.Cut(path, "?")
	for part := range strings.SplitSeq(path, "/") {
		if name, ok := strings.CutPrefix(part, "_"); ok {
			return name
		}
	}
	return strings.ToLower(method)
}

// errorType returns the type of an error for metrics and traces: for an error
// response its status.
func errorType(err error) string {
	var e *responseError
	if errors.As(err, &e) {
		return strconv.Itoa(e.status)
	}
	return telemetry.ErrorType(err)
}

// decodeError returns the error of a response. It leaves out the reason that OpenSearch gives, which
// quotes the query. A body that is not understood leaves the status alone.
func decodeError(status int, body []byte) error {
	var outer struct {
		Error json.RawMessage `json:"error"`
	}
	var inner struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(body, &outer)
	_ = json.Unmarshal(outer.Error, &inner)
	return &responseError{status, inner.Type}
}

// transportError returns the error of a call that got no response: that of ctx when it has ended,
// else ErrUnavailable.
func transportError(ctx context.Context, n *node, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which may contain a password
	}
	return fmt.Errorf("OpenSearch at %s: %w: %w", n.host, err, catalog.ErrUnavailable)
}
