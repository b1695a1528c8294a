package kafka

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"catalog"
	"catalog/eventlog"
)

// revokeGrace is how long a Handle in progress may continue after its shard is
// revoked, before its context ends. It is shorter than rebalanceTimeout, so that
// this process stays a member of the group.
const revokeGrace = 4 * time.Second

// partitionWorker consumes one shard, in its own goroutine, from the assignment
// of the shard until its revocation.
type partitionWorker[T any] struct {
	group    *groupConsumer[T]
	losses   lossRecorder // the consumer, if it is a lossRecorder
	repeats  bool         // the consumer is a repeatDropper
	shard    int32
	logger   *slog.Logger // adds consumer, topic and shard
	lag      partitionLag
	activity activity
	stop     func() // revokes the shard; returns when the goroutine has ended
}

// startWorker starts the goroutine. It has two contexts: assigned ends when the
// shard is revoked, and workCtx, the context of Handle, revokeGrace later.
func startWorker[T any](g *groupConsumer[T], shard int32) *partitionWorker[T] {
	assigned, revoke := context.WithCancel(context.Background())
	workCtx, abort := context.WithCancel(context.Background())
	done := make(chan struct{})
	w := &partitionWorker[T]{
		group: g, shard: shard,
		logger: g.log.logger.With("consumer", g.name, "topic", g.topic, "shard", shard),
		lag:    partitionLag{labels: []string{g.name, g.codec.topic, partitionLabel(shard)}},
	}
	w.losses, _ = any(g.consumer).(lossRecorder)
	_, w.repeats = any(g.consumer).(repeatDropper)
	w.activity.advanced()
	w.stop = func() {
		revoke()
		late := time.AfterFunc(revokeGrace, abort)
		<-done
		late.Stop()
		abort()
	}
	go func() {
		defer close(done)
		w.run(assigned, workCtx)
	}()
	return w
}

// unrecoverableError stops a shard: its next record is missing, and no retry
// changes that. An operator must act.
type unrecoverableError struct {
	error
	lost bool // records before or at the shard's next offset are lost, or were replaced by others
}

func (e *unrecoverableError) Unwrap() error { return e.error }

// recordsLost returns the error of a shard whose records are lost.
func recordsLost(format string, args ...any) error {
	return &unrecoverableError{fmt.Errorf(format+"; run catalog repair", args...), true}
}

// lossRecorder is an optional interface of an eventlog.Consumer that keeps the
// identity of the last record that it has handled, so that a topic is recognized
// that was cut and has grown again.
type lossRecorder interface {
	// LastRecord returns the identity of the last record of the shard that was
	// handled, in this or an earlier session, or the zero RecordID if it is unknown.
	LastRecord(shard int32) eventlog.RecordID

	// RecordsLost records that the shard must stop until it is repaired. It is called
	// between Begin and End.
	RecordsLost(ctx context.Context, shard int32, cause error) error
}

// repeatDropper is an optional interface of an eventlog.Consumer that drops records that it
// has handled before. Its fetches start with the last record before the next offset. A
// later record in its place shows the consumer that the log was cut and has grown again.
type repeatDropper interface {
	DropsRepeats()
}

// unrecoverable reports whether err stops a shard.
func unrecoverable(err error) bool {
	var u *unrecoverableError
	return errors.As(err, &u) || errors.Is(err, catalog.ErrInconsistent)
}

// run runs one session after another until the shard is revoked. It retries a
// failed session after a backoff, and a stopped shard every checkInterval.
func (w *partitionWorker[T]) run(assigned, workCtx context.Context) {
	lags := &w.group.log.metrics.lags
	lags.add(&w.lag)
	defer lags.remove(&w.lag)
	defer w.clearStopped()
	for try := 0; ; try++ {
		progress, err := w.session(assigned, workCtx)
		if assigned.Err() != nil {
			return
		}
		if progress {
			try = 0
		}
		w.activity.failed(err)
		w.activity.work()
		switch {
		case unrecoverable(err):
			w.markStopped(assigned, err)
			if !sleep(assigned, checkInterval) {
				return
			}
			continue
		case errors.Is(err, catalog.ErrFenced):
			w.logger.InfoContext(assigned, "shard fenced; restarting it", "err", err)
		case try == 0: // the first failure only; there may be many retries
			w.logger.WarnContext(assigned, "shard failed; retrying", "err", err)
		}
		w.group.metrics.retries.Inc()
		if !sleep(assigned, backoff(try)) {
			return
		}
	}
}

