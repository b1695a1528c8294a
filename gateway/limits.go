package gateway

import "time"

// Limits of the HTTP server. They keep a slow or greedy client from harming
// others; handlers set their own deadlines for bodies and responses.
const (
	readHeaderTimeout = 5 * time.Second // a header fits into a few packets
	idleTimeout       = 2 * time.Minute // longer than the usual keep-alive of proxies
	maxHeaderBytes    = 32 << 10        // bytes; the longest allowed header has 4,000
)

// Limits of a single write.
const (
	// defaultMaxWrites is the default of -max-concurrent-writes. It is far more than
	// the writers settle while a client waits: more concurrent writes would only
	// wait longer.
	defaultMaxWrites = 1000
	// maxBody is the size of a body, or of a line of an import, in bytes. A product
	// of the largest size has about a quarter of it.
	maxBody = 1 << 20
	// bodyTimeout is the time in which the body of a write must arrive.
	bodyTimeout = 10 * time.Second
	// defaultWait and maxWait limit how long a client waits for its command. The
	// contract states both, under Prefer.
	defaultWait, maxWait = 2 * time.Second, 30 * time.Second
	// shutdownWait is the longest wait for a command once the gateway stops. It is
	// shorter than the default of -shutdown-timeout.
	shutdownWait = 4 * time.Second
)

// Limits of calls to log, writer and reader.
const (
	sendTimeout = 5 * time.Second // for the log to store commands; a Kafka leader election takes 1 to 3 s
	callTimeout = 2 * time.Second // for a call to the writer, which reads one row by its key
	readTimeout = 3 * time.Second // for a call to the reader, which may wait 2 s for a position
)

// Limits of the backlog.
const (
	// probeInterval is the interval at which a command is let through to a shard
	// whose backlog is too old. Its event shows that the shard makes progress again.
	probeInterval = time.Second
	// backlogRetryAfter is the Retry-After of a rejected write, in seconds: the
	// writers need a while to catch up.
	backlogRetryAfter = 5
)

// diskRetryAfter is the Retry-After, in seconds, of a write that is rejected because a
// disk is almost full: an operator has to make room.
const diskRetryAfter = 30

// Limits of bulk imports.
const (
	maxImports    = 16               // imports at once; each holds one window of rows in memory
	maxImportBody = 256 << 20        // bytes of one request
	importWindow  = 500              // rows sent and settled together
	importTimeout = 10 * time.Second // for the rows of a window to be settled
	windowTimeout = time.Minute      // for the rows of a window to arrive
)

// Limits of change streams.
const (
	// heartbeatInterval is the interval of comments on a stream without changes.
	// Proxies close connections that are silent for longer, typically 60 s.
	heartbeatInterval = 15 * time.Second
	// streamWriteTimeout is the time that a client has to receive what was sent.
	streamWriteTimeout = 30 * time.Second
	// subscribersRetryAfter is the Retry-After, in seconds, when -changes.max-subscribers
	// are connected: they stay for long.
	subscribersRetryAfter = 10
)

// Limits of the near cache.
const (
	// cacheTTL is the age at which a cached product is read again. Events invalidate
	// it sooner; the TTL limits staleness when events do not arrive.
	cacheTTL = time.Second
	// cacheEntryOverhead is the size of an entry without its body, in bytes.
	cacheEntryOverhead = 300
)

// Limits of the read batcher.
const (
	// batchCalls is how many calls for products are in progress before reads wait
	// for a call to end. Two keep reader and gateway busy.
	batchCalls = 2
	// extraCallAt is the number of waiting reads that starts one more call.
	extraCallAt = 10
	// maxBatch is how many products one call requests; the contract allows no more.
	maxBatch = 256
	// batchSlotTimeout is how long a call occupies its slot. A call that takes longer
	// waits for a position or an engine, and other reads must not wait for it.
	batchSlotTimeout = 5 * time.Millisecond
	// batchTimeout limits a call for several products. The reader does not wait for
	// positions or slow engines in such a call.
	batchTimeout = 200 * time.Millisecond
)
