// Package writer turns commands into events. It takes batches of commands of
// one shard from the log, settles each batch in the store in one transaction,
// and publishes the events in the order of the journal.
//
// The package knows the log and the store as interfaces only. Promises:
//   - Every command is settled exactly once, in the order of its shard,
//     whichever process dies at whichever moment.
//   - Every event of the journal reaches the events topic, in order, at least
//     once.
//
// DESIGN.md follows a batch through the package.
package writer

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/logging"
	"catalog/internal/memory"
	"catalog/internal/metrics"
)

// Store keeps the products, the journal of every settled command, the dead
// letters and one row for each shard. Packages postgres and sqlite implement it;
// enginetest.TestStore is the test of an implementation.
type Store interface {
	// InitShards creates the rows of shards 0 to shards-1 when the store has none.
	// When the store has another number of shards it changes nothing and returns
	// an error that names both numbers.
	InitShards(ctx context.Context, shards int) error

	// Claim makes the caller the owner of the shard, with a new epoch, and
	// returns the state of the shard.
	Claim(ctx context.Context, shard int32) (eventlog.ShardState, error)

	// StopShard stops the shard for reason, until it is repaired, and fences its
	// owner. When the shard is not at epoch it changes nothing and returns ErrFenced.
	StopShard(ctx context.Context, shard int32, epoch int64, reason string) error

	// BindTopics returns the topics that the store belongs to. The first call
	// sets them to now.
	BindTopics(ctx context.Context, now eventlog.Topics) (eventlog.Topics, error)

	// States returns the states of all shards, in the order of their numbers.
	States(ctx context.Context) ([]eventlog.ShardState, error)

	// State returns the state of the shard.
	State(ctx context.Context, shard int32) (eventlog.ShardState, error)

	// Settle runs one transaction for the batches of the group. It stores the events of
	// eventlog.Settle, the products of eventlog.LastVersions, and the dead letters, and moves each
	// shard to the offset and the seq after them. It returns what it has settled of each batch: all
	// of it, or a part when products or events reach eventlog.MaxBatchBytes. It leaves out a batch
	// whose shard is not at its Epoch, From and NextSeq, or is stopped, with ErrFenced, and one
	// that has to wait or for which no bytes are left with eventlog.ErrLeftOut, which a batch that
	// is alone never gets. The other batches are settled. After an error the transaction may or may
	// not be committed; State returns the stored state.
	Settle(ctx context.Context, g eventlog.Group, now time.Time) ([]eventlog.Settled, error)

	// Journal returns the events of the shard with from ≤ seq ≤ to, in order: a page
	// of at least one event, at most limit events and about eventlog.MaxPageBytes.
	Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error)

	// Snapshot calls handle with the products of the shard, including tombstones, in
	// the order of their ids, in pages of about eventlog.MaxPageBytes; only with the
	// products in only, unless only is nil. Each page is read in a transaction of
	// its own, which ends before handle is called. Snapshot returns the seq that the
	// next event had before the first page: every product is at least as new as the
	// events before it, and may be newer.
	Snapshot(ctx context.Context, shard int32, only []catalog.ID, handle func([]catalog.Product) error) (nextSeq int64, err error)

	// DeadLetters returns the dead letters of the shard with number ≥ from, in
	// order, at most limit of them.
	DeadLetters(ctx context.Context, shard int32, from int64, limit int) ([]eventlog.DeadLetter, error)

	// ListDeadLetters returns dead letters without key, value and headers, newest
	// first, at most limit of them. A nil shard means all shards. The list starts
	// after the position after; the zero Position starts at the newest.
	ListDeadLetters(ctx context.Context, shard *int32, after catalog.Position, limit int) ([]eventlog.DeadLetter, error)

	// Receipt returns the event of the command, or ErrNotFound.
	Receipt(ctx context.Context, command catalog.ID) (catalog.Event, error)

	// History returns the events that made the versions of the product below
	// before (0 for all versions), newest first: at most limit events and about
	// eventlog.MaxPageBytes, but at least two if there are two. more reports whether
	// there are older ones. It leaves out archived events, and returns
	// eventlog.CurrentVersion in place of that of the current version. It returns
	// ErrNotFound when the product has no event.
	History(ctx context.Context, product catalog.ID, before int64, limit int) (events []catalog.Event, more bool, err error)

	// Sizes returns estimates of what the store holds, for metrics.
	Sizes(ctx context.Context) (eventlog.Sizes, error)

	// SKUs returns the products that own the SKUs, by SKU. It leaves out SKUs
	// without an owner.
	SKUs(ctx context.Context, skus []string) (map[string]catalog.ID, error)
}