// session consumes the shard from one Begin to its End. It reports whether
// Handle succeeded at least once, and returns the error that ended the session.
func (w *partitionWorker[T]) session(assigned, workCtx context.Context) (progress bool, err error) {
	beginning, end := w.activity.start(assigned, "Begin")
	next, err := w.group.consumer.Begin(beginning, w.shard)
	end()
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	defer w.group.consumer.End(w.shard)
	defer func() { w.recordLoss(workCtx, err) }()
	w.group.metrics.takeovers.Inc()
	w.group.metrics.owned.Inc()
	defer w.group.metrics.owned.Dec()
	first, _, err := w.group.checker.check(assigned, w.shard, next, time.Now())
	if err != nil {
		return false, err
	}
	w.lag.taken.Store(0)
	w.lag.next.Store(next)
	from := w.startFetch(next, first)
	defer func() { from.release() }()
	idle := time.NewTicker(checkInterval)
	defer idle.Stop()
	for lastProgress := time.Now(); ; {
		var batch eventlog.Records[T]
		var tooLarge *kgo.ErrDecompressTooLarge
		records, err := from.take(assigned, idle.C)
		switch {
		case errors.Is(err, errReconnected):
			from.release()
			from = w.startFetch(next, first)
			continue
		case errors.As(err, &tooLarge):
			batch = w.skipBatch(tooLarge, next)
			from.release()
			from = w.fetchAt(batch.To)
		case err != nil:
			return progress, err
		case len(records) > 0:
			w.lag.taken.Store(records[0].Timestamp.UnixNano())
			batch = w.decodeBatch(records, next)
		case time.Since(lastProgress) < checkInterval/2:
			continue // Handle has checked more
		default:
			behind := false
			if first, behind, err = w.checkIdle(assigned, next, first, lastProgress); err != nil {
				return progress, err
			}
			if behind {
				w.activity.work()
			} else {
				w.activity.done()
			}
			if !from.unverified() {
				w.markRunning()
			}
			continue
		}
		w.activity.work()
		start := time.Now()
		if err := w.handle(assigned, workCtx, batch); err != nil {
			return progress, err
		}
		progress, next, lastProgress = true, batch.To, time.Now()
		w.markRunning()
		w.activity.done()
		w.lag.next.Store(next)
		w.lag.taken.Store(0)
		w.group.metrics.process.Observe(time.Since(start).Seconds())
		w.group.handled(w.shard, next)
	}
}

// shardFetch is a running fetch of a shard. If the last handled record is known,
// the fetch starts with that record and compares it before it returns others.
type shardFetch struct {
	buffer      *fetchBuffer
	release     func()
	shard       int32
	next        int64
	last        eventlog.RecordID // last handled record; zero when there is nothing to compare
	reconnected func() bool       // reports whether a connection to a broker has ended since the start
}

// errReconnected asks for a new fetch: the log can have been cut while no broker was
// connected.
var errReconnected = errors.New("connection to a broker lost")

// fetchAt starts to fetch the records of the shard from next on, and compares none.
func (w *partitionWorker[T]) fetchAt(next int64) *shardFetch {
	return w.fetch(&shardFetch{shard: w.shard, next: next}, kgo.NoResetOffset().At(next))
}

// startFetch starts to fetch the records of the shard from next on. first is the
// offset of the first record that the log has.
func (w *partitionWorker[T]) startFetch(next, first int64) *shardFetch {
	f := &shardFetch{shard: w.shard, next: next}
	offset := kgo.NoResetOffset().At(next)
	if w.repeats {
		offset = offset.At(max(next-1, first))
	}
	if w.losses != nil {
		// Retention may have deleted the last handled record. No record is lost then.
		if last := w.losses.LastRecord(w.shard); last.Known() && last.Offset == next-1 && last.Offset >= first {
			f.last = last
			offset = offset.At(last.Offset).WithEpoch(last.Epoch)
		}
	}
	return w.fetch(f, offset)
}

