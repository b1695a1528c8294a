package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"strings"

	"catalog"
)

// viewColumn is a column of the view product_fields.
type viewColumn struct{ name, expression string }

// fieldsViewColumns returns the columns of the view product_fields. The view has
// one column for each entry of catalog.Fields, so a new field needs no migration.
func fieldsViewColumns() []viewColumn {
	columns := []viewColumn{{"id", "id"}, {"shard", "shard"}, {"version", "version"}, {"deleted", "deleted"}}
	for _, f := range catalog.Fields {
		value := "data->'" + f.Name + "'"
		switch f.Kind {
		case catalog.KindMoney:
			columns = append(columns, viewColumn{f.Name, "(" + value + "->>'amount')::numeric"}, viewColumn{"currency", value + "->>'currency'"})
		case catalog.KindList:
			columns = append(columns, viewColumn{f.Name, "ARRAY(SELECT json_array_elements_text(" + value + "))"})
		case catalog.KindMap:
			columns = append(columns, viewColumn{f.Name, value})
		default:
			columns = append(columns, viewColumn{f.Name, "data->>'" + f.Name + "'"})
		}
	}
	return append(columns, viewColumn{"created_at", "created_at"}, viewColumn{"updated_at", "updated_at"})
}

// createFieldsView creates the view product_fields, with which operators read
// products. When its columns are not those of this version, it replaces the view.
func createFieldsView(ctx context.Context, db *sql.DB) error {
	var names, selected []string
	for _, c := range fieldsViewColumns() {
		names, selected = append(names, c.name), append(selected, c.expression+" AS "+c.name)
	}
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	if _, err := tx.ExecContext(ctx, "SELECT pg_advisory_xact_lock("+lockKey+")"); err != nil {
		return err
	}
	var existing string
	err = tx.QueryRowContext(ctx, `SELECT coalesce(string_agg(column_name, ',' ORDER BY ordinal_position), '')
		FROM information_schema.columns WHERE table_schema = current_schema() AND table_name = 'product_fields'`).Scan(&existing)
	if err != nil || existing == strings.Join(names, ",") {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DROP VIEW IF EXISTS product_fields"); err != nil {
		return fmt.Errorf("replace the view product_fields: %w; drop the views that use it, run catalog migrate again, then recreate them", err)
	}
	if _, err := tx.ExecContext(ctx, "CREATE VIEW product_fields AS SELECT "+strings.Join(selected, ", ")+" FROM products"); err != nil {
		return fmt.Errorf("create the view product_fields: %w", err)
	}
	return tx.Commit()
}
