package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
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
	// batchBytes is the size of a request from which it is sent, so that four of them take
	// little memory, however long the rows are.
	batchBytes = 4 << 20
	// inFlight is the number of concurrent requests, which keeps the server busy.
	inFlight = 4
	// maxListed is the number of refused rows that are printed, and of notes.
	maxListed = 100
	// defaultRetry is the time after which an import gives up: a restart of the server
	// takes a few seconds.
	defaultRetry = 30 * time.Second
	// planProducts is the number of products that -plan prints.
	planProducts = 5
)

var importManual = `import [flags] FILE

Creates and changes products from the rows of a CSV or JSON file, which may be compressed
(.gz, .zip). FILE "-" is standard input. A row applies to the product with its id, or
else with its sku; if there is none, the product is created. Only the fields in the row
change, and a row without a change makes no new version. Importing a file again is
therefore safe, and completes an import that was interrupted. If several rows are about
one product, the last one counts.

Encoding, delimiter, line ends and header are recognised, and printed in one line; a flag
overrules each. -plan shows how a file would be read, and changes nothing.

The header of a CSV file has the names of the columns. -map assigns them to fields:
  -map 'sku=item_no,name=title,price=net,attributes.width="Width, cm"'
-mapping reads a YAML file that can do more, and -preset the files of a well-known system:
  ` + strings.Join(productfile.Presets(), ", ") + `
Without them, the columns with these names are read, and others ignored:
  ` + strings.Join(productfile.Columns(), ", ") + `, attributes.NAME
Tags are separated by |, names of a category by / or >.

Refused rows are listed with their line and the reason; all others are imported. The exit
code is 0 if no row was refused, else 1. docs/import.md has an example of each format.
`

// importOptions are the flags of an import.
type importOptions struct {
	format  productfile.Format
	retry   time.Duration
	rejects string // name of the file for refused rows
	plan    bool

	checkpoint string // name of the file for the state of the import
	file       string // name of the imported file
}

func importFile(ctx context.Context, args []string) error {
	var server string
	fs := flags("import", importManual)
	serverFlag(fs, &server)
	o, err := parseImport(fs, args)
	if err != nil {
		return err
	}
	source, done, err := o.open(fs.Arg(0))
	if err != nil {
		return err
	}
	defer done()
	if o.plan {
		return printPlan(os.Stdout, source, o.format)
	}
	c := client.New(server)
	c.RetryTimeout = o.retry
	result, err := runImport(ctx, c, o, source, os.Stderr)
	if result != nil {
		result.print(os.Stdout)
	}
	if err == nil && result.refused > 0 {
		where := "see the list above"
		if o.rejects != "" {
			where = o.rejects + " has them; correct and import that file"
		}
		return fmt.Errorf("%s refused; %s", count(result.refused, "row"), where)
	}
	return err
}

