package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"net/http"
	"net/url"
	"strconv"
	"sync"

	"github.com/google/uuid"

	"catalog"
	"catalog/api"
)

// Content types of the files of [Client.ImportFile].
const (
	CSV    = "text/csv"
	TSV    = "text/tab-separated-values"
	JSON   = "application/json"
	NDJSON = "application/x-ndjson"
)

// ImportFile sends a file of products as it is read, and returns the results of its rows as
// they arrive. contentType is one of the constants of this package, or another type that the
// server takes; "; charset=windows-1252" behind it names an encoding. options are those of
// the operation importProducts; the zero value lets the server recognise the form of the
// file. The iterator can be used once. It ends after an error.
//
// If the connection breaks or the server asks for a retry, a file that is an io.Seeker is
// sent again from where it stood, with the same Idempotency-Key, for up to RetryTimeout after
// the last result that was new. Rows whose result has been returned are then applied once
// more, which changes nothing unless a later row is about the same product, and their results
// are not returned again. Other files are sent again only as long as nothing was read of
// them; the error then matches catalog.ErrOutcomeUnknown.
//
// A result with the outcome pending says that the row was accepted, and not settled in time.
func (c *Client) ImportFile(ctx context.Context, file io.Reader, contentType string, options api.ImportProductsParams) iter.Seq2[api.ImportResult, error] {
	return func(yield func(api.ImportResult, error) bool) {
		ctx, cancel := context.WithCancel(ctx) // ends the request when the caller stops
		defer cancel()
		i := &fileImport{client: c, file: file, yield: yield}
		if seeker, ok := file.(io.Seeker); ok {
			if at, err := seeker.Seek(0, io.SeekCurrent); err == nil { // of a pipe, for one, it is an error
				i.seeker, i.start = seeker, at
			}
		}
		if options.IdempotencyKey == "" {
			options.IdempotencyKey = uuid.Must(uuid.NewV7()).String()
		}
		i.header = http.Header{"Content-Type": {contentType}, "Idempotency-Key": {options.IdempotencyKey}}
		i.path = "/api/v1/imports" + importQuery(options)
		_, err := c.retry(ctx, http.MethodPost, func() (reply, error) { return i.try(ctx) })
		if err != nil && !i.stopped {
			yield(api.ImportResult{}, err)
		}
	}
}

// importQuery returns the parameters of an import that are set.
func importQuery(o api.ImportProductsParams) string {
	values := url.Values{}
	for name, value := range map[string]string{
		"preset": string(o.Preset), "map": o.Map, "currency": o.Currency, "decimal": string(o.Decimal), "delimiter": o.Delimiter, "empty": o.Empty,
		"long": o.Long, "nulls": o.Nulls, "invalidGtin": string(o.InvalidGtin), "otherCategories": string(o.OtherCategories), "columns": o.Columns,
		"lineEnds": string(o.LineEnds),
	} {
		if value != "" {
			values.Set(name, value)
		}
	}
	if o.HeaderRow > 0 {
		values.Set("headerRow", strconv.Itoa(o.HeaderRow))
	}
	if o.Tidy != nil {
		values.Set("tidy", strconv.FormatBool(*o.Tidy))
	}
	if len(values) == 0 {
		return ""
	}
	return "?" + values.Encode()
}

// fileImport is an import of a file in progress.
type fileImport struct {
	client *Client
	path   string
	header http.Header
	file   io.Reader
	seeker io.Seeker // the file; nil if it cannot be read again
	start  int64     // where the file stood
	yield  func(api.ImportResult, error) bool

	returned int  // number of results
	stopped  bool // by the caller
}

// fileBody is the file as the body of one request. net/http may read it after the response.
type fileBody struct {
	from    io.Reader
	reading sync.Mutex // held while the file is read

	mu          sync.Mutex
	read, ended bool
	err         error // of the file
}

func (b *fileBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	b.mu.Lock()
	ended := b.ended
	b.read = true
	b.mu.Unlock()
	if ended {
		return 0, errors.New("the request has ended")
	}
	n, err := b.from.Read(p)
	if err != nil && !errors.Is(err, io.EOF) {
		b.mu.Lock()
		b.err = fmt.Errorf("read the file: %w", err)
		b.mu.Unlock()
	}
	return n, err
}

// end lets no other read begin. It reports whether the file was read, and the error of that.
func (b *fileBody) end() (read bool, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended = true
	return b.read, b.err
}

// try sends the file once and returns the results that are new.
func (i *fileImport) try(ctx context.Context) (reply, error) {
	body, before := &fileBody{from: i.file}, i.returned
	r, err := i.client.send(ctx, http.MethodPost, i.path, i.header, body, i.results)
	r.progress = i.returned > before
	read, fileErr := body.end()
	switch {
	case err == nil || !retryable(err) || !read:
		return r, err
	case fileErr != nil:
		return r, &finalError{fileErr}
	}
	if i.seeker == nil {
		return r, &finalError{fmt.Errorf("%w: %w; the file cannot be read again from its start: import it again, which is safe", catalog.ErrOutcomeUnknown, err)}
	}
	body.reading.Lock() // wait for a read in progress
	defer body.reading.Unlock()
	if _, e := i.seeker.Seek(i.start, io.SeekStart); e != nil {
		return r, &finalError{errors.Join(err, e)}
	}
	return r, err
}

// results returns the results of a response, without those that were returned before.
func (i *fileImport) results(body io.Reader) error {
	n := 0
	for result, err := range importResults(body) {
		if err != nil {
			return err
		}
		i.client.rememberResult(result)
		if n++; n <= i.returned {
			continue
		}
		i.returned++
		if i.stopped = !i.yield(result, nil); i.stopped {
			return nil
		}
	}
	return nil
}
