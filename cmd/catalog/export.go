package main

import (
	"bufio"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"catalog"
	"catalog/client"
	"catalog/internal/wire"
)

func exportFile(ctx context.Context, args []string) error {
	var server, kind string
	fs := flags("export", `export [flags] FILE

Writes all products to a CSV or NDJSON file ("-" is the standard output, NDJSON
unless -format says else), which catalog import reads back to the same catalogue.
The file is there when it is whole: until then it has another name.
`)
	serverFlag(fs, &server)
	fs.StringVar(&kind, "format", "", "csv or ndjson; what the file's name ends with is the default")
	if err := parse(fs, args); err != nil {
		return err
	}
	if fs.NArg() != 1 {
		return wrongUsage("give one file, behind the flags; see catalog export -h")
	}
	name := fs.Arg(0)
	asCSV, err := isCSV(kind, name)
	if err != nil {
		return err
	}
	c := client.New(server)
	if name == "-" {
		_, err := export(ctx, c, asCSV, os.Stdout, os.Stderr)
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(name), "."+filepath.Base(name)+"-")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // does nothing once it has its name
	defer f.Close()
	n, err := export(ctx, c, asCSV, f, os.Stderr)
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil {
		err = f.Sync()
	}
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return err
	}
	fmt.Printf("%d products in %s\n", n, name)
	return nil
}

// export writes all products, the newest first.
func export(ctx context.Context, c *client.Client, asCSV bool, out, status io.Writer) (int, error) {
	// The columns of a CSV file are known when all products are.
	columns, err := []string(nil), error(nil)
	if asCSV {
		if columns, err = attributeColumns(ctx, c); err != nil {
			return 0, err
		}
	}
	w := bufio.NewWriter(out)
	write := ndjsonWriter(w)
	if asCSV {
		write = csvWriter(w, columns)
	}
	n := 0
	var bar *progress
	err = walk(ctx, c, func(total int64, products []catalog.Product) error {
		if bar == nil {
			bar = newProgress(status, "export", int(total))
		}
		for _, p := range products {
			if err := write(p); err != nil {
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

// walk calls handle with every page of products, the newest first.
func walk(ctx context.Context, c *client.Client, handle func(total int64, products []catalog.Product) error) error {
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

func ndjsonWriter(w io.Writer) func(catalog.Product) error {
	e := json.NewEncoder(w)
	e.SetEscapeHTML(false)
	return func(p catalog.Product) error {
		m := wire.ProductToJSON(p)
		// Version and times are the catalogue's own; import does not set them.
		return e.Encode(map[string]any{
			"id": m.Id, "sku": nullable(m.Sku), "name": m.Name, "description": nullable(m.Description), "price": m.Price,
			"category": nullable(m.Category), "tags": m.Tags, "attributes": m.Attributes,
		})
	}
}

func nullable(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func attributeColumns(ctx context.Context, c *client.Client) ([]string, error) {
	keys := map[string]bool{}
	err := walk(ctx, c, func(_ int64, products []catalog.Product) error {
		for _, p := range products {
			for k := range p.Attributes {
				keys[k] = true
			}
		}
		return nil
	})
	return slices.Sorted(maps.Keys(keys)), err
}

func csvWriter(w io.Writer, attributes []string) func(catalog.Product) error {
	out := csv.NewWriter(w)
	begun := false
	return func(p catalog.Product) error {
		if !begun {
			begun = true
			header := []string{"id", "sku", "name", "description", "category", "price", "currency", "tags"}
			for _, a := range attributes {
				header = append(header, "attributes."+a)
			}
			if err := out.Write(header); err != nil {
				return err
			}
		}
		cells := []string{p.ID.String(), p.SKU, p.Name, p.Description, p.Category, p.Price.Amount(), p.Price.Currency, strings.Join(p.Tags, "|")}
		for _, a := range attributes {
			cells = append(cells, p.Attributes[a])
		}
		if err := out.Write(cells); err != nil {
			return err
		}
		out.Flush()
		return out.Error()
	}
}
