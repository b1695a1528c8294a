package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"catalog/api"
	"catalog/client"
)

const (
	batchRows = 500 // in one request
	inFlight  = 4   // requests at once
	maxListed = 100 // refused rows that are listed
)

func importFile(ctx context.Context, args []string) error {
	var server, delimiter, kind string
	var retry time.Duration
	var f format
	fs := flags("import", `import [flags] FILE

Creates and changes products from the rows of a CSV or NDJSON file ("-" is the
standard input, NDJSON unless -format says else). A row is about the product with
its id, else about the one with its sku; where there is none it is created. Only the
fields of the row are changed, and a row that changes nothing makes no new version:
importing a file again is safe, and finishes an import that was interrupted. Of rows
about the same product the last one counts.

CSV needs a line with the names of the columns. -map says what they are:
  -map sku=item_no,name=title,price=net,attributes.width=width_cm
Without -map, columns count that are called as the fields are: id, sku, name,
description, category, price, currency, tags (separated by |) and attributes.NAME.
Runs of blanks become one blank, and an empty cell clears the field.

Refused rows are listed with their line and the reason; the others go in. The exit
code is 0 when no row was refused, else 1.
`)
	serverFlag(fs, &server)
	fs.StringVar(&delimiter, "delimiter", ",", "`character` between the cells of a CSV file; \\t for a tab")
	fs.StringVar(&f.decimal, "decimal", ".", "decimal `point` of the prices in a CSV file: . or ,")
	fs.StringVar(&f.currency, "currency", "", "`code` of ISO 4217 for prices in a CSV file that have none")
	fs.StringVar(&f.columns, "map", "", "`field=column,…` of a CSV file")
	fs.StringVar(&kind, "format", "", "csv or ndjson; what the file's name ends with is the default")
	fs.DurationVar(&retry, "retry", 30*time.Second, "`time` to go on trying while the server is away")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return wrongUsage("give one file, behind the flags; see catalog import -h")
	}
	if f.decimal != "." && f.decimal != "," {
		return wrongUsage("-decimal must be . or , not %q", f.decimal)
	}
	if delimiter == `\t` {
		delimiter = "\t"
	}
	var size int
	f.delimiter, size = utf8.DecodeRuneInString(delimiter)
	if size == 0 || size != len(delimiter) || strings.ContainsRune("\"\r\n\uFFFD", f.delimiter) {
		return wrongUsage("-delimiter must be one character, not %q", delimiter)
	}
	var err error
	if f.csv, err = isCSV(kind, fs.Arg(0)); err != nil {
		return err
	}
	in, done, err := open(fs.Arg(0))
	if err != nil {
		return err
	}
	defer done()
	c := client.New(server)
	c.Patience = retry
	result, err := runImport(ctx, c, f, in, os.Stderr)
	if result != nil {
		result.print(os.Stdout, os.Stderr)
	}
	if err == nil && len(result.refused) > 0 {
		return fmt.Errorf("%d rows were refused; they are listed above", len(result.refused))
	}
	return err
}

// isCSV says what kind of file it is, by the flag or the file's name.
func isCSV(kind, file string) (bool, error) {
	if kind == "" {
		kind = strings.TrimPrefix(strings.ToLower(filepath.Ext(file)), ".")
	}
	switch kind {
	case "csv", "tsv", "txt":
		return true, nil
	case "ndjson", "jsonl", "json", "", "-":
		return false, nil
	}
	return false, wrongUsage("-format must be csv or ndjson, not %q", kind)
}

// open opens the file. The standard input is first copied to a file, since the
// rows are read twice.
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

// imported is what came of an import.
type imported struct {
	mu                                sync.Mutex
	rows, created, changed, unchanged int
	superseded                        int // rows about a product of a later row
	refused                           []refusedRow
	took                              time.Duration
}

type refusedRow struct {
	line   int
	reason string
}

// runImport reads the file twice: first to find the rows that cannot be sent
// and those that a later row supersedes, then to send the others.
func runImport(ctx context.Context, c *client.Client, f format, file io.ReadSeeker, progress io.Writer) (*imported, error) {
	since := time.Now()
	result := &imported{}
	last := map[string]int{} // line of the last good row of each product
	if err := f.each(file, func(r row) error {
		result.rows++
		if r.err != nil {
			result.refused = append(result.refused, refusedRow{r.line, r.err.Error()})
			return ctx.Err()
		}
		last[r.key] = r.line
		return ctx.Err()
	}); err != nil {
		return nil, fmt.Errorf("%w; nothing was sent", err)
	}
	bar := newProgress(progress, "import", len(last))
	defer bar.done()

	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan []row)
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
	var batch []row
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
	err := f.each(file, func(r row) error {
		switch {
		case r.err != nil:
			return nil
		case last[r.key] != r.line:
			result.superseded++
			return nil
		}
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
		return result, fmt.Errorf("stopped before the end: %w; import the file again to finish", err)
	}
	return result, nil
}

// each calls handle with every row of the file.
func (f format) each(file io.ReadSeeker, handle func(row) error) error {
	if _, err := file.Seek(0, io.SeekStart); err != nil {
		return err
	}
	next, err := f.rows(file)
	if err != nil {
		return err
	}
	for {
		r, err := next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := handle(r); err != nil {
			return err
		}
	}
}

// send sends rows in one request and counts what came of them.
func (i *imported) send(ctx context.Context, c *client.Client, rows []row) error {
	var body bytes.Buffer
	for _, r := range rows {
		body.Write(r.json)
		body.WriteByte('\n')
	}
	results, err := c.Import(ctx, body.Bytes())
	if err != nil {
		return err
	}
	if len(results) != len(rows) {
		return fmt.Errorf("the server answered %d of %d rows", len(results), len(rows))
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
			i.refused = append(i.refused, refusedRow{rows[n].line, (&client.Problem{Problem: r.Problem}).Error()})
		}
	}
	return nil
}

// print prints the refused rows and, as the last thing, the summary.
func (i *imported) print(out, errs io.Writer) {
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
		fmt.Fprintf(out, "%d of the unchanged name a product that stands again further down; its last row counts\n", i.superseded)
	}
	if s := i.took.Seconds(); s > 0 {
		fmt.Fprintf(out, "%.1f s, %.0f products/s\n", s, float64(i.created+i.changed+i.unchanged)/s)
	}
}