// Log delivers commands and stores events and dead letters. Package kafka
// implements it.
type Log interface {
	// ConsumeCommands joins the consumer group of the writers and passes the
	// records of its assigned shards to w until ctx ends.
	ConsumeCommands(ctx context.Context, w eventlog.Consumer[catalog.Command]) error

	// Topics returns the ids of the topics that this process uses.
	Topics() eventlog.Topics

	// LastSeq returns the seq of the last event in the shard's partition of the
	// events topic, at or after the offset from, or 0 if there is none.
	LastSeq(ctx context.Context, shard int32, from int64) (int64, error)

	// EventsLost reports whether the shard's partition of the events topic has lost its
	// last records: it ends before an event that LastSeq has found or PublishEvents has
	// stored. Its error wraps ErrInconsistent when the topic was recreated.
	EventsLost(ctx context.Context, shard int32) (bool, error)

	// PublishEvents appends the events of one shard, in order. It blocks only
	// while its buffer is full. It calls done with nil when all are stored, or
	// with an error when an event cannot be sent; the events after it may or may
	// not be stored. The error wraps ErrInconsistent when the log will never accept
	// the event. The calls of done are in the order of the calls.
	PublishEvents(ctx context.Context, events []catalog.Event, done func(error))

	// LastDeadLetter and PublishDeadLetters are LastSeq and PublishEvents for
	// dead letters.
	LastDeadLetter(ctx context.Context, shard int32) (int64, error)
	PublishDeadLetters(ctx context.Context, letters []eventlog.DeadLetter, done func(error))

	// ViewOffsets returns, by shard, the end of the events that this process has
	// published, and the offset up to which the view has applied the events; -1 when
	// that is unknown.
	ViewOffsets(ctx context.Context) (published, applied []int64, err error)

	// SendCommands appends commands, each to the partition of its product, and
	// waits until they are stored.
	SendCommands(ctx context.Context, commands ...catalog.Command) error
}

// Deps are the parts that a Writer needs. All of them are required, except Memory.
type Deps struct {
	Store    Store
	Log      Log
	Logger   *slog.Logger
	Now      func() time.Time      // time.Now, except in tests
	Registry prometheus.Registerer // receives the metrics of the writer
	Config   Config
	Memory   *memory.Budget // bounds takeovers; nil means the same limit, without metrics
}

// Writer settles the commands of the shards that the log assigns to it. It is
// the eventlog.Consumer of the commands topic.
type Writer struct {
	store   Store
	log     Log
	logger  *slog.Logger
	now     func() time.Time
	metrics *writerMetrics

	mu     sync.Mutex
	shards map[int32]*ownedShard
	resume map[int32]published // by shard in which a publish failed: the events that are published for certain
	// progress counts, by shard, the steps of Begin and Handle.
	progress map[int32]int64

	groups       groups
	throttle     *throttle
	takeovers    *logging.Shards
	republishing *memory.Share // memory for the pages of the journal that takeovers publish

	states storedStates
}

// New returns a writer on the parts in d. Call [Writer.Run] to start it.
func New(d Deps) *Writer {
	w := &Writer{
		store: d.Store, log: d.Log, logger: d.Logger, now: d.Now, metrics: newMetrics(d.Registry),
		shards: map[int32]*ownedShard{}, resume: map[int32]published{}, progress: map[int32]int64{}, takeovers: logging.NewShards(d.Logger, "shards taken over"),
		throttle:     newThrottle(d.Config.MaxViewDelay, d.Now, d.Log, d.Registry),
		republishing: d.Memory.Share("writer.republish", republishShare),
	}
	w.groups.commit = w.commit
	return w
}

// Run settles commands until ctx ends. Batches that are settled by then are
// published by this process or by the next owner of their shard.
func (w *Writer) Run(ctx context.Context) error {
	defer w.takeovers.Flush()
	defer w.groups.wait()
	var background sync.WaitGroup
	ctx, stop := context.WithCancel(ctx)
	defer background.Wait()
	defer stop()
	background.Go(func() { metrics.Refresh(ctx, w.readSizes) })
	background.Go(func() { w.throttle.run(ctx, w.owned) })
	return w.log.ConsumeCommands(ctx, w)
}

// readSizes updates the metrics of what the store holds.
func (w *Writer) readSizes(ctx context.Context) error {
	z, err := w.store.Sizes(ctx)
	if err == nil {
		w.metrics.setSizes(z)
	}
	return err
}
