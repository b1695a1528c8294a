package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"catalog/api"
	"catalog/client"
	"catalog/internal/productfile"
)

const (
	// batchRows is the number of rows in one request: large enough that the request
	// itself costs little, and small enough that a repeated one loses little.
	batchRows = 500
	// inFlight is the number of concurrent requests, which keeps the server busy.
	inFlight = 4
	// maxListed is the number of refused rows that are printed.
	maxListed = 100
	// defaultRetry is the time after which an import gives up: a restart of the server
	// takes a few seconds.
	defaultRetry = 30 * time.Second
)

var importManual = `import [flags] FILE

Creates and changes products from the rows of a CSV or NDJSON file. FILE "-" is standard
input, and NDJSON unless -format is given. A row applies to the product with its id, or
else with its sku; if there is none, the product is created. Only the fields in the row
change, and a row without a change makes no new version. Importing a file again is
therefore safe, and completes an import that was interrupted. If several rows are about
one product, the last one counts.

The first line of a CSV file has the names of the columns. -map assigns them to fields:
  -map sku=item_no,name=title,price=net,attributes.width=width_cm
Without -map, the columns with these names are read, and others ignored:
  ` + strings.Join(productfile.Columns(), ", ") + `, attributes.NAME
Tags are separated by |. Runs of spaces become one space, and an empty cell clears the
field.

Refused rows are listed with their line and the reason; all others are imported. The exit
code is 0 if no row was refused, else 1.
`

func importFile(ctx context.Context, args []string) error {
	var server, delimiter, kind string
	var retry time.Duration
	var format productfile.Format
	fs := flags("import", importManual)
	serverFlag(fs, &server)
	formatFlag(fs, &kind)
	fs.StringVar(&delimiter, "delimiter", ",", "`character` between the cells of a CSV file; \\t for a tab")
	fs.StringVar(&format.Decimal, "decimal", ".", "decimal `separator` of prices in a CSV file: . or ,")
	fs.StringVar(&format.Currency, "currency", "", "ISO 4217 `code` for prices without a currency in a CSV file")
	fs.StringVar(&format.Mapping, "map", "", "`field=column,…`: columns of a CSV file for the fields")
	fs.DurationVar(&retry, "retry", defaultRetry, "`time` for which failed requests are retried while the server is unavailable")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return wrongUsage("give one file, after the flags; see catalog import -h")
	}
	var err error
	if format.Delimiter, err = productfile.ParseDelimiter(delimiter); err != nil {
		return &usageError{err}
	}
	if err := format.Validate(); err != nil {
		return &usageError{err}
	}
	if format.CSV, err = productfile.IsCSV(kind, fs.Arg(0)); err != nil {
		return &usageError{err}
	}
	in, done, err := open(fs.Arg(0))
	if err != nil {
		return err
	}
	defer done()
	c := client.New(server)
	c.RetryTimeout = retry
	result, err := runImport(ctx, c, format, in, os.Stderr)
	if result != nil {
		result.print(os.Stdout, os.Stderr)
	}
	if err == nil && len(result.refused) > 0 {
		return fmt.Errorf("%d rows were refused; see the list above", len(result.refused))
	}
	return err
}

func formatFlag(fs *flag.FlagSet, to *string) {
	fs.StringVar(to, "format", "", "`csv or ndjson`; the default follows from the extension of the file")
}

// open opens the file. Standard input is copied to a temporary file, because an import
// reads the rows twice.
func open(name string) (f *os.File, done func(), err error) {
	if name != "-" {
		if f, err = os.Open(name); err != nil {
			return nil, nil, err
		}
		return f, func() { f.Close() }, nil
	}
	if f, err = os.CreateTemp("", "catalog-import-"); err != nil {
		return nil, nil, err
	}
	done = func() { f.Close(); os.Remove(f.Name()) }
	if _, err = io.Copy(f, os.Stdin); err != nil {
		done()
		return nil, nil, err
	}
	return f, done, nil
}

// importResult counts the rows of an import by outcome.
type importResult struct {
	mu                                sync.Mutex
	rows, created, changed, unchanged int
	superseded                        int // rows followed by another row about the same product
	refused                           []refusedRow
	took                              time.Duration
}

type refusedRow struct {
	line   int
	reason string
}

// runImport checks the whole file first, and then sends the rows that are valid and not
// superseded.
func runImport(ctx context.Context, c *client.Client, format productfile.Format, in io.ReadSeeker, status io.Writer) (*importResult, error) {
	since := time.Now()
	file, err := productfile.Check(in, format, ctx.Err)
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was sent", err)
	}
	result := &importResult{rows: file.Rows, superseded: file.Superseded}
	for _, r := range file.Invalid {
		result.refused = append(result.refused, refusedRow{r.Line, r.Err.Error()})
	}
	bar := newProgress(status, "import", file.Products)
	defer bar.done()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []productfile.Row)
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for rows := range batches {
				if err := result.send(ctx, c, rows); err != nil {
					cancel(err)
					return
				}
				bar.add(len(rows))
			}
		})
	}
	var batch []productfile.Row
	flush := func() error {
		if len(batch) == 0 {
			return nil
		}
		select {
		case batches <- batch:
			batch = nil
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err = file.Each(func(r productfile.Row) error {
		if batch = append(batch, r); len(batch) < batchRows {
			return nil
		}
		return flush()
	})
	err = errors.Join(err, flush())
	close(batches)
	wg.Wait()
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	result.took = time.Since(since)
	if err != nil {
		return result, fmt.Errorf("the import stopped before the end of the file: %w; import the file again to complete it", err)
	}
	return result, nil
}

// send sends rows in one request and counts their outcomes.
func (i *importResult) send(ctx context.Context, c *client.Client, rows []productfile.Row) error {
	var body bytes.Buffer
	for _, r := range rows {
		body.Write(r.JSON)
		body.WriteByte('\n')
	}
	results, err := c.Import(ctx, body.Bytes())
	if err != nil {
		return err
	}
	if len(results) != len(rows) {
		return fmt.Errorf("the server returned %d results for %d rows", len(results), len(rows))
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	for n, r := range results {
		switch r.Outcome {
		case api.ImportResultOutcomeCreated:
			i.created++
		case api.ImportResultOutcomeChanged:
			i.changed++
		case api.ImportResultOutcomeUnchanged:
			i.unchanged++
		default:
			i.refused = append(i.refused, refusedRow{rows[n].Line, (&client.Problem{Problem: r.Problem}).Error()})
		}
	}
	return nil
}

// print lists the refused rows on errs, and prints the summary on out.
func (i *importResult) print(out, errs io.Writer) {
	for n, r := range i.refused {
		if n == maxListed {
			fmt.Fprintf(errs, "… and %d more\n", len(i.refused)-n)
			break
		}
		fmt.Fprintf(errs, "line %d: %s\n", r.line, r.reason)
	}
	fmt.Fprintf(out, "%d rows: %d created, %d updated, %d unchanged, %d refused\n",
		i.rows, i.created, i.changed, i.unchanged+i.superseded, len(i.refused))
	if i.superseded > 0 {
		fmt.Fprintf(out, "%d of the unchanged rows are followed by another row about the same product, which counts\n", i.superseded)
	}
	if s := i.took.Seconds(); s > 0 {
		fmt.Fprintf(out, "%.1f s, %.0f products/s\n", s, float64(i.created+i.changed+i.unchanged)/s)
	}
}
