//go:build real

package postgres_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"catalog"
	"catalog/engine/postgres"
	"catalog/eventlog"
)

// filled creates tables of version 1 with rows in the journal of four shards. It
// returns their URL, a store, and the claimed shards.
func filled(t testing.TB, rowsPerShard int) (string, *postgres.Store, []eventlog.ShardState) {
	t.Helper()
	const shards = 4
	url := migrated(t)
	s := open(t, postgres.Config{URL: url})
	for {
		version, err := postgres.MigrateDown(t.Context(), url, true, nil)
		if err != nil {
			t.Fatal(err)
		}
		if version == 1 {
			break
		}
	}
	conn := connect(t, url)
	for _, statement := range []string{
		// The statements of this program stand in for those of the program before,
		// which did not use these columns.
		`ALTER TABLE shards ADD COLUMN archived bigint NOT NULL DEFAULT 0, ADD COLUMN last_offset bigint NOT NULL DEFAULT -1,
			ADD COLUMN last_epoch integer NOT NULL DEFAULT -1, ADD COLUMN last_digest bytea NOT NULL DEFAULT '',
			ADD COLUMN stopped text NOT NULL DEFAULT '', ADD COLUMN events_from bigint NOT NULL DEFAULT 0`,
		"ALTER TABLE products ADD COLUMN sku_key text COLLATE \"C\", ADD COLUMN former_key text COLLATE \"C\"",
		fmt.Sprintf("INSERT INTO shards (shard) SELECT generate_series(0, %d)", shards-1),
		fmt.Sprintf(`INSERT INTO journal SELECT shard, seq, gen_random_uuid(), 1, gen_random_uuid(), '\x01', 'created', '\x02', '', '', now(), now()
			FROM shards, generate_series(1, %d) AS seq`, rowsPerShard),
		fmt.Sprintf("UPDATE shards SET next_seq = %d", rowsPerShard+1),
	} {
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	states := make([]eventlog.ShardState, shards)
	for i := range states {
		var err error
		if states[i], err = s.Claim(t.Context(), int32(i)); err != nil {
			t.Fatal(err)
		}
	}
	return url, s, states
}

// writers settles batches of one command in all shards until stop is called,
// which returns the settled events.
func writers(t testing.TB, s *postgres.Store, states []eventlog.ShardState) (settled *atomic.Int64, stop func() []catalog.Event) {
	settled = new(atomic.Int64)
	done := make(chan struct{})
	events := make([][]catalog.Event, len(states))
	var wg sync.WaitGroup
	for i := range states {
		wg.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-done:
					return
				default:
				}
				b := batch(states[i], fmt.Sprintf("%d-%d", i, n))
				e, _, err := settle(t.Context(), s, b)
				if err != nil {
					t.Errorf("Settle during the migration = %v", err)
					return
				}
				states[i].Offset, states[i].NextSeq = b.To, b.NextSeq+int64(len(e))
				events[i] = append(events[i], e...)
				settled.Add(1)
			}
		})
	}
	return settled, func() (all []catalog.Event) {
		close(done)
		wg.Wait()
		for _, e := range events {
			all = append(all, e...)
		}
		return all
	}
}

// checkJournal fails the test unless the journal has all rows, is partitioned or
// not, and the first events are found by their command and product.
func checkJournal(t testing.TB, url string, s *postgres.Store, partitioned bool, events []catalog.Event) {
	t.Helper()
	conn := connect(t, url)
	var tables, indexes string
	var missing int64
	err := conn.QueryRow(t.Context(), `
		SELECT (SELECT string_agg(relname || ' ' || relkind::text, ',' ORDER BY relname) FROM pg_class WHERE relnamespace = current_schema()::regnamespace AND relname ~ '^journal(_old|_new)?$'),
			(SELECT string_agg(indexrelid::regclass::text, ',' ORDER BY indexrelid::regclass::text) FROM pg_index WHERE indrelid = 'journal'::regclass),
			(SELECT sum(next_seq - 1) FROM shards) - (SELECT count(*) FROM journal)`).Scan(&tables, &indexes, &missing)
	kind := map[bool]string{false: "journal r", true: "journal p"}[partitioned]
	if err != nil || tables != kind || indexes != "journal_command,journal_pkey,journal_version" || missing != 0 {
		t.Errorf("tables %q, indexes %q, %d rows missing, %v; want %q and no rows missing", tables, indexes, missing, err, kind)
	}
	for _, e := range events[:min(100, len(events))] {
		receipt, err := s.Receipt(t.Context(), e.Command)
		if err != nil || receipt.Position != e.Position {
			t.Fatalf("Receipt of %s = %s, %v", e.Position, receipt.Position, err)
		}
		history, _, err := s.History(t.Context(), e.Product.ID, 0, 10)
		if err != nil || len(history) != 1 {
			t.Fatalf("History of %s has %d events, %v; want 1", e.Position, len(history), err)
		}
	}
}

