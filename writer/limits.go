package writer

import "time"

// Limits of the writer. None is a flag: they bound memory and load, and no
// promise depends on their values.
const (
	// replayBatch is the largest number of events read from the journal at once, for
	// a takeover and for Replay. Large events end a page earlier
	// (eventlog.MaxPageBytes).
	replayBatch = 500

	// maxBatchCommands is the largest number of commands of one transaction. The log
	// delivers no more at once.
	maxBatchCommands = 1_000

	// slowTransaction is how long the transaction of a group holds up that of the next
	// group: groups grow while they wait, but a transaction that hangs, because another
	// writer has locked an SKU, must not stop all shards.
	slowTransaction = 100 * time.Millisecond

	// deadLetterBatch is the number of dead letters read from the store at once.
	// It is small because a dead letter can have up to 1 MB.
	deadLetterBatch = 2

	// pageBytes is what a page of the journal takes: eventlog.MaxPageBytes and one
	// event, in the form of the store and in that of the response.
	pageBytes = 2 << 20

	// republishShare limits the pages that takeovers publish at once. A process can
	// take over all shards at the same moment.
	republishShare = 4 * pageBytes

	// replayShare and snapshotShare limit the streams of Replay, which change streams and
	// gaps in the events need, and of Snapshot, which new readers and operators need. A
	// stream counts as a page from its begin to its end. Others of its kind wait.
	replayShare, snapshotShare = 8 * pageBytes, 8 * pageBytes

	// storeTimeout limits a call to the store for a shard. It is below the shortest
	// session timeout that Kafka allows, 6 s: a connection that hangs delays the shard
	// and does not stop it. The attempts after the first may take longer, up to
	// storeTimeout << maxTimeoutDoublings, so that a slow store settles a large batch.
	storeTimeout        = 5 * time.Second
	maxTimeoutDoublings = 2

	// maxStatesAge is the age of the stored states above which Check reads them
	// again. All idle shards share one read.
	maxStatesAge = 2 * time.Second
)
