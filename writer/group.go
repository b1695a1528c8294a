package writer

import (
	"cmp"
	"context"
	"slices"
	"sync"
	"time"

	"catalog/eventlog"
	"catalog/internal/cpu"
)

// groups collects the batches of all shards in groups, which are settled in one
// transaction each (group commit). While a transaction runs, the batches that arrive
// collect in the next group. A batch that finds none is settled at once. A transaction
// that takes longer than slowTransaction no longer holds up the next one.
type groups struct {
	// commit settles the group in one transaction.
	commit func(context.Context, eventlog.Group) ([]eventlog.Settled, error)

	mu      sync.Mutex
	waiting []*member // waiting batches, in the order of their arrival
	busy    bool      // a transaction holds up the next one
	ended   sync.WaitGroup
}

// member is a batch that waits for its group, or is in it.
type member struct {
	ctx     context.Context
	batch   eventlog.Batch
	done    chan struct{} // closed when the transaction of its group has ended
	shared  bool          // its group has other batches
	settled eventlog.Settled
	err     error // error of the transaction
}

// settle settles the batch with its group. It returns what was settled of the batch,
// whether the group had other batches, and the error of the transaction. When ctx ends
// first, it returns the error of ctx, and the transaction of the group goes on.
func (g *groups) settle(ctx context.Context, b eventlog.Batch) (eventlog.Settled, bool, error) {
	m := &member{ctx: ctx, batch: b, done: make(chan struct{})}
	g.mu.Lock()
	g.waiting = append(g.waiting, m)
	g.start()
	g.mu.Unlock()
	select {
	case <-m.done:
		return m.settled, m.shared, m.err
	case <-ctx.Done():
		return eventlog.Settled{}, true, ctx.Err()
	}
}

// start starts a transaction for the batches that wait, if none holds it up. The
// caller holds mu.
func (g *groups) start() {
	if !g.busy && len(g.waiting) > 0 {
		g.busy = true
		g.ended.Go(g.run)
	}
}

// gather returns when no shard that can run brings a batch: a response of the log has
// records of several shards, which arrive one after the other.
func (g *groups) gather() {
	cpu.Gather(func() int {
		g.mu.Lock()
		defer g.mu.Unlock()
		return len(g.waiting)
	})
}

// run settles the batches that wait.
func (g *groups) run() {
	g.gather()
	g.mu.Lock()
	members := g.take()
	g.busy = len(members) > 0
	g.mu.Unlock()
	if len(members) > 0 {
		g.settleAll(members)
	}
}

// startNext starts the next transaction.
func (g *groups) startNext() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.busy = false
	g.start()
}

// take removes the first batches that wait, with at most maxBatchCommands commands
// together. It drops batches that no caller waits for any more. The caller holds mu.
func (g *groups) take() []*member {
	g.waiting = slices.DeleteFunc(g.waiting, func(m *member) bool { return m.ctx.Err() != nil })
	n, commands := 0, 0
	for _, m := range g.waiting {
		if commands += len(m.batch.Commands); n > 0 && commands > maxBatchCommands {
			break
		}
		n++
	}
	members := slices.Clone(g.waiting[:n])
	g.waiting = slices.Delete(g.waiting, 0, n)
	return members
}

// settleAll settles the members in one transaction, and starts the next one. The end of
// a member's context does not end the transaction, because the others need it.
func (g *groups) settleAll(members []*member) {
	slices.SortFunc(members, func(a, b *member) int { return cmp.Compare(a.batch.Shard, b.batch.Shard) })
	group := make(eventlog.Group, len(members))
	for i, m := range members {
		group[i] = m.batch
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(members[0].ctx), storeTimeout)
	defer cancel()
	slow := time.AfterFunc(slowTransaction, g.startNext)
	settled, err := g.commit(ctx, group)
	if slow.Stop() {
		g.startNext()
	}
	for i, m := range members {
		if m.shared, m.err = len(members) > 1, err; err == nil {
			m.settled = settled[i]
		}
		close(m.done)
	}
}

// wait returns when no transaction runs.
func (g *groups) wait() { g.ended.Wait() }
