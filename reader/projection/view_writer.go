package projection

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
	"catalog/internal/failpoint"
	"catalog/internal/telemetry"
)

// Limits of a group of changes. A change that exceeds one is a group of its own.
const (
	maxGroupProducts = 1_000
	maxGroupBytes    = 2 << 20

	// maxGroups is the number of groups that are written at once. While the view
	// executes one, this process encodes the next.
	maxGroups = 2
)

// viewWriter writes the changes of all shards to the view (group commit). A change
// that finds fewer than maxGroups in progress is written at once; those that come
// meanwhile wait and are written together: first all products, then the watermarks.
// Then checkpointSaver saves their checkpoints, while the next group is written. So each
// step makes its effect visible only after the products can be read: a reader that sees a
// watermark or a checkpoint sees its products.
//
// When a group fails, each of its changes is written alone, so that one that cannot be
// written does not stop those of other shards; when the view is unavailable, with the
// next attempt. A shard whose change failed writes alone until it succeeds.
type viewWriter struct {
	view       View
	watermarks *Watermarks
	metrics    *ConsumerMetrics
	products   prometheus.Observer // the time to write the products of a group
	saver      *checkpointSaver

	mu      sync.Mutex
	waiting []*viewWrite
	groups  int            // groups in progress
	failed  map[int32]bool // shards whose last change failed
}

// viewWrite is a change that is written. A shard has one at a time.
type viewWrite struct {
	ctx              context.Context
	trace            *telemetry.Batch
	change           Change
	created, changed []catalog.Product // products of the change
	size             int               // size of the products, in bytes
	done             chan error
	previous         *checkpointSave // of the shard's previous change, set when done; nil for none
}

func newViewWriter(view View, watermarks *Watermarks, metrics *ConsumerMetrics, logger *slog.Logger) *viewWriter {
	saves := metrics.Step("view", "checkpoint")
	save := func(ctx context.Context, all []eventlog.Checkpoint) error {
		err := step(ctx, "save checkpoint", saves, func(ctx context.Context) error { return view.SaveCheckpoints(ctx, all) })
		if err == nil {
			failpoint.Here(failpoint.ReaderCheckpointed)
		}
		return err
	}
	return &viewWriter{
		view: view, watermarks: watermarks, metrics: metrics, products: metrics.Step("view", "write"),
		saver: newCheckpointSaver(save, logger), failed: map[int32]bool{},
	}
}

// write writes the change and returns when it is in the view and the checkpoint of the
// shard's previous change is saved, or with an error. After it has returned no product of
// the change is written.
func (v *viewWriter) write(ctx context.Context, c Change) error {
	w := &viewWrite{ctx: ctx, change: c, done: make(chan error, 1)}
	w.created, w.changed = c.split()
	for _, p := range c.Products {
		w.size += p.Size()
	}
	w.trace = telemetry.Hold(ctx)
	defer w.trace.Release()
	v.mu.Lock()
	v.waiting = append(v.waiting, w)
	if v.groups < maxGroups {
		v.groups++
		go v.run()
	}
	v.mu.Unlock()
	select {
	case err := <-w.done:
		if err == nil {
			err = w.previous.wait(ctx)
		}
		return err
	case <-ctx.Done():
	}
	v.mu.Lock()
	i := slices.Index(v.waiting, w)
	if i >= 0 {
		v.waiting = slices.Delete(v.waiting, i, i+1)
	}
	v.mu.Unlock()
	if i >= 0 {
		return ctx.Err()
	}
	return <-w.done // its group ends now
}

// run writes groups until no change waits.
func (v *viewWriter) run() {
	for {
		group := v.next()
		if group == nil {
			return
		}
		err := v.writeGroup(group)
		if len(group) == 1 || err == nil || errors.Is(err, catalog.ErrUnavailable) {
			for _, w := range group {
				v.end(w, err)
			}
			continue
		}
		for _, w := range group {
			v.end(w, v.writeGroup([]*viewWrite{w}))
		}
	}
}

// next removes and returns the first changes that wait, or ends the goroutine of the
// caller.
func (v *viewWriter) next() []*viewWrite {
	v.mu.Lock()
	defer v.mu.Unlock()
	n, products, size := 0, 0, 0
	for _, w := range v.waiting {
		products, size = products+len(w.created)+len(w.changed), size+w.size
		if n > 0 && (products > maxGroupProducts || size > maxGroupBytes || v.failed[w.change.To.Shard]) {
			break
		}
		if n++; v.failed[w.change.To.Shard] {
			break
		}
	}
	if n == 0 {
		v.groups--
		return nil
	}
	group := slices.Clone(v.waiting[:n])
	v.waiting = slices.Delete(v.waiting, 0, n)
	return group
}

// end ends a write with its error or nil.
func (v *viewWriter) end(w *viewWrite, err error) {
	v.mu.Lock()
	if err == nil || w.ctx.Err() != nil {
		delete(v.failed, w.change.To.Shard)
	} else {
		v.failed[w.change.To.Shard] = true
	}
	v.mu.Unlock()
	w.done <- err
}

// writeGroup writes the products of a group and advances its watermarks.
// It ends early when the context of one of its changes ends.
func (v *viewWriter) writeGroup(group []*viewWrite) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(group[0].ctx))
	defer cancel()
	var created, changed []catalog.Product
	var checkpoints []eventlog.Checkpoint
	var settled []Settled
	var traces []*telemetry.Batch
	for _, w := range group {
		defer context.AfterFunc(w.ctx, cancel)()
		created, changed = append(created, w.created...), append(changed, w.changed...)
		checkpoints, traces = append(checkpoints, w.change.To), append(traces, w.trace)
		// A change is repeated when a checkpoint was not saved. Its delay was observed before.
		readable := v.watermarks.Position(w.change.To.Shard).Seq
		settled = append(settled, w.change.settledAfter(readable)...)
	}
	ctx = telemetry.WithBatches(ctx, traces...)
	if len(created)+len(changed) > 0 {
		if err := step(ctx, "write view", v.products, func(ctx context.Context) error { return v.view.Apply(ctx, created, changed) }); err != nil {
			return err
		}
		failpoint.Here(failpoint.ReaderApplied)
	}
	v.watermarks.Advance(checkpoints...)
	v.metrics.ObserveDelay("view", settled)
	v.saver.add(group)
	return nil
}

// step runs a step, with a span of its name, and observes its time when it succeeds.
func step(ctx context.Context, name string, took prometheus.Observer, f func(context.Context) error) error {
	start := time.Now()
	ctx, span := telemetry.StartStep(ctx, name)
	err := f(ctx)
	span.End(err)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	took.Observe(time.Since(start).Seconds())
	return nil
}
