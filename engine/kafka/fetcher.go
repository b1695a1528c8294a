package kafka

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"maps"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog/internal/memory"
)

const (
	// fetchMaxWait is how long a broker holds a fetch that has no records. A
	// newly assigned shard waits at most this long for the fetch in progress.
	// Records never wait.
	fetchMaxWait = 250 * time.Millisecond

	// fetchMaxBytes limits the response of one broker, and partitionMaxBytes the part
	// of one partition in it, so that one shard does not delay the others. Both count
	// compressed bytes, which can become twenty times as many. A response has at
	// least one batch of a producer, which is below 1 MB before compression.
	fetchMaxBytes     = 512 << 10
	partitionMaxBytes = 128 << 10

	// fetchShare is what the buffers of a consumer may hold together.
	fetchShare = 16 << 20

	// maxBatchSize is the largest size of a producer's batch after decompression.
	// Our own batches are below 1 MB, so a larger one is not a record of this
	// system.
	maxBatchSize = 16 << 20
)

// fetchMemory limits the bytes in the buffers of a fetcher. While they are too many
// it pauses the topic, since the client can neither refuse nor return records.
type fetchMemory struct {
	share         *memory.Share
	pause, resume func()

	mu     sync.Mutex
	paused bool
}

// hold counts n bytes that were fetched.
func (m *fetchMemory) hold(n int) {
	if !m.share.Hold(int64(n)) {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if !m.paused && m.share.Held() >= m.share.Bytes() {
		m.paused = true
		m.pause()
	}
}

// release gives back n bytes. It resumes the topic when the share is half empty.
func (m *fetchMemory) release(n int) {
	if n == 0 {
		return
	}
	m.share.Release(int64(n))
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.paused && m.share.Held() <= m.share.Bytes()/2 {
		m.paused = false
		m.resume()
	}
}

// fetcher fetches the records of some partitions of a topic, each into its own
// fetchBuffer. Workers start and stop partitions while it runs.
type fetcher struct {
	name, topic string
	logger      *slog.Logger
	client      *kgo.Client
	memory      *fetchMemory
	buffers     map[int32]*fetchBuffer // buffers by partition; only the goroutine of run uses the map

	broken atomic.Int64 // connections that broke

	mu            sync.Mutex
	starts        map[int32]fetchStart   // partitions to start before the next poll
	stops         map[int32]*fetchBuffer // partitions to stop before the next poll, unless another buffer has replaced theirs
	interruptPoll context.CancelFunc     // ends the poll in progress
}

// fetchStart is where to start to fetch a partition, and its buffer.
type fetchStart struct {
	offset kgo.Offset
	buffer *fetchBuffer
}

func newFetcher(l *Log, name, topic string) (*fetcher, error) {
	f := &fetcher{name: name, topic: topic, logger: l.logger, buffers: map[int32]*fetchBuffer{}, starts: map[int32]fetchStart{}, stops: map[int32]*fetchBuffer{}, interruptPoll: func() {}}
	var err error
	f.client, err = l.newClient(
		kgo.WithHooks(connectionHook{f}),
		// A missing offset is an error. By default the client would continue at
		// another offset and lose records without notice.
		kgo.ConsumeResetOffset(kgo.NoResetOffset()),
		kgo.FetchMinBytes(1), kgo.FetchMaxWait(fetchMaxWait),
		kgo.FetchMaxBytes(fetchMaxBytes), kgo.FetchMaxPartitionBytes(partitionMaxBytes),
		kgo.MaxDecompressBatchBytes(maxBatchSize),
		kgo.KeepControlRecords(), // so that a shard gets past one at the end of the log
	)
	if err != nil {
		return nil, err
	}
	f.memory = &fetchMemory{
		share: l.cfg.Memory.Share("kafka.fetch."+name, fetchShare),
		pause: func() { f.client.PauseFetchTopics(topic) }, resume: func() { f.client.ResumeFetchTopics(topic) },
	}
	return f, nil
}

// connectionHook counts the connections that break. It does not count those that the
// client ends: it does so when a partition stops and when a connection is idle, and
// each shard that started again because of that would end the connection of the others.
// Nor does it count those to the configured addresses, which the client uses for metadata
// only: a shard that starts again asks for metadata, and one of the addresses may be down
// for long.
type connectionHook struct{ f *fetcher }

// OnBrokerConnect implements kgo.HookBrokerConnect.
func (h connectionHook) OnBrokerConnect(b kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	h.ended(b, err)
}

// OnBrokerE2E implements kgo.HookBrokerE2E.
func (h connectionHook) OnBrokerE2E(b kgo.BrokerMetadata, _ int16, e2e kgo.BrokerE2E) {
	h.ended(b, e2e.Err())
}

func (h connectionHook) ended(b kgo.BrokerMetadata, err error) {
	var network *net.OpError
	broken := errors.As(err, &network) || errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	configured := b.NodeID < 0
	if broken && !configured && !errors.Is(err, net.ErrClosed) && !errors.Is(err, context.Canceled) {
		h.f.broken.Add(1)
	}
}

// reconnected returns a function that reports whether a connection to a broker has
// broken since.
func (f *fetcher) reconnected() func() bool {
	before := f.broken.Load()
	return func() bool { return f.broken.Load() != before }
}

// close drops the records in the buffers and disconnects. It removes all partitions first,
// because the client ends its fetch sessions without a lock, and could otherwise start to
// fetch a partition meanwhile.
func (f *fetcher) close() {
	for _, b := range f.buffers {
		b.drop()
	}
	f.stop(slices.Collect(maps.Keys(f.buffers))...)
	f.client.Close()
}

// run polls until ctx ends and puts the records into the buffers.
func (f *fetcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		fetches := f.client.PollFetches(f.applyChanges(ctx))
		fetches.EachError(func(_ string, partition int32, err error) {
			switch b := f.buffers[partition]; {
			case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded), errors.Is(err, kgo.ErrClientClosed):
			case b != nil:
				f.stop(partition) // otherwise the client would retry forever
				b.fail(err)
			default:
				f.logger.Warn("fetch failed", "consumer", f.name, "topic", f.topic, "partition", partition, "err", err)
			}
		})
		fetches.EachPartition(func(p kgo.FetchTopicPartition) {
			if b := f.buffers[p.Partition]; b != nil && len(p.Records) > 0 {
				b.put(p.Records, p.HighWatermark)
			}
		})
	}
}

