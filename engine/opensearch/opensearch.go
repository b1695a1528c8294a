// Package opensearch implements reader.Index with an index in OpenSearch, for catalogues that
// outgrow one machine.
//
// All readers share the index, and each of them applies all events. A product is stored under its
// version, and a write with an older version changes nothing, not even after a deletion, so repeated
// and reordered writes are harmless. Products are stored before the checkpoints, and a reader makes
// all of them visible before it reads the checkpoints. So a checkpoint is never ahead of the products.
//
// Package textsearch decides by which terms a product is found and which terms a query looks up, as
// it does for package bleve: OpenSearch tokenizes nothing. A score is a sum of whole numbers and
// depends on the product alone, not on the rest of the catalogue.
package opensearch

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/breaker"
	"catalog/internal/textsearch"
)

// Limits of the HTTP connections.
const (
	callTimeout    = 30 * time.Second // timeout of one call, unless its context ends before: OpenSearch bounds no call itself
	pingTimeout    = 3 * time.Second  // a health check has to be shorter than the probes that wait for it
	tlsTimeout     = 5 * time.Second
	idleTimeout    = time.Minute // time after which an unused connection is closed
	maxIdlePerHost = 64          // unused connections that are kept, so that concurrent searches reuse them
)

// Config configures the connection to OpenSearch and the shape of its indexes.
type Config struct {
	// URL is the address of OpenSearch, such as http://127.0.0.1:9200. It may contain a user and a
	// password. It is required. Several URLs, separated by commas, are nodes of one cluster: calls
	// go to all of them in turn, and to the others while one does not respond.
	URL string
	// Index is the first part of the names of the indexes. Change it to keep several catalogues in one
	// OpenSearch. "" means catalog.
	Index string
	// Shards is the number of primary shards of an index that is created. Raise it for catalogues of
	// many millions of products; existing indexes keep theirs until the next rebuild. 0 means 1.
	Shards int
	// Rules say how texts are searched. Nil means textsearch.DefaultRules.
	Rules *textsearch.Rules
}

// Flags declares the flags of c with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "opensearch.url", "", "`URL` of OpenSearch, such as http://127.0.0.1:9200, or of several of its nodes, comma separated, for one search index that all readers share; without it, each reader keeps an index on its own disk")
	fs.StringVar(&c.Index, "opensearch.index", "catalog", "first part of the `name` of the indexes in OpenSearch")
	fs.IntVar(&c.Shards, "opensearch.shards", 1, "`number` of primary shards of an index that is created in OpenSearch")
}

// format is raised when the content of an index document changes. It is part of the index name, so
// readers of two versions use two indexes.
const format = "6"

// Index is the search index in OpenSearch.
type Index struct {
	client  client
	base    string // prefix of the names of indexes, and alias of the live generation
	shards  int
	rules   *textsearch.Rules
	breaker *breaker.Breaker // guards searches, whose callers wait; writes retry instead

	mu      sync.Mutex
	standby int // generation that CreateStandby made last; 0 for none
}

// Open connects to OpenSearch and creates the index when there is none. Its errors are one line
// without the password of the URL.
func Open(ctx context.Context, c Config, reg prometheus.Registerer) (*Index, error) {
	client, err := newClient(c.URL, &http.Client{
		Transport: &http.Transport{MaxIdleConnsPerHost: maxIdlePerHost, IdleConnTimeout: idleTimeout, TLSHandshakeTimeout: tlsTimeout, ResponseHeaderTimeout: callTimeout},
		Timeout:   callTimeout,
	})
	if err != nil {
		return nil, err
	}
	if c.Index == "" {
		c.Index = "catalog"
	}
	x := &Index{
		client: client, base: c.Index + "-v" + format, shards: max(c.Shards, 1), rules: cmp.Or(c.Rules, textsearch.DefaultRules()), breaker: breaker.New("opensearch", reg),
	}
	if err := x.Ping(ctx); err != nil {
		return nil, fmt.Errorf("%w; start OpenSearch there, or set -opensearch.url", err)
	}
	if err := x.createFirst(ctx); err != nil {
		return nil, fmt.Errorf("create the search index %s: %w", x.base, err)
	}
	return x, nil
}

// Close closes idle connections.
func (x *Index) Close() { x.client.http.CloseIdleConnections() }

// Ping returns an error unless OpenSearch responds within pingTimeout.
func (x *Index) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, pingTimeout)
	defer cancel()
	return x.client.call(ctx, http.MethodGet, "/", nil, nil)
}
