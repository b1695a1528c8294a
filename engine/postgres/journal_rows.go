package postgres

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/wire"
)

// queueEvents queues the statements that insert events into the journal.
func queueEvents(batch *pgx.Batch, events []catalog.Event) error {
	for part := range partsOf(events) {
		if err := queueEventPart(batch, part); err != nil {
			return err
		}
	}
	return nil
}

func queueEventPart(batch *pgx.Batch, events []catalog.Event) error {
	var (
		n            = len(events)
		shards       = make([]int32, n)
		seqs         = make([]int64, n)
		products     = make([][16]byte, n)
		versions     = make([]int64, n)
		commands     = make([][16]byte, n)
		fingerprints = make([][]byte, n)
		outcomes     = make([]string, n)
		payloads     = make([][]byte, n)
		actors       = make([]string, n)
		traces       = make([]string, n)
		accepted     = make([]time.Time, n)
		settled      = make([]time.Time, n)
	)
	// Text in PostgreSQL cannot contain NUL. The payload has the exact texts.
	withoutNUL := strings.NewReplacer("\x00", "\uFFFD")
	for i, e := range events {
		payload, err := wire.EncodeEvent(e)
		if err != nil {
			return fmt.Errorf("event %s: %w", e.Position, err)
		}
		shards[i], seqs[i], products[i], versions[i], commands[i] = e.Shard, e.Seq, e.Product.ID, e.Product.Version, e.Command
		fingerprints[i], outcomes[i], payloads[i] = e.Fingerprint[:], string(e.Outcome), payload
		actors[i], traces[i] = withoutNUL.Replace(e.Actor), withoutNUL.Replace(e.Trace)
		accepted[i], settled[i] = e.AcceptedAt, e.SettledAt
	}
	batch.Queue(`
		INSERT INTO journal (shard, seq, product, version, command, fingerprint, outcome, payload, actor, trace, accepted_at, settled_at)
		SELECT * FROM unnest($1::integer[], $2::bigint[], $3::uuid[], $4::bigint[], $5::uuid[], $6::bytea[], $7::text[], $8::bytea[],
			$9::text[], $10::text[], $11::timestamptz[], $12::timestamptz[])`,
		shards, seqs, products, versions, commands, fingerprints, outcomes, payloads, actors, traces, accepted, settled)
	return nil
}

// queryEvents returns the events whose payloads a statement selects.
func (s *Store) queryEvents(ctx context.Context, statement string, args ...any) ([]catalog.Event, error) {
	rows, err := s.pool.Query(ctx, statement, args...)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, func(row pgx.CollectableRow) (catalog.Event, error) {
		var payload []byte
		if err := row.Scan(&payload); err != nil {
			return catalog.Event{}, err
		}
		return wire.DecodeEvent(payload)
	})
}

// queryPage returns the first events that a statement selects, in the order of its
// column place: at least atLeast of them, at most as many as the last argument says,
// and about eventlog.MaxPageBytes. more reports whether the statement selects
// others. PostgreSQL reads the payloads of the page alone; it knows the lengths of
// the others.
func (s *Store) queryPage(ctx context.Context, statement string, atLeast int, args ...any) (events []catalog.Event, more bool, err error) {
	rows, err := s.pool.Query(ctx, fmt.Sprintf(`
		SELECT payload, total > n FROM (
			SELECT place, payload, row_number() OVER w AS n, count(*) OVER () AS total,
				sum(octet_length(payload)) OVER w - octet_length(payload) AS bytes_before
			FROM (%s) AS selected WINDOW w AS (ORDER BY place ROWS UNBOUNDED PRECEDING)
		) AS page WHERE n <= $%d AND (n <= %d OR bytes_before < %d) ORDER BY place`,
		statement, len(args), atLeast, eventlog.MaxPageBytes), args...)
	if err != nil {
		return nil, false, err
	}
	events, err = pgx.CollectRows(rows, func(row pgx.CollectableRow) (catalog.Event, error) {
		var payload []byte
		if err := row.Scan(&payload, &more); err != nil {
			return catalog.Event{}, err
		}
		return wire.DecodeEvent(payload)
	})
	return events, more, err
}
