package archive_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/archive"
)

var start = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

var errKilled = errors.New("killed")

// memoryStore has a journal of two shards, with one event a minute. It fails, as
// if the process were killed, when calls gets to 0: after the removal, if a call
// removes events.
type memoryStore struct {
	events   [2][]catalog.Event
	archived [2]int64
	calls    int
}

func newStore(events int) *memoryStore {
	s := &memoryStore{calls: -1}
	for shard := range s.events {
		for i := range events {
			e := catalog.Event{
				Position: catalog.Position{Shard: int32(shard), Seq: int64(i + 1)}, Outcome: catalog.Created, Command: catalog.DerivedID(fmt.Sprint(shard, i)),
				Actor: "a\"\n", AcceptedAt: start, SettledAt: start.Add(time.Duration(i) * time.Minute),
				Product: catalog.Product{ID: catalog.DerivedID(fmt.Sprint("p", shard, i)), Version: 1, CreatedAt: start, UpdatedAt: start},
			}
			e.Product.Name, e.Product.Price = fmt.Sprint("Ünit ", i), catalog.Money{Decimal: catalog.Decimal{Units: 7, Nanos: 10_000_000}, Currency: "EUR"}
			if i%3 == 1 {
				e.Outcome, e.Refusal = catalog.Refused, &catalog.Refusal{Code: catalog.CodeSKUTaken, Reason: "taken"}
				e.Product = catalog.Product{ID: e.Product.ID}
			}
			s.events[shard] = append(s.events[shard], e)
		}
	}
	return s
}

func (s *memoryStore) count() error {
	if s.calls--; s.calls == 0 {
		return errKilled
	}
	return nil
}

func (s *memoryStore) States(context.Context) (states []eventlog.ShardState, err error) {
	for shard, archived := range s.archived {
		states = append(states, eventlog.ShardState{Shard: int32(shard), Archived: archived})
	}
	return states, s.count()
}

func (s *memoryStore) Archivable(_ context.Context, shard int32, before time.Time) (int64, error) {
	to := s.archived[shard]
	for _, e := range s.events[shard] {
		if e.SettledAt.Before(before) {
			to = e.Seq
		}
	}
	return to, s.count()
}

func (s *memoryStore) Journal(_ context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error) {
	var events []catalog.Event
	for _, e := range s.events[shard] {
		if e.Seq >= from && e.Seq <= to && len(events) < min(limit, 7) {
			events = append(events, e)
		}
	}
	return events, s.count()
}

func (s *memoryStore) RemoveEvents(_ context.Context, shard int32, to int64, limit int) (int64, error) {
	s.archived[shard] = min(to, s.archived[shard]+int64(min(limit, 5)))
	s.events[shard] = slices.DeleteFunc(s.events[shard], func(e catalog.Event) bool { return e.Seq <= s.archived[shard] })
	return s.archived[shard], s.count()
}

func run(t *testing.T, s *memoryStore, dir string, before time.Time) error {
	ranges, err := archive.Examine(t.Context(), s, before)
	if err != nil {
		return err
	}
	return archive.Run(t.Context(), s, dir, ranges, func(int, int) {})
}

