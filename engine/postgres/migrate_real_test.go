//go:build real

package postgres_test

import (
	"fmt"
	"maps"
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
		exec := executor(t, conn)
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

// TestMigrate_skuKeys has products that an earlier version of the writer has stored, or
// changes beside the present one: it does not know keys.
func TestMigrate_skuKeys(t *testing.T) {
	t.Parallel()
	url := migrated(t)
	conn := connect(t, url)
	exec := executor(t, conn)
	const rows = `INSERT INTO products (id, shard, version, deleted, sku, data, past_prices, created_at, updated_at)
		SELECT ('00000000-0000-7000-8000-' || lpad(n::text, 12, '0'))::uuid, 0, 1, false, sku, json_build_object('sku', sku, 'name', 'Chair', 'price', json_build_object('amount', '1', 'currency', 'EUR')), '', now(), now() `
	exec(rows + "FROM (VALUES (1, 'AB'), (2, 'ab'), (3, 'Ä-1'), (4, NULL)) AS g (n, sku)")
	exec(rows + "FROM (SELECT n, 'SKU-' || n AS sku FROM generate_series(10, 2500) AS n) AS g")
	id := func(n int) catalog.ID {
		return catalog.ID([]byte{0, 0, 0, 0, 0, 0, 0x70, 0, 0x80, 0, 0, 0, 0, 0, 0, byte(n)})
	}
	migrate := func() (report string) {
		t.Helper()
		var lines []string
		if err := postgres.Migrate(t.Context(), url, func(line string) { lines = append(lines, line) }); err != nil {
			t.Fatal(err)
		}
		return strings.Join(lines, "\n")
	}
	s := open(t, postgres.Config{URL: url})
	owners := func(want map[string]catalog.ID) {
		t.Helper()
		skus := []string{"AB", "ab", "aB", "ä-1", "sku-2500", "c"}
		got, err := s.SKUs(t.Context(), skus)
		if err != nil || !maps.Equal(got, want) {
			t.Errorf("SKUs = %v, %v; want %v", got, err, want)
		}
	}
	last, err := catalog.ParseID("00000000-0000-7000-8000-000000002500")
	if err != nil {
		t.Fatal(err)
	}
	t.Run("before, each product has exactly its SKU", func(t *testing.T) {
		owners(map[string]catalog.ID{"AB": id(1), "ab": id(2)})
	})
	t.Run("keys are set, and clashes are reported", func(t *testing.T) {
		report := migrate()
		for _, want := range []string{"set the keys of 2493 SKUs", fmt.Sprintf("product %s has the SKU \"ab\", product %s has \"AB\"", id(2), id(1))} {
			if !strings.Contains(report, want) {
				t.Errorf("the report lacks %q:\n%s", want, report)
			}
		}
		owners(map[string]catalog.ID{"AB": id(1), "ab": id(2), "aB": id(1), "ä-1": id(3), "sku-2500": last})
	})
	t.Run("another run sets no key", func(t *testing.T) {
		if report := migrate(); strings.Contains(report, "set the keys") {
			t.Errorf("report:\n%s", report)
		}
	})
	t.Run("an SKU that an earlier version has changed or deleted is free", func(t *testing.T) {
		exec(fmt.Sprintf("UPDATE products SET sku = 'C' WHERE id = '%s'", id(1)))
		exec(fmt.Sprintf("UPDATE products SET sku = NULL, deleted = true WHERE id = '%s'", id(3)))
		b := batch(claim(t, s), "ä-1")
		events, _, err := settle(t.Context(), s, b)
		if err != nil || events[0].Outcome != catalog.Created {
			t.Fatalf("Settle = %+v, %v; want a product with the SKU that is free", events, err)
		}
		owners(map[string]catalog.ID{"ab": id(2), "ä-1": events[0].Product.ID, "sku-2500": last})
		migrate()
		owners(map[string]catalog.ID{"ab": id(2), "AB": id(2), "aB": id(2), "ä-1": events[0].Product.ID, "sku-2500": last, "c": id(1)})
	})
}