// change makes a change of f.starts or f.stops, and interrupts the poll in progress. It
// does not wait for the next one.
func (f *fetcher) change(change func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	change()
	f.interruptPoll()
}

// applyChanges stops and starts partitions between two polls, so that no record of an
// earlier poll is delivered after it: all at once, because each stop ends the fetch in
// progress. It returns the context of the next poll, which ends at the next change.
func (f *fetcher) applyChanges(ctx context.Context) context.Context {
	f.mu.Lock()
	starts, stops := f.starts, f.stops
	f.starts, f.stops = map[int32]fetchStart{}, map[int32]*fetchBuffer{}
	f.interruptPoll()
	ctx, f.interruptPoll = context.WithCancel(ctx)
	f.mu.Unlock()
	var stopped []int32
	for partition, b := range stops {
		if f.buffers[partition] == b {
			stopped = append(stopped, partition)
		}
	}
	f.stop(stopped...)
	started := map[int32]kgo.Offset{}
	for partition, s := range starts {
		f.buffers[partition] = s.buffer
		started[partition] = s.offset
	}
	if len(started) > 0 {
		f.client.ResumeFetchPartitions(map[string][]int32{f.topic: slices.Collect(maps.Keys(started))})
		f.client.AddConsumePartitions(map[string]map[int32]kgo.Offset{f.topic: started})
	}
	return ctx
}

// startAt fetches the partition from the offset on, into the buffer that it
// returns. The partition's earlier buffer, if any, must have been released.
func (f *fetcher) startAt(partition int32, offset kgo.Offset) *fetchBuffer {
	partitions := map[string][]int32{f.topic: {partition}}
	b := newFetchBuffer(f.memory,
		func() { f.client.PauseFetchPartitions(partitions) },
		func() { f.client.ResumeFetchPartitions(partitions) },
	)
	f.change(func() { f.starts[partition] = fetchStart{offset, b} })
	return b
}

// release stops fetching into b. It does nothing when another buffer has
// replaced b.
func (f *fetcher) release(partition int32, b *fetchBuffer) {
	f.change(func() {
		if f.starts[partition].buffer == b {
			delete(f.starts, partition)
		} else {
			f.stops[partition] = b
		}
	})
	b.drop()
}

// stop stops fetching the partitions. Only the goroutine of run may call it, and close
// after that.
func (f *fetcher) stop(partitions ...int32) {
	if len(partitions) == 0 {
		return
	}
	for _, p := range partitions {
		delete(f.buffers, p)
	}
	f.client.RemoveConsumePartitions(map[string][]int32{f.topic: partitions})
}
