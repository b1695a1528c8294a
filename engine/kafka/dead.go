package kafka

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/eventlog"
)

// deadLetter is the dead letter that a record becomes.
func deadLetter(r *kgo.Record, cause error) (eventlog.DeadLetter, error) {
	d := eventlog.DeadLetter{
		Position: catalog.Position{Shard: r.Partition}, Offset: r.Offset,
		// A text that every store can hold.
		Cause: strings.ReplaceAll(strings.ToValidUTF8(cause.Error(), "\uFFFD"), "\x00", "\uFFFD"),
		Key:   r.Key, Value: r.Value, Size: len(r.Value),
	}
	for _, h := range r.Headers {
		d.Headers = append(d.Headers, eventlog.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return d, nil
}

// numberHeader names the header with the number of a dead letter.
const numberHeader = "dead-letter-number"

// largest is how many bytes of a dead letter are published. The topic takes no
// larger records than the commands topic does, where it came with fewer headers.
const largest = 900_000

// Bury sends the dead letters of one shard to the partition of the shard, in
// order, as Publish does with events. Of one that is too large for a record only
// its place and cause are sent: the truth has it whole.
func (l *Log) PublishDeadLetters(ctx context.Context, letters []eventlog.DeadLetter, done func(error)) {
	records := make([]*kgo.Record, len(letters))
	for i, d := range letters {
		r := &kgo.Record{Topic: l.topic("dead-letters"), Partition: d.Shard, Key: d.Key, Value: d.Value, Headers: headers(
			numberHeader, strconv.FormatInt(d.Seq, 10), "dead-letter-cause", d.Cause, "dead-letter-topic", l.topic("commands"),
			"dead-letter-partition", strconv.Itoa(int(d.Shard)), "dead-letter-offset", strconv.FormatInt(d.Offset, 10),
		)}
		size := len(d.Key) + len(d.Value)
		for _, h := range d.Headers {
			size += len(h.Key) + len(h.Value)
		}
		if size > largest {
			r.Key, r.Value = nil, nil
			r.Headers = append(r.Headers, headers("dead-letter-size", strconv.Itoa(d.Size))...)
		} else {
			for _, h := range d.Headers {
				r.Headers = append(r.Headers, kgo.RecordHeader(h))
			}
		}
		records[i] = r
	}
	l.append(ctx, records, func(err error) {
		if err != nil {
			err = fmt.Errorf("publish dead letters from %s on: %w", letters[0].Position, err)
		}
		done(err)
	})
}

// LastDead answers the number of the last dead letter in the shard's partition,
// or 0 when the partition holds none.
func (l *Log) LastDeadLetter(ctx context.Context, shard int32) (int64, error) {
	r, err := l.last(ctx, "dead-letters", shard)
	if err != nil || r == nil {
		return 0, err
	}
	for _, h := range r.Headers { // ours is the first; a letter may itself have such a header
		if h.Key == numberHeader {
			n, err := strconv.ParseInt(string(h.Value), 10, 64)
			if err != nil {
				return 0, fmt.Errorf("read the last dead letter of shard %d: %w", shard, err)
			}
			return n, nil
		}
	}
	return 0, nil
}
