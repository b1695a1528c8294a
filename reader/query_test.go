package reader_test

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/reader"
)

func TestAQuestionWithoutAnEndIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := reader.New(nil, nil, &index{endless: true}, nil, nil, slog.New(slog.DiscardHandler), time.Now, prometheus.NewRegistry())
		for name, question := range map[string]func(context.Context) error{
			"Search":  func(ctx context.Context) error { _, err := r.Search(ctx, catalog.Query{}); return err },
			"Suggest": func(ctx context.Context) error { _, err := r.Suggest(ctx, "oak", 5); return err },
		} {
			since := time.Now()
			if err := question(t.Context()); !errors.Is(err, catalog.ErrTooSlow) || time.Since(since) != time.Second {
				t.Errorf("%s = %v after %v", name, err, time.Since(since))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
			if err := question(ctx); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("for a caller who waits shorter, %s = %v", name, err)
			}
			cancel()
		}
	})
}
