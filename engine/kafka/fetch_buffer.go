package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Limits of a batch and of the records buffered after it, in records and in
// bytes. A single record may exceed a limit in bytes.
const (
	maxBatchRecords, maxBatchBytes   = 1_000, 1 << 20 // one call of Handle
	maxBufferRecords, maxBufferBytes = 4_000, 2 << 20 // above them fetching pauses; the buffer hides the time of a fetch

	// recordOverhead is about what a record takes in memory beside its key and value.
	recordOverhead = 400
)

// fetchBuffer holds the fetched records of one partition until the worker takes
// them. While the worker is busy, records collect into larger batches; a record
// that arrives at an idle worker is taken at once. The buffer pauses fetching
// while it is full. Its records, and the batch that the worker has taken last,
// count in the share of the fetcher.
type fetchBuffer struct {
	pause, resume func()
	memory        *fetchMemory
	changed       chan struct{} // has an element when take should look again

	mu      sync.Mutex
	records []*kgo.Record
	bytes   int   // size of the records
	taken   int   // bytes of the batch that the worker has
	end     int64 // offset that the partition's next record gets, as of the last fetch
	paused  bool
	dropped bool
	err     error // why no more records are added
}

func newFetchBuffer(memory *fetchMemory, pause, resume func()) *fetchBuffer {
	return &fetchBuffer{memory: memory, pause: pause, resume: resume, changed: make(chan struct{}, 1)}
}

// put adds records. end is the offset that the partition's next record gets.
func (b *fetchBuffer) put(records []*kgo.Record, end int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.dropped {
		return
	}
	b.records = append(b.records, records...)
	bytes := 0
	for _, r := range records {
		bytes += size(r)
	}
	b.bytes += bytes
	b.memory.hold(bytes)
	b.end = end
	if full := len(b.records) > maxBufferRecords || b.bytes > maxBufferBytes; full && !b.paused {
		b.paused = true
		b.pause()
	}
	b.signal()
}

// drop removes all records. The buffer takes no more.
func (b *fetchBuffer) drop() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memory.release(b.bytes + b.taken)
	b.records, b.bytes, b.taken, b.dropped = nil, 0, 0, true
}

// fail makes take return err once the buffer is empty.
func (b *fetchBuffer) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
	b.signal()
}

func (b *fetchBuffer) signal() {
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// take waits for records and returns as many as fit into a batch. The worker no
// longer uses the batch before. It returns none when timeout fires first. It returns
// an error when ctx has ended, or when the buffer is empty and has failed.
func (b *fetchBuffer) take(ctx context.Context, timeout <-chan time.Time) ([]*kgo.Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if batch, err := b.nextBatch(); len(batch) > 0 || err != nil {
			return batch, err
		}
		select {
		case <-b.changed:
		case <-timeout:
			return nil, nil
		case <-ctx.Done():
		}
	}
}

// nextBatch removes and returns the next batch. It resumes fetching when the
// buffer is half empty.
func (b *fetchBuffer) nextBatch() ([]*kgo.Record, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.memory.release(b.taken)
	b.taken = 0
	if len(b.records) == 0 {
		return nil, b.err
	}
	n, bytes := 0, 0
	for n < min(len(b.records), maxBatchRecords) && (n == 0 || bytes+size(b.records[n]) <= maxBatchBytes) {
		bytes += size(b.records[n])
		n++
	}
	batch := b.records[:n:n]
	b.records, b.bytes, b.taken = b.records[n:], b.bytes-bytes, bytes
	if b.paused && len(b.records) <= maxBufferRecords/2 && b.bytes <= maxBufferBytes/2 {
		b.paused = false
		b.resume()
	}
	return batch, nil
}

// lag returns the number of offsets between offset and the end of the partition.
func (b *fetchBuffer) lag(offset int64) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return max(b.end-offset, 0)
}

// oldest returns the timestamp of the first record in the buffer, and false when
// the buffer is empty.
func (b *fetchBuffer) oldest() (time.Time, bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.records) == 0 {
		return time.Time{}, false
	}
	return b.records[0].Timestamp, true
}

func size(r *kgo.Record) int { return recordOverhead + len(r.Key) + len(r.Value) }
