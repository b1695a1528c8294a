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

// client speaks OpenSearch's HTTP API.
type client struct {
	url   string
	place string
	http  *http.Client
}

// refusal is an answer of OpenSearch that is not a success.
type refusal struct {
	status int
	kind   string // such as index_not_found_exception
}

func (r *refusal) Error() string { return fmt.Sprintf("OpenSearch answers %d %s", r.status, r.kind) }

// Unwrap says what passes: too much at once, or a part that is not there yet.
func (r *refusal) Unwrap() error {
	if r.status >= 500 || r.status == http.StatusTooManyRequests {
		return catalog.ErrUnavailable
	}
	return nil
}

// Kinds of refusals.
const (
	noIndex  = "index_not_found_exception"
	noShard  = "search_phase_execution_exception"
	isThere  = "resource_already_exists_exception"
	conflict = "version_conflict_engine_exception"
)

// is says whether err is a refusal of that kind.
func is(err error, kind string) bool {
	var r *refusal
	return errors.As(err, &r) && r.kind == kind
}

// call sends a body, JSON unless it is lines of it already, and reads the
// answer, unless that is nil.
func (c client) call(ctx context.Context, method, path string, body, answer any) error {
	var content io.Reader
	kind := "application/json"
	switch b := body.(type) {
	case nil:
	case []byte:
		content, kind = bytes.NewReader(b), "application/x-ndjson"
	default:
		encoded, err := json.Marshal(b)
		if err != nil {
			return err
		}
		content = bytes.NewReader(encoded)
	}
	r, err := http.NewRequestWithContext(ctx, method, c.url+path, content)
	if err != nil {
		return err
	}
	r.Header.Set("Content-Type", kind)
	a, err := c.http.Do(r)
	if err != nil {
		return c.silent(ctx, err)
	}
	defer a.Body.Close()
	b, err := io.ReadAll(a.Body) // all of it, so that the connection can be used again
	if err != nil {
		return c.silent(ctx, err)
	}
	if a.StatusCode >= 300 {
		var said struct {
			Error json.RawMessage `json:"error"`
		}
		var cause struct {
			Type string `json:"type"`
		}
		_ = json.Unmarshal(b, &said) // what is not understood is told by its status
		_ = json.Unmarshal(said.Error, &cause)
		return &refusal{a.StatusCode, cause.Type}
	}
	if answer == nil {
		return nil
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return fmt.Errorf("answer of OpenSearch: %w", err)
	}
	return nil
}

// silent is the error of a call without an answer.
func (c client) silent(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err // without the URL, which may hold a password
	}
	return fmt.Errorf("OpenSearch at %s: %w: %w", c.place, err, catalog.ErrUnavailable)
}
