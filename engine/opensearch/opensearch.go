// Package opensearch finds products with an index in OpenSearch, for catalogues
// that outgrow one machine. It implements reader.Index.
//
// All readers share one index. Each feeds it all events, and no harm comes of
// that: a product is stored by its version, and what is older than what is there
// changes nothing, also when it is behind a deletion. Products are stored first,
// then the progress, and who reads that has all of them made visible before. So
// progress is never ahead.
//
// What a product is found by, and what a query looks for, is decided by package
// term, as it is for bleve: OpenSearch cuts no words. A score is a sum of whole
// numbers, the same whatever else is in the catalogue.
package opensearch

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog/internal/breaker"
)

// Config says where the index is.
type Config struct {
	URL    string
	Index  string // first part of the names of indexes; "" for catalog
	Shards int    // of a new index; 0 for 1
}

// Flags declares the flags of c, with their defaults.
func (c *Config) Flags(fs *flag.FlagSet) {
	fs.StringVar(&c.URL, "opensearch.url", "", "`URL` of OpenSearch, such as http://127.0.0.1:9200, which then has the search index of all readers; without it each has one of its own on its disk")
	fs.StringVar(&c.Index, "opensearch.index", "catalog", "first part of the `name` of the indexes in OpenSearch")
	fs.IntVar(&c.Shards, "opensearch.shards", 1, "`number` of shards of an index that is made in OpenSearch")
}

// format is raised when what is written to the index changes. It is a part of
// the name: readers of two versions have two indexes.
const format = "1"

// Index is the index in OpenSearch.
type Index struct {
	client client
	base   string // of names, and the alias of the live index
	shards int
	engine *breaker.Breaker // in front of it where somebody waits

	mu   sync.Mutex
	made int // the generation that was made here last, to take over
}

// Open connects to OpenSearch and makes the index unless it is there, or says in
// one line why not.
func Open(ctx context.Context, c Config, reg prometheus.Registerer) (*Index, error) {
	u, err := url.Parse(c.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errors.New("-opensearch.url: must be the URL of OpenSearch, such as http://127.0.0.1:9200") // it may hold a password
	}
	if c.Index == "" {
		c.Index = "catalog"
	}
	x := &Index{
		client: client{url: strings.TrimSuffix(u.String(), "/"), place: u.Host, http: &http.Client{
			Transport: &http.Transport{MaxIdleConnsPerHost: 64, IdleConnTimeout: time.Minute, TLSHandshakeTimeout: 5 * time.Second, ResponseHeaderTimeout: patience},
			Timeout:   patience,
		}},
		base: c.Index + "-v" + format, shards: max(c.Shards, 1), engine: breaker.New("opensearch", reg),
	}
	if err := x.Ping(ctx); err != nil {
		return nil, fmt.Errorf("OpenSearch at %s: %w", u.Host, err)
	}
	if err := x.prepare(ctx); err != nil {
		return nil, fmt.Errorf("make the search index %s: %w", x.base, err)
	}
	return x, nil
}

// patience is how long a call may take of which nothing else is said.
const patience = 30 * time.Second

// Close closes what is open.
func (x *Index) Close() { x.client.http.CloseIdleConnections() }

// Ping is an error unless OpenSearch answers.
func (x *Index) Ping(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	return x.client.call(ctx, http.MethodGet, "/", nil, nil)
}
