package catalog

import "time"

// Outcome is the result of a settled command.
type Outcome string

// The outcomes. The journal stores them and clients receive them, so a value is
// never renamed.
const (
	Created   Outcome = "created"
	Changed   Outcome = "changed"
	Deleted   Outcome = "deleted"
	Unchanged Outcome = "unchanged" // the product already had the data of the command; no new version
	Refused   Outcome = "refused"   // Event.Refusal has the reason; no new version
)

// Event records that a command was settled: one row of the journal and one record
// of the events topic. Every command has exactly one event.
type Event struct {
	Position
	Outcome Outcome
	// Product is the product right after the command. After Deleted it has only ID,
	// Version and the times; after Refused only ID and Version.
	Product Product
	// PreviousCategory is the category that the product left with the command, or
	// "". Subscribers of a category need it to see products leave the category.
	PreviousCategory string
	Refusal          *Refusal   // nil unless Outcome is Refused
	Void             *VoidPrice // the price that the command marked as a mistake, or nil
	Command          ID         // id of the command
	Fingerprint      [32]byte
	Actor            string
	Trace            string
	AcceptedAt       time.Time
	SettledAt        time.Time
}

// eventOverhead is about what an event takes beside its product: ids, times, trace
// and headers.
const eventOverhead = 250

// Size returns about how many bytes the event takes as a record. Limits in bytes
// count it.
func (e Event) Size() int {
	n := eventOverhead + e.Product.Size() + len(e.Actor)
	if e.Refusal != nil {
		n += len(e.Refusal.Reason)
		for _, f := range e.Refusal.Fields {
			n += len(f.Field) + len(f.Reason)
		}
	}
	if e.Void != nil {
		n += len(e.Void.Reason)
	}
	return n
}

// Applied reports whether the event made a new version of its product.
func (e Event) Applied() bool {
	return e.Outcome == Created || e.Outcome == Changed || e.Outcome == Deleted
}
