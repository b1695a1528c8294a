package reader

import (
	"time"

	"catalog"
)

// The limits and timeouts of the reader service. Those of the projection, the
// indexer and the audit stand at the top of their files.
const (
	// positionTimeout is how long a query waits for a position to be applied, how
	// long the view has to return one product, and how long WatchChanges waits for
	// the feed. A reader that needs longer is catching up or has lost its engine;
	// an error lets the caller decide.
	positionTimeout = 2 * time.Second

	// searchTimeout is the time that the index has for one search or suggestion.
	// Searches take milliseconds; one that takes longer uses the CPU that other
	// queries need.
	searchTimeout = time.Second

	// multiGetTimeout is how long GetProducts waits for products that are not in the
	// cache. It is short, because one slow product must not delay the others.
	multiGetTimeout = 20 * time.Millisecond

	// maxProductsBytes is the size of the products that GetProducts returns, in bytes.
	// The caller reads the others one by one. The cache is asked for firstProducts of
	// them first, to learn how large they are.
	maxProductsBytes, firstProducts = 4 << 20, 8

	// maxLoads is the number of products that are read from cache and view at once,
	// for single reads and for products that GetProducts did not find in the cache.
	// The largest products take 2 MB each while they are read.
	maxLoads = 32

	// queryBytes is the size of the results that all searches and suggestions may hold
	// together until they are sent. A search waits until it may hold a page of the
	// largest size, and keeps what its page has.
	queryBytes = 8 * catalog.MaxPageBytes

	// cacheTimeout is the time for one call of the cache. After that the view is
	// quicker.
	cacheTimeout = 50 * time.Millisecond

	// cacheBypass is how long reads bypass the cache after it has failed, so that
	// few of them wait for cacheTimeout.
	cacheBypass = 100 * time.Millisecond

	// maxWatchers is the number of concurrent WatchChanges calls. A further call is
	// refused with ErrUnavailable.
	maxWatchers = 1_000

	// watchHeartbeat is the longest time without a message in a WatchChanges call.
	// A heartbeat carries the id at which the client may resume.
	watchHeartbeat = 15 * time.Second

	// watchSendTimeout is the time that a client of WatchChanges has to receive a
	// message. A slower one is cut off, and resumes after its last id.
	watchSendTimeout = 30 * time.Second
)
