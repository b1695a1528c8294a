package gateway

import (
	"context"
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
// command of each shard: while that command waits, all later ones wait too. The event
// of any later command shows that the shard makes progress again. A watched command
// that is a repeat has no event, so a shard whose watched command is older than the
// limit gets one more command, the probe. All gateways see in the log whether one of
// them has sent a probe; so however many gateways there are, about one command in
// probeRepeat is added to the backlog of a shard.
type backlog struct {
	maxAge time.Duration // 0 for no limit
	now    func() time.Time
	ends   func(context.Context) ([]int64, error) // returns the offsets of the next command, by shard

	mu      sync.Mutex
	shards  int
	watched map[int32]watchedCommand
}

type watchedCommand struct {
	command  catalog.ID
	accepted time.Time

	// Set once the command is older than the limit.
	looked    time.Time // when the end of the shard's commands was last read
	base, end int64     // the offset of the next command, when it was first read and last read
	grown     time.Time // when end last changed
}

func newBacklog(maxAge time.Duration, now func() time.Time, ends func(context.Context) ([]int64, error), reg prometheus.Registerer) *backlog {
	b := &backlog{maxAge: maxAge, now: now, ends: ends, watched: map[int32]watchedCommand{}}
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
// their shards is too old. A single command may be let through as the probe.
func (b *backlog) admit(ctx context.Context, commands []catalog.Command) error {
	age, look := b.watch(commands)
	if age == 0 || look && len(commands) == 1 && b.probe(ctx, commands[0]) {
		return nil
	}
	p := problem(catalog.CodeOverloaded, fmt.Sprintf("not accepted: the write backlog is %d s old (limit %v); retry after %d s", int(age.Seconds()), b.maxAge, backlogRetryAfter))
	p.retryAfter = backlogRetryAfter
	return p
}

// watch starts to watch the commands, unless one of their shards has a backlog above
// the limit. Then it returns the age of the backlog and whether it is time to look for a
// probe.
func (b *backlog) watch(commands []catalog.Command) (age time.Duration, look bool) {
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range commands {
		shard := b.shard(c)
		w, ok := b.watched[shard]
		if age = now.Sub(w.accepted); ok && b.maxAge > 0 && age > b.maxAge {
			if look = now.Sub(w.looked) >= probeInterval; look {
				w.looked = now // one request at a time reads the end
				b.watched[shard] = w
			}
			return age, look
		}
	}
	for _, c := range commands {
		if shard := b.shard(c); b.watched[shard] == (watchedCommand{}) {
			b.watched[shard] = watchedCommand{command: c.ID, accepted: c.AcceptedAt}
		}
	}
	return 0, false
}

// probe reports whether the command is let through as the probe: if no command was
// added to the shard since the limit was passed, or none for probeRepeat.
func (b *backlog) probe(ctx context.Context, c catalog.Command) bool {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	ends, err := b.ends(ctx)
	if err != nil {
		return false
	}
	now := b.now()
	b.mu.Lock()
	defer b.mu.Unlock()
	shard := b.shard(c)
	w, ok := b.watched[shard]
	if !ok {
		return true // settled in the meantime
	}
	switch end := ends[shard]; {
	case w.grown.IsZero():
		w.base, w.end, w.grown = end, end, now
	case end > w.end:
		w.end, w.grown = end, now
	case w.end == w.base || now.Sub(w.grown) >= probeRepeat:
		w.grown = now
		b.watched[shard] = w
		return true
	}
	b.watched[shard] = w
	return false
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
