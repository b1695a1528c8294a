package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"

	"catalog/internal/productfile"
)

func TestCheckpoint(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, name := filepath.Join(dir, "feed.csv"), filepath.Join(dir, "state.json")
	if err := os.WriteFile(file, []byte("sku\nA\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	open := func() *checkpoint {
		t.Helper()
		c, err := openCheckpoint(name, file)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	t.Run("an interrupted import resumes after the rows before the first gap, with their counts", func(t *testing.T) {
		c := open()
		for _, b := range []struct{ number, row, created int }{{1, 30, 10}, {0, 20, 9}, {3, 50, 10}} { // batch 2 did not end
			if err := c.done(b.number, importedBatch{row: b.row, counts: importCounts{Created: b.created}}); err != nil {
				t.Fatal(err)
			}
		}
		if err := c.close(false); err != nil {
			t.Fatal(err)
		}
		if c = open(); c.state.Row != 30 || c.state.Created != 19 {
			t.Errorf("the state is row %d with %d created; want row 30 with 19", c.state.Row, c.state.Created)
		}
		if err := c.done(0, importedBatch{row: 60, counts: importCounts{Created: 1}}); err != nil || c.state.Row != 60 || c.state.Created != 20 {
			t.Errorf("behind the next batch, the state is row %d with %d created, %v; want row 60 with 20", c.state.Row, c.state.Created, err)
		}
	})
	t.Run("a batch has the same key in each run, and later ones have later times", func(t *testing.T) {
		first, second := open().state.Key, open().state.Key
		if first != second || first.Version() != 7 {
			t.Errorf("the keys of two runs are %s and %s; want one of version 7", first, second)
		}
		a, b := batchKey(first, 1), batchKey(first, batchRows+1)
		if batchKey(second, 1) != a || a >= b {
			t.Errorf("the keys of two batches are %s and %s; want a later second one", a, b)
		}
		if u, err := uuid.Parse(b); err != nil || u.Version() != 7 {
			t.Errorf("the key %s is not of version 7: %v", b, err)
		}
	})
	t.Run("a complete import removes its checkpoint", func(t *testing.T) {
		if err := open().close(true); err != nil {
			t.Fatal(err)
		}
		if c := open(); c.state.Row != 0 {
			t.Errorf("the state is row %d; want none", c.state.Row)
		}
	})
	t.Run("the checkpoint of another file is refused", func(t *testing.T) {
		if err := open().close(false); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte("sku\nA\nB\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := openCheckpoint(name, file); err == nil {
			t.Error("openCheckpoint accepts the checkpoint of a file that has changed")
		}
	})
	t.Run("the file of refused rows has each row once, in the order of the file, over a kill", func(t *testing.T) {
		source := func() (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("sku\nA\n")), nil }
		rejects, state := filepath.Join(dir, "refused.csv"), filepath.Join(dir, "killed.json")
		begin := func() *checkpoint {
			c, err := openCheckpoint(state, file)
			if err != nil {
				t.Fatal(err)
			}
			if c.rejects, err = productfile.OpenRejects(rejects, source, productfile.Format{}, c.state.Rejects); err != nil {
				t.Fatal(err)
			}
			c.refuse = func(r refusedRow) {
				if err := c.rejects.Write(r.row, r.reason); err != nil {
					t.Error(err)
				}
			}
			return c
		}
		settle := func(c *checkpoint, batch int, sku string) {
			if err := c.done(batch, importedBatch{row: batch, refused: []refusedRow{{productfile.Row{Raw: []byte(sku)}, "reason"}}}); err != nil {
				t.Fatal(err)
			}
		}
		c := begin()
		settle(c, 1, "B")
		settle(c, 0, "A")
		if err := c.rejects.Write(productfile.Row{Raw: []byte("C")}, "reason"); err != nil { // the import is killed before the checkpoint counts this row
			t.Fatal(err)
		}
		if err := c.rejects.Close(); err != nil {
			t.Fatal(err)
		}
		c = begin()
		settle(c, 0, "C")
		if err := c.rejects.Close(); err != nil {
			t.Fatal(err)
		}
		if text, err := os.ReadFile(rejects); err != nil || string(text) != "reason,sku\nreason,A\nreason,B\nreason,C\n" {
			t.Errorf("the file of refused rows is %q, %v; want A, B and C", text, err)
		}
	})
}
