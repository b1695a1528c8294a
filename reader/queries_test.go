package reader_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"catalog"
	"catalog/reader"
	"catalog/reader/internal/readertest"
)

func TestSearch_timeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := readertest.New(reader.Deps{Index: &readertest.Index{Endless: true}})
		for name, query := range map[string]func(context.Context) error{
			"Search":  func(ctx context.Context) error { _, err := r.Search(ctx, catalog.Query{}); return err },
			"Suggest": func(ctx context.Context) error { _, err := r.Suggest(ctx, "oak", 5); return err },
		} {
			since := time.Now()
			if err := query(t.Context()); !errors.Is(err, catalog.ErrTooSlow) || time.Since(since) != time.Second {
				t.Errorf("%s = %v after %v; want ErrTooSlow after 1 s", name, err, time.Since(since))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if err := query(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s = %v for a caller with a shorter deadline; want %v", name, err, context.DeadlineExceeded)
			}
			cancel()
		}
	})
}
