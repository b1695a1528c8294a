package productfile_test

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"catalog/internal/productfile"
)

func TestFile(t *testing.T) {
	never := func(productfile.Row) error { return nil }
	source := func(text string) productfile.Source {
		return func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader(text)), nil }
	}
	t.Run("the last valid row about a product counts", func(t *testing.T) {
		file := source("sku,price\nA,1\nB,2\nA,3\nA,x\nC,4\nA,5\nB,y\n")
		f, err := productfile.Check(file, plain, never)
		if err != nil {
			t.Fatal(err)
		}
		if f.Rows != 7 || f.Products != 3 || f.Superseded != 2 || f.Invalid != 2 {
			t.Errorf("Check = %d rows, %d products, %d superseded, invalid %d; want 7, 3, 2, 2", f.Rows, f.Products, f.Superseded, f.Invalid)
		}
		var rows []string
		if err := f.Each(func(r productfile.Row) error { rows = append(rows, show(r)); return nil }); err != nil {
			t.Fatal(err)
		}
		expectRows(t, rows, `3 {"price":{"amount":"2"},"sku":"B"}`, `6 {"price":{"amount":"4"},"sku":"C"}`, `7 {"price":{"amount":"5"},"sku":"A"}`)
	})
	t.Run("rows on one line are told apart", func(t *testing.T) {
		f, err := productfile.Check(source(`[{"sku":"A","name":"x"},{"sku":"B"},{"sku":"A","name":"y"}]`), productfile.Format{}, never)
		if err != nil {
			t.Fatal(err)
		}
		var rows []string
		if err := f.Each(func(r productfile.Row) error { rows = append(rows, fmt.Sprint(r.Number, string(r.JSON))); return nil }); err != nil {
			t.Fatal(err)
		}
		expectRows(t, rows, `2{"sku":"B"}`, `3{"sku":"A","name":"y"}`)
	})
	t.Run("a file without a row of a product is an error of Check", func(t *testing.T) {
		for _, file := range []string{"sku,name\n", "sku,name\n\n,\n", "[]", "\uFEFF\n"} {
			_, err := productfile.Check(source(file), productfile.Format{}, never)
			expectError(t, err, "the file ")
		}
	})
	t.Run("the handler stops Check and Each", func(t *testing.T) {
		stop := errors.New("interrupted")
		file := source("sku\nA\nB\n")
		if f, err := productfile.Check(file, plain, func(productfile.Row) error { return stop }); !errors.Is(err, stop) || f.Rows != 1 {
			t.Errorf("Check = %v; want it to stop at the first row", err)
		}
		f, err := productfile.Check(file, plain, never)
		if err != nil {
			t.Fatal(err)
		}
		calls := 0
		if err := f.Each(func(productfile.Row) error { calls++; return stop }); !errors.Is(err, stop) || calls != 1 {
			t.Errorf("Each = %v after %d calls; want it to stop at the first row", err, calls)
		}
	})
}
