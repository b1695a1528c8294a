package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/internal/wire"
)

// Send appends the commands, each to the partition of its product, in the
// order given, and waits until all are stored. The error is nil, or
//   - ErrUnavailable: none of them was taken; trying again may help;
//   - ErrUnknown: some or all may be stored now or later; sending the same
//     commands again, with the same ids, is safe.
func (l *Log) SendCommands(ctx context.Context, commands ...catalog.Command) error {
	records := make([]*kgo.Record, len(commands))
	for i, c := range commands {
		var err error
		if records[i], err = l.record(c); err != nil {
			return err
		}
	}
	since := time.Now()
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	var full atomic.Int64
	wg.Add(len(records))
	for _, r := range records {
		// The context stays here: a record that is under way is not called back.
		l.commands.TryProduce(context.WithoutCancel(ctx), r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
			if errors.Is(err, kgo.ErrMaxBuffered) {
				full.Add(1)
			}
			wg.Done()
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-ctx.Done():
		return fmt.Errorf("send %d commands: %w: %w", len(commands), catalog.ErrOutcomeUnknown, context.Cause(ctx))
	case <-done:
	}
	l.metrics.sendSeconds.Observe(time.Since(since).Seconds())
	if err := failed.Load(); err != nil {
		l.metrics.sendErrors.Inc()
		kind := catalog.ErrOutcomeUnknown
		if full.Load() == int64(len(records)) {
			kind = catalog.ErrUnavailable
		}
		return fmt.Errorf("send %d commands: %w: %w", len(commands), kind, *err)
	}
	return nil
}

// record is how a command stands in the log.
func (l *Log) record(c catalog.Command) (*kgo.Record, error) {
	value, err := wire.EncodeCommand(c)
	if err != nil {
		return nil, err
	}
	return &kgo.Record{
		Topic: l.topic("commands"), Partition: l.shard(c.Product), Key: c.Product[:], Value: value,
		Headers: headers("command-id", c.ID.String(), "traceparent", c.Trace),
	}, nil
}

// Publish sends the events of one shard, in order. It waits only while the
// buffer is full. When all are stored it calls done with nil; when one can no
// longer be sent it calls done with the error, and those behind it may be
// missing. The calls of done are in the order of those of Publish.
func (l *Log) PublishEvents(ctx context.Context, events []catalog.Event, done func(error)) {
	records := make([]*kgo.Record, len(events))
	for i, e := range events {
		value, err := wire.EncodeEvent(e)
		if err != nil {
			done(fmt.Errorf("publish event %s: %w", e.Position, err))
			return
		}
		records[i] = &kgo.Record{
			Topic: l.topic("events"), Partition: e.Shard, Key: e.Product.ID[:], Value: value,
			Headers: headers("seq", strconv.FormatInt(e.Seq, 10), "version", strconv.FormatInt(e.Product.Version, 10),
				"command-id", e.Command.String(), "traceparent", e.Trace),
		}
	}
	l.append(ctx, records, func(err error) {
		if err != nil {
			err = fmt.Errorf("publish events from %s on: %w", events[0].Position, err)
		}
		done(err)
	})
}

// append sends records to one partition, in order. It waits only while the
// buffer is full. The calls of done are in the order of those of append.
func (l *Log) append(ctx context.Context, records []*kgo.Record, done func(error)) {
	if len(records) == 0 {
		done(nil)
		return
	}
	places := min(int64(len(records)), unsentRecords)
	if err := l.unsent.Acquire(ctx, places); err != nil {
		done(fmt.Errorf("%w: %w", catalog.ErrUnavailable, err))
		return
	}
	since, left := time.Now(), len(records)
	var failed error
	stored := func(_ *kgo.Record, err error) { // called for one record after the other
		if failed == nil {
			failed = err
		}
		if left--; left > 0 {
			return
		}
		l.unsent.Release(places)
		if failed != nil {
			l.metrics.publishErrors.Inc()
		} else {
			l.metrics.publishSeconds.Observe(time.Since(since).Seconds())
		}
		done(failed)
	}
	// What is on its way is not called back: the client would drop with it what
	// others have sent to the same partition.
	ctx = context.WithoutCancel(ctx)
	for _, r := range records {
		l.events.Produce(ctx, r, stored)
	}
}

// headers makes record headers of names and values, without the empty ones.
func headers(pairs ...string) []kgo.RecordHeader {
	h := make([]kgo.RecordHeader, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			h = append(h, kgo.RecordHeader{Key: pairs[i], Value: []byte(pairs[i+1])})
		}
	}
	return h
}

func decodeCommand(r *kgo.Record, shards int) (catalog.Command, error) {
	c, err := wire.DecodeCommand(r.Value)
	if err == nil && catalog.Shard(c.Product, shards) != r.Partition {
		err = fmt.Errorf("product %s does not belong to this partition", c.Product)
	}
	if err == nil && string(r.Key) != string(c.Product[:]) {
		err = fmt.Errorf("its key is not the id of its product, %s", c.Product)
	}
	return c, err
}

func decodeEvent(r *kgo.Record, _ int) (catalog.Event, error) {
	e, err := wire.DecodeEvent(r.Value)
	if err == nil && e.Shard != r.Partition {
		err = fmt.Errorf("event %s is not of this partition", e.Position)
	}
	return e, err
}

// backoff is the pause before the nth try: from 50 ms up to 2 s, with jitter, so
// that many do not come back at once.
func backoff(n int) time.Duration {
	d := min(50*time.Millisecond<<min(n, 6), 2*time.Second)
	return d/2 + rand.N(d/2)
}
