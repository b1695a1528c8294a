package kafka

import (
	"context"
	"strconv"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/wire"
)

// Headers that a dead letter has beside its own.
const (
	deadCause  = "dead-cause"
	deadOffset = "dead-offset"
)

// deadLetter is what is kept of a record of the commands topic that cannot be
// decoded.
func (l *Log) deadLetter(r *kgo.Record, cause error) (catalog.DeadLetter, error) {
	l.metrics.dead.Inc()
	l.log.Error("a record cannot be decoded; it goes to the dead letters",
		"topic", r.Topic, "shard", r.Partition, "offset", r.Offset, "err", cause)
	d := catalog.DeadLetter{
		DeadLetterID: catalog.DeadLetterID{Shard: r.Partition, Offset: r.Offset},
		Cause:        text(cause.Error()), At: wire.Time(r.Timestamp), Key: r.Key, Value: r.Value,
	}
	for _, h := range r.Headers {
		d.Headers = append(d.Headers, catalog.Header{Key: text(h.Key), Value: h.Value})
	}
	return d, nil
}

// text is s without what texts in the truth cannot have.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "\uFFFD")
}

// PublishDead sends the dead letters of one shard to their topic, as they came
// and in order, as Publish does events.
func (l *Log) PublishDead(ctx context.Context, letters []catalog.DeadLetter, done func(error)) {
	records := make([]*kgo.Record, len(letters))
	for i, d := range letters {
		records[i] = &kgo.Record{
			Topic: l.topic("dead"), Partition: d.Shard, Key: d.Key, Value: d.Value,
			Headers: headers(deadCause, d.Cause, deadOffset, strconv.FormatInt(d.Offset, 10)),
		}
		for _, h := range d.Headers {
			records[i].Headers = append(records[i].Headers, kgo.RecordHeader(h))
		}
	}
	l.publish(ctx, records, "the dead letters from "+letters[0].String()+" on", done)
}

// LastDead answers the offset that the last dead letter in the shard's
// partition of their topic had, or -1 when the partition holds none.
func (l *Log) LastDead(ctx context.Context, shard int32) (int64, error) {
	r, err := l.last(ctx, l.topic("dead"), shard)
	if err != nil || r == nil {
		return -1, err
	}
	for _, h := range r.Headers {
		if h.Key == deadOffset {
			return strconv.ParseInt(string(h.Value), 10, 64)
		}
	}
	return -1, nil
}
