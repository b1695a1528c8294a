//go:build real

package postgres_test

import (
	"context"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"catalog"
	"catalog/engine/enginetest"
	"catalog/engine/enginetest/pgschema"
	"catalog/engine/postgres"
	"catalog/eventlog"
)

// schema creates an empty schema and returns its URL. The schema is dropped at
// the end of the test.
func schema(t testing.TB) string {
	t.Helper()
	server := os.Getenv("CATALOG_TEST_POSTGRES_URL")
	if server == "" {
		t.Fatal("CATALOG_TEST_POSTGRES_URL is not set; set it to the URL of a PostgreSQL server for tests")
	}
	schemaURL, drop, err := pgschema.Create(t.Context(), server, "test_"+strings.ToLower(rand.Text()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := drop(t.Context()); err != nil {
			t.Error(err)
		}
	})
	return schemaURL
}

// migrated creates a schema with empty tables and returns its URL.
func migrated(t testing.TB) string {
	t.Helper()
	url := schema(t)
	if err := postgres.Migrate(t.Context(), url, nil); err != nil {
		t.Fatal(err)
	}
	return url
}

// open opens a store until the end of the test.
func open(t testing.TB, c postgres.Config) *postgres.Store {
	t.Helper()
	s, err := postgres.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	enginetest.TestStore(t, func(t *testing.T) enginetest.Store { return open(t, postgres.Config{URL: migrated(t)}) })
}

// connect opens a connection until the end of the test.
func connect(t testing.TB, url string) *pgx.Conn {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close(context.WithoutCancel(t.Context())) })
	return conn
}

// executor returns a function that executes statements.
func executor(t testing.TB, conn *pgx.Conn) func(statement string) {
	return func(statement string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
}

// waitUntil waits until condition is true.
func waitUntil(t testing.TB, what string, condition func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !condition() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("timeout: not after 1 min: %s", what)
		}
	}
}

// claim initializes one shard and claims it.
func claim(t testing.TB, s *postgres.Store) eventlog.ShardState {
	t.Helper()
	if err := s.InitShards(t.Context(), 1); err != nil {
		t.Fatal(err)
	}
	st, err := s.Claim(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// settle settles the batch alone.
func settle(ctx context.Context, s *postgres.Store, b eventlog.Batch) (events []catalog.Event, to int64, err error) {
	settled, err := s.Settle(ctx, eventlog.Group{b}, time.Now())
	if err != nil {
		return nil, 0, err
	}
	return settled[0].Events, settled[0].To, settled[0].Err
}

// batch returns the next batch of a shard, with one command that creates a
// product with the SKU.
func batch(st eventlog.ShardState, sku string) eventlog.Batch {
	d := catalog.ProductData{
		SKU: sku, Name: "Chair", Category: "Furniture/Chairs", Tags: []string{"oak", "a,b"}, Attributes: map[string]string{"width": "80"},
		Price: catalog.Money{Decimal: catalog.Decimal{Units: 149, Nanos: 900_000_000}, Currency: "EUR"},
	}
	id := catalog.DerivedID(sku)
	return eventlog.Batch{
		Shard: st.Shard, Epoch: st.Epoch, From: st.Offset, To: st.Offset + 1, NextSeq: st.NextSeq, NextDeadLetter: st.NextDeadLetter,
		Offsets: []int64{st.Offset}, Commands: []catalog.Command{{ID: id, Product: id, Op: catalog.CreateProduct{Data: d}, AcceptedAt: time.UnixMicro(0).UTC()}},
	}
}
