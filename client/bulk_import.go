package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"iter"
	"net/http"

	"github.com/google/uuid"

	"catalog"
	"catalog/api"
)

// Import sends lines of NDJSON, each a product's id or SKU with its fields, and
// returns one result for each line. Importing the same lines again changes
// nothing, so Import is repeated like a read when the connection breaks. A line that an
// earlier try has created or changed keeps that result.
func (c *Client) Import(ctx context.Context, lines []byte) ([]api.ImportResult, error) {
	return c.ImportWithKey(ctx, uuid.Must(uuid.NewV7()).String(), lines)
}

// ImportWithKey is [Client.Import] with an Idempotency-Key: a line whose product another call
// with the key has created counts as created again. The ids of the products begin with the
// time of a key that is a UUID of version 7.
func (c *Client) ImportWithKey(ctx context.Context, key string, lines []byte) ([]api.ImportResult, error) {
	var results []api.ImportResult
	applied := map[int64]api.ImportResult{} // results of an earlier try, by line
	header := http.Header{"Content-Type": {"application/x-ndjson"}, "Idempotency-Key": {key}}
	_, err := c.retry(ctx, http.MethodPost, func() (reply, error) {
		return c.send(ctx, http.MethodPost, "/api/v1/imports", header, bytes.NewReader(lines), func(body io.Reader) error {
			results = results[:0]
			var pending error
			for result, err := range importResults(body) {
				if err != nil {
					return err
				}
				switch result.Outcome {
				case api.ImportResultOutcomePending:
					pending = &interruptedError{error: errors.New("rows are not settled yet")}
				case api.ImportResultOutcomeCreated, api.ImportResultOutcomeChanged:
					applied[result.Line] = result
				case api.ImportResultOutcomeUnchanged:
					if earlier, ok := applied[result.Line]; ok {
						result = earlier
					}
				}
				results = append(results, result)
			}
			return pending
		})
	})
	for _, result := range results {
		c.rememberResult(result)
	}
	return results, err
}

// importResults returns the results in the response of an import. It ends after an error.
func importResults(body io.Reader) iter.Seq2[api.ImportResult, error] {
	return func(yield func(api.ImportResult, error) bool) {
		for d := json.NewDecoder(body); ; {
			var result api.ImportResult
			err := d.Decode(&result)
			switch {
			case errors.Is(err, io.EOF):
				return
			case err != nil:
				err = &interruptedError{error: err}
			case result.Line == 0:
				err = &Problem{result.Problem}
			}
			if !yield(result, err) || err != nil {
				return
			}
		}
	}
}

// rememberResult remembers the position of a result that has one.
func (c *Client) rememberResult(result api.ImportResult) {
	if p, err := catalog.ParsePosition(result.Position); err == nil && p.Seq > 0 {
		c.remember(p)
	}
}
