package eventlog

const (
	// MaxBatchBytes is the size of events, or of the products before them, at which a
	// store ends a transaction. The encoders and the driver make several copies of
	// it, for each connection that settles a batch. The last event may exceed it, and
	// an event can have 0.9 MB.
	MaxBatchBytes = 2 << 20

	// MaxPageBytes is the size at which a page of events or products ends. A page has
	// at least one of them.
	MaxPageBytes = 1 << 20
)
