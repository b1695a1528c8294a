package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/internal/telemetry"
)

const (
	// maxBufferedRecords and maxBufferedBytes limit what one client buffers on
	// its way to the brokers, which bounds memory while they are away.
	maxBufferedRecords = 20_000
	maxBufferedBytes   = 64 << 20

	// deliveryTimeout is how long the client tries to send a command before
	// SendCommands fails.
	deliveryTimeout = 10 * time.Second

	minBackoff = 50 * time.Millisecond // before the first retry
	maxBackoff = 2 * time.Second       // before any retry
)

// SendCommands appends the commands, each to the partition of its product, in
// the order given, and waits until all are stored. Its error wraps
//   - ErrUnavailable when no command was accepted; a retry may succeed;
//   - ErrOutcomeUnknown when some or all commands may be stored, now or later;
//     it is safe to send the same commands with the same ids again.
func (l *Log) SendCommands(ctx context.Context, commands ...catalog.Command) error {
	records := make([]*kgo.Record, len(commands))
	for i, c := range commands {
		var err error
		if records[i], err = l.commandRecord(c); err != nil {
			return err
		}
	}
	call := telemetry.StartSend(ctx, "commands", l.topic("commands"), len(records))
	setTraces(records, call)
	err := l.sendCommands(ctx, records)
	call.End(err)
	return err
}

func (l *Log) sendCommands(ctx context.Context, records []*kgo.Record) error {
	var wg sync.WaitGroup
	var failed atomic.Pointer[error]
	var rejected atomic.Int64 // records that did not fit into the buffer
	wg.Add(len(records))
	for _, r := range records {
		// The client does not get ctx: it cannot recall a record in flight.
		l.commands.TryProduce(context.WithoutCancel(ctx), r, func(_ *kgo.Record, err error) {
			if err != nil {
				failed.CompareAndSwap(nil, &err)
			}
			if errors.Is(err, kgo.ErrMaxBuffered) {
				rejected.Add(1)
			}
			wg.Done()
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-ctx.Done():
		return fmt.Errorf("send %d commands: %w: %w", len(records), catalog.ErrOutcomeUnknown, context.Cause(ctx))
	case <-done:
	}
	if err := failed.Load(); err != nil {
		kind := catalog.ErrOutcomeUnknown
		if rejected.Load() == int64(len(records)) {
			kind = catalog.ErrUnavailable
		}
		return fmt.Errorf("send %d commands: %w: %w", len(records), kind, *err)
	}
	return nil
}

// PublishEvents appends the events of one shard, in order. It blocks only while
// the buffer is full. It calls done with nil when all events are stored. It
// calls done with an error when an event cannot be sent; the events after it may
// or may not be stored. The calls of done are in the order of the calls of
// PublishEvents.
func (l *Log) PublishEvents(ctx context.Context, events []catalog.Event, done func(error)) {
	records := make([]*kgo.Record, len(events))
	for i, e := range events {
		var err error
		if records[i], err = l.eventRecord(e); err != nil {
			done(fmt.Errorf("publish event %s: %w", e.Position, err))
			return
		}
	}
	l.appendToPartition(ctx, "events", records, func(err error) {
		if err != nil {
			err = fmt.Errorf("publish events from %s on: %w", events[0].Position, refused(err))
		}
		done(err)
	})
}

// refusals are the errors with which brokers refuse a record however often it is
// sent. An operator must act.
var refusals = []error{
	kerr.MessageTooLarge, kerr.RecordListTooLarge, kerr.InvalidRecord, kerr.InvalidTimestamp, kerr.UnsupportedForMessageFormat,
	kerr.PolicyViolation, kerr.TopicAuthorizationFailed, kerr.ClusterAuthorizationFailed,
}

// refused adds ErrInconsistent to an error that sending the record again does not
// change.
func refused(err error) error {
	for _, r := range refusals {
		if errors.Is(err, r) {
			return fmt.Errorf("%w: the brokers refuse the record; run catalog repair, which sets max.message.bytes, and check the access rights of the topic: %w", catalog.ErrInconsistent, err)
		}
	}
	return err
}

// appendToPartition appends records to one partition of the topic, in order. It blocks only
// while the buffer is full. The calls of done are in the order of the calls of
// appendToPartition.
func (l *Log) appendToPartition(ctx context.Context, topic string, records []*kgo.Record, done func(error)) {
	if len(records) == 0 {
		done(nil)
		return
	}
	call := telemetry.StartSend(ctx, topic, l.topic(topic), len(records))
	setTraces(records, call)
	slots := min(int64(len(records)), maxBufferedRecords)
	if err := l.eventSlots.Acquire(ctx, slots); err != nil {
		err = fmt.Errorf("%w: %w", catalog.ErrUnavailable, err)
		call.End(err)
		done(err)
		return
	}
	remaining := len(records)
	var failed error
	stored := func(_ *kgo.Record, err error) { // the client calls it for one record at a time
		if failed == nil {
			failed = err
		}
		if remaining--; remaining > 0 {
			return
		}
		l.eventSlots.Release(slots)
		call.End(failed)
		done(failed)
	}
	// The client does not get ctx: canceling a record in flight would make it
	// drop the records of other calls to the same partition.
	ctx = context.WithoutCancel(ctx)
	for _, r := range records {
		l.events.Produce(ctx, r, stored)
	}
}

// backoff returns the pause before retry n: 50 ms for the first, doubling up to
// 2 s, with jitter so that processes do not retry at the same moment.
func backoff(n int) time.Duration {
	d := min(minBackoff<<min(n, 6), maxBackoff)
	return d/2 + rand.N(d/2)
}

// sleep waits for d and reports whether it did; it returns false when ctx ends
// first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}
