// Package archive moves old events of the journal to files and reads these files.
//
// It promises that an event is removed from the journal only when a complete file
// with it is on disk. A run can be killed at any point: the next one starts with
// the first event that the journal still has.
package archive

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"catalog"
	"catalog/eventlog"
)

const (
	// FileEvents is the maximum number of events of a file: some MB, compressed.
	FileEvents = 50_000

	readPage = 1_000 // events of one read of the journal

	// removeBatch is the maximum number of events that one transaction removes, so
	// that it takes some tens of milliseconds.
	removeBatch = 1_000
)

// Store is a store whose journal is archived.
type Store interface {
	// States returns the states of all shards, in order.
	States(ctx context.Context) ([]eventlog.ShardState, error)
	// Archivable returns the seq up to which the events of the shard were settled
	// before the time, are in the events topic, and are not archived yet. It returns
	// the last archived seq when there is no such event.
	Archivable(ctx context.Context, shard int32, before time.Time) (int64, error)
	// Journal returns the events of the shard with from ≤ seq ≤ to, in order, at
	// most limit of them.
	Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error)
	// RemoveEvents removes the next events of the shard up to seq to, at most limit
	// of them, in one transaction, and returns the last archived seq.
	RemoveEvents(ctx context.Context, shard int32, to int64, limit int) (int64, error)
}

// Range is a range of events of one shard.
type Range struct {
	Shard    int32
	From, To int64 // seqs, both included
}

// Events returns the number of events of r.
func (r Range) Events() int { return int(r.To - r.From + 1) }

// Examine returns the ranges of events that are settled before the time and can
// be archived.
func Examine(ctx context.Context, store Store, before time.Time) ([]Range, error) {
	states, err := store.States(ctx)
	if err != nil {
		return nil, err
	}
	var ranges []Range
	for _, st := range states {
		to, err := store.Archivable(ctx, st.Shard, before)
		if err != nil {
			return nil, err
		}
		if to > st.Archived {
			ranges = append(ranges, Range{st.Shard, st.Archived + 1, to})
		}
	}
	return ranges, nil
}

// Run writes the events of the ranges to files in dir, which it creates, and
// removes them from the journal. It calls progress with the number of events
// after each file and each removal.
func Run(ctx context.Context, store Store, dir string, ranges []Range, progress func(written, removed int)) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for _, r := range ranges {
		for from := r.From; from <= r.To; {
			part := Range{r.Shard, from, min(r.To, from+FileEvents-1)}
			if err := export(ctx, store, dir, part); err != nil {
				return fmt.Errorf("archive events %d to %d of shard %d: %w", part.From, part.To, part.Shard, err)
			}
			progress(part.Events(), 0)
			if err := remove(ctx, store, part, progress); err != nil {
				return err
			}
			from = part.To + 1
		}
	}
	return nil
}

// remove removes the events of a part that is in a file.
func remove(ctx context.Context, store Store, part Range, progress func(written, removed int)) error {
	for last := part.From - 1; last < part.To; {
		archived, err := store.RemoveEvents(ctx, part.Shard, part.To, removeBatch)
		if err != nil {
			return err
		}
		if archived > part.To {
			return fmt.Errorf("shard %d is archived by another process", part.Shard)
		}
		progress(0, int(archived-last))
		last = archived
	}
	return nil
}

// export writes a part to its file, and reads it again. An existing file with the
// same content is left alone.
func export(ctx context.Context, store Store, dir string, part Range) error {
	path := filepath.Join(dir, fileName(part))
	temporary, err := os.CreateTemp(dir, fileName(part)+".*.tmp")
	if err != nil {
		return err
	}
	defer os.Remove(temporary.Name())
	defer temporary.Close()
	w, err := newFileWriter(temporary, part)
	if err != nil {
		return err
	}
	for from := part.From; from <= part.To; {
		events, err := store.Journal(ctx, part.Shard, from, part.To, readPage)
		if err != nil {
			return err
		}
		if len(events) == 0 || events[0].Seq != from {
			return fmt.Errorf("event %d is missing in the journal; if another process archives the journal, run only one", from)
		}
		for _, e := range events {
			if err := w.write(e); err != nil {
				return err
			}
		}
		from += int64(len(events))
	}
	if err := w.close(); err != nil {
		return err
	}
	if err := temporary.Sync(); err != nil {
		return err
	}
	written, err := check(temporary.Name())
	if err != nil {
		return fmt.Errorf("check the file just written: %w", err)
	}
	switch existing, err := check(path); {
	case errors.Is(err, os.ErrNotExist):
	case err != nil:
		return fmt.Errorf("%w; move the file away and repeat the command", err)
	case existing.SHA256 != written.SHA256:
		return fmt.Errorf("%s exists and has other events, of another store or from before a restore; choose another folder", path)
	}
	if err := os.Rename(temporary.Name(), path); err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir waits until the names of the files in dir are on disk.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
