package reader

import "time"

// The limits and timeouts of the reader service. Those of the projection, the
// indexer and the audit stand at the top of their files.
const (
	// positionTimeout is the longest that a query waits for a position to be
	// applied, and the longest that the view has for one product. Events usually
	// arrive within 50 ms; a reader that is later is catching up, and the gateway
	// tries another one.
	positionTimeout = 2 * time.Second

	// searchTimeout is the time that the index has for one search or suggestion.
	// Searches take milliseconds; one that takes longer uses the CPU that other
	// queries need.
	searchTimeout = time.Second

	// multiGetTimeout is the time that GetProducts waits for the products that are
	// not in the cache: one slow product must not delay the others.
	multiGetTimeout = 20 * time.Millisecond

	// cacheTimeout is the time for one call of the cache. After that the view is
	// quicker.
	cacheTimeout = 50 * time.Millisecond

	// cacheBypass is how long reads bypass the cache after it has failed, so that
	// few of them wait for cacheTimeout.
	cacheBypass = 100 * time.Millisecond

	// maxWatchers is the number of concurrent WatchChanges calls. Each takes
	// memory for the events that it has not sent yet.
	maxWatchers = 1_000

	// watchHeartbeat is the longest time without a message in a WatchChanges call.
	// A heartbeat carries the id at which the client may resume.
	watchHeartbeat = 15 * time.Second

	// watchSendTimeout is the time that a client of WatchChanges has to receive a
	// message. A slower one is cut off, and resumes after its last id.
	watchSendTimeout = 30 * time.Second
)
