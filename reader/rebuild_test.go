package reader_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"catalog"
	catalogv1 "catalog/api/catalog/v1"
	"catalog/engine/bleve"
	"catalog/engine/sqlite"
	"catalog/reader"
)

// renewed is a reader with a view and an index that can be made anew, of the
// products 0 to n-1. Its view is that of the file.
func renewed(t testing.TB, file string, n int) (*world, *live, *sqlite.View) {
	db, err := sqlite.Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	x, err := bleve.OpenGenerations(t.TempDir(), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { x.Close() })
	views := sqlite.NewView(db)
	j := &live{}
	w := startWith(t, reader.NewGenerationalView(views), x, &log{}, j)
	var events []catalog.Event
	for i := range n {
		events = append(events, j.settle(fmt.Sprint(i), false))
	}
	w.feed(t, 0, events...)
	for {
		_, err := w.Search(t.Context(), catalog.Query{Limit: 1}, catalog.Position{Seq: int64(n)})
		if err == nil {
			break
		}
		if !errors.Is(err, catalog.ErrStale) || t.Context().Err() != nil {
			t.Fatal(err)
		}
	}
	return w, j, views
}

func rebuild(t testing.TB, w *world, do reader.RebuildAction) {
	t.Helper()
	if err := w.Rebuild(t.Context(), []string{"view", "index"}, do, func(string, int64, int64) {}); err != nil {
		t.Fatal(err)
	}
}

// rebuilding is the stream of a call that rebuilds.
type rebuilding struct {
	catalogv1.ReaderService_RebuildServer
	ctx context.Context
}

func (r rebuilding) Context() context.Context { return r.ctx }

func allEqual(t testing.TB, w *world) {
	t.Helper()
	if differ, made := verify(t, w, false); len(differ) > 0 {
		t.Fatalf("%d differ: %+v; %+v", len(differ), differ[0], made)
	}
}

func TestRebuild(t *testing.T) {
	t.Run("what was lost or wrong is there again, and one can go back while all is written", func(t *testing.T) {
		t.Parallel()
		w, j, views := renewed(t, filepath.Join(t.TempDir(), "view.db"), 1_000)
		if err := views.Create(t.Context(), 0); err != nil { // the view is lost
			t.Fatal(err)
		}
		if differ, _ := verify(t, w, false); len(differ) != 1_000 {
			t.Fatalf("%d differ", len(differ))
		}
		rebuild(t, w, reader.RebuildNew)
		allEqual(t, w)
		w.feed(t, 1_000, j.settle("7", true), j.settle("more", false))
		allEqual(t, w)
		rebuild(t, w, reader.RebuildNew) // from here on both are whole
		w.feed(t, 1_002, j.settle("8", true), j.settle("9", false))
		rebuild(t, w, reader.RebuildRollback)
		allEqual(t, w)
		w.feed(t, 1_004, j.settle("10", true))
		rebuild(t, w, reader.RebuildRollback)
		allEqual(t, w)
		rebuild(t, w, reader.RebuildDropPrevious)
		for _, store := range []string{"view", "index"} {
			if err := w.Rebuild(t.Context(), []string{store}, reader.RebuildRollback, nil); !errors.Is(err, catalog.ErrNotFound) {
				t.Errorf("%s: Back = %v; want ErrNotFound", store, err)
			}
		}
		allEqual(t, w)
	})
	t.Run("reads and writes go on, none fails and none goes back", func(t *testing.T) {
		t.Parallel()
		w, j, _ := renewed(t, filepath.Join(t.TempDir(), "view.db"), 300)
		ctx, stop := context.WithCancel(t.Context())
		var busy sync.WaitGroup
		var reads atomic.Int64
		busy.Go(func() {
			for offset := int64(300); ctx.Err() == nil; offset++ {
				w.feed(t, offset, j.settle(fmt.Sprint(offset%10), false))
			}
		})
		for i := range 2 {
			busy.Go(func() {
				for last := int64(0); ctx.Err() == nil; reads.Add(1) {
					p, err := w.Product(context.Background(), catalog.DerivedID(fmt.Sprint(i)), catalog.Position{})
					if err != nil || p.Version < last {
						t.Errorf("version %d after %d, %v", p.Version, last, err)
						return
					}
					last = p.Version
					page, err := w.Search(context.Background(), catalog.Query{Limit: 1}, catalog.Position{})
					if err != nil || page.Total != 300 {
						t.Errorf("%d products are found, %v", page.Total, err)
						return
					}
				}
			})
		}
		rebuild(t, w, reader.RebuildNew)
		rebuild(t, w, reader.RebuildRollback)
		stop()
		busy.Wait()
		allEqual(t, w)
		if reads.Load() < 100 {
			t.Errorf("void: there were only %d reads", reads.Load())
		}
	})
	t.Run("who asks for what cannot be done is told why", func(t *testing.T) {
		t.Parallel()
		w, _, _ := renewed(t, filepath.Join(t.TempDir(), "view.db"), 1)
		err := reader.Server{Reader: w.Reader}.Rebuild(&catalogv1.RebuildRequest{Stores: []string{"view"}, Action: catalogv1.RebuildAction_REBUILD_ACTION_ROLLBACK}, rebuilding{ctx: t.Context()})
		if s := status.Convert(err); s.Code() != codes.Aborted || !strings.Contains(s.Message(), "no earlier view") {
			t.Errorf("the call ends with %v", err)
		}
	})
	t.Run("ended at any point it does no harm", func(t *testing.T) {
		t.Parallel()
		w, j, views := renewed(t, filepath.Join(t.TempDir(), "view.db"), 300)
		was, err := views.Generations(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		offset := int64(300)
		// Each wish to save what there is ends the rebuild, one after the other.
		for point := range 5 {
			ctx, stop := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- w.Rebuild(ctx, []string{"view"}, reader.RebuildNew, func(string, int64, int64) {}) }()
			for seen, before := 0, was; seen < point && len(ended) == 0; {
				now, err := views.Generations(t.Context())
				if err != nil {
					t.Fatal(err)
				}
				if now != before {
					seen, before = seen+1, now
				}
			}
			stop()
			<-ended
			w.feed(t, offset, j.settle(fmt.Sprint(point), point%2 == 0))
			offset++
			allEqual(t, w)
			if was, err = views.Generations(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		rebuild(t, w, reader.RebuildNew)
		allEqual(t, w)
	})
}
