package productfile_test

import (
	"errors"
	"strings"
	"testing"

	"catalog/internal/productfile"
)

func TestFile(t *testing.T) {
	never := func() error { return nil }
	t.Run("the last valid row about a product counts", func(t *testing.T) {
		file := strings.NewReader("sku,name\nA,One\nB,Two\nA,Three\nA,\nC,Four\nA,Five\nB,\n")
		f, err := productfile.Check(file, plain, never)
		if err != nil {
			t.Fatal(err)
		}
		if f.Rows != 7 || f.Products != 3 || f.Superseded != 2 || len(f.Invalid) != 2 || f.Invalid[0].Line != 5 || f.Invalid[1].Line != 8 {
			t.Errorf("Check = %d rows, %d products, %d superseded, invalid %v; want 7, 3, 2, lines 5 and 8", f.Rows, f.Products, f.Superseded, f.Invalid)
		}
		var rows []string
		if err := f.Each(func(r productfile.Row) error { rows = append(rows, show(r)); return nil }); err != nil {
			t.Fatal(err)
		}
		expectRows(t, rows, `3 {"name":"Two","sku":"B"}`, `6 {"name":"Four","sku":"C"}`, `7 {"name":"Five","sku":"A"}`)
	})
	t.Run("a file that cannot be read to its end is an error of Check", func(t *testing.T) {
		_, err := productfile.Check(strings.NewReader("sku,name\nA,One\nB,\"Two\n"), plain, never)
		expectError(t, err, "line 3: a quoted cell")
	})
	t.Run("keepOn stops Check, and the handler stops Each", func(t *testing.T) {
		stop := errors.New("interrupted")
		file := strings.NewReader("sku\nA\nB\n")
		if f, err := productfile.Check(file, plain, func() error { return stop }); !errors.Is(err, stop) || f.Rows != 1 {
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
