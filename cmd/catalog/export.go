package main

import (
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"catalog"
	"catalog/client"
	"catalog/internal/productfile"
)

func exportFile(ctx context.Context, args []string) error {
	var server, kind string
	fs := flags("export", `export [flags] FILE

Writes all products to a CSV or NDJSON file, which catalog import reads back to the same
catalogue. FILE "-" is standard output, and NDJSON unless -format is given. The file gets
its name when it is complete.
`)
	serverFlag(fs, &server)
	fs.StringVar(&kind, "format", "", "`csv or ndjson`; the default follows from the extension of the file")
	spreadsheet := fs.Bool("spreadsheet", false, "write an apostrophe before texts that a spreadsheet would run as a formula; such a CSV file is for people, and not for catalog import")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return wrongUsage("give one file, after the flags; see catalog export -h")
	}
	name := fs.Arg(0)
	written, err := productfile.KindOf(kind, name)
	if err != nil {
		return &usageError{err}
	}
	asCSV := written == productfile.CSV
	c := client.New(server)
	if name == "-" {
		_, err := export(ctx, c, asCSV, *spreadsheet, os.Stdout, os.Stderr)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // has no effect after the rename
	defer f.Close()
	n, err := export(ctx, c, asCSV, *spreadsheet, f, os.Stderr)
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%s in %s\n", count(n, "product"), name)
	return nil
}

// export writes all products to out, the newest first, and returns their number.
func export(ctx context.Context, c *client.Client, asCSV, spreadsheet bool, out, status io.Writer) (int, error) {
	// The first line of a CSV file has a column for each attribute of any product.
	var attributes []string
	var err error
	if asCSV {
		if attributes, err = attributeKeys(ctx, c); err != nil {
			return 0, err
		}
	}
	w := productfile.NewWriter(out, asCSV, attributes)
	w.NeutralizeFormulas = spreadsheet
	n := 0
	var bar *progress
	err = eachPage(ctx, c, func(total int64, products []catalog.Product) error {
		if bar == nil {
			bar = newProgress(status, "export", int(total))
		}
		for _, p := range products {
			if err := w.Write(p); err != nil {
				return err
			}
		}
		n += len(products)
		bar.add(len(products))
		return nil
	})
	if bar != nil {
		bar.done()
	}
	if err != nil {
		return n, err
	}
	return n, w.Flush()
}

// eachPage calls handle with all products, page by page, the newest first.
func eachPage(ctx context.Context, c *client.Client, handle func(total int64, products []catalog.Product) error) error {
	q := catalog.Query{Sort: catalog.Newest, Limit: catalog.MaxLimit}
	for {
		page, err := c.Search(ctx, q)
		if err != nil {
			return err
		}
		if err := handle(page.Total, page.Items); err != nil {
			return err
		}
		if q.Cursor = page.NextCursor; q.Cursor == "" {
			return nil
		}
	}
}

// attributeKeys returns the keys of all attributes in the catalogue, sorted.
func attributeKeys(ctx context.Context, c *client.Client) ([]string, error) {
	keys := map[string]bool{}
	err := eachPage(ctx, c, func(_ int64, products []catalog.Product) error {
		for _, p := range products {
			for k := range p.Attributes {
				keys[k] = true
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(keys)), err
}