// fetch starts f at the offset.
func (w *partitionWorker[T]) fetch(f *shardFetch, offset kgo.Offset) *shardFetch {
	f.reconnected = func() bool { return false }
	if w.losses != nil || w.repeats {
		f.reconnected = w.group.fetcher.reconnected()
	}
	f.buffer = w.group.fetcher.startAt(w.shard, offset)
	f.release = func() { w.group.fetcher.release(w.shard, f.buffer) }
	w.lag.buffer.Store(f.buffer)
	return f
}

// unverified reports whether the last handled record is still to be compared.
func (f *shardFetch) unverified() bool { return f.last.Known() }

// take returns the next records, or none when timeout fires first.
func (f *shardFetch) take(ctx context.Context, timeout <-chan time.Time) ([]*kgo.Record, error) {
	records, err := f.buffer.take(ctx, timeout)
	var loss *kgo.ErrDataLoss
	var tooLarge *kgo.ErrDecompressTooLarge
	switch {
	case f.unverified() && errors.As(err, &tooLarge):
		return nil, f.rewritten()
	case errors.As(err, &loss):
		return nil, recordsLost("the next offset of shard %d is %d and the log was cut: %w", f.shard, f.next, err)
	case errors.Is(err, kerr.OffsetOutOfRange) && !f.unverified():
		return nil, &unrecoverableError{error: fmt.Errorf("the log does not have the next offset, %d: records were deleted before they were read, or the topic was recreated; run catalog repair: %w", f.next, err)}
	case err != nil:
		return nil, err
	case f.reconnected():
		return nil, errReconnected
	case len(records) == 0 || !f.unverified():
		return records, nil
	}
	if got := recordID(records[0]); got.Offset != f.last.Offset || got.Digest != f.last.Digest {
		return nil, f.rewritten()
	}
	f.last = eventlog.RecordID{}
	if records = records[1:]; len(records) > 0 {
		return records, nil
	}
	return f.take(ctx, timeout)
}

// rewritten returns the error of a log that has another record in place of the last one.
func (f *shardFetch) rewritten() error {
	return recordsLost("shard %d: the record at offset %d is not the one that was settled: the log was cut or rewritten before offset %d", f.shard, f.last.Offset, f.next)
}

// recordID returns the identity of a record.
func recordID(r *kgo.Record) eventlog.RecordID {
	h := sha256.New()
	_ = binary.Write(h, binary.BigEndian, int64(len(r.Key))) // writing to a hash cannot fail
	h.Write(r.Key)
	h.Write(r.Value)
	return eventlog.RecordID{Offset: r.Offset, Epoch: r.LeaderEpoch, Digest: [16]byte(h.Sum(nil))}
}

// recordLoss tells the consumer when err says that records are lost.
func (w *partitionWorker[T]) recordLoss(ctx context.Context, err error) {
	var u *unrecoverableError
	if w.losses == nil || !errors.As(err, &u) || !u.lost {
		return
	}
	if recordErr := w.losses.RecordsLost(ctx, w.shard, err); recordErr != nil {
		w.logger.WarnContext(ctx, "stop of the shard not stored; it is repeated", "err", recordErr)
	}
}

// skipBatch returns one dead letter for a producer's batch that is above maxBatchSize.
func (w *partitionWorker[T]) skipBatch(err *kgo.ErrDecompressTooLarge, from int64) eventlog.Records[T] {
	r := &kgo.Record{Partition: w.shard, Offset: err.Offset}
	return eventlog.Records[T]{
		Shard: w.shard, From: min(from, err.Offset), To: err.NextOffset,
		DeadLetters: []eventlog.DeadLetter{deadLetter(r, fmt.Errorf("the batch with the records up to offset %d is larger than %d bytes", err.NextOffset-1, maxBatchSize))},
		Delivery:    eventlog.Delivery{Topic: w.group.topic, Partition: w.shard, Consumer: w.group.name, SentAt: time.Now(), PolledAt: time.Now()},
	}
}

