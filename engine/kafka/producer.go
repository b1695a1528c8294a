package kafka

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/internal/telemetry"
	"catalog/internal/wire"
)

const (
	// sendShare and publishShare limit the commands and the events on their way to the
	// brokers, which bounds memory while they are away. The client copies a record
	// twice: into a compressed batch and into a request.
	sendShare    = 16 << 20
	publishShare = 12 << 20

	// maxBufferedRecords is the limit of the client. The shares, which count
	// recordOverhead for each record, are reached before.
	maxBufferedRecords = 50_000

	// deliveryTimeout is how long the client tries to send a command before
	// SendCommands fails.
	deliveryTimeout = 10 * time.Second

	minBackoff = 50 * time.Millisecond // pause before the first retry
	maxBackoff = 2 * time.Second       // longest pause before a retry
)

// SendCommands appends the commands, each to the partition of its product, in
// the order given, and waits until all are stored. Its error wraps
//   - ErrTooLarge when a command is larger than a record may be: no command was sent;
//   - ErrOverloaded or ErrUnavailable when no command was accepted; a retry may succeed;
//   - ErrOutcomeUnknown when some or all commands may be stored, now or later;
//     it is safe to send the same commands with the same ids again.
func (l *Log) SendCommands(ctx context.Context, commands ...catalog.Command) error {
	records := make([]*kgo.Record, len(commands))
	for i, c := range commands {
		var err error
		if records[i], err = l.commandRecord(c); err != nil {
			return err
		}
		if size := recordSize(records[i]); size > wire.MaxRecord {
			return fmt.Errorf("send command %s: a record of %d bytes (limit %d): %w", c.ID, size, wire.MaxRecord, catalog.ErrTooLarge)
		}
	}
	call := telemetry.StartSend(ctx, "commands", l.topic("commands"), len(records))
	for _, r := range records {
		setTrace(r, call)
	}
	err := l.sendCommands(ctx, records)
	call.End(err)
	return err
}

func (l *Log) sendCommands(ctx context.Context, records []*kgo.Record) error {
	var wg sync.WaitGroup
	errs := make([]error, len(records))
	accepted := make([]outgoing, 0, len(records))
	wg.Add(len(records))
	for i, r := range records {
		bytes := int64(size(r))
		if !l.sending().TryAcquire(bytes) {
			errs[i] = kgo.ErrMaxBuffered
			wg.Done()
			continue
		}
		accepted = append(accepted, outgoing{r, func(_ *kgo.Record, err error) {
			l.sending().Release(bytes)
			errs[i] = err
			wg.Done()
		}})
	}
	l.toCommands.send(accepted...)
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	select {
	case <-ctx.Done():
		return fmt.Errorf("send %d commands: %w: %w", len(records), catalog.ErrOutcomeUnknown, context.Cause(ctx))
	case <-done:
		return sendError(errs)
	}
}

// PublishEvents appends the events of one shard, in order. It blocks only while
// the events on their way have too many bytes. It calls done with nil when all
// events are stored. It calls done with an error when an event cannot be sent; the
// events after it may or may not be stored. The calls of done are in the order of
// the calls of PublishEvents.
func (l *Log) PublishEvents(ctx context.Context, events []catalog.Event, done func(error)) {
	record := func(i int) (*kgo.Record, error) { return l.eventRecord(events[i]) }
	first := catalog.Position{}
	if len(events) > 0 {
		first = events[0].Position
	}
	stored := func(r *kgo.Record) { l.eventEnds.set(r.Partition, r.Offset+1) }
	l.appendToPartition(ctx, "events", len(events), record, stored, func(err error) { // the callback keeps no event in memory
		if err != nil {
			err = fmt.Errorf("publish events from %s on: %w", first, refused(err))
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

// appendToPartition appends n records to one partition of the topic, in order. It
// makes each when the share has room for it, blocks until then, and sends those
// together that have room. It calls stored for each record that is stored. The calls of done are in the order of the calls of
// appendToPartition.
func (l *Log) appendToPartition(ctx context.Context, topic string, n int, record func(int) (*kgo.Record, error), stored func(*kgo.Record), done func(error)) {
	if n == 0 {
		done(nil)
		return
	}
	var (
		call = telemetry.StartSend(ctx, topic, l.topic(topic), n)
		mu   sync.Mutex
		open = 1 // number of records that are not stored yet, plus 1 until all are handed over
		// failed is the first error.
		failed error
	)
	ended := func(err error) {
		mu.Lock()
		if failed == nil {
			failed = err
		}
		open--
		last, err := open == 0, failed
		mu.Unlock()
		if last {
			call.End(err)
			done(err)
		}
	}
	var ready []outgoing
	send := func() {
		l.toEvents.send(ready...)
		ready = nil
	}
	for i := range n {
		r, err := record(i)
		if err != nil {
			send()
			ended(err)
			return
		}
		setTrace(r, call)
		bytes := int64(size(r))
		if !l.publishing().TryAcquire(bytes) {
			send()
			if err := l.publishing().Acquire(ctx, bytes); err != nil {
				ended(fmt.Errorf("%w: %w", catalog.ErrUnavailable, err))
				return
			}
		}
		mu.Lock()
		open++
		mu.Unlock()
		ready = append(ready, outgoing{r, func(r *kgo.Record, err error) {
			l.publishing().Release(bytes)
			if err == nil {
				stored(r)
			}
			ended(err)
		}})
	}
	send()
	ended(nil)
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
