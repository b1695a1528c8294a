package gateway

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
	"catalog/api"
)

// backlog knows how far behind the writers are. Commands of a shard are settled
// in order, so of each shard it watches one command that went out from here and
// is not settled: while that one waits, all behind it do. Where it waits for
// longer than the limit no more commands are taken, but for one now and again,
// which shows by its event that the shard is worked on. So a writer or a
// PostgreSQL that is gone does not fill the log for ever, with commands that
// nobody waits for any more.
type backlog struct {
	limit time.Duration // 0 for none
	now   func() time.Time

	mu      sync.Mutex
	shards  int
	watched map[int32]watch
}

type watch struct {
	command  catalog.ID
	accepted time.Time
	tried    time.Time // when a command was last let through in spite of the limit
}

// tryEvery is how often a command is let through to a shard that is behind.
const tryEvery = time.Second

func newBacklog(limit time.Duration, now func() time.Time, reg prometheus.Registerer) *backlog {
	b := &backlog{limit: limit, now: now, watched: map[int32]watch{}}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "catalog_gateway_backlog_seconds", Help: "For how long the oldest command that is watched here has waited to be settled.",
	}, func() float64 { return b.oldest().Seconds() }))
	return b
}

func (b *backlog) oldest() (age time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.watched {
		age = max(age, b.now().Sub(w.accepted))
	}
	return age
}

// begin tells in how many shards the products are.
func (b *backlog) begin(shards int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shards = shards
}

// enter watches over commands that are about to be sent. It is a problem when
// one of their shards is too far behind.
func (b *backlog) enter(commands []catalog.Command) error {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range commands {
		w, ok := b.watched[b.shard(c)]
		if ok && b.limit > 0 && now.Sub(w.accepted) > b.limit && now.Sub(w.tried) < tryEvery {
			p := problem(http.StatusServiceUnavailable, api.ProblemCodeUnavailable, "nothing was taken, since what was taken before is still waiting to be done; try again")
			p.retryAfter = "5"
			return p
		}
	}
	for _, c := range commands {
		shard := b.shard(c)
		w, ok := b.watched[shard]
		switch {
		case !ok:
			w = watch{command: c.ID, accepted: c.AcceptedAt}
		case now.Sub(w.accepted) > b.limit:
			w.tried = now
		}
		b.watched[shard] = w
	}
	return nil
}

// leave forgets commands that may not have been stored.
func (b *backlog) leave(commands []catalog.Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range commands {
		if shard := b.shard(c); b.watched[shard].command == c.ID {
			delete(b.watched, shard)
		}
	}
}

// settled is told of all events. A command that was settled before has none: it
// is done when one that was accepted later is.
func (b *backlog) settled(events []catalog.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range events {
		if w, ok := b.watched[e.Shard]; ok && (w.command == e.Command || e.AcceptedAt.After(w.accepted)) {
			delete(b.watched, e.Shard)
		}
	}
}

func (b *backlog) shard(c catalog.Command) int32 { return catalog.Shard(c.Product, max(b.shards, 1)) }
