package eventlog

import "catalog"

// CurrentVersion returns an event that stands for the one that made the current
// version of p, when the journal no longer has that event. It has no position,
// command, actor and trace.
func CurrentVersion(p catalog.Product) catalog.Event {
	e := catalog.Event{Outcome: catalog.Changed, Product: p, AcceptedAt: p.UpdatedAt, SettledAt: p.UpdatedAt}
	switch {
	case p.Deleted:
		e.Outcome = catalog.Deleted
	case p.Version == 1:
		e.Outcome = catalog.Created
	}
	return e
}
