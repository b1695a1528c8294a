// Package query opens the engines of the reader: MongoDB for the view, Redis for the
// cache, and OpenSearch or a local folder for the search index.
package query

import (
	"context"
	"flag"

	"catalog/engine/bleve"
	"catalog/engine/mongo"
	"catalog/engine/opensearch"
	"catalog/engine/redis"
	"catalog/internal/engines"
	"catalog/internal/textsearch"
	"catalog/reader"
	"catalog/reader/projection"
)

// Config holds the addresses and settings of the reader's engines.
type Config struct {
	// Mongo is the server of the view, which all readers share.
	Mongo mongo.Config

	// Redis is the server of the cache. Without an address reads are served from the
	// view, which is slower and otherwise the same.
	Redis redis.Config

	// OpenSearch is the server of a search index that all readers share. Without an
	// address each reader keeps its own index in IndexFolder.
	OpenSearch opensearch.Config

	// IndexFolder holds the search index of this process. It is created when
	// missing, must not be shared by two processes, and is not used with OpenSearch.
	IndexFolder string

	// SearchRules is a YAML file of weights, synonyms, stop words and languages of the
	// search. "" means the built-in rules.
	SearchRules string
}

// Flags declares the flags of the three servers; IndexFolder has none.
func (c *Config) Flags(fs *flag.FlagSet) {
	c.Mongo.Flags(fs)
	c.Redis.Flags(fs)
	c.OpenSearch.Flags(fs)
	fs.StringVar(&c.SearchRules, "search.rules", "", "YAML `file` of weights, synonyms, stop words and languages of the search; without it, the built-in ones apply")
}

// OpenView connects to MongoDB.
func OpenView(ctx context.Context, s *engines.Set, cfg Config) (projection.View, error) {
	cfg.Mongo.Memory, cfg.Mongo.Metrics = s.Memory, s.Registry
	v, err := engines.Retry(ctx, s, "mongo", func(ctx context.Context) (*mongo.View, error) { return mongo.Open(ctx, cfg.Mongo) })
	if err != nil {
		return nil, err
	}
	s.OnClose(func() { v.Close(context.WithoutCancel(ctx)) })
	s.AddCheck("mongo", v.Ping)
	return projection.NewGenerationalView(v), nil
}

// OpenCache connects to Redis, or returns nil when cfg has no address. Redis is not a
// check: without it reads are slower, but correct.
func OpenCache(ctx context.Context, s *engines.Set, cfg Config, shards int) (reader.Cache, error) {
	if cfg.Redis.URL == "" {
		return nil, nil
	}
	cfg.Redis.Shards, cfg.Redis.Metrics = shards, s.Registry
	c, err := engines.Retry(ctx, s, "redis", func(ctx context.Context) (*redis.Cache, error) { return redis.Open(ctx, cfg.Redis) })
	if err != nil {
		return nil, err
	}
	s.OnClose(c.Close)
	return c, nil
}

// OpenIndex connects to OpenSearch, or opens IndexFolder when cfg has no address.
// OpenSearch is not a check: without it searches fail, but products are served.
func OpenIndex(ctx context.Context, s *engines.Set, cfg Config) (reader.Index, error) {
	rules, err := textsearch.LoadRules(cfg.SearchRules)
	if err != nil {
		return nil, err
	}
	if cfg.OpenSearch.URL != "" {
		cfg.OpenSearch.Rules = rules
		x, err := engines.Retry(ctx, s, "opensearch", func(ctx context.Context) (*opensearch.Index, error) {
			return opensearch.Open(ctx, cfg.OpenSearch, s.Registry)
		})
		if err != nil {
			return nil, err
		}
		s.OnClose(x.Close)
		return x, nil
	}
	x, err := bleve.OpenGenerations(cfg.IndexFolder, s.Log)
	if err != nil {
		return nil, err
	}
	x.SetRules(rules)
	x.SetMemory(s.Memory)
	s.OnClose(func() { x.Close() })
	if cfg.IndexFolder != "" {
		s.WatchFolder("index", cfg.IndexFolder)
	}
	return x, nil
}
