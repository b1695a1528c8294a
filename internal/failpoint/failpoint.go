// Package failpoint marks the points between the steps of the write and the
// read path at which a test can kill or freeze the process.
//
// The points exist only in programs built with the tag failpoint. In such a
// program CATALOG_FAILPOINT=writer.committed:3 kills the process, as kill -9
// does, when it passes that point for the third time. With
// CATALOG_FAILPOINT=writer.committed:3:hang every goroutine that passes the
// point from the third time on blocks forever. In all other programs Here is an
// empty function that the compiler removes.
package failpoint

// Point is a point between two steps, named after the step before it.
type Point string

// The points.
const (
	WriterClaimed      Point = "writer.claimed"      // the shard is claimed; missing events are not republished yet
	WriterRepublished  Point = "writer.republished"  // some missing events are republished
	WriterPolled       Point = "writer.polled"       // Handle has a batch of commands and has done nothing yet
	WriterDecided      Point = "writer.decided"      // the batch is decided and its transaction is open
	WriterCommitted    Point = "writer.committed"    // the transaction is committed; no event is published
	WriterPublished    Point = "writer.published"    // the events are in the topic; the writer has not recorded it
	ReaderPolled       Point = "reader.polled"       // Handle has a batch of events and has done nothing yet
	ReaderInvalidated  Point = "reader.invalidated"  // the cache has dropped the products
	ReaderApplied      Point = "reader.applied"      // the view has the products; the checkpoint is not saved
	ReaderCheckpointed Point = "reader.checkpointed" // the checkpoint is saved
	ReaderIndexed      Point = "reader.indexed"      // the index has products and checkpoint; waiting reads are not notified
	ReaderRebuilding   Point = "reader.rebuilding"   // between two steps of a rebuild; the count selects the step
	GatewaySent        Point = "gateway.sent"        // the command is in the log; its sender does not know
	GatewaySettled     Point = "gateway.settled"     // the gateway has the outcome; the client does not know
)

// Points returns the points that a command passes, in their order.
func Points() []Point {
	return []Point{
		GatewaySent, WriterClaimed, WriterRepublished, WriterPolled, WriterDecided, WriterCommitted, WriterPublished,
		GatewaySettled, ReaderPolled, ReaderInvalidated, ReaderApplied, ReaderCheckpointed, ReaderIndexed,
	}
}
