package projection

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/eventlog"
)

// gatedView records the calls of the writer. Apply waits for a value of gate, and
// SaveCheckpoints for one of saveGate, if they are not nil. Apply returns the error
// of fail, and SaveCheckpoints the error failSave.
type gatedView struct {
	View
	gate, saveGate chan struct{}
	fail           func(products []catalog.Product) error
	failSave       error // set by setFailSave
	deaf           bool  // Apply does not notice that its context ends

	mu    sync.Mutex
	calls [][]string // names of the products, and "shard" for a checkpoint
}

func (v *gatedView) Apply(ctx context.Context, created, changed []catalog.Product) error {
	if v.gate != nil {
		if v.deaf {
			ctx = context.WithoutCancel(ctx)
		}
		select {
		case <-v.gate:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	products := slices.Concat(created, changed)
	if v.fail != nil {
		if err := v.fail(products); err != nil {
			return err
		}
	}
	v.record(len(products), func(i int) string { return products[i].Name })
	return nil
}

func (v *gatedView) SaveCheckpoints(_ context.Context, all []eventlog.Checkpoint) error {
	slices.SortFunc(all, func(a, b eventlog.Checkpoint) int { return cmp.Compare(a.Shard, b.Shard) })
	if v.saveGate != nil {
		<-v.saveGate
	}
	v.mu.Lock()
	err := v.failSave
	v.mu.Unlock()
	if err != nil {
		return err
	}
	v.record(len(all), func(i int) string { return "checkpoint " + name(all[i].Shard) })
	return nil
}

func (v *gatedView) setFailSave(err error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.failSave = err
}

func (v *gatedView) record(n int, text func(int) string) {
	call := make([]string, n)
	for i := range call {
		call[i] = text(i)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.calls = append(v.calls, call)
}

func (v *gatedView) has(call ...string) bool { return v.index(call...) >= 0 }

// index returns which call it was, or -1.
func (v *gatedView) index(call ...string) int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return slices.IndexFunc(v.calls, func(c []string) bool { return slices.Equal(c, call) })
}

func name(shard int32) string { return string('a' + shard) }

// changeOf returns a change of one product, which has the name of the shard.
func changeOf(shard int32) Change {
	p := catalog.Product{ID: catalog.DerivedID(name(shard)), Version: 1, ProductData: catalog.ProductData{Name: name(shard)}}
	at := catalog.Position{Shard: shard, Seq: 1}
	return Change{Products: []catalog.Product{p}, Events: []catalog.Event{{Position: at, Product: p}}, To: eventlog.Checkpoint{Position: at}}
}

func TestViewWriter(t *testing.T) {
	var view *gatedView
	var w *viewWriter
	var metrics *prometheus.Registry
	errs := map[int32]error{} // by shard, after synctest.Wait
	var mu sync.Mutex
	result := func(shard int32) error {
		mu.Lock()
		defer mu.Unlock()
		err, ok := errs[shard]
		if !ok {
			return errors.New("the write has not returned")
		}
		return err
	}
	write := func(ctx context.Context, shards ...int32) {
		for _, shard := range shards {
			go func() {
				err := w.write(ctx, changeOf(shard))
				mu.Lock()
				defer mu.Unlock()
				errs[shard] = err
			}()
			synctest.Wait() // the shards begin in order
		}
	}
	run := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				clear(errs)
				view = &gatedView{gate: make(chan struct{})}
				metrics = prometheus.NewRegistry()
				w = newViewWriter(view, NewWatermarks(), NewConsumerMetrics(metrics, time.Now), slog.New(slog.DiscardHandler))
				f(t)
			})
		})
	}
	// busy occupies the writer with shards a and b.
	busy := func(t *testing.T) { write(t.Context(), 0, 1) }
	next := func() {
		view.gate <- struct{}{}
		synctest.Wait()
	}

	run("a lone change is written at once", func(t *testing.T) {
		write(t.Context(), 0)
		next()
		if err := result(0); err != nil || !view.has("a") || !view.has("checkpoint a") {
			t.Errorf("write = %v, calls %v", err, view.calls)
		}
	})
	run("changes that come meanwhile are written together, and then their checkpoints", func(t *testing.T) {
		busy(t)
		write(t.Context(), 2, 3, 4)
		next()
		next()
		next()
		products, checkpoints := view.index("c", "d", "e"), view.index("checkpoint c", "checkpoint d", "checkpoint e")
		if products < 0 || checkpoints < products {
			t.Errorf("calls %v; want c, d, e in one, and then their checkpoints", view.calls)
		}
		if ok, _ := w.watermarks.reached(catalog.Position{Shard: 4, Seq: 1}); !ok {
			t.Error("the watermark of e is not advanced")
		}
	})
	run("a change that cannot be written fails alone, and stays alone until it succeeds", func(t *testing.T) {
		poison := errors.New("cannot be written")
		view.fail = func(products []catalog.Product) error {
			if slices.ContainsFunc(products, func(p catalog.Product) bool { return p.Name == "d" }) {
				return poison
			}
			return nil
		}
		busy(t)
		write(t.Context(), 2, 3, 4)
		for range 2 + 1 + 3 { // calls of busy, of the group, and of each of its changes
			next()
		}
		if result(2) != nil || !errors.Is(result(3), poison) || result(4) != nil {
			t.Fatalf("write = %v, %v, %v; want nil, %v, nil", result(2), result(3), result(4), poison)
		}
		busy(t)
		write(t.Context(), 2, 3, 4)
		view.fail = nil
		for range 2 + 3 {
			next()
		}
		if result(3) != nil || view.has("c", "d") || view.has("c", "d", "e") || view.has("d", "e") || !view.has("d") {
			t.Errorf("write = %v, calls %v; want d alone", result(3), view.calls)
		}
	})
	run("a change whose context ends is not written later, and the others are", func(t *testing.T) {
		busy(t)
		waiting, cancelWaiting := context.WithCancel(t.Context())
		write(waiting, 2)
		cancelWaiting()
		synctest.Wait()
		if !errors.Is(result(2), context.Canceled) {
			t.Errorf("write of c = %v; want Canceled", result(2))
		}
		inGroup, cancel := context.WithCancel(t.Context())
		write(inGroup, 3)
		write(t.Context(), 4)
		next()
		cancel()
		synctest.Wait()
		next()
		next()
		if !errors.Is(result(3), context.Canceled) || result(4) != nil || view.has("c") || view.has("d") || !view.has("e") {
			t.Errorf("write = %v, %v, calls %v; want Canceled, nil, and e written", result(3), result(4), view.calls)
		}
	})
	run("no write returns while its group is written", func(t *testing.T) {
		view.deaf = true
		ctx, cancel := context.WithCancel(t.Context())
		write(ctx, 0)
		cancel()
		synctest.Wait()
		mu.Lock()
		err, returned := errs[0]
		mu.Unlock()
		if returned {
			t.Errorf("write = %v while the view writes", err)
		}
		next()
		if err := result(0); err != nil {
			t.Errorf("write = %v; want nil, since the change is written", err)
		}
	})
	run("a group ends at a number of products and at a size", func(t *testing.T) {
		busy(t)
		large := func(shard int32, n, size int) {
			c := changeOf(shard)
			c.Products[0].Description = string(make([]byte, size))
			for range n - 1 {
				c.Products = append(c.Products, catalog.Product{Version: 1})
			}
			go w.write(t.Context(), c)
			synctest.Wait()
		}
		large(2, maxGroupProducts-1, 0)
		large(3, 1, 0)
		large(4, 1, maxGroupBytes)
		large(5, 1, 0)
		for range 2 + 3 {
			next()
		}
		if !view.has("checkpoint c", "checkpoint d") || !view.has("checkpoint e") || !view.has("checkpoint f") {
			t.Errorf("calls %v; want c with d, e alone and f alone", view.calls)
		}
	})
	run("neither reads nor the write wait for the checkpoint, and the next write of the shard does", func(t *testing.T) {
		view.saveGate = make(chan struct{})
		write(t.Context(), 0)
		if ok, _ := w.watermarks.reached(catalog.Position{Seq: 1}); ok {
			t.Error("the watermark is advanced before the product is written")
		}
		next()
		if ok, _ := w.watermarks.reached(catalog.Position{Seq: 1}); !ok {
			t.Error("the watermark is not advanced while the checkpoint is saved")
		}
		if err := result(0); err != nil {
			t.Errorf("write = %v while its checkpoint is saved; want nil", err)
		}
		clear(errs)
		write(t.Context(), 0)
		next()
		if err := result(0); err == nil {
			t.Error("the next write has returned while the checkpoint before is saved")
		}
		close(view.saveGate)
		synctest.Wait()
		if err := result(0); err != nil {
			t.Error(err)
		}
	})
	run("checkpoints that come during a save are saved together", func(t *testing.T) {
		view.saveGate = make(chan struct{})
		busy(t)
		write(t.Context(), 2, 3)
		for range 3 { // calls of busy, and of the group
			next()
		}
		close(view.saveGate)
		synctest.Wait()
		if len(view.calls) != 5 || !view.has("checkpoint a") || len(view.calls[4]) != 3 {
			t.Errorf("calls %v; want three groups, the checkpoint of a, and those of b, c and d in one", view.calls)
		}
	})
	run("a failed save is repeated", func(t *testing.T) {
		view.setFailSave(errors.New("cannot be saved"))
		write(t.Context(), 0)
		next()
		view.setFailSave(nil)
		time.Sleep(2 * saveRetryDelay)
		synctest.Wait()
		if !view.has("checkpoint a") {
			t.Errorf("calls %v; want the checkpoint saved without another write", view.calls)
		}
	})
	run("a failed save fails the next write of the shard, and the delay of an event counts once", func(t *testing.T) {
		fault := errors.New("cannot be saved")
		view.setFailSave(fault)
		write(t.Context(), 0)
		next()
		if err := result(0); err != nil {
			t.Errorf("write = %v; want nil, since the products are written", err)
		}
		write(t.Context(), 0)
		next()
		if err := result(0); !errors.Is(err, fault) {
			t.Errorf("next write = %v; want %v", err, fault)
		}
		view.setFailSave(nil)
		time.Sleep(4 * saveRetryDelay)
		write(t.Context(), 0)
		next()
		if err := result(0); err != nil {
			t.Errorf("write = %v after a save; want nil", err)
		}
		if n := samples(t, metrics, "catalog_view_delay_seconds"); n != 1 {
			t.Errorf("%d delays observed; want 1", n)
		}
	})
	run("a failed save is not repeated for a shard that has ended", func(t *testing.T) {
		view.setFailSave(errors.New("cannot be saved"))
		write(t.Context(), 0)
		next()
		w.saver.end(0)
		w.saver.wait()
		view.setFailSave(nil)
		time.Sleep(2 * saveRetryDelay)
		synctest.Wait()
		if view.has("checkpoint a") {
			t.Error("the checkpoint was saved after its shard had ended")
		}
	})
}

// samples returns the number of values of a histogram, over all labels.
func samples(t *testing.T, metrics prometheus.Gatherer, name string) (n uint64) {
	families, err := metrics.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			for _, m := range f.GetMetric() {
				n += m.GetHistogram().GetSampleCount()
			}
		}
	}
	return n
}
