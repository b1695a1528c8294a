package writer

import "time"

// Limits of the writer. None is a flag: they bound memory and load, and no
// promise depends on their values.
const (
	// replayBatch is the number of events read from the journal at once, for a
	// takeover and for Replay. 500 events of 10 kB are 5 MB.
	replayBatch = 500

	// deadLetterBatch is the number of dead letters read from the store at once.
	// It is small because a dead letter can have up to 1 MB.
	deadLetterBatch = 10

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
