package writer_test

import (
	"context"
	"testing"
	"time"

	"catalog"
	"catalog/eventlog"
	"catalog/writer"
)

// shortestSession is the shortest session timeout that Kafka allows by default.
const shortestSession = 6 * time.Second

// hangingStore fails the test when a call that a shard waits for has no deadline, or
// one beyond the shortest session. Settle commits and then takes until its deadline.
type hangingStore struct {
	writer.Store
	t     *testing.T
	limit time.Duration // timeout of Settle, and of the reads after it
}

func (s *hangingStore) check(ctx context.Context, call string, limit time.Duration) {
	s.t.Helper()
	if deadline, ok := ctx.Deadline(); !ok || time.Until(deadline) > limit {
		s.t.Errorf("%s has the deadline %v, %v; want one within %v", call, time.Until(deadline), ok, limit)
	}
}

func (s *hangingStore) BindTopics(ctx context.Context, now eventlog.Topics) (eventlog.Topics, error) {
	s.check(ctx, "BindTopics", shortestSession)
	return s.Store.BindTopics(ctx, now)
}

func (s *hangingStore) Claim(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	s.check(ctx, "Claim", shortestSession)
	return s.Store.Claim(ctx, shard)
}

func (s *hangingStore) State(ctx context.Context, shard int32) (eventlog.ShardState, error) {
	s.check(ctx, "State", shortestSession)
	return s.Store.State(ctx, shard)
}

func (s *hangingStore) Journal(ctx context.Context, shard int32, from, to int64, limit int) ([]catalog.Event, error) {
	s.check(ctx, "Journal", s.limit)
	return s.Store.Journal(ctx, shard, from, to, limit)
}

func (s *hangingStore) DeadLetters(ctx context.Context, shard int32, from int64, limit int) ([]eventlog.DeadLetter, error) {
	s.check(ctx, "DeadLetters", shortestSession)
	return s.Store.DeadLetters(ctx, shard, from, limit)
}

func (s *hangingStore) Settle(ctx context.Context, g eventlog.Group, now time.Time) ([]eventlog.Settled, error) {
	s.check(ctx, "Settle", s.limit)
	if _, err := s.Store.Settle(ctx, g, now); err != nil {
		return nil, err
	}
	return nil, context.DeadlineExceeded
}

func TestHandle_hangingStore(t *testing.T) {
	t.Run("each call has a deadline, after which the state shows what was settled", func(t *testing.T) {
		store := &hangingStore{Store: newStore(t), t: t, limit: shortestSession}
		w, l := newWriter(t, store)
		l.store = store.Store
		begin(t, w, 0)
		handle(t, w, records(0, 3))
		wantSeqs(t, l, 1, 2, 3)
		r := records(3, 1)
		r.DeadLetters, r.To = junk(4, 1), 5
		handle(t, w, r)
		next := &fakeLog{t: t, store: store.Store}
		begin(t, writerOn(store, next), 5)
		wantSeqs(t, next, 4) // 1 to 3 are stored as published
		wantDeadLetters(t, next, 1)
	})
	t.Run("a batch that takes long gets more time at each attempt, and less than a stuck shard", func(t *testing.T) {
		for attempt, limit := range []time.Duration{shortestSession, 2 * shortestSession, 4 * shortestSession, 4 * shortestSession} {
			store := &hangingStore{Store: newStore(t), t: t, limit: limit}
			w, l := newWriter(t, store)
			l.store = store.Store
			begin(t, w, 0)
			r := records(0, 1)
			r.Attempt = attempt
			handle(t, w, r)
		}
	})
}
