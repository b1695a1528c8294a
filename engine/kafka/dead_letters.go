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

// numberHeader is the name of the header that holds the number of a dead letter.
const numberHeader = "dead-letter-number"

// maxDeadLetterBytes is the size of key, value and headers up to which a dead
// letter is published whole. Kafka limits a record to 1 MB by default; the
// record already had up to that size in the commands topic, and the headers
// added here need the rest.
const maxDeadLetterBytes = 900_000

// maxCauseBytes is the size at which the cause of a dead letter is cut off. A cause can
// quote the record, and is a header of the record that is published.
const maxCauseBytes = 1_000

// deadLetter returns the dead letter of a record that cannot be decoded.
func deadLetter(r *kgo.Record, cause error) eventlog.DeadLetter {
	text := cause.Error()
	text = text[:min(len(text), maxCauseBytes)]
	d := eventlog.DeadLetter{
		Position: catalog.Position{Shard: r.Partition}, Offset: r.Offset,
		// Not every store can hold invalid UTF-8 or NUL.
		Cause: strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "\uFFFD"),
		Key:   r.Key, Value: r.Value, Size: len(r.Value),
	}
	for _, h := range r.Headers {
		d.Headers = append(d.Headers, eventlog.RecordHeader{Key: h.Key, Value: h.Value})
	}
	return d
}

// PublishDeadLetters appends the dead letters of one shard to the shard's
// partition of the dead-letters topic, in order, with the guarantees of
// [Log.PublishEvents]. Of a dead letter above maxDeadLetterBytes it sends only
// the headers added here; PostgreSQL has the whole record.
func (l *Log) PublishDeadLetters(ctx context.Context, letters []eventlog.DeadLetter, done func(error)) {
	record := func(i int) (*kgo.Record, error) { return l.deadLetterRecord(letters[i]), nil }
	l.appendToPartition(ctx, "dead-letters", len(letters), record, func(*kgo.Record) {}, func(err error) {
		if err != nil {
			err = fmt.Errorf("publish dead letters from %s on: %w", letters[0].Position, refused(err))
		}
		done(err)
	})
}

// deadLetterRecord returns the record of a dead letter. The headers added here
// come first, before those of the original record.
func (l *Log) deadLetterRecord(d eventlog.DeadLetter) *kgo.Record {
	r := &kgo.Record{Topic: l.topic("dead-letters"), Partition: d.Shard, Key: d.Key, Value: d.Value, Headers: headers(
		numberHeader, strconv.FormatInt(d.Seq, 10), "dead-letter-cause", d.Cause, "dead-letter-topic", l.topic("commands"),
		"dead-letter-partition", strconv.Itoa(int(d.Shard)), "dead-letter-offset", strconv.FormatInt(d.Offset, 10),
	)}
	size := len(d.Key) + len(d.Value)
	for _, h := range d.Headers {
		size += len(h.Key) + len(h.Value)
	}
	if size > maxDeadLetterBytes {
		r.Key, r.Value = nil, nil
		r.Headers = append(r.Headers, headers("dead-letter-size", strconv.Itoa(d.Size))...)
		return r
	}
	for _, h := range d.Headers {
		r.Headers = append(r.Headers, kgo.RecordHeader(h))
	}
	return r
}

// LastDeadLetter returns the number of the last dead letter in the shard's
// partition of the dead-letters topic, or 0 when the partition is empty.
func (l *Log) LastDeadLetter(ctx context.Context, shard int32) (int64, error) {
	n, _, _, err := lastRecord(ctx, l, "dead-letters", shard, 0, deadLetterNumber)
	return n, err
}

// deadLetterNumber returns the number of the dead letter in r. The first header
// with its name is ours; the original record may have one as well.
func deadLetterNumber(r *kgo.Record) (int64, error) {
	for _, h := range r.Headers {
		if h.Key == numberHeader {
			return strconv.ParseInt(string(h.Value), 10, 64)
		}
	}
	return 0, fmt.Errorf("record at offset %d has no header %s", r.Offset, numberHeader)
}
