package bleve_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"catalog"
	"catalog/engine/bleve"
	"catalog/eventlog"
)

// crashFolder is the environment variable that makes the test binary a process with an index in that
// folder, which crashIndex kills.
const crashFolder = "CATALOG_TEST_CRASH_FOLDER"

// The history that the process applies: the first crashStart events make two versions of each
// product, all others change the first few products, so that the rest only comes with a snapshot.
const crashProducts, crashStart, crashBusy = 300, 600, 20

// crashProduct returns the product that the event seq makes.
func crashProduct(seq int64) catalog.Product {
	if seq < crashStart {
		return named(fmt.Sprint(seq%crashProducts), 1+seq/crashProducts)
	}
	seq -= crashStart
	return named(fmt.Sprint(seq%crashBusy), crashStart/crashProducts+1+seq/crashBusy)
}

// crashWriter applies the history to an index.
type crashWriter struct {
	index    *bleve.Generations
	mu       sync.Mutex
	at       eventlog.Checkpoint // Offset is the seq of the next event
	products map[catalog.ID]catalog.Product
}

func (w *crashWriter) apply(ctx context.Context, n int64) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	events := make([]catalog.Event, n)
	for i := range events {
		events[i] = catalog.Event{Outcome: catalog.Changed, Product: crashProduct(w.at.Offset)}
		if events[i].Product.Version == 1 {
			events[i].Outcome = catalog.Created
		}
		w.products[events[i].Product.ID] = events[i].Product
		w.at.Shard, w.at.Seq, w.at.Offset = 1, w.at.Offset, w.at.Offset+1
	}
	w.at.Contents = w.at.Contents.After(events)
	return w.index.Apply(ctx, eventlog.LastVersions(events), []eventlog.Checkpoint{w.at})
}

// load loads some of the products, or all, into the standby.
func (w *crashWriter) load(ctx context.Context, n int) error {
	w.mu.Lock()
	all := slices.Collect(maps.Values(w.products))
	w.mu.Unlock()
	return w.index.Load(ctx, all[:n])
}

// TestGenerations_crashProcess is the process that TestGenerations_crash kills. It rebuilds an index
// while events are applied. Before each step it prints the name of the step and waits for a line.
func TestGenerations_crashProcess(t *testing.T) {
	dir := os.Getenv(crashFolder)
	if dir == "" {
		t.Skip("is run by TestGenerations_crash")
	}
	ctx := t.Context()
	in := bufio.NewReader(os.Stdin)
	step := func(name string, run func() error) {
		fmt.Println("step", name)
		if _, err := in.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
		must(t, run())
	}
	w := &crashWriter{index: openGenerations(t, dir), products: map[catalog.ID]catalog.Product{}}
	must(t, w.apply(ctx, crashStart))
	go func() {
		for ctx.Err() == nil {
			_ = w.apply(ctx, 1)
		}
	}()
	step("create", func() error { return w.index.CreateStandby(ctx) })
	step("load a part", func() error { return w.load(ctx, crashProducts/2) })
	step("load the rest", func() error { return w.load(ctx, crashProducts) })
	step("switch", func() error { return w.index.Switch(ctx) })
	step("roll back", func() error { return w.index.Rollback(ctx) })
	step("roll forward", func() error { return w.index.Rollback(ctx) })
	step("drop", func() error { return w.index.DropPrevious(ctx) })
	step("end", func() error { return nil })
}

func TestGenerations_crash(t *testing.T) {
	t.Parallel()
	steps := []string{"create", "load a part", "load the rest", "switch", "roll back", "roll forward", "drop", "end"}
	for i, last := range steps {
		t.Run("a process killed before the step: "+last, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			crashIndex(t, dir, steps[:i+1])
			g := openGenerations(t, dir)
			defer g.Close()
			checkpoints, err := g.Checkpoints(t.Context())
			must(t, err)
			if len(checkpoints) != 1 && i > 3 { // the index was on disk when it became live
				t.Fatalf("Checkpoints = %v; want one", checkpoints)
			}
			want := map[catalog.ID]int64{}
			for _, c := range checkpoints {
				for seq := range c.Seq + 1 {
					p := crashProduct(seq)
					want[p.ID] = p.Version
				}
			}
			wrong := 0
			must(t, g.Scan(t.Context(), func(products []catalog.Product) error {
				for _, p := range products {
					if want[p.ID] != p.Version {
						wrong++
					}
					delete(want, p.ID)
				}
				return nil
			}))
			if wrong > 0 || len(want) > 0 {
				t.Errorf("at %v, %d products are wrong and %d are missing", checkpoints, wrong, len(want))
			}
		})
	}
}

// crashIndex runs the process until it comes to the last of the steps, and kills it there.
func crashIndex(t *testing.T, dir string, steps []string) {
	t.Helper()
	c := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestGenerations_crashProcess$", "-test.v")
	c.Env = append(os.Environ(), crashFolder+"="+dir)
	in, err := c.StdinPipe()
	must(t, err)
	out, err := c.StdoutPipe()
	must(t, err)
	must(t, c.Start())
	var seen []string
	for lines := bufio.NewScanner(out); len(seen) < len(steps) && lines.Scan(); {
		name, ok := strings.CutPrefix(lines.Text(), "step ")
		if !ok {
			continue
		}
		if seen = append(seen, name); len(seen) < len(steps) {
			_, err := io.WriteString(in, "\n")
			must(t, err)
		}
	}
	must(t, c.Process.Kill())
	_ = c.Wait()
	if !slices.Equal(seen, steps) {
		t.Fatalf("the process came to the steps %q; want %q", seen, steps)
	}
}
