package reader_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/reader/internal/readertest"
)

func TestPositions(t *testing.T) {
	all := readertest.History(3)
	t.Run("a read waits for the position", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		read := make(chan error, 2)
		start := func(f func() error) {
			err := f()
			for since := time.Now(); readertest.Slow(err) && time.Since(since) < time.Minute; { // a busy machine may be too slow for a read
				err = f()
			}
			read <- err
		}
		go start(func() error {
			_, err := h.Product(t.Context(), catalog.DerivedID("p"), catalog.Position{Seq: 2})
			return err
		})
		go start(func() error {
			page, err := h.Search(t.Context(), catalog.Query{}, catalog.Position{Seq: 2})
			if err == nil && len(page.Items) != 1 {
				err = errors.New("the search does not find the product")
			}
			return err
		})
		h.Feed(t, 0, all[:2]...)
		for range 2 {
			if err := <-read; err != nil {
				t.Fatal(err)
			}
		}
	})
	t.Run("a search waits for each of several positions", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		h.Feed(t, 0, all[:2]...)
		h.WaitForIndex(t, 2)
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := h.Search(ctx, catalog.Query{}, catalog.Position{Seq: 2}, catalog.Position{Shard: 1, Seq: 1}); !errors.Is(err, catalog.ErrStale) {
			t.Fatalf("Search = %v; want ErrStale", err)
		}
		if _, err := h.Search(t.Context(), catalog.Query{}, catalog.Position{Seq: 1}, catalog.Position{Seq: 2}); err != nil {
			t.Fatal(err)
		}
	})
	t.Run("a position that is not reached in time is ErrStale", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		if _, err := h.Product(ctx, catalog.DerivedID("p"), catalog.Position{Seq: 2}); !errors.Is(err, catalog.ErrStale) {
			t.Fatalf("Product = %v; want ErrStale", err)
		}
		if _, err := h.Search(ctx, catalog.Query{}, catalog.Position{Seq: 2}); !errors.Is(err, catalog.ErrStale) {
			t.Fatalf("Search = %v; want ErrStale", err)
		}
	})
	t.Run("a shard that another reader projects is polled", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{})
		if err := errors.Join(
			h.View.Apply(t.Context(), nil, []catalog.Product{all[1].Product}),
			h.View.SaveCheckpoints(t.Context(), []eventlog.Checkpoint{{Position: catalog.Position{Seq: 2}, Offset: 2}}),
		); err != nil {
			t.Fatal(err)
		}
		h.WantVersion(t, 2, 2)
	})
}

func TestReadiness(t *testing.T) {
	t.Run("lists and suggestions are refused until the index has caught up", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Log: &readertest.Log{End: 2}})
		all := readertest.History(2)
		for i, e := range all {
			_, search := h.Search(t.Context(), catalog.Query{})
			_, suggest := h.Suggest(t.Context(), "oak", 5)
			if ping := h.PingIndex(t.Context()); ping == nil || !errors.Is(search, catalog.ErrUnavailable) || !errors.Is(suggest, catalog.ErrUnavailable) {
				t.Fatalf("with %d of 2 events: PingIndex = %v, Search = %v, Suggest = %v; want errors, of the last two ErrUnavailable", i, ping, search, suggest)
			}
			h.Feed(t, int64(i), e)
			h.WantVersion(t, e.Seq, e.Product.Version) // products are served meanwhile
		}
		readertest.Eventually(t, func() error { _, err := h.Search(t.Context(), catalog.Query{}); return err }, catalog.ErrUnavailable)
		readertest.Eventually(t, func() error { _, err := h.Suggest(t.Context(), "oak", 5); return err }, catalog.ErrUnavailable)
		if err := h.PingIndex(t.Context()); err != nil {
			t.Errorf("PingIndex = %v after all events were applied; want nil", err)
		}
	})
	t.Run("the reader is ready once it has caught up", func(t *testing.T) {
		h := readertest.Start(t, readertest.Config{Log: &readertest.Log{End: 2}})
		if err := h.Ping(t.Context()); err == nil {
			t.Fatal("Ping = nil before an event was applied; want an error")
		}
		h.Feed(t, 0, readertest.History(2)...)
		readertest.Eventually(t, func() error { _, err := h.Search(t.Context(), catalog.Query{}); return err }, catalog.ErrUnavailable)
		if err := h.Ping(t.Context()); err != nil {
			t.Fatalf("Ping = %v after all events were applied; want nil", err)
		}
	})
}
