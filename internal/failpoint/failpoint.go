// Package failpoint marks the places between the steps of both paths at which
// a test can kill or freeze the process.
//
// The places are there only in programs built with the tag failpoint. There
// CATALOG_FAILPOINT=writer.committed:3 kills the process, as kill -9 does, when
// it comes to that place for the third time; writer.committed:3:hang stops
// whoever comes there from then on for ever. In all other programs Here does
// nothing, and the compiler leaves nothing of it.
package failpoint

// Place is between two steps, and named after the one that was done last.
type Place string

// The places.
const (
	WriterClaimed     Place = "writer.claimed"     // the shard is this writer's; what was not published is not yet
	WriterRepublished Place = "writer.republished" // some of it is
	WriterPolled      Place = "writer.polled"      // commands are in hand, and nothing is done
	WriterOpen        Place = "writer.open"        // the transaction is open, and everything is decided
	WriterCommitted   Place = "writer.committed"   // it is committed, and nothing is published
	WriterPublished   Place = "writer.published"   // the events are in the topic, and nobody has noted it
	ReaderPolled      Place = "reader.polled"      // events are in hand, and nothing is done
	ReaderForgot      Place = "reader.forgot"      // the cache has forgotten the products
	ReaderViewed      Place = "reader.viewed"      // the view has the products, and the progress is not saved
	ReaderSaved       Place = "reader.saved"       // the progress is saved, and nobody is told
	ReaderIndexed     Place = "reader.indexed"     // the index has products and progress, and nobody is told
	GatewaySent       Place = "gateway.sent"       // the command is in the log, and its sender does not know
	GatewaySettled    Place = "gateway.settled"    // the outcome is here, and the client does not know
)

// Places lists all of them, in the order in which a command comes by.
func Places() []Place {
	return []Place{
		GatewaySent, WriterClaimed, WriterRepublished, WriterPolled, WriterOpen, WriterCommitted, WriterPublished,
		GatewaySettled, ReaderPolled, ReaderForgot, ReaderViewed, ReaderSaved, ReaderIndexed,
	}
}
