package gateway

import (
	"fmt"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"catalog"
)

// backlog measures how far the writers are behind, and rejects commands when
// they are too far behind. Without it, a writer or a PostgreSQL that is down
// would let the log fill with commands whose clients no longer wait.
//
// Commands of a shard are settled in order, so backlog watches one unsettled
// command of each shard: while that command waits, all later ones wait too. A
// shard whose watched command is older than the limit gets one command every
// probeInterval; the event of that command shows that the shard makes progress.
type backlog struct {
	maxAge time.Duration // 0 for no limit
	now    func() time.Time

	mu      sync.Mutex
	shards  int
	watched map[int32]watchedCommand
}

type watchedCommand struct {
	command  catalog.ID
	accepted time.Time
	probed   time.Time // when a command was last let through in spite of the limit
}

func newBacklog(maxAge time.Duration, now func() time.Time, reg prometheus.Registerer) *backlog {
	b := &backlog{maxAge: maxAge, now: now, watched: map[int32]watchedCommand{}}
	reg.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "catalog_backlog_age_seconds", Help: "Age of the oldest accepted command that this gateway has not seen settled; 0 without one. Above -max-backlog-age writes are rejected.",
	}, func() float64 { return b.age().Seconds() }))
	return b
}

// age returns the age of the oldest watched command.
func (b *backlog) age() (age time.Duration) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, w := range b.watched {
		age = max(age, b.now().Sub(w.accepted))
	}
	return age
}

// admit starts to watch commands that are about to be sent. It returns an
// overloaded problem, and the caller must not send, when the backlog of one of
// their shards is too old.
func (b *backlog) admit(commands []catalog.Command) error {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range commands {
		w, ok := b.watched[b.shard(c)]
		if age := now.Sub(w.accepted); ok && b.maxAge > 0 && age > b.maxAge && now.Sub(w.probed) < probeInterval {
			p := problem(catalog.CodeOverloaded, fmt.Sprintf("not accepted: the write backlog is %d s old (limit %v); retry after %d s", int(age.Seconds()), b.maxAge, backlogRetryAfter))
			p.retryAfter = backlogRetryAfter
			return p
		}
	}
	for _, c := range commands {
		shard := b.shard(c)
		w, ok := b.watched[shard]
		switch {
		case !ok:
			w = watchedCommand{command: c.ID, accepted: c.AcceptedAt}
		case now.Sub(w.accepted) > b.maxAge:
			w.probed = now
		}
		b.watched[shard] = w
	}
	return nil
}

// cancel stops watching commands that may not have been stored.
func (b *backlog) cancel(commands []catalog.Command) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range commands {
		if shard := b.shard(c); b.watched[shard].command == c.ID {
			delete(b.watched, shard)
		}
	}
}

// Begin sets the number of shards. It implements subscriber.
func (b *backlog) Begin(_ int32, shards int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shards = shards
}

// Publish stops watching commands that are settled. A repeated command has no
// event of its own: it counts as settled when a command accepted later is.
func (b *backlog) Publish(_ int32, events []catalog.Event) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, e := range events {
		if w, ok := b.watched[e.Shard]; ok && (w.command == e.Command || e.AcceptedAt.After(w.accepted)) {
			delete(b.watched, e.Shard)
		}
	}
}

// End does nothing: commands stay watched while the shard is not followed.
func (b *backlog) End(int32) {}

func (b *backlog) shard(c catalog.Command) int32 { return catalog.Shard(c.Product, max(b.shards, 1)) }