// parseImport parses the flags of an import.
func parseImport(fs *flag.FlagSet, args []string) (o importOptions, err error) {
	var s productfile.Settings
	fs.StringVar(&s.Kind, "format", "", "`csv or ndjson`; recognised by default")
	fs.StringVar(&s.Delimiter, "delimiter", "", "`character` between the cells of a CSV file; \\t for a tab; recognised by default")
	fs.StringVar(&s.Encoding, "encoding", "", "character `encoding`, such as windows-1252, macintosh or utf-16le; recognised by default")
	fs.StringVar(&s.LineEnds, "line-ends", "", "`lf, crlf or cr`; recognised by default")
	fs.IntVar(&s.HeaderRow, "header-row", 0, "`number` of the row with the names of the columns, from 1; recognised by default")
	fs.StringVar(&s.Columns, "columns", "", "`names` of the columns of a CSV file without a header, separated by commas")
	fs.StringVar(&s.Decimal, "decimal", "", "decimal `separator` of prices: . or , (the other one separates thousands); by default each price shows it")
	fs.StringVar(&s.Currency, "currency", "", "ISO 4217 `code` for prices without a currency")
	fs.StringVar(&s.Map, "map", "", "`field=column,…`: columns for the fields; quotes around a column with a comma; a.b for members of JSON objects")
	fs.StringVar(&s.Mapping, "mapping", "", "YAML `file` with columns for the fields, and how their cells are read")
	fs.StringVar(&s.Preset, "preset", "", "`system` that wrote the file: "+strings.Join(productfile.Presets(), ", "))
	fs.StringVar(&s.Empty, "empty", "", "what an empty cell means: `clear or keep` the field, for all or as field=keep,…; name and price are always kept; clear by default")
	fs.StringVar(&s.Long, "long", "", "what a text above its limit means: `refuse, cut or skip` (leave it out), for all or as field=cut,…; refuse by default")
	fs.StringVar(&s.Nulls, "nulls", "", "`texts` that stand for an empty cell, such as N/A,NULL,-")
	fs.StringVar(&s.InvalidGTIN, "invalid-gtin", "", "what a GTIN that is not valid means: `refuse or skip` (leave it out); refuse by default")
	fs.StringVar(&s.OtherCategories, "other-categories", "", "what the second and further categories of a cell become: `note or tags`; noted by default, since a product has one")
	fs.BoolFunc("tidy", "make runs of blanks one space, and understand prices, categories and damage by spreadsheets; on for CSV files that catalog export did not write and for mapped JSON", func(text string) error {
		on := text == "true"
		if !on && text != "false" {
			return errors.New("must be true or false")
		}
		s.Tidy = &on
		return nil
	})
	fs.StringVar(&o.rejects, "rejects", "", "`file` for refused rows, as they came and with the reason in the first column, to be corrected and imported")
	fs.StringVar(&o.checkpoint, "checkpoint", "", "`file` for the state of the import: a run after an interruption continues there, with its counts")
	fs.BoolVar(&o.plan, "plan", false, "print how the file would be read and its first products, and change nothing")
	fs.DurationVar(&o.retry, "retry", defaultRetry, "`time` for which failed requests are retried while the server is unavailable")
	if err := parse(fs, args); err != nil {
		return o, err
	}
	if fs.NArg() != 1 {
		return o, wrongUsage("give one file, after the flags; see catalog import -h")
	}
	o.file = fs.Arg(0)
	if o.format, err = s.Format(); err == nil && o.format.Kind == "" {
		err = productfile.CheckName(o.file)
	}
	if err != nil {
		return o, &usageError{err}
	}
	return o, nil
}

// open opens the file. Standard input is copied to a temporary file, because an import
// reads the rows twice.
func (o *importOptions) open(name string) (source productfile.Source, done func(), err error) {
	var f *os.File
	if name == "-" {
		f, err = os.CreateTemp("", "catalog-import-")
	} else {
		f, err = os.Open(name)
	}
	if err != nil {
		return nil, nil, err
	}
	done = func() { f.Close() }
	if name == "-" {
		done = func() { f.Close(); os.Remove(f.Name()) }
		_, err = io.Copy(f, os.Stdin)
	}
	if err == nil {
		source, name, err = productfile.SourceOf(f)
	}
	if err == nil && o.format.Kind == "" && name != f.Name() {
		err = productfile.CheckName(name) // name is that of the unpacked file
	}
	if err != nil {
		done()
		return nil, nil, err
	}
	return source, done, nil
}

// printHint prints which flag would probably read more columns.
func printHint(out io.Writer, about productfile.Recognised) {
	if about.Hint != "" {
		fmt.Fprintf(out, "some columns are not read, though they may be fields; to read them, give %s\n", about.Hint)
	}
}

