//go:build real

package postgres_test

import (
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"catalog"
	"catalog/engine/postgres"
)

func TestMigrate(t *testing.T) {
	t.Parallel()
	t.Run("concurrent and repeated calls succeed", func(t *testing.T) {
		t.Parallel()
		url := schema(t)
		var wg sync.WaitGroup
		for range 5 {
			wg.Go(func() {
				if err := postgres.Migrate(t.Context(), url, nil); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		s := open(t, postgres.Config{URL: url})
		if err := s.Ping(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("Open of a schema without tables names the command to run", func(t *testing.T) {
		t.Parallel()
		_, err := postgres.Open(t.Context(), postgres.Config{URL: schema(t)})
		if err == nil || !strings.Contains(err.Error(), "run catalog migrate") || strings.Contains(err.Error(), "\n") {
			t.Errorf("Open = %v; want one line with the command", err)
		}
	})
	t.Run("the view product_fields has a column for every field", func(t *testing.T) {
		t.Parallel()
		url := migrated(t)
		s := open(t, postgres.Config{URL: url})
		if _, _, err := settle(t.Context(), s, batch(claim(t, s), "A-1")); err != nil {
			t.Fatal(err)
		}
		conn := connect(t, url)
		var row string
		err := conn.QueryRow(t.Context(), `
			SELECT concat_ws(' ', sku, name, price, currency, category, tags[2], attributes->>'width', outcome)
			FROM product_fields p JOIN journal j ON j.product = p.id AND j.version = p.version
			WHERE price > 149.89`).Scan(&row)
		if want := "A-1 Chair 149.90 EUR Furniture/Chairs a,b 80 created"; err != nil || row != want {
			t.Errorf("row = %q, %v; want %q", row, err, want)
		}
		rows, err := conn.Query(t.Context(), "SELECT * FROM product_fields LIMIT 0")
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for _, f := range catalog.FieldNames() {
			if !slices.ContainsFunc(rows.FieldDescriptions(), func(c pgconn.FieldDescription) bool { return c.Name == f }) {
				t.Errorf("the view has no column %s", f)
			}
		}
	})
	t.Run("a view with other columns is replaced, one with the same columns stays", func(t *testing.T) {
		t.Parallel()
		url := migrated(t)
		conn := connect(t, url)
		exec := func(statement string) {
			t.Helper()
			if _, err := conn.Exec(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		exec("CREATE VIEW report AS SELECT sku FROM product_fields")
		if err := postgres.Migrate(t.Context(), url, nil); err != nil {
			t.Errorf("Migrate with a view that uses product_fields = %v; want nil", err)
		}
		exec("DROP VIEW report")
		exec("DROP VIEW product_fields")
		exec("CREATE VIEW product_fields AS SELECT id FROM products")
		if err := postgres.Migrate(t.Context(), url, nil); err != nil {
			t.Fatal(err)
		}
		exec("SELECT sku FROM product_fields")
	})
}
