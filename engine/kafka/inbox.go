package kafka

import (
	"context"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// Limits of a batch and of what waits behind it. A single record may be larger
// than either number of bytes.
const (
	batchRecords, batchBytes = 1_000, 2 << 20
	inboxRecords, inboxBytes = 4_000, 4 << 20
)

// inbox gathers what was fetched of a shard while the shard is busy: batches
// grow with the load, and a single record never waits. While it is full,
// fetching is paused.
type inbox struct {
	pause, resume func()
	changed       chan struct{} // holds something when there may be something to take

	mu      sync.Mutex
	records []*kgo.Record
	bytes   int
	end     int64 // offset of the partition's next record, as far as we have heard
	paused  bool
	err     error // why there will be no more
}

func newInbox(pause, resume func()) *inbox {
	return &inbox{pause: pause, resume: resume, changed: make(chan struct{}, 1)}
}

func (in *inbox) put(records []*kgo.Record, end int64) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.records = append(in.records, records...)
	for _, r := range records {
		in.bytes += size(r)
	}
	in.end = end
	if full := len(in.records) > inboxRecords || in.bytes > inboxBytes; full && !in.paused {
		in.paused = true
		in.pause()
	}
	in.signal()
}

// fail tells that no more records will come.
func (in *inbox) fail(err error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.err = err
	in.signal()
}

func (in *inbox) signal() {
	select {
	case in.changed <- struct{}{}:
	default:
	}
}

// take waits for records and takes as many as make a batch, or none when due
// came first. It answers an error when ctx has ended, or when there are none and
// there will be no more.
func (in *inbox) take(ctx context.Context, due <-chan time.Time) ([]*kgo.Record, error) {
	for {
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if batch, err := in.batch(); len(batch) > 0 || err != nil {
			return batch, err
		}
		select {
		case <-in.changed:
		case <-due:
			return nil, nil
		case <-ctx.Done():
		}
	}
}

func (in *inbox) batch() ([]*kgo.Record, error) {
	in.mu.Lock()
	defer in.mu.Unlock()
	if len(in.records) == 0 {
		return nil, in.err
	}
	n, bytes := 0, 0
	for n < min(len(in.records), batchRecords) && (n == 0 || bytes+size(in.records[n]) <= batchBytes) {
		bytes += size(in.records[n])
		n++
	}
	batch := in.records[:n:n]
	in.records, in.bytes = in.records[n:], in.bytes-bytes
	if in.paused && len(in.records) <= inboxRecords/2 && in.bytes <= inboxBytes/2 {
		in.paused = false
		in.resume()
	}
	return batch, nil
}

// lag is how many records are in the partition from the offset on.
func (in *inbox) lag(offset int64) int64 {
	in.mu.Lock()
	defer in.mu.Unlock()
	return max(in.end-offset, 0)
}

func size(r *kgo.Record) int { return len(r.Key) + len(r.Value) }