// printPlan prints how a file would be read, and its first products.
func printPlan(out io.Writer, source productfile.Source, format productfile.Format) error {
	in, err := source()
	if err != nil {
		return err
	}
	defer in.Close()
	r, err := productfile.NewReader(in, format)
	if err != nil {
		return err
	}
	about := r.Recognised()
	fmt.Fprintln(out, about)
	for _, m := range about.Mapped {
		fmt.Fprintln(out, "  "+m)
	}
	if len(about.Ignored) > 0 {
		fmt.Fprintln(out, "  not read: "+strings.Join(about.Ignored, ", "))
	}
	printHint(out, about)
	products := 0
	for products < planProducts {
		row, err := r.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return err
		}
		for _, note := range row.Notes {
			fmt.Fprintf(out, "%s: note: %s\n", row.Place(), note)
		}
		switch {
		case row.Skipped != "":
			fmt.Fprintf(out, "%s: skipped, one of the %s\n", row.Place(), row.Skipped)
			continue
		case row.Err != nil:
			fmt.Fprintf(out, "%s: refused: %s\n", row.Place(), row.Err)
		default:
			fmt.Fprintf(out, "%s: %s\n", row.Place(), row.JSON)
		}
		products++
	}
	if products == 0 {
		return errors.New("the file has no row with a product")
	}
	return nil
}

// importResult counts the rows of an import by outcome.
type importResult struct {
	mu   sync.Mutex
	rows int
	importCounts
	resumed    int // rows that an earlier run has settled
	superseded int // rows followed by another row about the same product
	refused    int // rows refused by the server, or before they were sent
	noted      int
	skipped    map[string]int
	took       time.Duration

	status  io.Writer
	rejects *productfile.RejectsWriter // file of refused rows; nil for none
	err     error                      // error of writing the file of refused rows
}

// refuse lists a refused row, and writes it to the file of refused rows unless the run
// that was interrupted has done so.
func (i *importResult) refuse(r refusedRow, written bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	switch i.refused++; {
	case i.refused <= maxListed:
		fmt.Fprintf(i.status, "%s: %s\n", r.row.Place(), r.reason)
	case i.refused == maxListed+1:
		fmt.Fprintln(i.status, "… and more refused rows, which are not listed")
	}
	if i.rejects != nil && !written {
		i.err = errors.Join(i.err, i.rejects.Write(r.row, r.reason))
	}
}

// note lists the parts of a row that were left out or changed.
func (i *importResult) note(row productfile.Row) {
	for _, n := range row.Notes {
		switch i.noted++; {
		case i.noted <= maxListed:
			fmt.Fprintf(i.status, "%s: note: %s\n", row.Place(), n)
		case i.noted == maxListed+1:
			fmt.Fprintln(i.status, "… and more notes, which are not listed")
		}
	}
}

// runImport checks the whole file first, and then sends the rows that are valid and not
// superseded.
func runImport(ctx context.Context, c *client.Client, o importOptions, source productfile.Source, status io.Writer) (result *importResult, err error) {
	since := time.Now()
	about, err := productfile.Recognise(source, o.format)
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was sent", err)
	}
	fmt.Fprintln(status, about)
	printHint(status, about)
	state, err := openCheckpoint(o.checkpoint, o.file)
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was sent", err)
	}
	result = &importResult{status: status}
	if o.rejects != "" {
		if result.rejects, err = productfile.OpenRejects(o.rejects, source, o.format, state.state.Rejects); err != nil {
			return nil, fmt.Errorf("%w; nothing was sent", err)
		}
		state.rejects = result.rejects
		defer func() {
			if e := errors.Join(result.err, result.rejects.Close()); err == nil && e != nil {
				err = fmt.Errorf("%s: %w; the rows were imported", o.rejects, e)
			}
		}()
	}
	checking := newProgress(status, "check", 0)
	file, err := productfile.Check(source, o.format, func(r productfile.Row) error {
		checking.add(1)
		if r.Err != nil {
			result.refuse(refusedRow{r, r.Err.Error()}, state.state.Rejects > 0)
		}
		result.note(r)
		return ctx.Err()
	})
	checking.done()
	if err != nil {
		return nil, fmt.Errorf("%w; nothing was sent", err)
	}
	result.rows, result.superseded, result.skipped = file.Rows, file.Superseded, file.Skipped
	bar := newProgress(status, "import", file.Products)
	defer bar.done()

	state.refuse = func(r refusedRow) { result.refuse(r, false) }
	result.importCounts, result.refused = state.state.importCounts, result.refused+state.state.Refused
	result.resumed = result.Created + result.Changed + result.Unchanged + result.Refused
	if resumed := result.resumed; resumed > 0 {
		fmt.Fprintf(status, "resuming after row %d; settled products: %d\n", state.state.Row, resumed)
		bar.add(resumed)
	}
	err = result.sendAll(ctx, c, file, state, bar)
	err = errors.Join(err, state.close(err == nil))
	result.took = time.Since(since)
	if err != nil {
		return result, fmt.Errorf("the import stopped before the end of the file: %w; import the file again to complete it", err)
	}
	return result, nil
}

