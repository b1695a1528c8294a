package postgres

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

func TestFullDisk(t *testing.T) {
	now := time.Unix(1_800_000_000, 0)
	full := fmt.Errorf("settle shard 1: %w", &pgconn.PgError{Code: "53100", Message: "could not extend file"})
	t.Run("a server without an error has space", func(t *testing.T) {
		var f fullDisk
		f.note(&pgconn.PgError{Code: "53300"}, now)
		if err := f.check(now); err != nil {
			t.Errorf("check = %v; want nil", err)
		}
	})
	t.Run("a failed transaction makes the store not ready, until batches fit again", func(t *testing.T) {
		var f fullDisk
		f.note(full, now)
		if err := f.check(now.Add(4 * time.Second)); !errors.Is(err, errFullDisk) {
			t.Errorf("check after 4 s = %v; want %v", err, errFullDisk)
		}
		if err := f.check(now.Add(6 * time.Second)); err != nil {
			t.Errorf("check after 6 s without an error = %v; want nil", err)
		}
	})
}
