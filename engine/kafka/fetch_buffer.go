package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Limits of a batch and of the records buffered behind it, in records and in
// bytes of keys and values. A single record may exceed a limit in bytes.
const (
	maxBatchRecords, maxBatchBytes   = 1_000, 2 << 20 // one call of Handle; bounds the writer's transaction
	maxBufferRecords, maxBufferBytes = 4_000, 4 << 20 // above them fetching pauses; four batches hide the time of a fetch
)

// fetchBuffer holds the fetched records of one partition until the worker takes
// them. While the worker is busy, records collect into larger batches; a record
// that arrives at an idle worker is taken at once. The buffer pauses fetching
// while it is full.
type fetchBuffer struct {
	pause, resume func()
	changed       chan struct{} // has an element when take should look again

	mu      sync.Mutex
	records []*kgo.Record
	bytes   int
	end     int64 // offset that the partition's next record gets, as of the last fetch
	paused  bool
	err     error // why no more records will come
}

func newFetchBuffer(pause, resume func()) *fetchBuffer {
	return &fetchBuffer{pause: pause, resume: resume, changed: make(chan struct{}, 1)}
}

// put adds records. end is the offset that the partition's next record gets.
func (b *fetchBuffer) put(records []*kgo.Record, end int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.records = append(b.records, records...)
	for _, r := range records {
		b.bytes += size(r)
	}
	b.end = end
	if full := len(b.records) > maxBufferRecords || b.bytes > maxBufferBytes; full && !b.paused {
		b.paused = true
		b.pause()
	}
	b.signal()
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

// take waits for records and returns as many as fit into a batch. It returns
// none when timeout fires first. It returns an error when ctx has ended, or when
// the buffer is empty and has failed.
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
	if len(b.records) == 0 {
		return nil, b.err
	}
	n, bytes := 0, 0
	for n < min(len(b.records), maxBatchRecords) && (n == 0 || bytes+size(b.records[n]) <= maxBatchBytes) {
		bytes += size(b.records[n])
		n++
	}
	batch := b.records[:n:n]
	b.records, b.bytes = b.records[n:], b.bytes-bytes
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

func size(r *kgo.Record) int { return len(r.Key) + len(r.Value) }
