package catalog

import "time"

// Kind says what became of a command.
type Outcome string

// The kinds of events. They are written to the journal and sent to clients: a
// value is never renamed.
const (
	Created   Outcome = "created"
	Changed   Outcome = "changed"
	Deleted   Outcome = "deleted"
	Unchanged Outcome = "unchanged" // the product was already as the command wished; no new version
	Refused   Outcome = "refused"   // Refusal says why; no new version
)

// Event is the fact that a command was settled: one row of the journal and one
// record of the events topic. There is exactly one for every command.
type Event struct {
	Position
	Outcome Outcome
	// Product is what the product was right after the command. Of a deleted
	// product only ID, Version and the times are there; of a refused command's
	// only ID and Version.
	Product Product
	// Left is the category that the product was in before the command and is not
	// in after it; "" for none. Who follows a category hears of what leaves it.
	PreviousCategory string
	Refusal          *Refusal // for Refused
	Command          ID
	Fingerprint      [32]byte
	Actor            string
	Trace            string
	AcceptedAt       time.Time
	SettledAt        time.Time
}

// Applied says whether the event made a new version of its product.
func (e Event) Applied() bool {
	return e.Outcome == Created || e.Outcome == Changed || e.Outcome == Deleted
}
