package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"

	"catalog"
)

// Error codes of PostgreSQL.
const (
	uniqueViolation      = "23505"
	serializationFailure = "40001"
	deadlockDetected     = "40P01"
	undefinedTable       = "42P01"
	lockNotAvailable     = "55P03"
)

// retriable reports whether the transaction was rolled back because of a
// concurrent transaction, so that repeating it can succeed.
func retriable(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case uniqueViolation:
		return pgErr.ConstraintName == "products_sku" || pgErr.ConstraintName == "products_sku_key" || strings.HasPrefix(pgErr.TableName, "journal")
	case deadlockDetected, serializationFailure:
		return true
	}
	return false
}

// markUnavailable adds catalog.ErrUnavailable to an error that means that the
// server cannot be reached or cannot work at the moment.
func markUnavailable(err error) error {
	var (
		pgErr      *pgconn.PgError
		connectErr *pgconn.ConnectError
		netErr     net.Error
		available  = true
	)
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
	case errors.As(err, &pgErr):
		// Classes 08 connection exception, 53 insufficient resources, 57P operator
		// intervention: the server is starting or stopping.
		available = !strings.HasPrefix(pgErr.Code, "08") && !strings.HasPrefix(pgErr.Code, "53") && !strings.HasPrefix(pgErr.Code, "57P")
	case errors.As(err, &connectErr), errors.As(err, &netErr),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), errors.Is(err, pgconn.ErrConnClosed):
		available = false
	}
	if !available {
		return fmt.Errorf("PostgreSQL: %w: %w", catalog.ErrUnavailable, err)
	}
	return err
}
