package main

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"
	"time"

	"github.com/google/uuid"

	"catalog/internal/productfile"
)

// importCounts counts the rows of an import that the server has settled, by outcome.
type importCounts struct {
	Created, Changed, Unchanged, Refused int
}

func (c *importCounts) add(d importCounts) {
	c.Created += d.Created
	c.Changed += d.Changed
	c.Unchanged += d.Unchanged
	c.Refused += d.Refused
}

// importState is the content of a checkpoint file: the rows up to number Row are settled, with
// these counts. Key is the key of the import, for [batchKey]. Size and Modified describe the
// imported file. Rejects is the size of the file of refused rows at that point; 0 means none.
type importState struct {
	Key      uuid.UUID
	Size     int64
	Modified time.Time
	Row      int
	Rejects  int64
	importCounts
}

// batchKey returns the Idempotency-Key of the batch that begins with a row. It is the same in
// a run that resumes the import, so that products that were created count as created. Later
// batches have later times, and so have the ids of their products.
func batchKey(key uuid.UUID, row int) string {
	var ms [8]byte
	copy(ms[2:], key[:6])
	binary.BigEndian.PutUint64(ms[:], binary.BigEndian.Uint64(ms[:])+uint64(row/batchRows))
	copy(key[:6], ms[2:])
	return key.String()
}

// importedBatch is a batch that is settled: the number of its last row, the counts
// of its rows, and those that were refused.
type importedBatch struct {
	row     int
	counts  importCounts
	refused []refusedRow
}

type refusedRow struct {
	row    productfile.Row
	reason string
}

// checkpoint keeps the state of an import in a file, so that the import can resume after the rows
// that are settled. Requests end in any order; the state covers only rows without a gap.
type checkpoint struct {
	name    string                     // name of the file; "" for none
	refuse  func(refusedRow)           // called for the refused rows of the state, in order
	rejects *productfile.RejectsWriter // file of refused rows; nil for none

	mu    sync.Mutex
	state importState
	next  int                   // number of the next batch of the state
	ended map[int]importedBatch // batches that ended before an earlier one
}

// openCheckpoint reads the state of an import that was interrupted, if the file exists
// and is about the same content.
func openCheckpoint(name, imported string) (*checkpoint, error) {
	c := &checkpoint{name: name, refuse: func(refusedRow) {}, ended: map[int]importedBatch{}}
	c.state.Key = uuid.Must(uuid.NewV7())
	if name == "" {
		return c, nil
	}
	info, err := os.Stat(imported)
	if err != nil {
		return nil, fmt.Errorf("-checkpoint needs a file, not standard input: %w", err)
	}
	text, err := os.ReadFile(name)
	if err == nil {
		if err := json.Unmarshal(text, &c.state); err != nil {
			return nil, fmt.Errorf("%s is not the checkpoint of an import: %w", name, err)
		}
		if c.state.Size != info.Size() || !c.state.Modified.Equal(info.ModTime()) {
			return nil, fmt.Errorf("%s is the checkpoint of another file, or %s has changed; remove it to import the whole file", name, imported)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	c.state.Size, c.state.Modified = info.Size(), info.ModTime()
	return c, nil
}

// done notes that the batch with a number is settled, and saves the state. After a kill, only the
// requests that were in flight are sent again.
func (c *checkpoint) done(batch int, settled importedBatch) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended[batch] = settled
	for {
		b, ok := c.ended[c.next]
		if !ok {
			break
		}
		delete(c.ended, c.next)
		c.next++
		c.state.Row = b.row
		c.state.add(b.counts)
		for _, r := range b.refused {
			c.refuse(r)
		}
	}
	return c.save()
}

// close saves the state, or removes the file if the import is complete.
func (c *checkpoint) close(complete bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !complete {
		return c.save()
	}
	if c.name == "" {
		return nil
	}
	if err := os.Remove(c.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func (c *checkpoint) save() error {
	if c.name == "" {
		return nil
	}
	if c.rejects != nil {
		var err error
		if c.state.Rejects, err = c.rejects.Flush(); err != nil {
			return err
		}
	}
	text, err := json.Marshal(c.state)
	if err != nil {
		return err
	}
	if err := os.WriteFile(c.name+".new", text, 0o600); err != nil {
		return err
	}
	return os.Rename(c.name+".new", c.name)
}
