// Package store opens PostgreSQL, the engine of the writer.
package store

import (
	"context"

	"catalog/engine/postgres"
	"catalog/internal/engines"
)

// Open connects to PostgreSQL, whose tables must be up to date: catalog migrate
// updates them.
func Open(ctx context.Context, s *engines.Set, cfg postgres.Config) (*postgres.Store, error) {
	cfg.Metrics, cfg.Memory = s.Registry, s.Memory
	p, err := engines.Retry(ctx, s, "postgres", func(ctx context.Context) (*postgres.Store, error) { return postgres.Open(ctx, cfg) })
	if err != nil {
		return nil, err
	}
	s.OnClose(p.Close)
	s.AddCheck("postgres", p.Ping)
	return p, nil
}
