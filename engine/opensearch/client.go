package opensearch

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"catalog"
)

// client calls the HTTP API of OpenSearch.
type client struct {
	url  string
	host string // for errors: the URL without user and password
	http *http.Client
}

// responseError is a response of OpenSearch with an error status.
type responseError struct {
	status int
	kind   string // the error type of OpenSearch, such as index_not_found_exception; "" for none
}

func (e *responseError) Error() string {
	return fmt.Sprintf("OpenSearch returned %d %s", e.status, e.kind)
}

// Unwrap returns ErrUnavailable for errors that a retry may cure: overload, or a shard that is not
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
// sent as lines of JSON; any other body is encoded to JSON.
func (c client) call(ctx context.Context, method, path string, body, response any) error {
	var content io.Reader
	contentType := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		content, contentType = bytes.NewReader(b), "application/x-ndjson"
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", contentType)
	resp, err := c.http.Do(req)
	if err != nil {
		return c.transportError(ctx, err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body) // to the end, so that the connection can be reused
	if err != nil {
		return c.transportError(ctx, err)
	}
	if resp.StatusCode >= 300 {
		return decodeError(resp.StatusCode, b)
	}
	if response == nil {
		return nil
	}
	if err := json.Unmarshal(b, response); err != nil {
		return fmt.Errorf("decode the response of OpenSearch: %w", err)
	}
	return nil
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
func (c client) transportError(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which may contain a password
	}
	return fmt.Errorf("OpenSearch at %s: %w: %w", c.host, err, catalog.ErrUnavailable)
}
