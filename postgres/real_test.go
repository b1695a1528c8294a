//go:build real

package postgres_test

import (
	"context"
	"crypto/rand"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"catalog/catalogtest"
	"catalog/postgres"
)

// schema answers the address of an empty schema, dropped at the end of the
// test.
func schema(t *testing.T) string {
	t.Helper()
	server := os.Getenv("CATALOG_TEST_POSTGRES_URL")
	if server == "" {
		t.Fatal("set CATALOG_TEST_POSTGRES_URL to the address of a PostgreSQL server")
	}
	conn, err := pgx.Connect(t.Context(), server)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close(t.Context())
	name := "test_" + strings.ToLower(rand.Text())
	if _, err := conn.Exec(t.Context(), "CREATE SCHEMA "+name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.WithoutCancel(t.Context())
		conn, err := pgx.Connect(ctx, server)
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close(ctx)
		if _, err := conn.Exec(ctx, "DROP SCHEMA "+name+" CASCADE"); err != nil {
			t.Error(err)
		}
	})
	u, err := url.Parse(server)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	return u.String()
}

// open answers an empty store of its own.
func open(t *testing.T) *postgres.Store {
	t.Helper()
	url := schema(t)
	if err := postgres.Migrate(t.Context(), url); err != nil {
		t.Fatal(err)
	}
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func TestStore(t *testing.T) {
	t.Parallel()
	catalogtest.TestStore(t, func(t *testing.T) catalogtest.Store { return open(t) })
}

func TestSeveralMayMigrateAtOnce(t *testing.T) {
	t.Parallel()
	url := schema(t)
	var wg sync.WaitGroup
	for range 5 {
		wg.Go(func() {
			if err := postgres.Migrate(t.Context(), url); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := postgres.Open(t.Context(), postgres.Config{URL: url})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if err := s.Ping(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestOpenAsksForMigrations(t *testing.T) {
	t.Parallel()
	_, err := postgres.Open(t.Context(), postgres.Config{URL: schema(t)})
	if err == nil || !strings.Contains(err.Error(), "run catalog migrate") || strings.Contains(err.Error(), "\n") {
		t.Errorf("Open = %v; want one line that says what to run", err)
	}
}
