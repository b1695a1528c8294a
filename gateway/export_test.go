package gateway

import "context"

// FillSlots occupies all slots of all shares.
func (g *Gateway) FillSlots() {
	s := g.shares
	g.FillShares(s.reads, s.positions, s.lists, s.suggest, s.history, s.receipts, s.writes, s.imports, s.open)
}

// FillShares occupies all slots of the shares, whose requests no longer wait.
func (g *Gateway) FillShares(shares ...*share) {
	for _, s := range shares {
		s.wait = 0
		for s.slots.TryAcquirePermit() {
		}
	}
}

// HoldShare occupies the slots of the share, and returns a function that releases one.
func (g *Gateway) HoldShare(ctx context.Context, name string) (release func()) {
	s := g.Shares()[name]
	for range s.limit {
		release, _ = s.acquire(ctx)
	}
	return release
}

// FillResponses leaves no room for large responses.
func (g *Gateway) FillResponses() { g.responses.TryAcquire(responseBytes) }

// ResponsesFree reports whether no large response is held.
func (g *Gateway) ResponsesFree() bool {
	if !g.responses.TryAcquire(responseBytes) {
		return false
	}
	g.responses.Release(responseBytes)
	return true
}

// Shares returns the shares by name.
func (g *Gateway) Shares() map[string]*share {
	all := map[string]*share{}
	s := g.shares
	for _, s := range []*share{s.reads, s.positions, s.lists, s.suggest, s.history, s.receipts, s.writes, s.imports, s.open} {
		all[s.name] = s
	}
	return all
}

// ProblemDetail returns the detail of the problem of an error.
func ProblemDetail(err error) string { return asProblem(err).Detail }