// archivedEvents returns the events in the files of dir, by position.
func archivedEvents(t *testing.T, dir string) map[catalog.Position]catalog.Event {
	t.Helper()
	paths, err := archive.Files(dir)
	if err != nil {
		t.Fatal(err)
	}
	events := map[catalog.Position]catalog.Event{}
	for _, path := range paths {
		if err := archive.Read(path, func(e catalog.Event) error { events[e.Position] = e; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	return events
}

func TestRun(t *testing.T) {
	const events, old = 20, 12
	before := start.Add(old * time.Minute)
	t.Run("events before the time move to files, unchanged", func(t *testing.T) {
		s, dir := newStore(events), t.TempDir()
		want := newStore(events)
		if err := run(t, s, dir, before); err != nil {
			t.Fatal(err)
		}
		archived := archivedEvents(t, dir)
		for shard := range s.events {
			for i, e := range want.events[shard] {
				if _, ok := archived[e.Position]; ok != (i < old) {
					t.Errorf("event %s is archived: %v", e.Position, ok)
				} else if ok && !reflect.DeepEqual(archived[e.Position], e) {
					t.Errorf("archived event = %+v; want %+v", archived[e.Position], e)
				}
			}
			if len(s.events[shard]) != events-old {
				t.Errorf("the journal of shard %d has %d events; want %d", shard, len(s.events[shard]), events-old)
			}
		}
	})
	t.Run("no event is lost when the process is killed, and the next run continues", func(t *testing.T) {
		for killAt := 1; ; killAt++ {
			s, dir := newStore(events), t.TempDir()
			s.calls = killAt
			killed := run(t, s, dir, before)
			if killed != nil && !errors.Is(killed, errKilled) {
				t.Fatalf("Run = %v", killed)
			}
			for attempt := range 2 {
				archived := archivedEvents(t, dir)
				for shard := range s.events {
					for _, e := range s.events[shard] {
						archived[e.Position] = e
					}
				}
				if len(archived) != 2*events {
					t.Fatalf("killed at call %d: files and journal have %d events; want %d", killAt, len(archived), 2*events)
				}
				if attempt == 0 {
					s.calls = -1
					if err := run(t, s, dir, before); err != nil {
						t.Fatalf("run after a kill at call %d: %v", killAt, err)
					}
				}
			}
			if s.archived != [2]int64{old, old} {
				t.Fatalf("killed at call %d: archived = %v after the next run; want %d in both shards", killAt, s.archived, old)
			}
			if killed == nil {
				return
			}
		}
	})
	t.Run("a file with other events is kept, and nothing is removed", func(t *testing.T) {
		s, dir := newStore(events), t.TempDir()
		if err := run(t, s, dir, before); err != nil {
			t.Fatal(err)
		}
		restored := newStore(events) // a store restored from an older state, whose later events differ
		restored.events[0][3].Actor = "other"
		if err := run(t, restored, dir, before); err == nil || !strings.Contains(err.Error(), "other events") || restored.archived[0] != 0 {
			t.Errorf("Run = %v with %d events removed; want an error and none", err, restored.archived[0])
		}
		if same := newStore(events); run(t, same, dir, before) != nil || same.archived[0] != old {
			t.Error("a file with the same events stops Run")
		}
	})
}

func TestRead_damaged(t *testing.T) {
	dir := t.TempDir()
	if err := run(t, newStore(10), dir, start.Add(time.Hour)); err != nil {
		t.Fatal(err)
	}
	paths, err := archive.Files(dir)
	if err != nil || len(paths) != 2 {
		t.Fatalf("Files = %v, %v; want 2", paths, err)
	}
	whole, err := os.ReadFile(paths[0])
	if err != nil {
		t.Fatal(err)
	}
	z, err := gzip.NewReader(bytes.NewReader(whole))
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	pack := func(text string) []byte {
		var b bytes.Buffer
		w := gzip.NewWriter(&b)
		if _, err := w.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return b.Bytes()
	}
	lines := strings.SplitAfter(string(text), "\n")
	for name, content := range map[string][]byte{
		"an empty file":       nil,
		"half a file":         whole[:len(whole)/2],
		"no footer":           pack(strings.Join(lines[:len(lines)-2], "")),
		"a missing event":     pack(strings.Join(slices.Delete(slices.Clone(lines), 3, 4), "")),
		"a changed event":     pack(strings.Replace(string(text), "Ünit 3", "Ünit 4", 1)),
		"another format":      pack(strings.Replace(string(text), "catalog-journal/1", "catalog-journal/9", 1)),
		"text after the end":  pack(string(text) + "{}\n"),
		"only a header":       pack(lines[0]),
		"not gzip-compressed": text,
	} {
		t.Run(name+" is an error", func(t *testing.T) {
			path := filepath.Join(t.TempDir(), filepath.Base(paths[0]))
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
			if err := archive.Read(path, func(catalog.Event) error { return nil }); err == nil || !strings.Contains(err.Error(), path) {
				t.Errorf("Read = %v; want an error with the path", err)
			}
		})
	}
}
