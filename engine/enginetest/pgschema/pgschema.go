// Package pgschema gives a test its own schema in a PostgreSQL server that others use,
// too.
package pgschema

import (
	"context"
	"net/url"

	"github.com/jackc/pgx/v5"
)

// Create creates a schema on the server and returns a URL that selects it, and a function that
// removes the schema with all tables. The function ignores the end of the context that it gets, so
// the context of a test can be passed.
func Create(ctx context.Context, server, name string) (schemaURL string, drop func(context.Context) error, err error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, err
	}
	q := u.Query()
	q.Set("search_path", name)
	u.RawQuery = q.Encode()
	if err := execute(ctx, server, "CREATE SCHEMA "+name); err != nil {
		return "", nil, err
	}
	drop = func(ctx context.Context) error {
		return execute(context.WithoutCancel(ctx), server, "DROP SCHEMA "+name+" CASCADE")
	}
	return u.String(), drop, nil
}

func execute(ctx context.Context, server, statement string) error {
	conn, err := pgx.Connect(ctx, server)
	if err != nil {
		return err
	}
	defer conn.Close(context.WithoutCancel(ctx))
	_, err = conn.Exec(ctx, statement)
	return err
}
