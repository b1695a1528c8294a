package client

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"

	"catalog"
	"catalog/api"
)

// Import sends lines of NDJSON, each a product's id or SKU with its fields, and
// returns one result for each line. Importing the same lines again changes
// nothing, so Import is repeated like a read when the connection breaks. A line that an
// earlier try has created or changed keeps that result.
func (c *Client) Import(ctx context.Context, lines []byte) ([]api.ImportResult, error) {
	var results []api.ImportResult
	applied := map[int64]api.ImportResult{} // by an earlier try
	header := http.Header{"Content-Type": {"application/x-ndjson"}}
	_, err := c.retry(ctx, http.MethodPost, func() (reply, error) {
		return c.send(ctx, http.MethodPost, "/api/v1/imports", header, lines, func(body io.Reader) error {
			for _, r := range results {
				if r.Outcome == api.ImportResultOutcomeCreated || r.Outcome == api.ImportResultOutcomeChanged {
					applied[r.Line] = r
				}
			}
			results = results[:0]
			for d := json.NewDecoder(body); ; {
				var result api.ImportResult
				switch err := d.Decode(&result); {
				case errors.Is(err, io.EOF):
					return nil
				case err != nil:
					return &interruptedError{error: err}
				case result.Line == 0:
					return &Problem{result.Problem}
				case result.Outcome == api.ImportResultOutcomePending:
					return &interruptedError{error: errors.New("rows are not settled yet")}
				}
				if earlier, ok := applied[result.Line]; ok && result.Outcome == api.ImportResultOutcomeUnchanged {
					result = earlier
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
