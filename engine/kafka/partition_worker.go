package kafka

import (
	"context"
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
	group  *groupConsumer[T]
	shard  int32
	logger *slog.Logger // adds consumer, topic and shard
	lag    partitionLag
	stop   func() // revokes the shard; returns when the goroutine has ended
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

// unrecoverableError stops a shard: its next record is missing or invalid, and
// no retry changes that. An operator must act.
type unrecoverableError struct{ error }

func (e *unrecoverableError) Unwrap() error { return e.error }

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
	next, err := w.group.consumer.Begin(assigned, w.shard)
	if err != nil {
		return false, fmt.Errorf("begin: %w", err)
	}
	defer w.group.consumer.End(w.shard)
	w.group.metrics.takeovers.Inc()
	w.group.metrics.owned.Inc()
	defer w.group.metrics.owned.Dec()
	if err := w.group.checker.check(assigned, w.shard, next, time.Now()); err != nil {
		return false, err
	}
	buffer := w.group.fetcher.startAt(w.shard, next)
	defer w.group.fetcher.release(w.shard, buffer)
	w.lag.taken.Store(0)
	w.lag.next.Store(next)
	w.lag.buffer.Store(buffer)
	idle := time.NewTicker(checkInterval)
	defer idle.Stop()
	for lastProgress := time.Now(); ; {
		records, err := buffer.take(assigned, idle.C)
		if err != nil {
			return progress, fetchError(err, next)
		}
		if len(records) == 0 {
			if err := w.checkIdle(assigned, next, lastProgress); err != nil {
				return progress, err
			}
			w.markRunning()
			continue
		}
		w.lag.taken.Store(records[0].Timestamp.UnixNano())
		start := time.Now()
		batch, err := w.decodeBatch(records, next)
		if err != nil {
			return progress, err
		}
		if err := w.handle(assigned, workCtx, batch); err != nil {
			return progress, err
		}
		progress, next, lastProgress = true, batch.To, time.Now()
		w.markRunning()
		w.lag.next.Store(next)
		w.lag.taken.Store(0)
		w.group.metrics.process.Observe(time.Since(start).Seconds())
		w.group.handled(w.shard, next)
	}
}

// fetchError returns the error of a fetch at offset, marked as unrecoverable
// when the log does not have the offset.
func fetchError(err error, offset int64) error {
	var loss *kgo.ErrDataLoss
	if errors.Is(err, kerr.OffsetOutOfRange) || errors.As(err, &loss) {
		return &unrecoverableError{fmt.Errorf("the log does not have the next offset, %d: records were deleted before they were read, or the topic was recreated; run catalog repair: %w", offset, err)}
	}
	return err
}

// decodeBatch decodes records. It returns an error when codec.undecodable does.
func (w *partitionWorker[T]) decodeBatch(records []*kgo.Record, from int64) (eventlog.Records[T], error) {
	batch := eventlog.Records[T]{
		Shard: w.shard, From: from, To: records[len(records)-1].Offset + 1, Items: make([]T, 0, len(records)),
		Delivery: eventlog.Delivery{Topic: w.group.topic, Partition: w.shard, Consumer: w.group.name, SentAt: records[0].Timestamp, PolledAt: time.Now()},
	}
	var traces traceCollector
	for _, record := range records {
		item, err := w.group.codec.decode(record, w.group.log.shards)
		if err == nil {
			traces.add(record, len(batch.Items))
			batch.Items = append(batch.Items, item)
			continue
		}
		letter, err := w.group.codec.undecodable(record, err)
		if err != nil {
			return batch, err
		}
		batch.DeadLetters = append(batch.DeadLetters, letter)
	}
	batch.Traces = traces.list
	return batch, nil
}

// handle calls Handle with the batch until it succeeds. It returns early when
// the shard is revoked, fenced or stopped.
func (w *partitionWorker[T]) handle(assigned, workCtx context.Context, batch eventlog.Records[T]) error {
	for try := 0; ; try++ {
		batch.Attempt = try
		err := w.group.consumer.Handle(workCtx, batch)
		if err == nil || errors.Is(err, catalog.ErrFenced) || unrecoverable(err) {
			return err
		}
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
// continue at next. lastProgress is when the shard reached next.
func (w *partitionWorker[T]) checkIdle(ctx context.Context, next int64, lastProgress time.Time) error {
	ctx, cancel := context.WithTimeout(ctx, checkInterval)
	defer cancel()
	if c, ok := w.group.consumer.(idleChecker); ok {
		if err := c.Check(ctx, w.shard); err != nil {
			return err
		}
	}
	since := time.Now().Add(-checkInterval)
	if lastProgress.After(since) {
		since = lastProgress
	}
	err := w.group.checker.check(ctx, w.shard, next, since)
	if unrecoverable(err) {
		return err
	}
	return nil // the brokers are unreachable, which is temporary
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
