package client

import (
	"net/http"
	"strings"
	"sync"
	"time"

	"catalog"
)

// Limits of a client.
const (
	// defaultRetryTimeout outlasts the restart of a gateway and the takeover of a shard.
	defaultRetryTimeout = 10 * time.Second
	// responseTimeout is the time until a response begins. It is longer than the
	// longest wait for a command, 30 s.
	responseTimeout = time.Minute
	// maxIdleConns is the number of idle connections that are kept.
	maxIdleConns = 32
	// maxProblem limits the size of an error response, in bytes.
	maxProblem = 1 << 20
)

// Client calls one server. It is safe for concurrent use.
type Client struct {
	base string
	http *http.Client

	// RetryTimeout is how long a call is repeated while the server does not respond
	// or asks for a retry. Raise it for batch jobs that should outlast an outage.
	// The default is 10 s; 0 disables retries. Set it before the first call.
	RetryTimeout time.Duration

	mu     sync.Mutex
	writes map[int32]int64 // by shard, the seq of this client's last write
}

// New returns a client of the server at the base URL, such as
// http://127.0.0.1:8080. It does not connect.
func New(base string) *Client {
	return &Client{
		base: strings.TrimRight(base, "/"),
		http: &http.Client{Transport: &http.Transport{
			Proxy: http.ProxyFromEnvironment, MaxIdleConnsPerHost: maxIdleConns, IdleConnTimeout: time.Minute, ResponseHeaderTimeout: responseTimeout,
		}},
		RetryTimeout: defaultRetryTimeout,
		writes:       map[int32]int64{},
	}
}

// remember keeps the position of a write.
func (c *Client) remember(p catalog.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, ok := c.writes[p.Shard]; !ok && len(c.writes) >= catalog.MaxPositions {
		clear(c.writes) // a request carries no more; readers have applied the older writes by now
	}
	c.writes[p.Shard] = max(c.writes[p.Shard], p.Seq)
}

// positions returns the header of a read that must see this client's writes.
func (c *Client) positions() http.Header {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.writes) == 0 {
		return http.Header{}
	}
	var all []string
	for shard, seq := range c.writes {
		all = append(all, catalog.Position{Shard: shard, Seq: seq}.String())
	}
	return http.Header{"Catalog-Position": {strings.Join(all, ",")}}
}