// decodeBatch decodes records. Those that cannot be decoded become dead letters. The
// markers of transactions, which no process of this system writes, are passed over.
func (w *partitionWorker[T]) decodeBatch(records []*kgo.Record, from int64) eventlog.Records[T] {
	batch := eventlog.Records[T]{
		Shard: w.shard, From: min(from, records[0].Offset), To: records[len(records)-1].Offset + 1, Items: make([]T, 0, len(records)), Offsets: make([]int64, 0, len(records)),
		Delivery: eventlog.Delivery{Topic: w.group.topic, Partition: w.shard, Consumer: w.group.name, SentAt: records[0].Timestamp, PolledAt: time.Now()},
	}
	var traces traceCollector
	for _, record := range records {
		if record.Attrs.IsControl() {
			continue
		}
		if w.losses != nil {
			batch.IDs = append(batch.IDs, recordID(record))
		}
		item, err := w.group.codec.decode(record)
		if err != nil {
			batch.DeadLetters = append(batch.DeadLetters, deadLetter(record, err))
			continue
		}
		traces.add(record, len(batch.Items))
		batch.Items, batch.Offsets = append(batch.Items, item), append(batch.Offsets, record.Offset)
	}
	batch.Traces = traces.list
	return batch
}

// handle calls Handle with the batch until it succeeds. It returns early when
// the shard is revoked, fenced or stopped.
func (w *partitionWorker[T]) handle(assigned, workCtx context.Context, batch eventlog.Records[T]) error {
	for try := 0; ; try++ {
		batch.Attempt = try
		ctx, end := w.activity.start(workCtx, "Handle")
		err := w.group.consumer.Handle(ctx, batch)
		end()
		if err == nil || errors.Is(err, catalog.ErrFenced) || unrecoverable(err) {
			return err
		}
		w.activity.failed(err)
		if try == 0 && assigned.Err() == nil { // the first failure only; there may be many retries
			w.logger.WarnContext(assigned, "batch failed; retrying", "offset", batch.From, "err", err)
		}
		w.group.metrics.retries.Inc()
		if !sleep(assigned, backoff(try)) {
			return err
		}
	}
}

// checkIdle checks, while there are no records, that the shard can still
// continue at next. lastProgress is when the shard reached next. It returns the
// offset of the first record that the log has, which was first, and whether the log
// has records that should have been fetched.
func (w *partitionWorker[T]) checkIdle(ctx context.Context, next, first int64, lastProgress time.Time) (_ int64, behind bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, checkInterval)
	defer cancel()
	if c, ok := w.group.consumer.(idleChecker); ok {
		if err := c.Check(ctx, w.shard); err != nil {
			return first, false, err
		}
	}
	since := time.Now().Add(-checkInterval)
	if lastProgress.After(since) {
		since = lastProgress
	}
	now, end, err := w.group.checker.check(ctx, w.shard, next, since)
	switch {
	case unrecoverable(err):
		return first, false, err
	case err != nil: // the brokers are unreachable, which is temporary
		return first, false, nil
	}
	return now, next < end, nil
}

// markStopped records that the shard is stopped. It logs err once, and not again
// at each retry or for other shards that stop with the same text.
func (w *partitionWorker[T]) markStopped(ctx context.Context, err error) {
	isNew := w.group.log.stopped.add(w.key(), err)
	w.group.log.metrics.stoppedShard.WithLabelValues(w.lag.labels...).Set(1)
	w.group.metrics.stopped.Set(float64(w.group.log.stopped.count(w.group.name)))
	if isNew {
		w.logger.ErrorContext(ctx, "shard stopped; no record is skipped", "err", err)
	}
}

// markRunning records that the shard is not, or no longer, stopped.
func (w *partitionWorker[T]) markRunning() {
	if w.clearStopped() {
		w.logger.Info("shard resumed")
	}
}

// clearStopped records that the shard is not stopped, and reports whether it was.
func (w *partitionWorker[T]) clearStopped() bool {
	was := w.group.log.stopped.remove(w.key())
	if was {
		w.group.log.metrics.stoppedShard.DeleteLabelValues(w.lag.labels...)
		w.group.metrics.stopped.Set(float64(w.group.log.stopped.count(w.group.name)))
	}
	return was
}

func (w *partitionWorker[T]) key() shardKey { return shardKey{w.group.name, w.shard} }
