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
	"net"
	"net/http"
	"strconv"
	"time"

	"catalog"
)

// Pauses between tries without a Retry-After: they double from minPause to
// maxPause, and get a random part on top, so that clients do not retry in step.
const minPause, maxPause = 50 * time.Millisecond, time.Second

// interruptedError is the error of a response that did not arrive, or not
// completely. The server may have processed the request, unless dial is set.
type interruptedError struct {
	error
	dial bool // the connection was not established
}

func (i *interruptedError) Unwrap() error { return i.error }

// finalError is the error of a request that cannot be sent again.
type finalError struct{ error }

func (f *finalError) Unwrap() error { return f.error }

// reply is the status and header of a response.
type reply struct {
	status   int
	header   http.Header
	progress bool // the response had results that are new, so that the time for retries begins again
}

// call sends a request with a JSON body and decodes the response into to. It
// repeats the request when that may help.
func (c *Client) call(ctx context.Context, method, path string, header http.Header, body, to any) (reply, error) {
	if header == nil {
		header = http.Header{}
	}
	var encoded []byte
	if body != nil {
		var err error
		if encoded, err = json.Marshal(body); err != nil {
			return reply{}, err
		}
		header.Set("Content-Type", "application/json")
		if method == http.MethodPatch {
			header.Set("Content-Type", "application/merge-patch+json")
		}
	}
	return c.retry(ctx, method, func() (reply, error) {
		return c.send(ctx, method, path, header, bytes.NewReader(encoded), func(body io.Reader) error {
			if err := json.NewDecoder(body).Decode(to); err != nil {
				return &interruptedError{error: err}
			}
			return nil
		})
	})
}

// send sends one request and calls read with the body of a successful response
// that has one. An error response is returned as a *Problem.
func (c *Client) send(ctx context.Context, method, path string, header http.Header, body io.Reader, read func(io.Reader) error) (reply, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return reply{}, err
	}
	maps.Copy(request.Header, header)
	r, err := c.http.Do(request)
	if err != nil {
		var op *net.OpError
		return reply{}, &interruptedError{error: err, dial: errors.As(err, &op) && op.Op == "dial"}
	}
	defer r.Body.Close()
	got := reply{status: r.StatusCode, header: r.Header}
	switch {
	case r.StatusCode == http.StatusNoContent:
		return got, nil
	case r.StatusCode < 400:
		return got, read(r.Body)
	}
	p := &Problem{}
	if err := json.NewDecoder(io.LimitReader(r.Body, maxProblem)).Decode(&p.Problem); err != nil || p.Title == "" {
		p.Title = "the server responded with " + r.Status
	}
	p.Status = r.StatusCode
	return got, p
}

// retry calls try until it succeeds, fails with an error that a retry does not
// help, or RetryTimeout would pass since the beginning or the last progress. It waits as long as Retry-After says. An
// error of the connection then matches catalog.ErrUnavailable, or
// catalog.ErrOutcomeUnknown when the server may have processed a write.
func (c *Client) retry(ctx context.Context, method string, try func() (reply, error)) (reply, error) {
	deadline := time.Now().Add(c.RetryTimeout)
	sent := false // whether a request may have reached the server
	for n := 0; ; n++ {
		r, err := try()
		if err == nil || !retryable(err) {
			return r, err
		}
		if r.progress {
			deadline, n = time.Now().Add(c.RetryTimeout), 0
		}
		var i *interruptedError
		interrupted := errors.As(err, &i)
		sent = sent || interrupted && !i.dial
		pause := min(minPause<<min(n, 5), maxPause)
		pause += rand.N(pause)
		if s, e := strconv.Atoi(r.header.Get("Retry-After")); e == nil {
			pause = time.Duration(s)*time.Second + rand.N(100*time.Millisecond)
		}
		if time.Now().Add(pause).After(deadline) {
			switch {
			case interrupted && sent && method != http.MethodGet:
				err = fmt.Errorf("%w: %w", catalog.ErrOutcomeUnknown, err)
			case interrupted:
				err = fmt.Errorf("%w: %w", catalog.ErrUnavailable, err)
			}
			return r, fmt.Errorf("%s: %w", c.base, err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return r, ctx.Err()
		}
	}
}