// importBatch is the rows of one request.
type importBatch struct {
	number int // 0, 1, 2 … in the order of the file
	rows   []productfile.Row
}

// sendAll sends the rows of the file that are not settled yet.
func (i *importResult) sendAll(ctx context.Context, c *client.Client, file *productfile.File, state *checkpoint, bar *progress) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	batches := make(chan importBatch)
	var wg sync.WaitGroup
	for range inFlight {
		wg.Go(func() {
			for b := range batches {
				settled, err := i.send(ctx, c, batchKey(state.state.Key, b.rows[0].Number), b.rows)
				if err == nil {
					err = state.done(b.number, settled)
				}
				if err != nil {
					cancel(err)
					return
				}
				bar.add(len(b.rows))
			}
		})
	}
	var batch importBatch
	size := 0
	flush := func() error {
		if len(batch.rows) == 0 {
			return nil
		}
		select {
		case batches <- batch:
			batch, size = importBatch{number: batch.number + 1}, 0
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	settled := state.state.Row
	err := file.Each(func(r productfile.Row) error {
		if r.Number <= settled {
			return ctx.Err()
		}
		batch.rows = append(batch.rows, r)
		if size += len(r.JSON) + len(r.Raw); len(batch.rows) < batchRows && size < batchBytes {
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
	return err
}

// send sends rows in one request and counts their outcomes.
func (i *importResult) send(ctx context.Context, c *client.Client, key string, rows []productfile.Row) (settled importedBatch, err error) {
	var body bytes.Buffer
	for _, r := range rows {
		body.Write(r.JSON)
		body.WriteByte('\n')
	}
	results, err := c.ImportWithKey(ctx, key, body.Bytes())
	if err != nil {
		return settled, err
	}
	if len(results) != len(rows) {
		return settled, fmt.Errorf("the server returned %d results for %d rows", len(results), len(rows))
	}
	settled.row = rows[len(rows)-1].Number
	counts := &settled.counts
	for n, r := range results {
		switch r.Outcome {
		case api.ImportResultOutcomeCreated:
			counts.Created++
		case api.ImportResultOutcomeChanged:
			counts.Changed++
		case api.ImportResultOutcomeUnchanged:
			counts.Unchanged++
		default:
			counts.Refused++
			settled.refused = append(settled.refused, refusedRow{rows[n], (&client.Problem{Problem: r.Problem}).Error()})
		}
	}
	i.mu.Lock()
	defer i.mu.Unlock()
	i.add(*counts)
	return settled, nil
}

// print prints the summary.
func (i *importResult) print(out io.Writer) {
	fmt.Fprintf(out, "%s: %d created, %d updated, %d unchanged, %d refused\n",
		count(i.rows, "row"), i.Created, i.Changed, i.Unchanged+i.superseded, i.refused)
	if i.superseded > 0 {
		fmt.Fprintf(out, "unchanged because a later row is about the same product: %d\n", i.superseded)
	}
	for _, what := range slices.Sorted(maps.Keys(i.skipped)) {
		fmt.Fprintf(out, "skipped %s: %d\n", what, i.skipped[what])
	}
	if s := i.took.Seconds(); s > 0 {
		fmt.Fprintf(out, "%.1f s, %.0f products/s\n", s, float64(i.Created+i.Changed+i.Unchanged-i.resumed)/s)
	}
}
