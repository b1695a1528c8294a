package postgres

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"

	"catalog"
)

// TestMarkUnavailable lists the errors of the client library. Only those that mean that
// the server cannot be reached or cannot work make callers wait and breakers probe.
func TestMarkUnavailable(t *testing.T) {
	server := func(code string) error { return fmt.Errorf("query: %w", &pgconn.PgError{Code: code}) }
	for name, test := range map[string]struct {
		err  error
		want bool
	}{
		"no error":                    {nil, false},
		"canceled by the caller":      {context.Canceled, false},
		"out of the caller's time":    {fmt.Errorf("timeout: %w", context.DeadlineExceeded), false},
		"connection refused":          {&net.OpError{Op: "dial", Err: errors.New("refused")}, true},
		"connection closed":           {io.EOF, true},
		"connection cut":              {io.ErrUnexpectedEOF, true},
		"connection is closed":        {pgconn.ErrConnClosed, true},
		"08006 connection failure":    {server("08006"), true},
		"53100 disk full":             {server("53100"), true},
		"53200 out of memory":         {server("53200"), true},
		"53300 too many connections":  {server("53300"), true},
		"57P01 admin shutdown":        {server("57P01"), true},
		"57P03 cannot connect now":    {server("57P03"), true},
		"57014 query canceled":        {server("57014"), false},
		"23505 unique violation":      {server("23505"), false},
		"40001 serialization failure": {server("40001"), false},
		"40P01 deadlock":              {server("40P01"), false},
		"22021 not in UTF-8":          {server("22021"), false},
		"22P02 invalid text":          {server("22P02"), false},
		"42P01 undefined table":       {server("42P01"), false},
		"54000 limit of the program":  {server("54000"), false},
		"an error of ours":            {catalog.ErrNotFound, false},
	} {
		if err := markUnavailable(test.err); errors.Is(err, catalog.ErrUnavailable) != test.want || test.err != nil && !errors.Is(err, test.err) {
			t.Errorf("%s: markUnavailable = %v; want ErrUnavailable: %v", name, err, test.want)
		}
	}
}
