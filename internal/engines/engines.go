// Package engines opens the engines of a program, collects their health checks and
// closes them in reverse order. Errors are one line: the engine, its address, and what
// to do.
//
// This package opens Kafka, which every program uses. So that no program links an
// engine that it does not need, the other engines have packages of their own: store
// (PostgreSQL, for the writer), query (MongoDB, Redis and the search index, for the
// reader) and local (all of these, or a data folder in their place, for the command
// line).
package engines

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/engine/kafka"
	"catalog/internal/daemon"
	"catalog/internal/memory"
)

// Set holds the engines that a program has opened.
type Set struct {
	// Log receives the log messages of the engines.
	Log *slog.Logger
	// Registry receives the metrics of the engines.
	Registry *prometheus.Registry
	// Memory bounds the queues of the engines and services. Nil means that each queue
	// has its limit and no metrics.
	Memory *memory.Budget
	// Wait makes the Open functions wait for an engine that is away, until their
	// context ends, instead of returning its error. It is for services, which an
	// orchestrator would otherwise restart with longer and longer pauses.
	Wait bool

	waiting atomic.Pointer[error]
	checks  []daemon.Check
	closes  []func()
	disks   []*disk
}

// OnClose registers a function for Close to call.
func (s *Set) OnClose(f func()) { s.closes = append(s.closes, f) }

// AddCheck adds a condition of the program's readiness.
func (s *Set) AddCheck(name string, ping func(context.Context) error) {
	s.checks = append(s.checks, daemon.Check{Name: name, Ping: ping})
}

// Checks returns the checks added so far.
func (s *Set) Checks() []daemon.Check { return slices.Clone(s.checks) }

// Close closes the engines in reverse order of opening, since an engine may use those
// opened before it.
func (s *Set) Close() {
	for _, f := range slices.Backward(s.closes) {
		f()
	}
	s.closes = nil
}

// maxRetryPause is the longest pause between two attempts to open an engine.
const maxRetryPause = time.Second

// Retry returns the result of open. While open returns ErrUnavailable or takes too
// long, and s.Wait is set, Retry logs the first error, reports it by [Set.Waiting] and calls open again.
func Retry[T any](ctx context.Context, s *Set, engine string, open func(context.Context) (T, error)) (T, error) {
	defer s.waiting.Store(nil)
	for pause := 50 * time.Millisecond; ; pause = min(2*pause, maxRetryPause) {
		v, err := open(ctx)
		away := errors.Is(err, catalog.ErrUnavailable) || errors.Is(err, context.DeadlineExceeded)
		if err == nil || !s.Wait || !away {
			return v, err
		}
		if s.waiting.Swap(&err) == nil {
			s.Log.WarnContext(ctx, "waiting for an engine", "engine", engine, "err", err)
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return v, ctx.Err()
		}
	}
}

// Waiting returns why the engine that is being opened cannot be used, or nil when no
// engine is waited for.
func (s *Set) Waiting() error {
	if err := s.waiting.Load(); err != nil {
		return *err
	}
	return nil
}

// OpenKafka connects to Kafka and loads its topics, which must exist: catalog migrate
// creates them.
func OpenKafka(ctx context.Context, s *Set, cfg kafka.Config) (*kafka.Log, error) {
	return openKafka(ctx, s, cfg, (*kafka.Log).LoadTopics)
}

// CreateKafka connects to Kafka and creates the topics that are missing.
func CreateKafka(ctx context.Context, s *Set, cfg kafka.Config) (*kafka.Log, error) {
	return openKafka(ctx, s, cfg, func(l *kafka.Log, ctx context.Context) error {
		return l.CreateTopics(ctx, cfg.Partitions)
	})
}

func openKafka(ctx context.Context, s *Set, cfg kafka.Config, prepare func(*kafka.Log, context.Context) error) (*kafka.Log, error) {
	cfg.Memory = s.Memory
	log, err := Retry(ctx, s, "kafka", func(ctx context.Context) (*kafka.Log, error) {
		return kafka.Open(ctx, cfg, s.Log, s.Registry)
	})
	if err != nil {
		return nil, err
	}
	s.OnClose(log.Close)
	s.AddCheck("kafka", log.Ping)
	_, err = Retry(ctx, s, "kafka", func(ctx context.Context) (struct{}, error) { return struct{}{}, prepare(log, ctx) })
	return log, err
}
