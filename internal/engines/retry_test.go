package engines_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"catalog"
	"catalog/internal/engines"
)

func TestRetry(t *testing.T) {
	t.Parallel()
	away := fmt.Errorf("no broker responds: %w", catalog.ErrUnavailable)
	denied := errors.New("password authentication failed")
	// fails returns an open function that fails with the errors, then succeeds.
	fails := func(errs ...error) func(context.Context) (int, error) {
		return func(context.Context) (int, error) {
			if len(errs) == 0 {
				return 7, nil
			}
			err := errs[0]
			errs = errs[1:]
			return 0, err
		}
	}

	t.Run("a service waits for an engine that is away, with one line", func(t *testing.T) {
		t.Parallel()
		var log bytes.Buffer
		s := &engines.Set{Log: slog.New(slog.NewTextHandler(&log, nil)), Wait: true}
		v, err := engines.Retry(t.Context(), s, "kafka", fails(away, away, away))
		if v != 7 || err != nil {
			t.Fatalf("Retry = %v, %v; want 7, nil", v, err)
		}
		if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), "engine=kafka") {
			t.Errorf("log = %q; want one line that names kafka", log.String())
		}
		if err := s.Waiting(); err != nil {
			t.Errorf("Waiting = %v after the engine was opened; want nil", err)
		}
	})

	t.Run("Waiting returns the error meanwhile", func(t *testing.T) {
		t.Parallel()
		s := &engines.Set{Log: slog.New(slog.DiscardHandler), Wait: true}
		var seen error
		_, err := engines.Retry(t.Context(), s, "kafka", func(context.Context) (int, error) {
			if seen = s.Waiting(); seen != nil {
				return 7, nil
			}
			return 0, away
		})
		if err != nil || !errors.Is(seen, away) {
			t.Fatalf("Retry = %v, Waiting = %v; want nil, %v", err, seen, away)
		}
	})

	t.Run("an error that waiting does not end is returned at once", func(t *testing.T) {
		t.Parallel()
		s := &engines.Set{Log: slog.New(slog.DiscardHandler), Wait: true}
		if _, err := engines.Retry(t.Context(), s, "postgres", fails(away, denied)); !errors.Is(err, denied) {
			t.Fatalf("Retry = %v; want %v", err, denied)
		}
	})

	t.Run("a command of the command line does not wait", func(t *testing.T) {
		t.Parallel()
		s := &engines.Set{Log: slog.New(slog.DiscardHandler)}
		if _, err := engines.Retry(t.Context(), s, "kafka", fails(away)); !errors.Is(err, away) {
			t.Fatalf("Retry = %v; want %v", err, away)
		}
	})

	t.Run("a wait ends with its context", func(t *testing.T) {
		t.Parallel()
		ctx, cancel := context.WithCancel(t.Context())
		s := &engines.Set{Log: slog.New(slog.DiscardHandler), Wait: true}
		_, err := engines.Retry(ctx, s, "kafka", func(context.Context) (int, error) { cancel(); return 0, away })
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("Retry = %v; want %v", err, context.Canceled)
		}
	})
}