// A journal with rows is partitioned while writers settle commands.
func TestMigrate_filledJournal(t *testing.T) {
	t.Parallel()
	url, s, states := filled(t, 15_000)
	reader := connect(t, url)
	if _, err := reader.Exec(t.Context(), "BEGIN; LOCK TABLE journal IN ACCESS SHARE MODE"); err != nil { // as pg_dump does: the tables cannot be switched
		t.Fatal(err)
	}
	settled, stop := writers(t, s, states)

	t.Run("the plan names rows, size and locks", func(t *testing.T) {
		version, steps, err := postgres.PendingMigrations(t.Context(), url)
		if err != nil || version != 1 || len(steps) == 0 || steps[0].Version != 2 {
			t.Fatalf("PendingMigrations = %d, %v, %v; want version 1 and step 2", version, steps, err)
		}
		for _, want := range []string{"copy the journal (up to 6", "MB", "then lock the journal"} {
			if !strings.Contains(steps[0].Plan, want) {
				t.Errorf("plan %q; want %q", steps[0].Plan, want)
			}
		}
	})
	t.Run("an interrupted copy leaves the journal as it was", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		conn := connect(t, url)
		result := make(chan error, 1)
		go func() { result <- postgres.Migrate(ctx, url, nil) }()
		waitUntil(t, "rows are copied", func() bool {
			var n int
			err := conn.QueryRow(t.Context(), "SELECT count(*) FROM journal_new").Scan(&n)
			return err == nil && n > 0
		})
		cancel()
		if err := <-result; err == nil {
			t.Error("Migrate after its context ended = nil; want an error")
		}
		before := settled.Load()
		waitUntil(t, "writers continue", func() bool { return settled.Load() > before })
	})
	t.Run("two concurrent calls continue it, and writers continue while they wait for the lock", func(t *testing.T) {
		waiting := make(chan struct{}, 1000)
		results := make(chan error, 2)
		for range 2 {
			go func() {
				results <- postgres.Migrate(t.Context(), url, func(line string) {
					if strings.Contains(line, "lock timeout") && strings.Contains(line, "process") {
						waiting <- struct{}{}
					}
				})
			}()
		}
		<-waiting
		before := settled.Load()
		waitUntil(t, "writers continue", func() bool { return settled.Load() > before })
		if _, err := reader.Exec(t.Context(), "COMMIT"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if err := <-results; err != nil {
				t.Error(err)
			}
		}
	})
	before := settled.Load()
	waitUntil(t, "writers continue", func() bool { return settled.Load() > before })
	checkJournal(t, url, s, true, stop())
}

func TestMigrate_interruptedBeforeDrop(t *testing.T) {
	t.Parallel()
	url, s, states := filled(t, 100)
	conn := connect(t, url)
	if _, err := conn.Exec(t.Context(), "CREATE VIEW report AS SELECT seq FROM journal"); err != nil { // the old table cannot be dropped
		t.Fatal(err)
	}
	_, stop := writers(t, s, states)
	if err := postgres.Migrate(t.Context(), url, nil); err == nil || !strings.Contains(err.Error(), "journal_old") {
		t.Errorf("Migrate with a view on the journal = %v; want an error that names journal_old", err)
	}
	if _, err := conn.Exec(t.Context(), "DROP VIEW report"); err != nil {
		t.Fatal(err)
	}
	if err := postgres.Migrate(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	checkJournal(t, url, s, true, stop())
}

func TestMigrateDown(t *testing.T) {
	t.Parallel()
	url, s, states := filled(t, 100)
	if err := postgres.Migrate(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	_, stop := writers(t, s, states)
	events := stop()
	conn := connect(t, url)
	if _, err := conn.Exec(t.Context(), "UPDATE shards SET archived = 1, stopped = 'records are lost' WHERE shard = 2"); err != nil {
		t.Fatal(err)
	}
	if _, err := postgres.MigrateDown(t.Context(), url, false, nil); err != nil {
		t.Errorf("MigrateDown that loses nothing = %v", err)
	}
	if _, err := postgres.MigrateDown(t.Context(), url, false, nil); err == nil || !strings.Contains(err.Error(), "loses data") {
		t.Errorf("MigrateDown that loses data = %v; want an error", err)
	}
	for want := int64(3); want >= 1; want-- {
		if version, err := postgres.MigrateDown(t.Context(), url, true, nil); err != nil || version != want {
			t.Fatalf("MigrateDown = version %d, %v; want %d", version, err, want)
		}
	}
	checkJournal(t, url, s, false, events)
	if _, err := postgres.MigrateDown(t.Context(), url, true, nil); err == nil || !strings.Contains(err.Error(), "drop the database") {
		t.Errorf("MigrateDown of version 1 = %v; want an error", err)
	}
	checkJournal(t, url, s, false, nil)
}
