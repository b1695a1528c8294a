package gateway

import "time"

// Limits of the HTTP server. They keep a slow or greedy client from harming
// others; handlers set their own deadlines for bodies and responses.
const (
	readHeaderTimeout = 5 * time.Second // a header fits into a few packets
	idleTimeout       = 2 * time.Minute // longer than the usual keep-alive of proxies
	maxHeaderBytes    = 32 << 10        // bytes; the longest allowed header has 4,000

	// bodyTimeout is the time in which the body of a request must arrive, whether a
	// handler reads it or not.
	bodyTimeout = 10 * time.Second
	// maxDrain is how much of the body of a refused request the gateway reads, so that a
	// client that sends everything first gets the refusal.
	maxDrain = 256 << 20
	// writeChunk is the part of a response, in bytes, that a client must take within
	// chunkTimeout; so 13 kB/s are fast enough. The connection itself buffers about as
	// much, so a smaller response never waits for its client.
	writeChunk, chunkTimeout = 64 << 10, 5 * time.Second
	// writeTimeout limits a request from its header to the end of its response, where
	// nothing else does. It is longer than maxWait and the calls beside it.
	writeTimeout = time.Minute
	// failureLogInterval is the time between two log lines about failures of one kind.
	failureLogInterval = time.Second
)

// Limits of a single write.
const (
	// defaultMaxWrites is the default of -max-concurrent-writes. It is far more than
	// the writers settle while a client waits: more concurrent writes would only
	// wait longer.
	defaultMaxWrites = 1000
	// maxBody is the size of a body, or of a line of an import, in bytes. A product of
	// the largest size has 870,000; its record has at most wire.MaxRecord, whatever the
	// body says.
	maxBody = 1 << 20
	// defaultWait and maxWait limit how long a client waits for its command. The
	// contract states both, under Prefer.
	defaultWait, maxWait = 2 * time.Second, 30 * time.Second
	// shutdownWait is the longest wait for a command once the gateway stops. It is
	// shorter than the default of -shutdown-timeout.
	shutdownWait = 4 * time.Second
)

// Limits of calls to log, writer and reader.
const (
	sendTimeout = 5 * time.Second // time for the log to store commands; a Kafka leader election takes 1 to 3 s
	callTimeout = 2 * time.Second // timeout of a call to the writer, which reads one row by its key
	readTimeout = 3 * time.Second // timeout of a call to the reader, which may wait 2 s for a position
)

// Limits of the backlog.
const (
	// probeInterval is the interval at which a gateway looks whether a shard whose
	// backlog is too old has a probe.
	probeInterval = time.Second
	// probeRepeat is the time after which another probe is sent: the one before may be a
	// repeated command, which has no event.
	probeRepeat = 30 * time.Second
	// backlogRetryAfter is the Retry-After of a rejected write, in seconds: the
	// writers need a while to catch up.
	backlogRetryAfter = 5
)

// diskRetryAfter is the Retry-After, in seconds, of a write that is rejected because a
// disk is almost full: an operator has to make room.
const diskRetryAfter = 30

// Limits of the shares: how many requests of a kind are handled at once. A kind that
// costs much CPU has a small share, so that requests of other kinds find a free core.
const (
	maxReads         = 64 // reads of single products with a call of their own; each may hold a product of the largest size
	maxPositionReads = 64 // reads that wait for a position, without cost
	// defaultMaxQueries limits lists, suggestions and histories, each by itself.
	defaultMaxQueries = 8
	maxReceipts       = 16
	// queueTimeout is how long a request waits for its share. With the call that follows
	// it stays below the patience of most clients.
	queueTimeout = 2 * time.Second
)

// Limits of bytes. A request or response below smallBody or smallResponse is not counted:
// there are many of them, and their number is limited elsewhere.
const (
	bodiesBytes   = 8 << 20 // large bodies of writes; parsing and sending makes about three copies
	rowsBytes     = 4 << 20 // rows of imports
	longRowsBytes = 4 << 20 // rows of imports above smallBody
	filesBytes    = 8 << 20 // imports of files, fileBytes each
	// fileBytes is what the reader of a file holds: its first rows twice, and some copies of
	// a row of maxFileRow.
	fileBytes, maxFileRow = 1 << 20, 128 << 10

	responseBytes = 24 << 20 // large responses, with the copies that encoding makes
	smallBody     = 16 << 10
	smallResponse = 64 << 10
	// responseCopies is how many times the size of a message its response takes: decoded,
	// rendered and encoded.
	responseCopies = 3
	// bytesTimeout is how long a large request or response waits for its bytes.
	bytesTimeout = 2 * time.Second
)

// Limits of bulk imports.
const (
	maxImports    = 1000             // imports in progress; one that waits for rows holds about 40 kB
	maxImportBody = 256 << 20        // bytes of one request
	importWindow  = 500              // rows sent and settled together
	windowBytes   = 1 << 20          // bytes of rows after which a window ends
	windowPause   = time.Second      // time after the first row of a window; then the rows that have arrived are settled
	importTimeout = 10 * time.Second // time for the rows of a window to be settled
	rowTimeout    = 15 * time.Second // time for the next row to arrive completely
	// defaultMaxWindows is how many windows are settled at once.
	defaultMaxWindows = 4
	// stopTimeout is the time that a reader of lines has to notice that its import ended.
	stopTimeout = 200 * time.Millisecond
	// windowQueueTimeout is how long a window waits for its share: as long as windows
	// before it may take.
	windowQueueTimeout = 30 * time.Second
	// maxRefusedRows is how many rows in a row may be refused before the import ends. A
	// file in the wrong form would otherwise be answered with many times its size.
	maxRefusedRows = 10_000
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
	// refreshAge is the age at which a hit reads a product again in the background. The
	// rest of cacheTTL is time enough for that read under load.
	refreshAge = 3 * cacheTTL / 4
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
