package readertest

import (
	"context"
	"testing"

	"sync"

	"catalog"
	"catalog/eventlog"
	"catalog/reader"
	"catalog/reader/indexer"
)

// Log is a log with one shard. Harness.Feed delivers its records, on the
// goroutine of the test.
type Log struct {
	First, End int64 // the bounds of the shard

	mu        sync.Mutex
	consumers map[string]eventlog.Consumer[catalog.Event]
	begun     chan string
}

// start makes the log ready for a reader, and returns a channel that gets the
// names of the consumers that have begun.
func (l *Log) start() <-chan string {
	l.consumers, l.begun = map[string]eventlog.Consumer[catalog.Event]{}, make(chan string, 2)
	return l.begun
}

// Projection returns the consumer of the projection.
func (l *Log) Projection() eventlog.Consumer[catalog.Event] { return l.consumers["view"] }

// ConsumeEvents runs the consumer of the projection.
func (l *Log) ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
	return l.ConsumeAllShards(ctx, "view", c)
}

// ConsumeAllShards runs a consumer.
func (l *Log) ConsumeAllShards(ctx context.Context, name string, c eventlog.Consumer[catalog.Event]) error {
	if _, err := c.Begin(ctx, 0); err != nil {
		return err
	}
	l.mu.Lock()
	l.consumers[name] = c
	l.mu.Unlock()
	l.begun <- name
	<-ctx.Done()
	c.End(0)
	return nil
}

// EventOffsets returns the bounds of the shard.
func (l *Log) EventOffsets(context.Context) (starts, ends []int64, err error) {
	return []int64{l.First}, []int64{l.End}, nil
}

// ManualLog is a log that hands its consumers to the test, which calls their
// Begin, Handle and End itself.
type ManualLog struct {
	Starts, Ends []int64 // the bounds of the shards
	consumers    chan eventlog.Consumer[catalog.Event]
}

// NewManualLog returns a log with empty shards.
func NewManualLog(shards int) *ManualLog {
	return &ManualLog{Starts: make([]int64, shards), Ends: make([]int64, shards), consumers: make(chan eventlog.Consumer[catalog.Event])}
}

// Run runs projection and indexer of a reader until the end of the test, and
// returns their consumers.
func (l *ManualLog) Run(t testing.TB, r *reader.Reader) [2]eventlog.Consumer[catalog.Event] {
	return [2]eventlog.Consumer[catalog.Event]{l.run(t, r.Projector.Run), l.run(t, r.Indexer.Run)}
}

// RunIndexer runs an indexer until the end of the test, and returns its consumer.
func (l *ManualLog) RunIndexer(t testing.TB, x *indexer.Indexer) eventlog.Consumer[catalog.Event] {
	return l.run(t, x.Run)
}

func (l *ManualLog) run(t testing.TB, f func(context.Context) error) eventlog.Consumer[catalog.Event] {
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	t.Cleanup(func() { stop(); running.Wait() })
	running.Go(func() { _ = f(ctx) })
	return <-l.consumers
}

// ConsumeEvents hands over the consumer of the projection.
func (l *ManualLog) ConsumeEvents(ctx context.Context, c eventlog.Consumer[catalog.Event]) error {
	return l.ConsumeAllShards(ctx, "view", c)
}

// ConsumeAllShards hands over a consumer.
func (l *ManualLog) ConsumeAllShards(ctx context.Context, _ string, c eventlog.Consumer[catalog.Event]) error {
	l.consumers <- c
	<-ctx.Done()
	return nil
}

// EventOffsets returns the bounds of the shards.
func (l *ManualLog) EventOffsets(context.Context) (starts, ends []int64, err error) {
	return l.Starts, l.Ends, nil
}
