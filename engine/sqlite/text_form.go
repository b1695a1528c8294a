package sqlite

import (
	"context"
	"database/sql"
	"fmt"
)

// TextForm returns the version of the form in which all texts of the store are, as
// SetTextForm has set it, or 0.
func (s *Store) TextForm(ctx context.Context) (form int, err error) {
	if err := s.db.read.QueryRowContext(ctx, "PRAGMA user_version").Scan(&form); err != nil {
		return 0, fmt.Errorf("read the form of texts: %w", err)
	}
	return form, nil
}

// SetTextForm records the version of the form in which all texts of the store are. The
// store only keeps it.
func (s *Store) SetTextForm(ctx context.Context, form int) error {
	err := s.write(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, fmt.Sprintf("PRAGMA user_version = %d", form)) // a pragma takes no parameters
		return err
	})
	if err != nil {
		return fmt.Errorf("record the form of texts: %w", err)
	}
	return nil
}
