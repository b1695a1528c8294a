//go:build real

package postgres_test

import (
	"crypto/rand"
	"fmt"
	"testing"

	"catalog"
	"catalog/engine/postgres"
)

// While a client takes a page of a snapshot, however long it needs, no transaction
// is open and no connection is used.
func TestSnapshot_slowClient(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	name := rand.Text()
	s := open(t, postgres.Config{URL: url + "&application_name=" + name, MaxConns: 1})
	st := claim(t, s)
	for i := range 40 {
		events, to, err := settle(t.Context(), s, batch(st, fmt.Sprint("SKU-", i)))
		if err != nil {
			t.Fatal(err)
		}
		st.Offset, st.NextSeq = to, st.NextSeq+int64(len(events))
	}
	observer := connect(t, url)
	pages := 0
	next, err := s.Snapshot(t.Context(), 0, nil, func([]catalog.Product) error {
		pages++
		if err := s.Ping(t.Context()); err != nil { // Ping uses the only connection
			return err
		}
		var open int
		if err := observer.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE application_name = $1 AND xact_start IS NOT NULL", name).Scan(&open); err != nil {
			return err
		}
		if open > 0 {
			t.Errorf("page %d: %d transactions are open", pages, open)
		}
		return nil
	})
	if err != nil || next != st.NextSeq || pages < 2 {
		t.Errorf("Snapshot = %d, %v, in %d pages; want %d in several", next, err, pages, st.NextSeq)
	}
}
